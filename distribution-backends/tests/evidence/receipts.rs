//! A receipt convinces who has nothing but a public key, and nobody else's does.

use distribution_backends::{EvidenceKey, Receipt};
use distribution_core::{ErrorKind, MetadataStore as _, PublishRequest, Reason, Record};
use distribution_testkit::{MemoryMetadata, World};
use futures::executor::block_on;
use serde_json::json;

use super::trails::{key, trail};

fn request(status: &str) -> PublishRequest {
    let request = json!({
        "final_edit": { "video_url": "clip.mp4", "duration_seconds": 9.7,
            "checksum": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
        "qc_report": { "status": status, "report_id": "qc-7" },
    });
    PublishRequest::from_json(request.to_string().as_bytes()).unwrap()
}

#[test]
fn a_publication_is_proven_with_the_public_key_alone() {
    let world = World::new();
    world.stage("clip.mp4", "");
    let published = block_on(world.publisher("host-1").publish(request("pass"))).unwrap();
    let row = block_on(MemoryMetadata::new(&world).load(&published.audit_log_id)).unwrap().unwrap();
    let record = Record::decode(&row).unwrap();
    let json = Receipt::of_publication(&record, world.audit(), world.now()).unwrap().sign(&key()).unwrap();

    let receipt = Receipt::verify(&json, key().public_key()).unwrap();
    let told = receipt.published().unwrap();
    assert_eq!(told.location, published.storage_location);
    assert_eq!(told.proof.digest.checksum, receipt.publication().unwrap().checksum);
    assert_eq!(receipt.approval().unwrap().report_id(), Some("qc-7"));
    assert_eq!((receipt.audit_log_id(), receipt.issued_at()), (&published.audit_log_id, world.now()));
    assert_eq!(receipt.trail().len() as u64, record.trail.next);

    for at in 0..json.len() {
        let mut bad = json.clone();
        bad[at] ^= 1 << (at % 8);
        assert!(Receipt::verify(&bad, key().public_key()).is_err(), "byte {at}");
    }
    let other = EvidenceKey::from_seed(&[8; 32]).unwrap();
    assert_eq!(Receipt::verify(&json, other.public_key()).unwrap_err().kind(), ErrorKind::Corrupt);

    let mut cut = world.audit();
    cut.pop();
    assert_eq!(Receipt::of_publication(&record, cut, world.now()).unwrap_err().kind(), ErrorKind::Conflict);
    let mut gap = world.audit();
    gap.remove(1);
    assert_eq!(Receipt::of_publication(&record, gap, world.now()).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(Receipt::of_publication(&record, trail(1), world.now()).unwrap_err().kind(), ErrorKind::Conflict);
}

#[test]
fn a_receipt_says_that_a_publication_was_taken_back() {
    let world = World::new();
    world.stage("clip.mp4", "");
    let publisher = world.publisher("host-1");
    let published = block_on(publisher.publish(request("pass"))).unwrap();
    let reason = Reason::parse("a person did not agree").unwrap();
    block_on(publisher.retract(&published.audit_log_id, &reason)).unwrap();
    let row = block_on(MemoryMetadata::new(&world).load(&published.audit_log_id)).unwrap().unwrap();
    let record = Record::decode(&row).unwrap();
    let json = Receipt::of_publication(&record, world.audit(), world.now()).unwrap().sign(&key()).unwrap();
    let receipt = Receipt::verify(&json, key().public_key()).unwrap();
    assert_eq!(receipt.retracted(), Some((world.now(), &reason)));
    assert_eq!(receipt.published().unwrap().location, published.storage_location, "where it was");
}

#[test]
fn a_refusal_is_proven_too_and_is_no_publication() {
    let world = World::new();
    world.stage("clip.mp4", "");
    block_on(world.publisher("host-1").publish(request("fail"))).unwrap_err();
    let json = Receipt::of_refusal(world.audit(), world.now()).unwrap().sign(&key()).unwrap();
    let receipt = Receipt::verify(&json, key().public_key()).unwrap();
    assert_eq!(receipt.trail(), world.audit());
    assert!(receipt.published().is_none() && receipt.publication().is_none() && receipt.approval().is_none());

    assert_eq!(Receipt::of_refusal(trail(1), world.now()).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(Receipt::of_refusal(Vec::new(), world.now()).unwrap_err().kind(), ErrorKind::Conflict);
}
