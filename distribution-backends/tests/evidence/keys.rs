//! Keys, and what they keep to themselves.

use std::os::unix::fs::PermissionsExt as _;

use distribution_backends::{EvidenceKey, FindingKind, JsonlAudit, PublicKey, Verifier};
use distribution_core::ErrorKind;

use super::trails::{chain, key};

#[test]
fn a_key_file_is_made_once_is_the_owners_and_says_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.key");
    let made = EvidenceKey::load_or_create(&path).unwrap();
    let loaded = EvidenceKey::load_or_create(&path).unwrap();
    assert_eq!(made.public_key(), loaded.public_key());
    assert_eq!(PublicKey::from_pem(&made.public_key().to_pem()).unwrap(), *made.public_key());
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&format!("{made:?}")) && format!("{made:?}").len() < 60, "{made:?}");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(EvidenceKey::load_or_create(&path).unwrap_err().kind(), ErrorKind::Invalid);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
    assert_eq!(EvidenceKey::load_or_create(&path).unwrap_err().kind(), ErrorKind::Invalid);
    assert!(PublicKey::from_pem(&text).is_err());
}

#[tokio::test]
async fn entries_of_another_key_or_of_none_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let (signed, plain) = (directory.path().join("signed"), directory.path().join("plain"));
    let entries = chain(&signed, 0..2, true).await.len();
    chain(&plain, 0..2, false).await;
    let other = EvidenceKey::from_seed(&[8; 32]).unwrap().public_key().clone();

    let verified =
        |path, key: &PublicKey| JsonlAudit::verify(path, Verifier::new().with_key(key.clone())).unwrap().finish();
    let good = verified(&signed, key().public_key());
    assert!(good.is_clean());
    assert_eq!(good.signed, entries as u64);
    for verdict in [verified(&signed, &other), verified(&plain, key().public_key())] {
        assert_eq!(verdict.findings.len(), entries);
        assert!(verdict.findings.iter().all(|finding| finding.kind == FindingKind::BadSignature));
    }
}
