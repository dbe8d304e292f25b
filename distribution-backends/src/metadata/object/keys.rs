//! Where what is kept.

use distribution_core::{
    AuditLogId, Checksum, ConceptId, Cursor, Error, IdempotencyKey, Index, ObjectKey, StoragePrefix, Timestamp,
};

/// How many digits a revision has at least.
const DIGITS_MIN: usize = 6;
/// Before the digits of a revision that has seven of them, eight, and so on up to 20: it follows every digit, so
/// that keys stay in the order of revisions.
const MORE_DIGITS: &str = "abcdefghijklmn";
/// Follows every id and every revision.
const BEHIND_IDS: &str = "z";

/// The keys below a prefix.
///
/// Times are spelt so that the byte order of keys is newest first: 16 hex digits that count the
/// microseconds down.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: StoragePrefix,
}

/// A list of markers, each of which names a publication and when it was claimed.
#[derive(Clone, Debug)]
pub(super) enum List {
    /// All.
    ByTime,
    /// Those of one work.
    ByConcept(ConceptId),
    /// Those with the same bytes.
    ByChecksum(Checksum),
    /// Those with something left to do, and some that had.
    Open,
}

/// What the name of a marker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    pub(super) claimed_at: Timestamp,
    pub(super) id: AuditLogId,
    /// In the list of what is open: which revision has something left to do.
    pub(super) revision: Option<u64>,
}

impl Keys {
    pub(super) fn new(prefix: StoragePrefix) -> Self {
        Self { prefix }
    }

    /// What the keys of all revisions of a publication begin with.
    pub(super) fn slots(&self, id: &AuditLogId) -> String {
        format!("{}publication/{id}/", self.prefix)
    }

    /// The key of one revision of a publication.
    pub(super) fn slot(&self, id: &AuditLogId, revision: u64) -> Result<ObjectKey, Error> {
        key(format!("{}{}.jsonl", self.slots(id), numbered(revision)))
    }

    /// The revision that the key of a slot names.
    pub(super) fn revision(&self, id: &AuditLogId, slot: &ObjectKey) -> Option<u64> {
        number(slot.as_str().strip_prefix(&self.slots(id))?.strip_suffix(".jsonl")?)
    }

    /// The key of what an idempotency key names. It is hashed, since it may hold what keys may not.
    pub(super) fn name(&self, name: &IdempotencyKey) -> Result<ObjectKey, Error> {
        key(format!("{}key/{}.jsonl", self.prefix, Checksum::of(name.as_str().as_bytes()).hex()))
    }

    /// The markers of a publication that never change.
    pub(super) fn markers(&self, id: &AuditLogId, index: &Index) -> Result<Vec<ObjectKey>, Error> {
        let by_concept = index.concept_id.clone().map(List::ByConcept);
        let lists = [List::ByTime, List::ByChecksum(index.checksum)].into_iter().chain(by_concept);
        lists.map(|list| key(format!("{}{}-{id}", self.list(&list), countdown(index.claimed_at)))).collect()
    }

    /// The marker of a revision that has something left to do.
    pub(super) fn open(&self, id: &AuditLogId, claimed_at: Timestamp, revision: u64) -> Result<ObjectKey, Error> {
        key(format!("{}{}-{id}-{}", self.list(&List::Open), countdown(claimed_at), numbered(revision)))
    }

    /// What the keys of a list begin with.
    pub(super) fn list(&self, list: &List) -> String {
        let prefix = &self.prefix;
        match list {
            List::ByTime => format!("{prefix}by-time/"),
            List::ByConcept(concept_id) => format!("{prefix}by-concept/{concept_id}/"),
            List::ByChecksum(checksum) => format!("{prefix}by-checksum/{}/", checksum.hex()),
            List::Open => format!("{prefix}open/"),
        }
    }

    /// A key that follows every marker of the row at the cursor, and none of those behind it.
    pub(super) fn behind(&self, list: &List, cursor: &Cursor) -> Result<ObjectKey, Error> {
        key(format!("{}{}-{}-{BEHIND_IDS}", self.list(list), countdown(cursor.claimed_at), cursor.id))
    }

    /// A key that follows every marker of what was claimed at `micros` or later, and no other.
    pub(super) fn before(&self, list: &List, micros: i64) -> Result<ObjectKey, Error> {
        key(format!("{}{}-{BEHIND_IDS}", self.list(list), spelt(micros)))
    }

    /// What the marker says; `None` if it is none.
    pub(super) fn marker(&self, list: &List, marker: &ObjectKey) -> Option<Marker> {
        let name = marker.as_str().strip_prefix(&self.list(list))?;
        let (count, rest) = name.split_at_checked(16)?;
        let (id, revision) = rest.strip_prefix('-')?.split_at_checked(31)?;
        let revision = if revision.is_empty() { None } else { Some(number(revision.strip_prefix('-')?)?) };
        let micros = u64::from_str_radix(count, 16).ok()?;
        let claimed_at = Timestamp::from_timestamp_micros((!micros ^ (1 << 63)).cast_signed())?;
        Some(Marker { claimed_at, id: AuditLogId::parse(id).ok()?, revision })
    }
}

fn key(text: String) -> Result<ObjectKey, Error> {
    ObjectKey::parse(text).map_err(|error| {
        Error::invalid("prefix", "is too long for the keys of records: use a shorter one").because(error)
    })
}

/// `000000` to `999999`, then `a1000000` and so on: in byte order, up to the last number there is.
fn numbered(revision: u64) -> String {
    let digits = format!("{revision:0DIGITS_MIN$}");
    let more = digits.len().checked_sub(DIGITS_MIN + 1).and_then(|more| MORE_DIGITS.get(more..=more));
    format!("{}{digits}", more.unwrap_or_default())
}

/// The revision that is spelt like this.
fn number(text: &str) -> Option<u64> {
    let revision = text.trim_start_matches(|first: char| first.is_ascii_lowercase()).parse().ok()?;
    (numbered(revision) == text).then_some(revision)
}

fn countdown(at: Timestamp) -> String {
    spelt(at.timestamp_micros())
}

/// The later, the earlier in byte order.
fn spelt(micros: i64) -> String {
    format!("{:016x}", !(micros.cast_unsigned() ^ (1 << 63)))
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
