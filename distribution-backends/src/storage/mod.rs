//! Where published objects live.

#[cfg(feature = "s3")]
mod content;
mod local;
#[cfg(feature = "opendal")]
mod opendal;
#[cfg(feature = "s3")]
pub(crate) mod s3;

pub use local::LocalDisk;
#[cfg(feature = "opendal")]
pub use opendal::OpendalStorage;
#[cfg(feature = "s3")]
pub use s3::{Addressing, S3Config, S3Storage, UnfinishedUpload};
