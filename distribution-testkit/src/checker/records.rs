//! Rows: readable, of one identity each, in agreement with their columns, within their limits.

use std::collections::{BTreeMap, BTreeSet};

use distribution_core::Row;
use serde_json::Value;

use super::body::{self, Body};
use super::derive::audit_log_id;
use super::evidence::Evidence;
use super::{Findings, Promise};

const WAITING_MAX: usize = 128;
const HOLDER_BYTES_MAX: usize = 256;
/// 9,999 have a key; one more says that they are used up.
const ATTEMPT_MAX: u32 = 10_000;
const ATTEMPTS_LEFT_MAX: u32 = 99;
const METADATA_BYTES_MAX: usize = 32 << 10;
const TAGS_MAX: usize = 64;
const URL_BYTES_MAX: usize = 4096;

pub(super) struct Record<'a> {
    pub(super) row: &'a Row,
    pub(super) body: Body,
}

impl Record<'_> {
    pub(super) fn id(&self) -> &str {
        self.row.id.as_str()
    }
}

/// The rows that can be read, by id, and the ids of those that cannot.
pub(super) struct Records<'a> {
    sound: BTreeMap<&'a str, Record<'a>>,
    broken: BTreeSet<&'a str>,
}

impl<'a> Records<'a> {
    pub(super) fn read(evidence: &'a Evidence, found: &mut Findings) -> Self {
        let mut records = Self { sound: BTreeMap::new(), broken: BTreeSet::new() };
        for row in &evidence.rows {
            let id = row.id.as_str();
            if records.sound.contains_key(id) || records.broken.contains(id) {
                found.add(Promise::P3, id, "has two rows");
                continue;
            }
            match sound(row) {
                Ok(body) => drop(records.sound.insert(id, Record { row, body })),
                Err((promise, message)) => {
                    found.add(promise, id, message);
                    records.broken.insert(id);
                }
            }
        }
        records
    }

    pub(super) fn sound(&self) -> impl Iterator<Item = &Record<'a>> {
        self.sound.values()
    }

    pub(super) fn get(&self, id: &str) -> Option<&Record<'a>> {
        self.sound.get(id)
    }

    pub(super) fn is_broken(&self, id: &str) -> bool {
        self.broken.contains(id)
    }

    /// Whether some row cannot be read, so that nobody knows which objects are its own.
    pub(super) fn any_broken(&self) -> bool {
        !self.broken.is_empty()
    }
}

fn sound(row: &Row) -> Result<Body, (Promise, String)> {
    let body = body::read(row).map_err(|message| (Promise::P7, message))?;
    let (said, follows) = (&body.publication.audit_log_id, audit_log_id(&body.publication));
    if said != row.id.as_str() || *said != follows {
        return Err((Promise::P3, format!("the row says that it is {said}, its identity is {follows}")));
    }
    Ok(body)
}

/// What holds in every phase.
pub(super) fn check(record: &Record<'_>, found: &mut Findings) {
    let (id, body) = (record.id(), &record.body);
    found.expect(body.approval.checksum == body.publication.checksum, Promise::P2, id, || {
        format!("QC approved {}, the bytes to publish are {}", body.approval.checksum, body.publication.checksum)
    });
    if let Some(column) = contradicted_column(record) {
        found.add(Promise::P7, id, format!("the column `{column}` contradicts the record, so that nobody can go on"));
    }
    check_limits(record, found);
}

fn contradicted_column(record: &Record<'_>) -> Option<&'static str> {
    let (index, body) = (&record.row.index, &record.body);
    let mut tags: Vec<&str> =
        metadata(body, "tags").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    tags.sort_unstable();
    tags.dedup();
    let columns = [
        ("concept_id", index.concept_id.as_ref().map(|id| id.as_str()) == body.publication.concept_id.as_deref()),
        ("checksum", index.checksum == body.publication.checksum),
        ("tags", index.tags == tags),
        ("state", index.state.as_str() == body.state()),
        ("settled", index.settled == body.is_settled()),
        ("claimed_at", index.claimed_at == body.claimed_at),
    ];
    columns.into_iter().find(|(_, agrees)| !agrees).map(|(column, _)| column)
}

fn metadata<'b>(body: &'b Body, field: &str) -> Option<&'b Value> {
    body.details.get("metadata")?.get(field)
}

fn check_limits(record: &Record<'_>, found: &mut Findings) {
    let (id, body) = (record.id(), &record.body);
    let mut limit = |what: &str, is: usize, most: usize| {
        found.expect(is <= most, Promise::P10, id, || format!("{what}: {is}, the limit is {most}"));
    };
    let number = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    limit("bytes of the record", record.row.body.len(), Row::BODY_BYTES_MAX);
    limit("waiting audit entries", body.trail.waiting.len(), WAITING_MAX);
    limit("attempts", number(body.attempt), number(ATTEMPT_MAX));
    limit("bytes of the staged file's URL", body.source.url.len(), URL_BYTES_MAX);
    if let Some(work) = body.work() {
        limit("bytes of the holder's name", work.lease.holder.len(), HOLDER_BYTES_MAX);
        limit("attempts left", number(work.attempts_left), number(ATTEMPTS_LEFT_MAX));
    }
    limit("tags", metadata(body, "tags").and_then(Value::as_array).map_or(0, Vec::len), TAGS_MAX);
    let metadata = body.details.get("metadata").map_or(0, |metadata| metadata.to_string().len());
    limit("bytes of metadata", metadata, METADATA_BYTES_MAX);
}
