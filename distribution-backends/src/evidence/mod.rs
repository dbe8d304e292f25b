//! Evidence: audit entries that are chained and signed, and what checks them without the sinks.

#[cfg(feature = "evidence")]
mod checkpoint;
mod event;
mod finding;
#[cfg(feature = "evidence")]
mod key;
mod lost;
mod seal;
mod verify;

#[cfg(feature = "evidence")]
pub use checkpoint::Checkpoint;
pub(crate) use event::{ChainedEvent, Draft, EVENT_BYTES_MAX, Head, Linked};
pub use finding::{Finding, FindingKind, Verdict};
#[cfg(feature = "evidence")]
pub use key::{EvidenceKey, PublicKey};
pub use seal::Seal;
pub use verify::Verifier;
