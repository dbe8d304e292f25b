//! Where records are kept.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod columns;
mod instant;
mod object;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;
#[cfg(feature = "story-mcp")]
mod story_mcp;

pub use object::ObjectMetadata;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresConfig, PostgresMetadata};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteMetadata;
#[cfg(feature = "story-mcp")]
pub use story_mcp::{
    StoryAnswers, StoryArguments, StoryCollections, StoryConfig, StoryContract, StoryDocument, StoryMcpMetadata,
    StoryMirror, StoryTools,
};
