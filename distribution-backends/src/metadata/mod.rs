//! Where records are kept.

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
pub use postgres::{PostgresConfig, PostgresMetadata};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteMetadata;
