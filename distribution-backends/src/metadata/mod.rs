//! Where records are kept.

mod object;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use object::ObjectMetadata;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresConfig, PostgresMetadata};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteMetadata;
