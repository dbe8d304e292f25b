//! P9: no signature, key or credential in a log, error, `Debug`, audit entry, alert, stored record or panic.
//!
//! Each test plants secrets that nobody else has where a technology takes them, goes the whole road with what
//! succeeds and what fails, and looks for them, in any form, in all that came out and all that any crate
//! has logged at any level. What the caller is to have, the link in a successful answer, is left out, and its signature
//! is looked for everywhere else.

#![cfg(all(
    feature = "alert-webhook",
    feature = "azblob",
    feature = "cloudfront",
    feature = "config",
    feature = "evidence",
    feature = "gcs",
    feature = "http-source",
    feature = "link-probe",
    feature = "mcp",
    feature = "postgres",
    feature = "preflight",
    feature = "s3",
    feature = "serve",
    feature = "sqlite",
    feature = "story-mcp"
))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests may panic"
)]

#[path = "../support/heard.rs"]
mod a_heard;
mod canary;
mod cloudfront;
mod clouds;
mod config;
mod control;
mod http;
mod local;
mod mcp;
mod postgres;
mod s3;
#[path = "../support/s3_server.rs"]
mod s3_server;
#[allow(dead_code, reason = "shared with the tests of URLs")]
#[path = "../ssrf/server.rs"]
mod server;
mod story;
mod told;
mod types;
mod webhook;

use std::path::Path;
use std::process::Command;

use distribution_backends::LinkProbe;
use distribution_core::{DistributionRecord, Publisher};
use distribution_testkit::request;
use std::time::Duration;

use self::canary::Secrets;
use self::told::Told;

const VIDEO: &[u8] = b"approved bytes of a video";

/// Everything that a publisher does, on a site where it works.
async fn use_all(publisher: &Publisher, url: &str, told: &mut Told, secrets: &mut Secrets) -> DistributionRecord {
    told.json("plan", &publisher.plan(request(url, VIDEO)).await.unwrap());
    let record = publisher.publish(request(url, VIDEO)).await.unwrap();
    told.answer(&record, secrets);
    let again = publisher.publish(request(url, VIDEO)).await.unwrap();
    // A link that is signed in another second reads differently, and ends at the same time.
    assert_eq!(DistributionRecord { public_url: record.public_url.clone(), ..again }, record);
    let issued = publisher.link(&record.audit_log_id, Duration::from_secs(90)).await.unwrap();
    told.debug(&issued);
    told.link(&issued.link, secrets);
    let asset = publisher.record(&record.audit_log_id).await.unwrap();
    told.json("record", &asset);
    told.debug(&asset);
    told.debug(&publisher.recover().await.unwrap());
    let diagnosis = publisher.doctor(&LinkProbe::new().unwrap()).await;
    told.json("diagnosis", &diagnosis);
    told.say("diagnosis", diagnosis.to_string());
    refuse_all(publisher, url, told).await;
    record
}

/// What a publisher refuses, with its audit entry and alert.
async fn refuse_all(publisher: &Publisher, url: &str, told: &mut Told) {
    let mut refused = request(url, VIDEO);
    refused.qc_report.status = "fail".into();
    told.debug(&refused);
    told.refusal(publisher.publish(refused).await);
    told.refusal(publisher.publish(request(url, b"other bytes than are staged")).await);
    told.refusal(publisher.plan(request("nowhere://host/clip.mp4", VIDEO)).await);
}

/// What a tool writes to a file.
fn openssl(arguments: &[&str], out: &Path) {
    let done = Command::new("openssl").args(arguments).arg("-out").arg(out).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
