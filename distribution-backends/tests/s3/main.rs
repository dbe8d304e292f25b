//! S3: over the strict double, and against the real servers that the environment names
//! (`DISTRIBUTION_TEST_S3`, `…_MOTO`: endpoint, access key and secret, with spaces between), which
//! `.ci/servers` starts.

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

#[path = "../support/heard.rs"]
mod a_heard;
mod archive;
mod commits;
mod conformance;
#[cfg(feature = "sqlite")]
mod corruption;
#[path = "../support/curl.rs"]
mod curl;
#[cfg(feature = "link-probe")]
mod doctor;
mod double;
#[allow(dead_code, reason = "shared with the tests of processes")]
mod faulty_proxy;
mod links;
mod locks;
mod probing;
mod proxy;
#[cfg(feature = "sqlite")]
mod race;
mod replicas;
mod roads;
#[path = "../support/s3_server.rs"]
mod s3_server;
mod server;
#[cfg(feature = "sqlite")]
mod site;
mod staged;
#[cfg(feature = "sqlite")]
mod sweep;
#[cfg(feature = "sqlite")]
mod tampering;
mod there_and_back;
