//! From `distribution.toml` to a publisher, and what is said where it cannot be one.
#![cfg(all(feature = "config", feature = "sqlite"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of tests may panic"
)]

#[path = "../support/heard.rs"]
mod a_heard;
#[cfg(feature = "alert-webhook")]
mod alerts;
mod annotated;
#[cfg(feature = "cloudfront")]
mod cloudfront;
mod combinations;
#[cfg(not(any(feature = "s3", feature = "gcs", feature = "azblob", feature = "http-source")))]
mod features;
mod hostile;
mod messages;
mod opening;
#[cfg(feature = "preflight")]
mod preflight;
#[cfg(all(feature = "link-probe", feature = "serve"))]
mod probing;
mod records;
mod replicas;
mod secrets;
mod trail;

use std::fs;
use std::path::Path;

use distribution_backends::Config;
use distribution_core::Error;

/// The least that works, but for what a test puts in place of its parts.
const TARGET: &str = r#"
[targets.media]
storage = "objects"
links = { kind = "hmac", base_url = "https://media.example/files", key_file = "link.key" }
"#;
const STAGING: &str = "[staging.edits]\nroot = \"staging\"\n";
const RECORDS: &str = "[metadata]\nuri = \"sqlite:records.db\"\n[audit]\njsonl = \"audit.jsonl\"\n";

fn site() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("objects")).unwrap();
    fs::create_dir(folder.path().join("staging")).unwrap();
    folder
}

fn parse(text: &str) -> Result<Config, Error> {
    Config::parse(text, Path::new("/srv/distribution"))
}

/// The whole message of the error that this text gives.
#[track_caller]
fn refusal(text: &str) -> String {
    parse(text).expect_err("this must be refused").to_string()
}

/// The same for the rest of a configuration in which only `[targets.media]` is told.
#[track_caller]
fn refused_target(target: &str) -> String {
    refusal(&format!("[targets.media]\n{target}\n{STAGING}{RECORDS}"))
}

/// The same for `[defaults]`.
#[track_caller]
fn refused_defaults(defaults: &str) -> String {
    refusal(&format!("[defaults]\n{defaults}\n{TARGET}{STAGING}{RECORDS}"))
}
