//! Signers: who may download what, until when.

mod hmac;
mod key;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
mod presign;

#[cfg(any(feature = "config", feature = "serve"))]
pub(crate) use hmac::parse_base as base_of;
pub use hmac::{Denied, Grant, HmacSigner};
pub use key::HmacKey;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
pub use presign::{Disposition, PresignSigner};
