//! The response on the wire.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::identity::AuditLogId;
use crate::key::ConceptId;
use crate::link::IssuedLink;
use crate::object::{Checksum, Location, Verification};
use crate::record::{Published, Record, Version};
use crate::request::DurationSeconds;
use crate::signer::Link;
use crate::time::Timestamp;

/// The answer to a [`PublishRequest`](crate::PublishRequest). Its JSON holds the link: hand it to
/// the caller, do not log it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PublishResponse {
    /// What was published, and the link to it.
    pub distribution_record: DistributionRecord,
}

/// A published asset, as a caller or a user interface sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DistributionRecord {
    /// Where the object is.
    pub storage_location: Location,
    /// The download link.
    pub public_url: Link,
    /// When the link really stops working; `null` if never.
    pub expires_at: Option<Timestamp>,
    /// What a user interface shows.
    pub metadata: RecordMetadata,
    /// The publication's name: idempotency key, and key to the audit trail.
    pub audit_log_id: AuditLogId,
    /// The object's size in bytes.
    pub size_bytes: u64,
    /// When the bytes were proven.
    pub published_at: Timestamp,
    /// How the bytes were proven.
    pub verification: Verification,
    /// How many proven copies there are, the one at `storage_location` included.
    pub replica_count: u32,
    /// Which version of its work it is, counted from 1; `null` where it has no `concept_id`.
    pub version: Option<u64>,
    /// Why the link ends earlier than asked for, if it does.
    pub expiry_limited_by: Option<String>,
}

/// What a user interface shows of a published asset: the request's metadata, and what was approved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecordMetadata {
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The playing time.
    pub duration_seconds: DurationSeconds,
    /// The SHA-256 of the approved bytes, which those published were proven to have.
    pub checksum: Checksum,
    /// The work of which the file is a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concept_id: Option<ConceptId>,
    /// The tags, as they came.
    pub tags: Vec<String>,
    /// The caller's other fields.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl DistributionRecord {
    pub(crate) fn new(record: &Record, published: &Published, issued: IssuedLink) -> Self {
        Self {
            storage_location: published.location.clone(),
            public_url: issued.link,
            expires_at: issued.expires_at,
            metadata: RecordMetadata::from(record),
            audit_log_id: record.id().clone(),
            size_bytes: published.proof.digest.size,
            published_at: published.at,
            verification: published.proof.how,
            replica_count: record.replica_count(),
            version: published.version.and_then(Version::number),
            expiry_limited_by: issued.limited_by,
        }
    }
}

impl From<&Record> for RecordMetadata {
    fn from(record: &Record) -> Self {
        let shown = record.details.metadata.clone();
        Self {
            title: shown.title,
            duration_seconds: record.publication.duration_seconds,
            checksum: record.publication.checksum,
            concept_id: record.publication.concept_id.clone(),
            tags: shown.tags,
            extra: shown.extra,
        }
    }
}

impl From<DistributionRecord> for PublishResponse {
    fn from(distribution_record: DistributionRecord) -> Self {
        Self { distribution_record }
    }
}
