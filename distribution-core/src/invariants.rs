//! The promises, as predicates on a record. Checked when a record is written and when it is read.

use crate::error::Error;
use crate::identity::AuditLogId;
use crate::key::ATTEMPT_MAX;
use crate::record::{HotCopies, Phase, Record, Version};
use crate::replicas::{Replicas, Replication, Role};

/// The most entries that may wait for the audit sink in one record.
pub const TRAIL_WAITING_MAX: usize = 128;
/// The most bytes in the name of a lease's holder.
pub const HOLDER_BYTES_MAX: usize = 256;

/// A promise that a record can be seen to break, and what keeps it.
type Promise = (&'static str, fn(&Record) -> bool);

/// What holds for every record, written or read.
const PROMISES: [Promise; 11] = [
    ("P1 proof: what is published was proven to be the approved bytes", |record| {
        record.published().is_none_or(|published| published.proof.digest.checksum == record.publication.checksum)
    }),
    ("P1 proof: what is being copied was proven to be the approved bytes, and every copy that counts", |record| {
        let own = match &record.phase {
            Phase::Replicating { proof, .. } => Some(proof),
            _ => None,
        };
        let copies = record.replicas.wanted.iter().filter_map(|replica| Some(&replica.proven.as_ref()?.proof));
        own.into_iter().chain(copies).all(|proof| proof.digest.checksum == record.publication.checksum)
    }),
    ("P10 bounded: a quorum is of copies that are wanted, each on a target of its own", |record| {
        let Replicas { quorum, wanted } = &record.replicas;
        let own = &record.publication.target;
        let others = |at: usize| wanted.iter().take(at).map(|replica| &replica.target).chain([own]);
        let archives = wanted.iter().filter(|copy| copy.role == Role::Archive).count();
        wanted.len() <= Replication::TARGETS_MAX + archives
            && archives <= 1
            && (1..=wanted.len() + 1).contains(&(*quorum as usize))
            && wanted.iter().enumerate().all(|(at, replica)| others(at).all(|other| *other != replica.target))
            && wanted.iter().all(|replica| replica.attempt <= ATTEMPT_MAX + 1)
    }),
    ("P6 kept: copies are freed only of what is published, and has a place in the archive", |record| {
        record.hot == HotCopies::Kept || (record.published().is_some() && record.archive_copy().is_some())
    }),
    ("P4 additive: what is copied anew goes to the key of a later attempt", |record| {
        record
            .restoring
            .is_none_or(|attempt| record.attempt < attempt && attempt <= ATTEMPT_MAX && record.published().is_some())
    }),
    ("P2 gate: the approval is for these bytes", |record| record.approval.checksum() == &record.publication.checksum),
    ("P3 once: the id follows from the identity", |record| {
        *record.id() == AuditLogId::of(record.publication.identity())
    }),
    ("P5 trail: what waits is the gapless end of the trail", |record| {
        let first = record.trail.next.checked_sub(record.trail.waiting.len() as u64);
        let expected = first.into_iter().flat_map(|first| first..record.trail.next);
        record.trail.next > 0
            && first.is_some()
            && record.trail.waiting.iter().map(|entry| entry.id.sequence).eq(expected)
            && record.trail.waiting.iter().all(|entry| entry.id.audit_log_id == *record.id())
    }),
    ("P8 truth: a link's end is a whole second after the publication", |record| {
        let published = record.published().and_then(|published| Some((published.at, published.link_expires_at?)));
        published.is_none_or(|(at, expires_at)| expires_at > at && expires_at.timestamp_subsec_nanos() == 0)
    }),
    ("P6 staging: the staged file on record is the one that was published", |record| {
        let pinned = record.published().and_then(|published| Some((published.pin.as_ref()?, published.proof.digest)));
        pinned.is_none_or(|(pin, digest)| pin.size == digest.size)
    }),
    ("P3 once: a publication of a work, and no other, is one of its versions", |record| {
        let version = record.published().and_then(|published| published.version);
        version.is_none_or(|version| version != Version::Number(0) && record.publication.concept_id.is_some())
    }),
];

/// The limits that a record is written with. Not asked of one that is read: it may have been written
/// under others.
const LIMITS: [Promise; 2] = [
    ("P9 silence: no secret of the staged file's URL is kept", |record| {
        record.source.url == record.source.url.redacted()
    }),
    ("P10 bounded: the outbox, the attempts, the names and the metadata have limits", |record| {
        record.trail.waiting.len() <= TRAIL_WAITING_MAX
            && record.attempt <= ATTEMPT_MAX + 1
            && record.work().is_none_or(|work| work.lease.holder.len() <= HOLDER_BYTES_MAX)
            && record.details.metadata.validate().is_ok()
    }),
];

/// Checks that the record keeps every promise that it can be seen to keep.
///
/// # Errors
/// [`Corrupt`](crate::ErrorKind::Corrupt), naming the promise.
pub fn check(record: &Record) -> Result<(), Error> {
    check_each(&PROMISES, record)
}

/// Checks the same, and that the record is within the limits.
///
/// # Errors
/// As [`check`].
pub fn check_written(record: &Record) -> Result<(), Error> {
    check(record)?;
    check_each(&LIMITS, record)
}

fn check_each(promises: &[Promise], record: &Record) -> Result<(), Error> {
    match promises.iter().find(|(_, keeps)| !keeps(record)) {
        None => Ok(()),
        Some((promise, _)) => Err(Error::corrupt(format!("the record of {} breaks {promise}", record.id()))),
    }
}
