//! Where audit entries are kept.

mod jsonl;
mod kept;
#[cfg(feature = "story-mcp")]
mod mirror;
mod object;

pub use jsonl::{JsonlAudit, JsonlEntries};
pub(crate) use kept::Kept;
#[cfg(feature = "story-mcp")]
pub use mirror::MirrorTo;
pub use object::ObjectAudit;
