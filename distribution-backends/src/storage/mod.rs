//! Where published objects live.

#[cfg(feature = "azblob")]
mod azblob;
#[cfg(feature = "gcs")]
mod gcs;
mod local;
#[cfg(feature = "opendal")]
mod opendal;

#[cfg(feature = "azblob")]
pub use azblob::AzblobConfig;
#[cfg(feature = "gcs")]
pub use gcs::GcsConfig;
pub use local::LocalDisk;
#[cfg(feature = "opendal")]
pub use opendal::OpendalStorage;
