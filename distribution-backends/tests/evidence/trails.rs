//! Trails as publishers write them, and chains of them.

use std::path::Path;

use distribution_backends::{EvidenceKey, JsonlAudit, Seal};
use distribution_core::{
    AuditEntry, AuditEvent, AuditLogId, AuditSink, Checksum, Details, Digest, EntryId, Location, Proof, Timestamp,
    Trail, Verification,
};
use serde_json::json;

pub(crate) fn key() -> EvidenceKey {
    EvidenceKey::from_seed(&[7; 32]).unwrap()
}

/// The trail of one publication, from seed `n`: some are amended, some are refused before.
pub(crate) fn trail(n: u64) -> Vec<AuditEntry> {
    let audit_log_id = AuditLogId::parse(format!("dist_{n:025}0")).unwrap();
    let at =
        |sequence: u64| Timestamp::from_timestamp_micros((1_767_225_600_000_000 + n * 1000 + sequence) as i64).unwrap();
    let proof =
        Proof { digest: Digest { checksum: Checksum::of(&n.to_be_bytes()), size: n }, how: Verification::ReadBack };
    let mut details = json!({
        "metadata": { "title": format!("caf\u{e9} \u{1f3ac} {n}\n"), "concept_id": null, "tags": ["a"],
            "take": n as f64 + 0.5, "small": 1.5e-9, "\u{fb33}": -1, "\u{1f3ac}": 2 },
        "url_expiry_hours": 72, "access": "signed",
    });
    if n.is_multiple_of(2) {
        // What canonical JSON cannot say exactly.
        (details["metadata"]["whole"], details["metadata"]["large"]) = (json!(1.0), json!(u64::MAX));
    }
    let details: Details = serde_json::from_value(details).unwrap();
    let mut events = vec![
        AuditEvent::Claimed { holder: format!("host-{n}"), qc_report_id: Some("qc-\"7\"".into()) },
        AuditEvent::Published { location: Location::parse(format!("s3://bucket/{n}.mp4")).unwrap(), proof },
        AuditEvent::LinkGranted { expires_at: at(9) },
    ];
    if n.is_multiple_of(3) {
        events.push(AuditEvent::Amended { details: Box::new(details) });
    }
    let id = |trail, sequence| EntryId { audit_log_id: audit_log_id.clone(), trail, sequence };
    let mut entries = Vec::new();
    if n.is_multiple_of(4) {
        let event = AuditEvent::Refused { reason: "status is `fail`".into() };
        entries.push(AuditEntry { id: id(Trail::Refusals, 1_767_225_600_000_000 + n), at: at(0), event });
    }
    for (sequence, event) in (0..).zip(events) {
        entries.push(AuditEntry { id: id(Trail::Publication, sequence), at: at(sequence), event });
    }
    entries
}

/// The lines of a chain of these trails, signed or not.
pub(crate) async fn chain(path: &Path, trails: std::ops::Range<u64>, is_signed: bool) -> Vec<Vec<u8>> {
    let seal = Seal::default();
    let seal = if is_signed { seal.signed_by(key()) } else { seal };
    let sink = JsonlAudit::open_sealed(path, seal).await.unwrap();
    let entries: Vec<_> = trails.flat_map(trail).collect();
    sink.append(&entries).await.unwrap();
    lines(&std::fs::read(path).unwrap())
}

pub(crate) fn lines(bytes: &[u8]) -> Vec<Vec<u8>> {
    bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}
