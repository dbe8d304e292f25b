//! Records in object storage: on local disk, in memory, on a real S3 server and on a strict double.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, whose helpers are tests too"
)]

mod conformance;
mod controls;
mod costs;
mod damage;
mod faults;
mod interleaved;
mod layout;
mod revisions;
#[cfg(feature = "s3")]
#[path = "../support/s3_server.rs"]
mod s3_server;
#[cfg(feature = "s3")]
#[allow(dead_code, reason = "shared with the tests of S3")]
#[path = "../s3/server.rs"]
mod server;
mod shelf;
