//! Links that are taken back: all of an object that were signed before, and no other.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::{HmacSigner, LocalDisk, Refused, Revocations, StoredRevocations};
use distribution_core::{Error, ErrorKind, LinkRequest, ObjectKey, UrlSigner};
use futures::future::try_join_all;

use crate::{EXPIRY, KEY, NOW, at, signer};

const OTHER: &str = "mvp/other.mp4";

fn object(key: &str) -> ObjectKey {
    ObjectKey::parse(key).unwrap()
}

/// As another process would open it.
fn revocable(dir: &Path) -> HmacSigner {
    signer().revocations(Arc::new(StoredRevocations::new(Arc::new(LocalDisk::open(dir).unwrap()))))
}

async fn query(signer: &HmacSigner, key: &str) -> String {
    let wanted = LinkRequest { key: object(key), expires_at: at(EXPIRY) };
    signer.sign(&wanted, at(NOW)).await.unwrap().link.expose().split_once('?').unwrap().1.to_owned()
}

async fn works(signer: &HmacSigner, key: &str, query: &str) -> bool {
    let verified = signer.verify("GET", key, query, at(NOW)).await;
    assert!(!matches!(verified, Err(Refused::Unknown(_))), "{verified:?}");
    verified.is_ok()
}

#[tokio::test]
async fn every_earlier_link_of_the_object_ends_and_no_other_does() {
    let dir = tempfile::tempdir().unwrap();
    let (host, verifier) = (revocable(dir.path()), revocable(dir.path()));
    let other = query(&host, OTHER).await;
    let mut revoked: Vec<String> = Vec::new();
    for round in 0..20 {
        let link = query(&host, KEY).await;
        assert!(link.contains(&format!("&r={round}&s=")), "{link}");
        assert_eq!(query(&verifier, KEY).await, link, "all hosts give the same link");
        assert!(works(&verifier, KEY, &link).await);
        host.revoke(&object(KEY)).await.unwrap();
        revoked.push(link);
        for link in &revoked {
            assert!(!works(&verifier, KEY, link).await && !works(&revocable(dir.path()), KEY, link).await);
        }
        assert!(works(&verifier, OTHER, &other).await);
    }
    assert!(works(&verifier, KEY, &query(&host, KEY).await).await);
}

#[tokio::test]
async fn a_link_cannot_say_that_it_is_newer() {
    let dir = tempfile::tempdir().unwrap();
    let host = revocable(dir.path());
    let link = query(&host, KEY).await;
    host.revoke(&object(KEY)).await.unwrap();
    for wrong in ["1", "2", "", "00", "01", "+1", "-1", " 1", "1.0", "9223372036854775807", "18446744073709551616"] {
        assert!(!works(&host, KEY, &link.replace("&r=0&", &format!("&r={wrong}&"))).await, "{wrong}");
    }
}

#[tokio::test]
async fn all_who_revoke_at_once_have_revoked() {
    let dir = tempfile::tempdir().unwrap();
    let (host, key) = (revocable(dir.path()), object(KEY));
    for _ in 0..10 {
        let link = query(&host, KEY).await;
        let hosts: Vec<_> = (0..8).map(|_| revocable(dir.path())).collect();
        try_join_all(hosts.iter().map(|host| host.revoke(&key))).await.unwrap();
        assert!(!works(&host, KEY, &link).await);
        assert!(works(&host, KEY, &query(&host, KEY).await).await);
    }
}

struct OutOfReach;

#[async_trait]
impl Revocations for OutOfReach {
    async fn count(&self, _: &ObjectKey) -> Result<u64, Error> {
        Err(Error::unavailable("the list is out of reach"))
    }
    async fn revoke(&self, _: &ObjectKey) -> Result<(), Error> {
        Err(Error::unavailable("the list is out of reach"))
    }
}

#[tokio::test]
async fn without_the_revocations_no_link_is_signed_or_let_through() {
    let link = query(&signer(), KEY).await;
    let blind = signer().revocations(Arc::new(OutOfReach));
    assert!(matches!(blind.verify("GET", KEY, &link, at(NOW)).await, Err(Refused::Unknown(_))));
    let forged = link.replace("e=1767571200", "e=1767571201");
    assert!(matches!(blind.verify("GET", KEY, &forged, at(NOW)).await, Err(Refused::Denied)), "nobody is asked");
    let wanted = LinkRequest { key: object(KEY), expires_at: at(EXPIRY) };
    assert_eq!(blind.sign(&wanted, at(NOW)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(blind.revoke(&object(KEY)).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn who_cannot_revoke_says_what_can_be_done() {
    let error = signer().revoke(&object(KEY)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("`2026-01`"), "{error}");
}
