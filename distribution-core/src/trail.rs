//! The audit trail: its entries, and the end of it that a record holds until it is delivered.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identity::AuditLogId;
use crate::key::{ConceptId, TargetName};
use crate::object::{Location, Proof};
use crate::publication::Details;
use crate::rejection::Rejection;
use crate::request::{Access, VideoUrl};
use crate::text::Reason;
use crate::time::Timestamp;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Which entry this is; no two differ and share it.
    #[serde(flatten)]
    pub id: EntryId,
    /// When it happened, by the publisher's clock.
    pub at: Timestamp,
    /// What happened.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// The name of an audit entry: its trail and its place there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EntryId {
    /// The publication.
    pub audit_log_id: AuditLogId,
    /// Which of the publication's trails.
    pub trail: Trail,
    /// The place in the trail.
    pub sequence: u64,
}

/// The trails that a publication can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trail {
    /// What happened to the publication, counted 0, 1, 2 … without a gap.
    Publication,
    /// Requests that QC refused. They have no record to count in, so their sequence is the time in
    /// microseconds since 1970.
    Refusals,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trail = match self.trail {
            Trail::Publication => "",
            Trail::Refusals => "refusals/",
        };
        write!(f, "{}/{trail}{}", self.audit_log_id, self.sequence)
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditEvent {
    /// QC had passed the bytes, and a publisher took the work on.
    Claimed {
        /// Who.
        holder: String,
        /// The QC report, if it had a name.
        qc_report_id: Option<String>,
    },
    /// A rejected publication was taken on again.
    Reopened {
        /// Who.
        holder: String,
        /// The QC report, if it had a name.
        qc_report_id: Option<String>,
    },
    /// An attempt's object turned out to be missing or to have other bytes; the next attempt has
    /// a key of its own.
    AttemptFailed {
        /// The attempt.
        attempt: u32,
        /// Where its object is or was.
        location: Location,
        /// What was read there; `None` if nothing was there.
        found: Option<Proof>,
    },
    /// The approved bytes were proven at their place.
    Published {
        /// Where.
        location: Location,
        /// How, and what was read.
        proof: Proof,
    },
    /// The approved bytes were proven on another target as well.
    Replicated {
        /// The target.
        target: TargetName,
        /// Where.
        location: Location,
        /// How, and what was read.
        proof: Proof,
    },
    /// A copy on another target is missing or has other bytes; the next one there has a key of its own.
    ReplicaLost {
        /// The target.
        target: TargetName,
        /// The attempt there, counted from 0.
        attempt: u32,
        /// Where the copy is or was.
        location: Location,
        /// What was read there; `None` if nothing was there.
        found: Option<Proof>,
    },
    /// The object was lost, or was in the archive only, and the approved bytes were copied anew and proven at this place.
    Restored {
        /// The attempt whose object it is.
        attempt: u32,
        /// Where.
        location: Location,
        /// How, and what was read.
        proof: Proof,
    },
    /// A copy for the archive is wanted.
    ArchiveWanted {
        /// The target of the archive.
        target: TargetName,
        /// Whether the other copies are to be freed once that one is proven.
        frees: bool,
    },
    /// Only the copy in the archive is needed any more: there are no new links, and the others may be removed.
    HotFreed {
        /// When the links that are out end at the latest, before which nothing is removed.
        links_end: Timestamp,
    },
    /// The other copies stay.
    HotKept,
    /// The publication is this version of its work.
    Numbered {
        /// Its number, counted from 1.
        version: u64,
    },
    /// The publication, an earlier version of its work, was proven again and is to be the latest.
    RolledBack {
        /// Its number.
        version: u64,
        /// How many versions there were: the next one ends this.
        versions: u64,
    },
    /// The publication cannot go on as it is.
    Rejected {
        /// Why.
        reason: Rejection,
    },
    /// A repeat of the request changed what the record says of the asset.
    Amended {
        /// What it says from now on.
        details: Box<Details>,
    },
    /// A link that lives until then may be handed out.
    LinkGranted {
        /// When it stops working.
        expires_at: Timestamp,
    },
    /// The asset can be read without a signed link from now on: by everybody, or by whom the host lets through.
    AccessGranted {
        /// Which of the two.
        access: Access,
    },
    /// Somebody asked for a link of its own, which may be handed out and lives until then.
    LinkIssued {
        /// When it stops working.
        expires_at: Timestamp,
    },
    /// The links that were handed out before this do not work any more.
    LinksRevoked,
    /// What is published is not to be removed, whatever else is asked for.
    HoldPlaced {
        /// The work, where it is about all its versions, those to come included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        concept_id: Option<ConceptId>,
        /// Why.
        reason: Reason,
    },
    /// That hold has ended.
    HoldReleased {
        /// The work, where it was about all its versions.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        concept_id: Option<ConceptId>,
        /// Why.
        reason: Reason,
    },
    /// The publication was taken back: from now on nobody gets a link.
    Retracted {
        /// Why.
        reason: Reason,
    },
    /// An object of the publication, which was taken back, or has its copies elsewhere, is nobody's: from now on it may be
    /// removed.
    CopyReleased {
        /// Where it is.
        location: Location,
    },
    /// The staged file was published, its retention is over, and the copy was proven again: from now on it may be
    /// removed.
    StagedFileReleased {
        /// Where it was staged.
        url: VideoUrl,
    },
    /// QC did not pass the bytes; nothing was stored.
    Refused {
        /// Why.
        reason: String,
    },
}

/// The end of the audit trail: the outbox. What waits here is delivered before a link is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrailEnd {
    /// The sequence of the next entry.
    pub next: u64,
    /// The newest entries, not yet delivered.
    pub waiting: Vec<AuditEntry>,
}
