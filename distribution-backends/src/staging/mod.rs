//! The staging area as a whole, for the sweep.

mod local;
#[cfg(feature = "s3")]
mod s3;
