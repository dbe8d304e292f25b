//! Links of a CloudFront distribution: in the form that Amazon documents, under a signature that another
//! implementation accepts. CloudFront itself was not asked: there is no vector with a private key in its
//! documentation, and no account here.
#![cfg(feature = "cloudfront")]
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

#[path = "../support/heard.rs"]
mod a_heard;
mod conformance;
mod documented;
mod edge;
mod keys;

use distribution_backends::CloudFrontSigner;
use distribution_core::{Error, LinkRequest, ObjectKey, SignedUrl, Timestamp, UrlSigner as _};
use futures::executor::block_on;

pub(crate) const BASE: &str = "https://d111111abcdef8.cloudfront.net";
pub(crate) const ID: &str = "K2JCJMDEHXQW5F";

pub(crate) fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// A link to `key` that is asked for now and ends then.
pub(crate) fn link(signer: &CloudFrontSigner, key: &str, now: &str, end: &str) -> Result<SignedUrl, Error> {
    let wanted = LinkRequest { key: ObjectKey::parse(key).unwrap(), expires_at: at(end) };
    block_on(signer.sign(&wanted, at(now)))
}
