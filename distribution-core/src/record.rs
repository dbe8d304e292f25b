//! The record of one publication: what it holds, and how it is stored.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::audit::{AuditEntry, AuditEvent, EntryId, Trail};
use crate::error::{Error, ErrorKind};
use crate::identity::{AuditLogId, Identity};
use crate::invariants;
use crate::key::{ConceptId, ObjectKey, TargetName};
use crate::machine::{Phase, next_action};
use crate::metadata::{Index, Row, State};
use crate::object::Checksum;
use crate::qc::QcApproval;
use crate::request::{Access, AssetMetadata, DurationSeconds, VideoUrl};
use crate::strict_json;
use crate::time::Timestamp;

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
    /// Where the bytes are staged, without anything secret.
    pub source: VideoUrl,
    /// What may be amended.
    pub details: Details,
    /// The audit trail's end.
    pub trail: TrailEnd,
    /// When the publication began.
    pub claimed_at: Timestamp,
    /// How often the record has changed.
    #[serde(skip)]
    pub revision: u64,
}

/// What is published: the parts of a request that never change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Publication {
    /// The publication's name, which follows from the fields below.
    pub audit_log_id: AuditLogId,
    /// The storage target.
    pub target: TargetName,
    /// The key of the first attempt's object.
    pub key: ObjectKey,
    /// The approved bytes.
    pub checksum: Checksum,
    /// The work of which the file is a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concept_id: Option<ConceptId>,
    /// Whether files with other bytes always have other keys.
    pub key_tells_bytes: bool,
    /// The playing time.
    pub duration_seconds: DurationSeconds,
}

/// What a repeat of the request may change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Details {
    /// What a user interface shows.
    pub metadata: AssetMetadata,
    /// How many hours the next link works.
    pub url_expiry_hours: u32,
    /// Who may download.
    pub access: Access,
}

/// The end of the audit trail: the outbox. What waits here is delivered before a link is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TrailEnd {
    /// The sequence of the next entry.
    pub next: u64,
    /// The newest entries, not yet delivered.
    pub waiting: Vec<AuditEntry>,
}

/// Who is at work, and until when the others leave it alone. Advisory: nothing is wrong if two are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The publisher.
    pub holder: String,
    /// When others may take the work up.
    pub until: Timestamp,
}

impl Publication {
    /// The identity that the id follows from.
    pub fn identity(&self) -> Identity<'_> {
        Identity {
            target: &self.target,
            key: &self.key,
            checksum: &self.checksum,
            concept_id: self.concept_id.as_ref(),
        }
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

    /// Whether nothing is left to do.
    pub fn is_settled(&self) -> bool {
        next_action(self).is_none()
    }

    /// How far the publication is.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Claimed { .. } | Phase::Stored { .. } => State::InProgress,
            Phase::Published(_) => State::Published,
            Phase::Rejected { .. } => State::Rejected,
        }
    }

    /// Adds an entry to the outbox.
    pub(crate) fn log(&mut self, at: Timestamp, event: AuditEvent) {
        let id = EntryId { audit_log_id: self.id().clone(), trail: Trail::Publication, sequence: self.trail.next };
        self.trail.waiting.push(AuditEntry { id, at, event });
        self.trail.next += 1;
    }

    /// The row that stores this record.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the record breaks a promise or is too large: it is not stored.
    pub fn encode(&self) -> Result<Row, Error> {
        invariants::check(self)?;
        let body = serde_json::to_vec(&Stored { format: FORMAT, record: self })
            .map_err(|error| Error::corrupt("a record could not be written as JSON").because(error))?;
        if body.len() > Row::BODY_BYTES_MAX {
            let message = format!("a record is {} bytes long, the limit is {}", body.len(), Row::BODY_BYTES_MAX);
            return Err(Error::corrupt(message));
        }
        Ok(Row { id: self.id().clone(), revision: self.revision, index: self.index(), body: Bytes::from(body) })
    }

    /// The record that this row stores.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for a row that does not decode, breaks a promise or contradicts its
    /// own columns; [`ErrorKind::Unsupported`] for one that a newer version wrote.
    pub fn decode(row: &Row) -> Result<Self, Error> {
        let corrupt = |what: &str| Error::corrupt(format!("the record of {} {what}", row.id));
        let Format { format } = strict_json::from_slice(&row.body, Row::BODY_BYTES_MAX)
            .map_err(|error| corrupt("does not decode").because(error))?;
        if format != FORMAT {
            let message = format!("the record of {} has format {format}: this version reads format {FORMAT}", row.id);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let Stored::<Self> { record, .. } = strict_json::from_slice(&row.body, Row::BODY_BYTES_MAX)
            .map_err(|error| corrupt("does not decode").because(error))?;
        let record = Self { revision: row.revision, ..record };
        invariants::check(&record)?;
        if record.id() != &row.id || record.index() != row.index {
            return Err(corrupt("contradicts the columns stored beside it"));
        }
        Ok(record)
    }

    fn index(&self) -> Index {
        let mut tags = self.details.metadata.tags.clone();
        tags.sort_unstable();
        tags.dedup();
        Index {
            concept_id: self.publication.concept_id.clone(),
            checksum: self.publication.checksum,
            tags,
            state: self.state(),
            settled: self.is_settled(),
            claimed_at: self.claimed_at,
        }
    }
}

/// The format of the stored body. A change that an older reader would misread raises it.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Stored<R> {
    format: u32,
    record: R,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}
