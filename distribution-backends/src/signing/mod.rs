//! Signers: who may download what, until when.

#[cfg(feature = "cloudfront")]
mod cloudfront;
mod disposition;
mod hmac;
mod key;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
mod presign;
#[cfg(feature = "link-probe")]
mod probe;
mod revocations;

#[cfg(feature = "cloudfront")]
pub use cloudfront::CloudFrontSigner;
#[cfg(all(feature = "config", feature = "cloudfront"))]
pub(crate) use cloudfront::{base_of as cloudfront_base_of, check_key_pair_id};
pub use disposition::{ContentDisposition, Disposition};
pub use hmac::{Grant, HmacSigner, Refused};
pub use key::HmacKey;
#[cfg(feature = "evidence")]
pub(crate) use key::{make_secret_file, random, read_secret_file};
#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
pub use presign::PresignSigner;
#[cfg(feature = "link-probe")]
pub use probe::{LinkProbe, Probed};
pub use revocations::{Revocations, StoredRevocations};
