//! S3: against the real servers that the environment names (`DISTRIBUTION_TEST_S3`, `…_MOTO`: endpoint,
//! access key and secret, with spaces between), which `.ci/servers` starts.

#![cfg(feature = "s3")]
#![cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "what needs records is left out"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod conformance;
#[cfg(feature = "sqlite")]
mod corruption;
mod faulty_proxy;
mod proxy;
#[cfg(feature = "sqlite")]
mod race;
#[path = "../support/s3_server.rs"]
mod s3_server;
mod server;
#[cfg(feature = "sqlite")]
mod site;
#[cfg(feature = "sqlite")]
mod sweep;
#[cfg(feature = "sqlite")]
mod tampering;
