//! The testkit's S3 double speaks the protocol as opendal's S3 service does, over a real socket.
#![cfg(feature = "s3")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod opendal_client;
#[path = "../support/s3_server.rs"]
mod s3_server;
mod wire;

use std::sync::Arc;

use distribution_backends::SystemClock;
use distribution_testkit::s3::{Credentials, Limits, S3Double};

const ACCESS_KEY: &str = "AKIDEXAMPLE";
const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A double with a bucket, at the real time.
fn double() -> S3Double {
    let limits = Limits { part_bytes_min: 1 << 10, page_max: 3, ..Limits::default() };
    let double =
        S3Double::new([Credentials::new(ACCESS_KEY, SECRET_KEY)]).with_limits(limits).with_clock(Arc::new(SystemClock));
    double.create_bucket("media");
    double
}
