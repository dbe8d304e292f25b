//! Where staged files are read from.

#[cfg(feature = "http-source")]
mod http;
mod local;
mod router;
#[cfg(feature = "s3")]
pub(crate) mod s3;

#[cfg(feature = "http-source")]
pub use http::{HttpSource, HttpSourceBuilder, Resolver};
pub use local::LocalFiles;
pub use router::Sources;
#[cfg(feature = "s3")]
pub use s3::S3Files;

/// What an error about a `video_url` names.
const FIELD: &str = "final_edit.video_url";

/// Whether the text begins like a URL (RFC 3986 §3.1).
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(before, _)| is_scheme(before))
}

/// Whether this is a URL's scheme (RFC 3986 §3.1).
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}
