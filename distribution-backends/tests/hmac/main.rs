//! HMAC links: what they are, that nothing else is let through, and the file that keeps their key.

#![allow(clippy::unwrap_used, reason = "helpers of tests may panic")]

mod forgeries;
mod key_file;
mod links;
mod revocations;

use distribution_backends::{Grant, HmacKey, HmacSigner, Refused};
use distribution_core::{LinkRequest, ObjectKey, Timestamp, UrlSigner};
use futures::executor::block_on;

pub(crate) const BASE: &str = "https://media.example/files";
pub(crate) const KEY: &str = "mvp/clip-0123456789ab.mp4";
pub(crate) const NOW: &str = "2026-01-02T00:00:00Z";
pub(crate) const EXPIRY: &str = "2026-01-05T00:00:00Z";

pub(crate) fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

pub(crate) fn key(id: &str) -> HmacKey {
    HmacKey::new(id, [7; 32]).unwrap()
}

pub(crate) fn signer() -> HmacSigner {
    HmacSigner::new(BASE, key("2026-01")).unwrap()
}

pub(crate) fn request(expires_at: &str) -> LinkRequest {
    LinkRequest { key: ObjectKey::parse(KEY).unwrap(), expires_at: at(expires_at) }
}

pub(crate) fn sign(signer: &HmacSigner) -> String {
    let signed = block_on(signer.sign(&request(EXPIRY), at(NOW))).unwrap();
    signed.link.expose().to_owned()
}

/// The query of the link to [`KEY`], until [`EXPIRY`].
pub(crate) fn query(signer: &HmacSigner) -> String {
    sign(signer).split_once('?').unwrap().1.to_owned()
}

pub(crate) fn get(signer: &HmacSigner, query: &str) -> Result<Grant, Denied> {
    verify(signer, "GET", KEY, query, at(NOW))
}

/// [`Refused::Denied`], which a signer that keeps no revocations says, if anything.
#[derive(Debug, PartialEq)]
pub(crate) struct Denied;

pub(crate) fn verify(
    signer: &HmacSigner,
    method: &str,
    path: &str,
    query: &str,
    now: Timestamp,
) -> Result<Grant, Denied> {
    block_on(signer.verify(method, path, query, now)).map_err(|refused| {
        assert!(matches!(refused, Refused::Denied), "{refused}");
        Denied
    })
}
