//! The S3 double: what it does by the API reference, and each thing that it does wrong on demand.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests may panic")]

mod classes;
mod client;
mod copies;
mod damage;
mod faults;
mod lies;
mod lists;
mod locks;
mod multipart;
mod objects;
mod signatures;
