//! What is no configuration is told in words: the key, the line, and what is allowed.

use std::fs;

use distribution_backends::Config;
use distribution_core::ErrorKind;

use super::{RECORDS, STAGING, TARGET, refusal, refused_defaults, refused_target, site};

#[test]
fn a_misspelt_key_is_told_with_the_one_that_was_meant() {
    assert_eq!(
        refused_target("strage = \"objects\""),
        "targets.media.strage: is no key here: did you mean `storage`? there are `storage`, `storage_class`, `object_lock`, \
         `credentials`, `links`, `replicas`, `quorum`, `archive` (line 2)"
    );
    assert_eq!(
        refusal(&format!("{TARGET}{STAGING}{RECORDS}\n[alert]\nkind = \"log\"")),
        "alert: is no key here: did you mean `alerts`? there are `defaults`, `targets`, `staging`, `preflight`, `sweep`, \
         `metadata`, `audit`, `alerts` (line 12)"
    );
    assert_eq!(
        refused_defaults("retention_days = 7"),
        "defaults.retention_days: is no key here: there are `target`, `staging`, `storage_prefix`, `key_template`, \
         `url_expiry_hours`, `access`, `verification`, `qc_checksum_required`, `attempts_max`, `lease_secs`, `recoveries_max` (line 2)"
    );
    assert_eq!(
        refusal(&format!("{TARGET}{STAGING}{RECORDS}\n[staging.more]\nroot=\"x\"\nhost = [\"media.example\"]")),
        "staging.more.host: is no key here: did you mean `hosts`? there are `root`, `credentials`, `hosts`, \
         `private_hosts`, `size_max_mib`, `silence_max_secs`, `time_max_secs`, `kib_per_sec_min`, `redirects_max` (line 14)"
    );
}

#[test]
fn a_missing_key_is_named() {
    assert_eq!(refused_target("credentials = {}"), "targets.media.storage: is missing: it has no default (line 1)");
    assert_eq!(refusal(&format!("{TARGET}{STAGING}")), "metadata: is missing: it has no default");
    assert_eq!(
        refusal(&format!("[targets]\n{STAGING}{RECORDS}")),
        "targets: has no target: add `[targets.NAME]` with a `storage` (line 1)"
    );
    assert_eq!(
        refusal(&format!("{TARGET}[staging]\n{RECORDS}")),
        "staging: has no root: add `[staging.NAME]` with a `root` or `hosts` (line 5)"
    );
    assert_eq!(
        refusal(&format!("{TARGET}[staging.a]\n{RECORDS}")),
        "staging.a: has neither `root` nor `hosts`: add one of them (line 5)"
    );
}

#[test]
fn a_value_of_another_type_is_told_without_the_value() {
    assert_eq!(
        refused_defaults("url_expiry_hours = \"72 hours\""),
        "defaults.url_expiry_hours: must be a whole number, not a string (line 2)"
    );
    assert_eq!(
        refused_defaults("lease_secs = 1.5"),
        "defaults.lease_secs: must be a whole number, not a number with a fraction (line 2)"
    );
    assert_eq!(
        refused_defaults("lease_secs = 2026-01-02"),
        "defaults.lease_secs: must be a whole number, not a date (line 2)"
    );
    assert_eq!(
        refused_defaults("qc_checksum_required = \"yes\""),
        "defaults.qc_checksum_required: must be a boolean, not a string (line 2)"
    );
    assert_eq!(refused_target("storage = [\"a\"]"), "targets.media.storage: must be a string, not a list (line 2)");
    assert_eq!(
        refusal(&format!("targets = \"media\"\n{STAGING}{RECORDS}")),
        "targets: must be a map, not a string (line 1)"
    );
    assert_eq!(
        refusal(&format!("alerts = 1\n{TARGET}{STAGING}{RECORDS}")),
        "alerts: must be a table, not a whole number (line 1)"
    );
    assert_eq!(
        refusal(&format!("{TARGET}[staging.a]\nhosts = [\"a.example\", 7]\n{RECORDS}")),
        "staging.a.hosts[1]: must be a string, not a whole number (line 6)"
    );
}

