//! `examples/distribution.toml` has every key, opens, and is right about what is commented out.

use std::fs;

use distribution_backends::Config;
use distribution_core::Query;
use futures::StreamExt as _;

use super::{parse, site};

const ANNOTATED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/distribution.toml");

pub(crate) fn annotated() -> String {
    fs::read_to_string(ANNOTATED).unwrap()
}

fn is_name(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The lines of the file that are TOML, with those that are commented out.
pub(crate) fn with_commented() -> String {
    let is_key = |line: &str| line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| is_name(key));
    let lines = annotated().lines().map(|line| line.strip_prefix("# ").unwrap_or(line).to_owned()).collect::<Vec<_>>();
    lines.into_iter().filter(|line| is_key(line)).map(|line| line + "\n").collect()
}

#[tokio::test]
async fn it_opens_as_it_is() {
    let folder = site();
    fs::copy(ANNOTATED, folder.path().join("distribution.toml")).unwrap();
    let opened = Config::load(folder.path().join("distribution.toml")).unwrap().open().await.unwrap();
    assert_eq!(opened.publisher.recover().await.unwrap().failed, 0);
    assert_eq!(opened.downloads.len(), 1);
    let stores = opened.stores;
    assert_eq!(stores.targets.keys().map(ToString::to_string).collect::<Vec<_>>(), ["media"]);
    assert!(stores.metadata.find(&Query::default(), None, 1).await.unwrap().is_empty());
    assert_eq!(stores.trail.entries().unwrap().count().await, 0);
}

/// The names that an unknown key's error lists are all that there are.
fn keys_of(table: &str) -> Vec<String> {
    let without_it = "[targets.t]\nstorage = \"x\"\n[staging.s]\nroot = \"x\"\n";
    let text = match table {
        "" => "not_a_key = 1".to_owned(),
        table => format!("[{table}]\nnot_a_key = 1\n"),
    };
    let text = if table.starts_with("targets") || table.starts_with("staging") {
        text
    } else {
        format!("{text}\n{without_it}")
    };
    let message = parse(&text).unwrap_err().to_string();
    let (_, keys) = message.split_once("there are ").unwrap_or_else(|| panic!("{table}: {message}"));
    keys.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_is_in_it() {
    let text = with_commented();
    for table in [
        "",
        "defaults",
        "targets.t",
        "targets.t.credentials",
        "targets.t.links",
        "staging.s",
        "preflight",
        "metadata",
        "metadata.story",
        "audit",
        "alerts",
    ] {
        for key in keys_of(table) {
            let is_there = text.lines().any(|line| {
                line.starts_with(&format!("{key} = "))
                    || line.starts_with(&format!("[{key}]"))
                    || (line.starts_with('[') && line.contains(&key))
            });
            assert!(is_there, "`{key}` of [{table}] is not in examples/distribution.toml");
        }
    }
}

/// The same without what excludes something else: a configuration of nearly all keys.
pub(crate) fn consistent() -> String {
    let other_ways = [
        "uri = \"sqlite:",
        "uri = \"objects:",
        "uri = \"story:",
        "[metadata.story]",
        "command = ",
        "bearer = ",
        "call_timeout_secs = ",
        "contract = ",
        "mirror = ",
        "kind = \"sqlite\"",
        "sqlite = ",
        "objects = ",
        "[audit.credentials]",
        "access_key_id = { env = \"TRAIL_ACCESS_KEY_ID\" }",
        "secret_access_key = { env = \"TRAIL_SECRET_ACCESS_KEY\" }",
        "[audit.story]",
        "[metadata.credentials]",
        "access_key_id = { env = \"MEDIA_ACCESS_KEY_ID\" }",
        "secret_access_key = { env = \"MEDIA_SECRET_ACCESS_KEY\" }",
        "[targets.cloud.credentials]",
        "secret_access_key = { file = \"/run/secrets/media\" }",
        "key = { env = \"DISTRIBUTION_LINK_KEY\" }",
        "key_file = \"service-account.json\"",
        "account_key = ",
        "[staging.edits.credentials]",
        "access_key_id = { env = \"STAGING_ACCESS_KEY_ID\" }",
        "secret_access_key = { env = \"STAGING_SECRET_ACCESS_KEY\" }",
    ];
    let text = with_commented();
    let lines = text.lines().filter(|line| !other_ways.iter().any(|other| line.starts_with(other)));
    lines.map(|line| format!("{line}\n")).collect()
}

#[cfg(all(
    feature = "alert-webhook",
    feature = "s3",
    feature = "http-source",
    feature = "postgres",
    feature = "cloudfront"
))]
#[test]
fn what_is_commented_out_is_right() {
    let text = consistent();
    Config::parse(&text, "/srv").unwrap_or_else(|error| panic!("{error}\n{text}"));
}
