//! Where published objects live.

#[cfg(feature = "azblob")]
mod azblob;
#[cfg(feature = "opendal")]
mod buffers;
#[cfg(feature = "opendal")]
mod content;
#[cfg(feature = "gcs")]
pub(crate) mod gcs;
pub(crate) mod local;
#[cfg(feature = "opendal")]
mod opendal;
#[cfg(feature = "s3")]
pub(crate) mod s3;

#[cfg(feature = "azblob")]
pub use azblob::AzblobConfig;
#[cfg(feature = "gcs")]
pub use gcs::GcsConfig;
pub use local::LocalDisk;
#[cfg(feature = "opendal")]
pub use opendal::OpendalStorage;
#[cfg(feature = "s3")]
pub use s3::{Addressing, S3Config, S3Storage};
