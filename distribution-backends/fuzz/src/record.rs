//! Stored rows: a record that writes and reads as itself, or an error that says why it is none.

use distribution_core::machine::{Caller, entry, next_action};
use distribution_core::{AuditLogId, Checksum, ErrorKind, Index, Record, Row, State, Timestamp};
use distribution_testkit::checker::{Evidence, unsettled, violations};
use serde::Deserialize;

#[derive(Deserialize)]
struct Stored {
    record: Record,
}

/// Reads the bytes as the body of a row; and, if they are a record at all, as one of its own row.
pub fn run(bytes: &[u8]) {
    let id = AuditLogId::parse("dist_00000000000000000000000000").expect("an id");
    let index = Index {
        concept_id: None,
        checksum: Checksum::of(b""),
        tags: Vec::new(),
        state: State::InProgress,
        settled: false,
        claimed_at: Timestamp::UNIX_EPOCH,
    };
    let row = Row { id, revision: 1, index, body: bytes.to_vec().into() };
    let error = Record::decode(&row).expect_err("no body has this id");
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported));
    let Ok(Stored { record }) = serde_json::from_slice(bytes) else { return };
    ask(&record);
    let Ok(own) = record.encode() else { return };
    assert_eq!(Record::decode(&own).expect("what was written can be read"), record);
    let evidence = Evidence { rows: vec![Row { body: bytes.to_vec().into(), ..own }], ..Evidence::default() };
    let _ = (violations(&evidence), unsettled(&evidence));
}

/// Every question that can be asked of a record has an answer.
fn ask(record: &Record) {
    let _ = (next_action(record), record.object_key(), record.is_settled(), record.state());
    for now in [Timestamp::MIN_UTC, record.claimed_at, Timestamp::MAX_UTC] {
        for details in [None, Some(&record.details)] {
            let _ = entry(record, Caller { holder: "a", details, taken_up: false, amended: false }, now);
        }
    }
}