#[test]
fn a_value_out_of_its_range_is_told_with_the_range() {
    for (defaults, message) in [
        ("url_expiry_hours = 0", "defaults.url_expiry_hours: must be 1 to 168, not 0 (line 2)"),
        ("url_expiry_hours = 169", "defaults.url_expiry_hours: must be 1 to 168, not 169 (line 2)"),
        ("attempts_max = 101", "defaults.attempts_max: must be 1 to 100, not 101 (line 2)"),
        ("recoveries_max = 65", "defaults.recoveries_max: must be 1 to 64, not 65 (line 2)"),
        ("lease_secs = -1", "defaults.lease_secs: must be 1 to 3600, not -1 (line 2)"),
        ("lease_secs = 4294967296", "defaults.lease_secs: must be 1 to 3600, not 4294967296 (line 2)"),
        ("lease_secs = 99999999999999999999", "defaults.lease_secs: must be a whole number (line 2)"),
        ("verification = \"none\"", "defaults.verification: must be `read_back` or `store_attested` (line 2)"),
        ("access = \"all\"", "defaults.access: must be `signed`, `public` or `authenticated` (line 2)"),
        ("access = true", "defaults.access: must be `signed`, `public` or `authenticated` (line 2)"),
        ("storage_prefix = \"mvp\"", "defaults.storage_prefix: must end with `/`, unlike \"mvp\" (line 2)"),
        (
            "key_template = \"{steem}.mp4\"",
            "defaults.key_template: {\"steem\"} is unknown: use {prefix}, {stem}, {sha256}, {sha256:N} with N from 1 to \
             64, {concept_id}, {title} (line 2)",
        ),
    ] {
        assert_eq!(refused_defaults(defaults), message);
    }
    assert_eq!(
        refusal(&format!("[targets.\"Media\"]\nstorage = \"x\"\n{STAGING}{RECORDS}")),
        "targets.Media: \"Media\" is no target name: use a-z, 0-9, `_`, `-`, at most 64 (line 1)"
    );
    assert_eq!(
        refusal(&format!("{TARGET}{STAGING}[alerts]\nkind = \"pager\"\n{RECORDS}")),
        "alerts.kind: must be `log` or `webhook` (line 8)"
    );
    for (uri, message) in [
        (
            "postgresql",
            "must be like sqlite:records.db, postgres://user@host/database, objects:s3://bucket/prefix or story:https://host/mcp",
        ),
        ("sqlite:", "must be a path behind `sqlite:`, such as sqlite:records.db or sqlite:///srv/records.db"),
        ("sqlite::memory:", "must be a path behind `sqlite:`, such as sqlite:records.db or sqlite:///srv/records.db"),
        (
            "sqlite:x.db?mode=ro",
            "must be a path behind `sqlite:`, such as sqlite:records.db or sqlite:///srv/records.db",
        ),
    ] {
        let text = format!("{TARGET}{STAGING}[metadata]\nuri = \"{uri}\"\n[audit]\njsonl = \"a\"");
        assert_eq!(refusal(&text), format!("metadata.uri: {message} (line 8)"));
    }
}

#[test]
fn a_place_that_is_none_is_told_with_the_forms_there_are() {
    let links = "links = { kind = \"hmac\", base_url = \"https://m.example\", key_file = \"k\" }";
    for (storage, message) in [
        ("", "must be a path"),
        ("ftp://host/x", "must be a path, or begin with `file:///`, `s3://`, `gs://` or `az://`"),
        ("s3:media", "must be a path, or begin with `file:///`, `s3://`, `gs://` or `az://`"),
        ("file://host/srv", "must be an absolute path of this machine behind `file://`, such as file:///srv/media"),
    ] {
        let message = format!("targets.media.storage: {message} (line 2)");
        assert_eq!(refused_target(&format!("storage = \"{storage}\"\n{links}")), message);
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line_only() {
    let message = refusal("[targets.media]\nstorage = \"objects\nsecret = hunter2");
    assert!(message.starts_with("no TOML: ") && message.ends_with("(line 2)"), "{message}");
    assert!(!message.contains("objects") && !message.contains("hunter2"), "{message}");
    let message = refusal("[audit]\njsonl = \"a\"\njsonl = \"b\"");
    assert_eq!(message, "no TOML: duplicate key (line 3)");
    assert!(refusal(&"[".repeat(100_000)).starts_with("no TOML: "));
    assert!(refusal(&format!("a = {}", "[".repeat(10_000))).starts_with("no TOML: "));
}

#[test]
fn the_file_is_named_too() {
    let folder = site();
    let path = folder.path().join("distribution.toml");
    fs::write(&path, "\n\n[targets.media]\nstrage = 1").unwrap();
    let error = Config::load(&path).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("targets.media.strage")));
    assert!(error.message().ends_with(&format!("({}:4)", path.display())), "{error}");

    fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    let too_long = Config::load(&path).unwrap_err();
    assert!(too_long.to_string().ends_with("has more than 1048576 bytes"), "{too_long}");
    fs::write(&path, b"\xff").unwrap();
    assert!(Config::load(&path).unwrap_err().to_string().ends_with("is no UTF-8"));
    assert_eq!(Config::load(folder.path().join("absent.toml")).unwrap_err().kind(), ErrorKind::Unavailable);
}
