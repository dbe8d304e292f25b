//! S3: against the real servers that the environment names (`DISTRIBUTION_TEST_S3`, `…_MOTO`: endpoint,
//! access key and secret, with spaces between), which `.ci/servers` starts.

#![cfg(feature = "s3")]
#![allow(clippy::panic, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

mod conformance;
mod proxy;
mod server;
