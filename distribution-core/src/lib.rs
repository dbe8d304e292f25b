//! Publishing is a proven copy followed by one compare-and-swap; whoever reads the record knows
//! what to do next.

mod alert;
mod audit;
mod builder;
mod copy;
mod error;
mod flight;
mod identity;
pub mod invariants;
mod key;
pub mod machine;
mod metadata;
mod object;
mod order;
mod progress;
mod publisher;
mod qc;
mod receipt;
mod record;
mod recovery;
mod request;
mod signer;
mod source;
mod storage;
mod strict_json;
mod text;
mod time;

pub use alert::{Alert, AlertKind, AlertSink};
pub use audit::{AuditEntry, AuditEvent, AuditSink, EntryId, Trail};
pub use builder::{Builder, Policy};
pub use error::{Error, ErrorKind};
pub use identity::{AuditLogId, Identity};
pub use key::{ConceptId, KeyParts, KeyTemplate, ObjectKey, StoragePrefix, TargetName};
pub use metadata::{Advance, Claim, Cursor, Index, MetadataStore, Query, Row, State};
pub use object::{Checksum, ContentHeaders, Digest, Digester, Location, ObjectStat, Proof, SourcePin, Verification};
pub use progress::{Meter, Progress, Stage};
pub use publisher::Publisher;
pub use qc::{QcApproval, QcPolicy, QcReport};
pub use receipt::{DistributionRecord, PublishResponse, RecordMetadata};
pub use record::{Details, Lease, Publication, Record, TrailEnd};
pub use recovery::Recovery;
pub use request::{
    Access, AssetMetadata, DistributionSettings, DurationSeconds, FinalEdit, IdempotencyKey, PublishRequest,
    REQUEST_BYTES_MAX, VideoUrl,
};
pub use signer::{Link, LinkLimits, LinkRequest, SignedUrl, UrlSigner};
pub use source::{Source, Staged};
pub use storage::{Body, ByteStream, Content, CreateOutcome, Storage, Unfit};
pub use time::{Clock, Timestamp};
