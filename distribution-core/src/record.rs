//! The record of one publication: all that is known of it. Only data; [`machine`](crate::machine)
//! says what follows from it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::identity::AuditLogId;
use crate::key::ObjectKey;
use crate::metadata::State;
use crate::object::{Location, Proof, SourcePin};
use crate::preflight::Preflight;
use crate::publication::{Details, Publication};
use crate::qc::QcApproval;
use crate::rejection::Rejection;
use crate::replicas::Replicas;
use crate::request::VideoUrl;
use crate::text::Reason;
use crate::time::{Timestamp, plus_secs};
use crate::trail::{AuditEntry, AuditEvent, EntryId, Trail, TrailEnd};

/// All that is known of one publication. Made by [`machine::claim`](crate::machine::claim), changed
/// only by [`machine::step`](crate::machine::step); whoever reads it knows what to do next.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// What is published; never changes.
    pub publication: Publication,
    /// How far it is.
    pub phase: Phase,
    /// The number of the attempt, which names the object's key. Never goes down.
    pub attempt: u32,
    /// What QC said of the bytes.
    pub approval: QcApproval,
    /// Where the bytes are staged.
    pub source: StagedAt,
    /// What may be amended.
    pub details: Details,
    /// Why what is published must not be removed, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The copies on other targets: wanted ones, and how many must be proven.
    #[serde(default, skip_serializing_if = "Replicas::is_none")]
    pub replicas: Replicas,
    /// Whether the copies that links lead to stay.
    #[serde(default, skip_serializing_if = "HotCopies::is_kept")]
    pub hot: HotCopies,
    /// Until when links to objects that were freed may work: none of them is removed before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spared_until: Option<Timestamp>,
    /// The attempt at whose key what is published is being copied anew, since its object was lost or freed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restoring: Option<u32>,
    /// The audit trail's end.
    pub trail: TrailEnd,
    /// When the publication began.
    pub claimed_at: Timestamp,
    /// How often the record has changed.
    #[serde(skip)]
    pub revision: u64,
}

/// Where the bytes of a publication are staged, as it may be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedAt {
    /// The URL without what may be secret in it.
    pub url: VideoUrl,
    /// Whether that is all of it, so that the file can be found again.
    pub whole: bool,
}

impl From<&VideoUrl> for StagedAt {
    fn from(given: &VideoUrl) -> Self {
        let url = given.redacted();
        Self { whole: url == *given, url }
    }
}

/// How far a publication is. A phase exists only where what to do next differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// The attempt's object may or may not exist.
    Claimed {
        /// Who is at it.
        work: Work,
    },
    /// The attempt's object exists; its bytes are not proven.
    Stored {
        /// Who is at it.
        work: Work,
        /// What is known of the object.
        object: StoredObject,
    },
    /// The approved bytes are proven at their place, and on too few other targets.
    Replicating {
        /// Who is at it.
        work: Work,
        /// The object.
        object: StoredObject,
        /// What was read in it.
        proof: Proof,
    },
    /// The approved bytes are proven at their place. Final.
    Published(Published),
    /// It could not go on; being taken up opens it again.
    Rejected {
        /// Why.
        reason: Rejection,
    },
    /// It was taken back: nobody gets a link any more, and its objects may be removed. Final.
    Retracted(Retracted),
}

/// Work in progress.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Who does it.
    pub lease: Lease,
    /// How many more attempts there are after this one.
    pub attempts_left: u32,
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Where it is.
    pub location: Location,
    /// Whether this publication knows to have created it; if not, it was found there.
    pub created: bool,
    /// The staged file that was open when it was created or found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<SourcePin>,
    /// What preflight has found in the staged file that it was created from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Box<Preflight>>,
    /// How many versions its work had, at least, before it was created or found: none of them is this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub versions: u64,
}

/// The place of a publication among the versions of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Version {
    /// It is to be numbered; so many versions are others, at least.
    After(u64),
    /// It is the n-th, counted from 1.
    Number(u64),
}

impl Version {
    /// Its number, if it has one yet.
    pub fn number(self) -> Option<u64> {
        match self {
            Self::After(_) => None,
            Self::Number(number) => Some(number),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// A finished publication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// When the bytes were proven.
    pub at: Timestamp,
    /// Where they are.
    pub location: Location,
    /// What was read there, and how.
    pub proof: Proof,
    /// The staged file that they came from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<SourcePin>,
    /// What preflight has found in that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preflight: Option<Box<Preflight>>,
    /// Until when the link granted last works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_expires_at: Option<Timestamp>,
    /// When its object was copied anew last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_at: Option<Timestamp>,
    /// When the last link of its own that somebody asked for ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links_until: Option<Timestamp>,
    /// Its place among the versions of its work; `None` where it has no `concept_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
}

/// Whether the copies that links lead to stay, where there is one in the archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "copies", rename_all = "snake_case")]
pub enum HotCopies {
    /// They do.
    #[default]
    Kept,
    /// They are freed as soon as the copy in the archive is proven.
    ToFree,
    /// They were: no link leads to them any more.
    Freed {
        /// Since when.
        at: Timestamp,
    },
}

impl HotCopies {
    fn is_kept(&self) -> bool {
        *self == Self::Kept
    }
}

/// A publication that was taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retracted {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
    /// As it was published, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
    /// When the signed links that were out stop working at the latest; `None` as long as nobody has seen to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub links_end: Option<Timestamp>,
}

/// A legal hold: what is held is not removed, whatever else is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hold {
    /// Since when.
    pub at: Timestamp,
    /// Why.
    pub reason: Reason,
}

/// Who is at work, and until when the others leave it alone. Advisory: nothing is wrong if two are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The publisher.
    pub holder: String,
    /// When others may take the work up.
    pub until: Timestamp,
}

impl Lease {
    /// The longest lease there is, in seconds. One that ends later was made by a clock that is wrong.
    pub const SECS_MAX: u32 = 3600;

    /// Whether others leave the work alone at `now`.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.until && self.until <= plus_secs(now, Self::SECS_MAX)
    }
}

impl Record {
    /// The publication's name.
    pub fn id(&self) -> &AuditLogId {
        &self.publication.audit_log_id
    }

    /// The key of this attempt's object.
    pub fn object_key(&self) -> ObjectKey {
        self.publication.key.attempt(self.attempt)
    }

    /// Adds an entry to the outbox.
    pub(crate) fn log(&mut self, at: Timestamp, event: AuditEvent) {
        let id = EntryId { audit_log_id: self.id().clone(), trail: Trail::Publication, sequence: self.trail.next };
        self.trail.waiting.push(AuditEntry { id, at, event });
        self.trail.next += 1;
    }

    /// How far the publication is.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Replicating { .. } => State::InProgress,
            Phase::Published(_) => State::Published,
            Phase::Rejected { .. } => State::Rejected,
            Phase::Retracted(_) => State::Retracted,
        }
    }

    /// The work in progress, if it is in progress.
    pub fn work(&self) -> Option<&Work> {
        match &self.phase {
            Phase::Claimed { work } | Phase::Stored { work, .. } | Phase::Replicating { work, .. } => Some(work),
            Phase::Published(_) | Phase::Rejected { .. } | Phase::Retracted(_) => None,
        }
    }

    /// What is, or was before it was taken back, published.
    pub fn published(&self) -> Option<&Published> {
        match &self.phase {
            Phase::Published(published) => Some(published),
            Phase::Retracted(retracted) => retracted.published.as_ref(),
            Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Replicating { .. } | Phase::Rejected { .. } => None,
        }
    }
}
