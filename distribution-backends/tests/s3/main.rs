//! S3: against the real servers that the environment names (`DISTRIBUTION_TEST_S3`, `…_MOTO`: endpoint,
//! access key and secret, with spaces between), which `.ci/servers` starts.

#![cfg(feature = "s3")]
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

mod commits;
mod conformance;
mod double;
mod probing;
mod proxy;
mod roads;
#[path = "../support/s3_server.rs"]
mod s3_server;
mod server;
