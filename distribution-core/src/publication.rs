//! What is published: the part of a request that never changes, and the part that may.

use serde::{Deserialize, Serialize};

use crate::identity::{AuditLogId, Identity};
use crate::key::{ConceptId, ObjectKey, TargetName};
use crate::object::Checksum;
use crate::request::{Access, AssetMetadata, DurationSeconds};

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
