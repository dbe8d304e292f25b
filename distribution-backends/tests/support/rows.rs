//! Rows to test with.

use bytes::Bytes;
use distribution_core::{AuditLogId, Checksum, ConceptId, Index, Query, Row, State, Timestamp};

pub(crate) fn id(n: u64) -> AuditLogId {
    AuditLogId::parse(format!("dist_{n:025}0")).unwrap()
}

pub(crate) fn at(micros: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(micros).unwrap()
}

pub(crate) fn row(n: u64) -> Row {
    let index = Index {
        concept_id: Some(ConceptId::parse("concept").unwrap()),
        checksum: Checksum::of(&n.to_be_bytes()),
        tags: vec!["one".into(), "two".into()],
        state: State::InProgress,
        settled: false,
        claimed_at: at(1_700_000_000_000_001),
    };
    Row { id: id(n), revision: 0, index, body: Bytes::from_static(b"{\"a\":\0 1}") }
}

/// What follows `row`, with other columns throughout.
pub(crate) fn next(row: &Row) -> Row {
    let index = Index {
        tags: vec![format!("tag {}", row.revision)],
        state: State::Published,
        settled: true,
        ..row.index.clone()
    };
    Row { revision: row.revision + 1, index, body: Bytes::from(format!("{}", row.revision)), ..row.clone() }
}

pub(crate) fn by_tag(tag: &str) -> Query {
    Query { tag: Some(tag.into()), ..Query::default() }
}
