//! The checker on arbitrary evidence: it finds what it finds, the same each time, on one line each.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use distribution_core::{AuditEntry, AuditLogId, Checksum, Digest, DistributionRecord, Index, Row, State};
use distribution_testkit::checker::{Answer, Evidence, ObjectSeen, unsettled, violations, violations_since};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Evidence as JSON.
#[derive(Serialize, Deserialize)]
pub struct Seen {
    rows: Vec<SeenRow>,
    objects: BTreeMap<String, SeenObject>,
    audit: Vec<AuditEntry>,
    answers: Vec<DistributionRecord>,
}

#[derive(Serialize, Deserialize)]
struct SeenRow {
    id: AuditLogId,
    revision: u64,
    checksum: Checksum,
    state: String,
    settled: bool,
    /// In microseconds since 1970.
    claimed_at: i64,
    body: Value,
}

#[derive(Serialize, Deserialize)]
struct SeenObject {
    key: String,
    checksum: Checksum,
    size: u64,
}

/// Reads the bytes as two looks, and checks both.
pub fn run(bytes: &[u8]) {
    let Ok([before, after]) = serde_json::from_slice::<[Seen; 2]>(bytes) else { return };
    let (before, after) = (evidence(before), evidence(after));
    for evidence in [&before, &after] {
        let found = violations(evidence);
        assert_eq!(violations(evidence), found);
        assert!(found.iter().all(|violation| !violation.message.contains('\n')));
        assert!(violations_since(evidence, evidence).iter().all(|violation| has_twins(evidence, &violation.subject)));
        let _ = unsettled(evidence);
    }
    let _ = violations_since(&before, &after);
}

/// Whether the evidence contradicts itself: two rows or entries of one name.
fn has_twins(evidence: &Evidence, name: &str) -> bool {
    let rows = evidence.rows.iter().filter(|row| row.id.as_str() == name).count();
    let entries = evidence.audit.iter().filter(|entry| entry.id.to_string() == name).count();
    rows > 1 || entries > 1
}

fn evidence(seen: Seen) -> Evidence {
    let object = |object: SeenObject| {
        let digest = Digest { checksum: object.checksum, size: object.size };
        ObjectSeen { key: object.key, digest, created_at: None }
    };
    let answer = |record: DistributionRecord| Answer { at: record.published_at, record };
    Evidence {
        rows: seen.rows.into_iter().map(row).collect(),
        objects: seen.objects.into_iter().map(|(location, seen)| (location, object(seen))).collect(),
        audit: seen.audit,
        answers: seen.answers.into_iter().map(answer).collect(),
        secrets: vec!["secret".to_owned()],
        staged: None,
        foreign: BTreeSet::new(),
    }
}

fn row(seen: SeenRow) -> Row {
    let index = Index {
        concept_id: None,
        checksum: seen.checksum,
        tags: Vec::new(),
        state: State::parse(&seen.state).unwrap_or(State::Rejected),
        settled: seen.settled,
        claimed_at: DateTime::from_timestamp_micros(seen.claimed_at).unwrap_or_default(),
    };
    Row { id: seen.id, revision: seen.revision, index, body: seen.body.to_string().into() }
}

/// What is seen of healthy stores, as this target reads it: a seed.
pub fn seed(evidence: &Evidence) -> Vec<u8> {
    let seen = |evidence: &Evidence| Seen {
        rows: evidence.rows.iter().map(seen_row).collect(),
        objects: evidence.objects.iter().map(|(location, seen)| (location.clone(), seen_object(seen))).collect(),
        audit: evidence.audit.clone(),
        answers: evidence.answers.iter().map(|answer| answer.record.clone()).collect(),
    };
    serde_json::to_vec(&[seen(evidence), seen(evidence)]).unwrap_or_default()
}

fn seen_row(row: &Row) -> SeenRow {
    SeenRow {
        id: row.id.clone(),
        revision: row.revision,
        checksum: row.index.checksum,
        state: row.index.state.as_str().to_owned(),
        settled: row.index.settled,
        claimed_at: row.index.claimed_at.timestamp_micros(),
        body: serde_json::from_slice(&row.body).unwrap_or_default(),
    }
}

fn seen_object(seen: &ObjectSeen) -> SeenObject {
    SeenObject { key: seen.key.clone(), checksum: seen.digest.checksum, size: seen.digest.size }
}
