//! Where published objects live.

mod local;

pub use local::LocalDisk;
