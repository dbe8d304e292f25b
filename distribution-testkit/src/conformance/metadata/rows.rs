//! Rows to check with.

use bytes::Bytes;
use distribution_core::{
    Advance, AuditLogId, Checksum, Claim, ConceptId, Identity, Index, MetadataStore, ObjectKey, Row, State, TargetName,
    Timestamp,
};

/// The id of the publication number `n`.
pub(super) fn id(n: usize) -> AuditLogId {
    AuditLogId::of(Identity {
        target: &TargetName::parse("main").expect("a target"),
        key: &ObjectKey::parse(format!("{n}.mp4")).expect("a key"),
        checksum: &Checksum::of(b""),
        concept_id: None,
    })
}

/// A first row of the publication number `n`.
pub(super) fn row(n: usize) -> Row {
    let index = Index {
        concept_id: Some(concept("concept")),
        checksum: Checksum::of(&n.to_be_bytes()),
        tags: tags(&["tag"]),
        state: State::InProgress,
        settled: false,
        claimed_at: micros(0),
    };
    Row { id: id(n), revision: 0, index, body: Bytes::from(format!(r#"{{"n":{n}}}"#)) }
}

/// The row that follows this one, with this body.
pub(super) fn next(row: &Row, body: impl Into<Bytes>) -> Row {
    Row { revision: row.revision + 1, body: body.into(), ..row.clone() }
}

pub(super) fn concept(text: &str) -> ConceptId {
    ConceptId::parse(text).expect("a concept id")
}

/// So many microseconds behind an arbitrary moment.
pub(super) fn micros(n: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(1_767_225_600_123_456 + n).expect("a moment within the calendar")
}

/// As an index holds them: each once, in byte order.
pub(super) fn tags(tags: &[&str]) -> Vec<String> {
    let mut tags: Vec<_> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    tags.sort_unstable();
    tags.dedup();
    tags
}

pub(super) async fn claim(store: &dyn MetadataStore, row: &Row) {
    assert_eq!(store.claim(row).await.expect("a claim"), Claim::Claimed, "{}", row.id);
}

pub(super) async fn advance(store: &dyn MetadataStore, next: &Row) {
    assert_eq!(store.advance(next).await.expect("an advance"), Advance::Advanced, "{}", next.id);
}

pub(super) async fn assert_row(store: &dyn MetadataStore, row: &Row) {
    let loaded = store.load(&row.id).await.expect("a load");
    assert!(loaded.as_ref() == Some(row), "the row is {}, not {}", shown(loaded.as_ref()), shown(Some(row)));
}

/// A row without all of its body, which may be a megabyte.
fn shown(row: Option<&Row>) -> String {
    let Some(row) = row else { return "absent".to_owned() };
    let (len, start) = (row.body.len(), row.body.slice(..row.body.len().min(64)));
    format!("revision {} with {:?} and {len} bytes {start:?}", row.revision, row.index)
}
