//! Where staged files are read from.

mod local;

pub use local::LocalFiles;
