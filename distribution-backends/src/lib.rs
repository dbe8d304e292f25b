//! x

mod audit;
mod clock;
mod desk;
mod metadata;

pub use audit::{JsonlAudit, JsonlEntries};
pub use clock::{SystemClock, holder_name};
#[cfg(feature = "sqlite")]
pub use metadata::SqliteMetadata;
