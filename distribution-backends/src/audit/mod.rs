//! Where audit entries are kept.

mod jsonl;
#[cfg(feature = "story-mcp")]
mod mirror;

pub use jsonl::{JsonlAudit, JsonlEntries};
#[cfg(feature = "story-mcp")]
pub use mirror::MirrorTo;
