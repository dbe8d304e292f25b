//! Signers: who may download what, until when.

mod hmac;
mod key;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
mod presign;

#[cfg(feature = "config")]
pub use hmac::{Denied, Grant, HmacSigner};
pub use key::HmacKey;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
pub use presign::{Disposition, PresignSigner};
