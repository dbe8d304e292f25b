//! Where published objects live.

mod local;
#[cfg(feature = "opendal")]
mod opendal;

pub use local::LocalDisk;
#[cfg(feature = "opendal")]
pub use opendal::OpendalStorage;
