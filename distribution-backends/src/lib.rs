//! What `distribution-core` stands on: storage, metadata, links, audit and sources.

mod blocking;
mod confined;
mod pin;
mod source;
mod storage;

pub use source::LocalFiles;
pub use storage::LocalDisk;
