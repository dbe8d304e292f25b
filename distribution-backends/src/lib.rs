//! Real parts for [`distribution_core::Publisher`]: one type for each port, one cargo feature for each
//! technology that needs more than the standard library.
//!
//! | port | here | feature |
//! |---|---|---|
//! | [`Storage`](distribution_core::Storage) | [`LocalDisk`] | |
//! | | `S3Storage` | `s3` |
//! | | `OpendalStorage` | `opendal`, `gcs`, `azblob` |
//! | [`Source`](distribution_core::Source) | [`LocalFiles`]; [`Sources`] joins several | |
//! | | `S3Files` | `s3` |
//! | | `HttpSource`, closed by default | `http-source` |
//! | [`Inspector`](distribution_core::Inspector) | `Mp4Inspector` | `preflight` |
//! | [`MetadataStore`](distribution_core::MetadataStore) | `SqliteMetadata` | `sqlite` (default) |
//! | | `PostgresMetadata` | `postgres` |
//! | | `StoryMcpMetadata` | `story-mcp` |
//! | [`UrlSigner`](distribution_core::UrlSigner) | [`HmacSigner`] | |
//! | | `PresignSigner` | `s3`, `gcs`, `azblob` |
//! | | `CloudFrontSigner` | `cloudfront` |
//! | | `Probed`: any signer, whose links are tried by a `LinkProbe` | `link-probe` |
//! | [`AuditSink`](distribution_core::AuditSink) | [`JsonlAudit`], [`ObjectAudit`] | |
//! | | `SqliteAudit` | `sqlite` (default) |
//! | | `PostgresAudit` | `postgres` |
//! | | `Checkpointed`: any of these, noted and signed elsewhere | `evidence` |
//! | | `MirrorTo`: records too, to Story | `story-mcp` |
//! | [`AlertSink`](distribution_core::AlertSink) | [`LogAlerts`] | |
//! | | `WebhookAlerts` | `alert-webhook` |
//! | [`Clock`](distribution_core::Clock) | [`SystemClock`] | |
//!
//! A [`Verifier`] checks an audit chain, a `Receipt` (feature `evidence`) tells others what became of a publication.
//! `Config` (feature `config`) makes a publisher of them from one file, `distribution.toml`.
//! `serve::router` (feature `serve`) is the route that serves the links of an [`HmacSigner`];
//! `serve::mcp` (feature `mcp`) has the publisher's MCP tools.

mod alert;
mod audit;
mod blocking;
mod clock;
#[cfg(feature = "config")]
mod config;
mod confined;
mod desk;
mod durable;
mod evidence;
#[cfg(any(
    feature = "opendal",
    feature = "http-source",
    feature = "story-mcp",
    feature = "link-probe",
    feature = "alert-webhook"
))]
mod http;
mod metadata;
mod pin;
#[cfg(feature = "preflight")]
mod preflight;
#[cfg(feature = "opendal")]
mod probe;
#[cfg(any(feature = "mcp", feature = "story-mcp"))]
mod quiet;
#[cfg(any(feature = "serve", feature = "mcp"))]
pub mod serve;
mod signing;
mod source;
mod staging;
mod storage;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
mod uri;

/// What an [`OpendalStorage`] is made from. It changes with every minor version of this crate.
#[cfg(feature = "opendal")]
pub use ::opendal;
pub use alert::LogAlerts;
#[cfg(feature = "alert-webhook")]
pub use alert::{RunningAlerts, WebhookAlerts, WebhookConfig, WebhookFormat};
#[cfg(feature = "story-mcp")]
pub use audit::MirrorTo;
#[cfg(feature = "postgres")]
pub use audit::PostgresAudit;
#[cfg(feature = "sqlite")]
pub use audit::SqliteAudit;
pub use audit::{JsonlAudit, JsonlEntries, ObjectAudit};
pub use clock::{SystemClock, holder_name};
#[cfg(feature = "config")]
pub use config::{AuditTrail, Config, Download, Guarded, OpenAlerts, Opened, Stores, Sweeping};
pub use evidence::{
    ChainHead, ChainedSink, Finding as AuditFinding, FindingKind, Seal, Verdict as AuditVerdict, Verifier,
};
#[cfg(feature = "evidence")]
pub use evidence::{Checkpoint, Checkpointed, EvidenceKey, PublicKey, PublishedAt, Receipt};
pub use metadata::ObjectMetadata;
#[cfg(feature = "sqlite")]
pub use metadata::SqliteMetadata;
#[cfg(feature = "postgres")]
pub use metadata::{PostgresConfig, PostgresMetadata};
#[cfg(feature = "story-mcp")]
pub use metadata::{
    StoryAnswers, StoryArguments, StoryCollections, StoryConfig, StoryContract, StoryDocument, StoryMcpMetadata,
    StoryMirror, StoryTools,
};
#[cfg(feature = "preflight")]
pub use preflight::Mp4Inspector;
#[cfg(feature = "opendal")]
pub use probe::{Ability, Finding, Probe};
#[cfg(feature = "cloudfront")]
pub use signing::CloudFrontSigner;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
pub use signing::PresignSigner;
pub use signing::{
    ContentDisposition, Disposition, Grant, HmacKey, HmacSigner, Refused, Revocations, StoredRevocations,
};
#[cfg(feature = "link-probe")]
pub use signing::{LinkProbe, Probed};
#[cfg(feature = "s3")]
pub use source::S3Files;
#[cfg(feature = "http-source")]
pub use source::{HttpSource, HttpSourceBuilder, Resolver};
pub use source::{LocalFiles, Sources};
#[cfg(feature = "azblob")]
pub use storage::AzblobConfig;
#[cfg(feature = "gcs")]
pub use storage::GcsConfig;
pub use storage::LocalDisk;
#[cfg(feature = "opendal")]
pub use storage::OpendalStorage;
#[cfg(feature = "s3")]
pub use storage::{Addressing, S3Config, S3Storage};

#[cfg(all(doctest, feature = "config", feature = "s3", feature = "sqlite"))]
#[doc = include_str!("../../README.md")]
struct Readme;
