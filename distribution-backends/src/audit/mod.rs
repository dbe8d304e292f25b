//! Where audit entries are kept.

mod jsonl;

pub use jsonl::{JsonlAudit, JsonlEntries};
