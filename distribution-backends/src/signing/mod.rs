//! Signers: who may download what, until when.

mod hmac;
mod key;

pub use hmac::{Denied, Grant, HmacSigner};
pub use key::HmacKey;
