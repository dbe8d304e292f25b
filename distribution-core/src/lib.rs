//! Publishing is a proven copy followed by one compare-and-swap; whoever reads the record knows
//! what to do next.
//!
//! ```text
//!   request ─ gate ─ claim ─▶ Claimed ── transfer ─▶ Stored ── prove ─▶ Published ─ audit ─ settled ─ link
//!               │                ▲ │                      │                 ▲
//!               │                │ └── staged file wrong ─┼─▶ Rejected      └── the record says so by one
//!               ▼                └── missing, other bytes ┘                     compare-and-swap
//!        refused: audit entry
//!        and alert, no record
//! ```
//!
//! This crate holds the contract, the ports and the state machine. It has no runtime, reads no clock,
//! sleeps, spawns and retries nothing: the ports are given to it, and so is the time.
//!
//! ```
//! use distribution_core::PublishRequest;
//! use distribution_testkit::World;
//! # futures::executor::block_on(async {
//!
//! let world = World::new(); // in-memory ports; real ones are in distribution-backends
//! world.stage("clip.mp4", "");
//! let publisher = world.publisher("host-1");
//!
//! let request = PublishRequest::from_json(br#"{
//!     "final_edit": { "video_url": "clip.mp4", "duration_seconds": 9.7,
//!         "checksum": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
//!     "qc_report": { "status": "pass" }
//! }"#)?;
//! let record = publisher.publish(request.clone()).await?;
//! assert_eq!(publisher.publish(request).await?, record); // a repeat uploads nothing
//! # Ok::<(), distribution_core::Error>(()) }).unwrap();
//! ```
//!
//! Reading order: `publisher.rs` (the flow, top to bottom; `copy.rs` and `replicate.rs` hold its long actions,
//! `lease.rs` who is at work, `link.rs` what is handed out), `machine.rs` (what follows from what) with `record.rs` (what it follows
//! from), `invariants.rs` (what must hold), then the ports: [`Storage`], [`MetadataStore`],
//! [`AuditSink`], [`UrlSigner`], [`Source`], [`Inspector`], [`AlertSink`], [`Clock`]. `DESIGN.md` beside `src` says why.

mod alert;
mod archive;
mod audit;
mod base_url;
mod builder;
mod call;
mod catalog;
mod codec;
mod copies;
mod copy;
mod doctor;
mod entry;
mod error;
mod event;
mod flight;
mod holds;
mod identity;
pub mod invariants;
mod key;
mod lease;
mod link;
mod locks;
pub mod machine;
mod metadata;
pub mod metrics;
mod object;
mod order;
mod origin;
mod parts;
mod plan;
mod preflight;
mod progress;
mod publication;
mod publisher;
mod qc;
mod raising;
mod receipt;
mod record;
mod recovery;
mod rejection;
mod replicas;
mod replicate;
mod request;
mod retract;
mod scrub;
mod signer;
mod source;
mod staging;
mod storage;
mod store_clock;
mod strict_json;
mod sweep;
mod text;
mod tidy;
mod time;
mod tombstone;
mod trail;
mod versions;

pub use alert::{Alert, AlertKind, AlertSink, Severity};
pub use archive::{ArchiveMode, ArchivePass, ArchivePolicy, Tier};
pub use audit::AuditSink;
pub use base_url::BaseUrl;
pub use builder::Builder;
pub use catalog::{AssetRecord, Page, PublishedAsset, ReplicaAsset};
pub use doctor::{Check, Diagnosis, Finding, Health, Viewer};
pub use error::{Error, ErrorKind};
pub use holds::HoldOn;
pub use identity::{AuditLogId, Identity};
pub use key::{ConceptId, KeyParts, KeyTemplate, ObjectKey, StoragePrefix, TargetName};
pub use link::IssuedLink;
pub use metadata::{Advance, Claim, Cursor, Found, Index, MetadataStore, Query, Row, State};
pub use object::{
    Checksum, ContentHeaders, Digest, Digester, LegalHold, Location, ObjectStat, Proof, SourcePin, Verification,
};
pub use parts::Policy;
pub use plan::{Plan, PlannedAction};
pub use preflight::{Inspector, MediaFacts, MediaTrack, Preflight, PreflightCheck, PreflightPolicy};
pub use progress::{Meter, Progress, Stage};
pub use publication::{Details, Publication};
pub use publisher::Publisher;
pub use qc::{QcApproval, QcPolicy, QcReport};
pub use receipt::{DistributionRecord, PublishResponse, RecordMetadata};
pub use record::{Hold, HotCopies, Lease, Phase, Published, Record, Retracted, StagedAt, StoredObject, Version, Work};
pub use recovery::Recovery;
pub use rejection::{Rejection, SourceFault};
pub use replicas::{CopyExamined, ProvenCopy, Replica, Replicas, Replication, Role};
pub use request::{
    Access, AssetMetadata, DistributionSettings, DurationSeconds, FinalEdit, IdempotencyKey, PublishRequest,
    REQUEST_BYTES_MAX, VideoUrl,
};
pub use retract::{LinksLeft, Retraction};
pub use scrub::Scrub;
pub use signer::{Link, LinkLimits, LinkRequest, SignedUrl, UrlSigner};
pub use source::{Ranges, Source, Staged};
pub use staging::{Removal, StagedFile, Staging};
pub use storage::{Body, ByteStream, Content, CreateOutcome, StagedObject, Storage, Unfinished, Unfit};
pub use sweep::{Decision, Kept, Sweep, SweepPolicy, User, Verdict, may_remove};
pub use text::Reason;
pub use tidy::{LeftOver, LeftOverKind, LeftOverOutcome, Spared, Tidy};
pub use time::{Clock, Timestamp};
pub use trail::{AuditEntry, AuditEvent, EntryId, Trail, TrailEnd};
