//! Signers: who may download what, until when.

mod hmac;
mod key;
#[cfg(feature = "s3")]
mod presign;

pub use hmac::{Denied, Grant, HmacSigner};
pub use key::HmacKey;
#[cfg(feature = "s3")]
pub use presign::{Disposition, PresignSigner};
