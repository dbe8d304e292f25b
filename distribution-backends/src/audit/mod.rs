//! Where audit entries are kept.

mod jsonl;
mod kept;
#[cfg(feature = "story-mcp")]
mod mirror;
mod object;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use jsonl::{JsonlAudit, JsonlEntries};
pub(crate) use kept::Kept;
#[cfg(feature = "story-mcp")]
pub use mirror::MirrorTo;
pub use object::ObjectAudit;
#[cfg(feature = "postgres")]
pub use postgres::PostgresAudit;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteAudit;
