//! What a published record says, held against the objects.

use chrono::Timelike as _;
use distribution_core::Checksum;

use super::derive::attempt_key;
use super::evidence::Evidence;
use super::records::Record;
use super::{Findings, Promise};

pub(super) fn check(record: &Record<'_>, evidence: &Evidence, found: &mut Findings) {
    let (id, body) = (record.id(), &record.body);
    let Some(published) = body.published() else { return };
    let approved = &body.publication.checksum;
    found.expect(published.proof.checksum == *approved, Promise::P1, id, || {
        format!("{} was proven, {approved} was approved", published.proof.checksum)
    });
    if !body.is_freed() {
        check_object(evidence, id, &published.location, approved, published.proof.size, found);
    }
    let key = attempt_key(&body.publication.key, body.attempt);
    if let Some(object) = evidence.objects.get(&published.location).filter(|_| !body.is_freed()) {
        found.expect(object.key == key, Promise::P1, id, || {
            format!("the record says {}, but this attempt's key is {key}", published.location)
        });
    }
    found.expect(body.approval.expires_at.is_none_or(|end| published.at < end), Promise::P2, id, || {
        format!("was published at {}, when the approval had expired", published.at)
    });
    found.expect(published.pin.as_ref().is_none_or(|pin| pin.size == published.proof.size), Promise::P6, id, || {
        "the staged file on record has another size than what was published".to_owned()
    });
    if let Some(end) = published.link_expires_at {
        found.expect(end.nanosecond() == 0 && end > published.at, Promise::P8, id, || {
            format!("the link's end {end} is no whole second after the publication at {}", published.at)
        });
    }
}

/// Whether the approved bytes are at the place that `id` names.
pub(super) fn check_object(
    evidence: &Evidence,
    id: &str,
    location: &str,
    approved: &Checksum,
    size: u64,
    found: &mut Findings,
) {
    let Some(object) = evidence.objects.get(location) else {
        found.add(Promise::P1, id, format!("{location} is missing"));
        return;
    };
    found.expect(object.digest.checksum == *approved && object.digest.size == size, Promise::P1, id, || {
        let (is, bytes) = (object.digest.checksum, object.digest.size);
        format!("{location} holds {is} ({bytes} bytes) instead of {approved} ({size} bytes)")
    });
}
