//! Evidence: audit entries that are chained and signed, and what checks them without the sinks.

#[cfg(feature = "evidence")]
mod checkpoint;
#[cfg(feature = "evidence")]
mod checkpointed;
mod event;
mod finding;
#[cfg(feature = "evidence")]
mod key;
mod lost;
mod noted;
pub(crate) mod objects;
#[cfg(feature = "evidence")]
mod receipt;
mod seal;
mod sink;
mod verify;

#[cfg(feature = "evidence")]
pub use checkpoint::Checkpoint;
#[cfg(feature = "evidence")]
pub use checkpointed::Checkpointed;
pub use event::ChainHead;
pub(crate) use event::{ChainedEvent, Draft, EVENT_BYTES_MAX, Linked};
pub use finding::{Finding, FindingKind, Verdict};
#[cfg(feature = "evidence")]
pub use key::{EvidenceKey, PublicKey};
#[cfg(feature = "evidence")]
pub use receipt::{PublishedAt, Receipt};
pub use seal::Seal;
pub use sink::ChainedSink;
pub use verify::Verifier;
