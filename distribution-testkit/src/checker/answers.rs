//! What callers were told: true, the same each time, and after the trail had arrived.

use distribution_core::DistributionRecord;
use serde_json::Value;

use super::body::{Body, Published};
use super::evidence::{Answer, Evidence};
use super::published::check_object;
use super::records::{Record, Records};
use super::trail::{Trails, grants_known, is_restored};
use super::{Findings, Promise};

pub(super) fn check(records: &Records<'_>, trails: &Trails<'_>, evidence: &Evidence, found: &mut Findings) {
    for answer in &evidence.answers {
        let id = answer.record.audit_log_id.as_str();
        if records.is_broken(id) {
            continue;
        }
        let record = records.get(id);
        let Some((record, published)) = record.and_then(|record| Some((record, record.body.was_published()?))) else {
            found.add(
                Promise::P3,
                id,
                format!("a caller was told at {} of a publication that is not on record", answer.at),
            );
            continue;
        };
        // What was lost since was copied anew.
        let is_restored = is_restored(record, trails);
        if let Some(field) = contradiction(&answer.record, &record.body, published, is_restored) {
            found.add(
                Promise::P3,
                id,
                format!("a caller was told another `{field}` at {} than is on record", answer.at),
            );
            continue;
        }
        check_link(answer, record, trails, found);
        let told = &answer.record;
        if record.body.published().is_none() || is_restored || record.body.is_freed() {
            // It was taken back, lost or archived since, and its object may have been removed.
            continue;
        }
        check_object(evidence, id, told.storage_location.as_str(), &told.metadata.checksum, told.size_bytes, found);
    }
}

/// The first field that never changes and differs.
fn contradiction(
    told: &DistributionRecord,
    body: &Body,
    published: &Published,
    is_restored: bool,
) -> Option<&'static str> {
    let copies = 1..=1 + body.replicas.wanted.len();
    let how = serde_json::to_value(told.verification).ok();
    let fields = [
        ("storage_location", is_restored || told.storage_location.as_str() == published.location),
        ("checksum", told.metadata.checksum == body.publication.checksum),
        ("size_bytes", told.size_bytes == published.proof.size),
        ("published_at", told.published_at == published.at),
        ("verification", how.as_ref().and_then(Value::as_str) == Some(&published.proof.how)),
        ("replica_count", usize::try_from(told.replica_count).is_ok_and(|count| copies.contains(&count))),
        ("version", told.version == body.number()),
        ("duration_seconds", told.metadata.duration_seconds.get() == body.publication.duration_seconds),
        (
            "concept_id",
            told.metadata.concept_id.as_ref().map(|id| id.as_str()) == body.publication.concept_id.as_deref(),
        ),
    ];
    fields.into_iter().find(|(_, agrees)| !agrees).map(|(field, _)| field)
}

/// A link lives as long as was granted, or less where the answer says why; and it was given after the
/// trail up to the grant had been delivered. Within a grant's life there is no other (see the trail),
/// so callers who are told a granted end are told the same.
fn check_link(answer: &Answer, record: &Record<'_>, trails: &Trails<'_>, found: &mut Findings) {
    let (id, told) = (record.id(), &answer.record);
    let Some(end) = told.expires_at else {
        let message = "a caller was told that the link never ends, and no such access was granted on the trail by then";
        found.expect(trails.access_delivered(id), Promise::P8, id, || message.to_owned());
        return;
    };
    let limited = told.expiry_limited_by.is_some();
    let fits = |granted| if limited { end <= granted } else { end == granted };
    if trails.grants_delivered(id).any(fits) {
        return;
    }
    let (promise, message) = if grants_known(record, trails).any(fits) {
        (Promise::P5, "before the trail up to its grant had arrived")
    } else if grants_known(record, trails).all(|granted| granted < end) {
        (Promise::P8, "which is later than any link was granted")
    } else {
        (Promise::P3, "which is not the end that was granted, and names no limit")
    };
    found.add(promise, id, format!("a caller was told at {} that the link ends at {end}, {message}", answer.at));
}
