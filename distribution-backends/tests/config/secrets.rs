//! Secrets are referred to, and shown by nothing.

use std::error::Error as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use distribution_backends::{Config, HmacKey};
use distribution_core::{Error, ErrorKind};

use super::{RECORDS, STAGING, parse, refused_target, site};

const LINE: &str = "2026-01:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
const SECRET: &str = "hunter2hunter2";

fn with_key(key: &str) -> String {
    format!(
        "[targets.media]\nstorage = \"objects\"\n[targets.media.links]\nkind = \"hmac\"\n\
         base_url = \"https://media.example\"\nkey = {key}\n{STAGING}{RECORDS}"
    )
}

/// Whatever is shown of the error.
fn shown(error: &Error) -> String {
    let cause = error.source().map(|cause| format!("{cause} {cause:?}"));
    format!("{error} {error:?} {cause:?}")
}

#[test]
fn a_literal_is_refused_and_not_repeated() {
    let form = "must be a reference, { env = \"NAME\" } or { file = \"path\" }: a secret never stands in this file";
    let cases = [
        (format!("\"{SECRET}\""), form, "key", 6),
        (
            format!("[\"{SECRET}\"]"),
            "must be a reference, { env = \"NAME\" } or { file = \"path\" }, not a list",
            "key",
            6,
        ),
        (
            format!("{{ value = \"{SECRET}\" }}"),
            "must be one reference, { env = \"NAME\" } or { file = \"path\" }",
            "key",
            6,
        ),
        (
            format!("{{ env = \"NAME\", file = \"{SECRET}\" }}"),
            "must be one reference, { env = \"NAME\" } or { file = \"path\" }",
            "key",
            6,
        ),
        (format!("{{ env = \"{SECRET}\" }}"), "an environment variable's name is of A-Z, 0-9 and `_`", "key", 6),
        (format!("{{ env = {{ name = \"{SECRET}\" }} }}"), "must be a string, not a table", "key.env", 6),
        ("{}".to_owned(), "must be one reference, { env = \"NAME\" } or { file = \"path\" }", "key", 6),
    ];
    for (key, message, at, line) in cases {
        let error = parse(&with_key(&key)).unwrap_err();
        assert_eq!(error.to_string(), format!("targets.media.links.{at}: {message} (line {line})"));
        assert!(!shown(&error).contains(SECRET));
    }
    let keys = format!("storage = \"objects\"\nlinks = {{ kind = \"hmac\", accepted_keys = [\"{SECRET}\"] }}");
    assert_eq!(refused_target(&keys), format!("targets.media.links.accepted_keys[0]: {form} (line 3)"));
}

#[test]
fn a_secret_in_a_place_that_is_none_is_not_repeated() {
    for text in [
        format!("[targets.media]\nstorage = \"{SECRET}\nx"),
        format!("[targets.media]\nstorage = {SECRET}"),
        format!("[defaults]\nlease_secs = \"{SECRET}\""),
        format!("[defaults]\naccess = \"{SECRET}\""),
        format!("[defaults]\nqc_checksum_required = \"{SECRET}\""),
        format!("alerts = \"{SECRET}\""),
        format!("[audit]\njsonl = \"ftp://user:{SECRET}@host\""),
        format!("[metadata]\nuri = \"mysql://user:{SECRET}@host\""),
        format!("[metadata]\nuri = \"postgres://user:{SECRET}@host/ops\""),
        format!("[metadata]\nuri = \"postgres://user@host/ops?password={SECRET}\""),
        format!("[metadata]\nuri = \"postgres://user@host/ops\"\npassword = \"{SECRET}\""),
        format!("[targets.media]\nstorage = \"ftp://user:{SECRET}@host\""),
        format!(
            "[targets.media]\nstorage = \"objects\"\nlinks = {{ kind = \"hmac\", base_url = \"https://u:{SECRET}@h\" }}"
        ),
    ] {
        let rest = format!("{}{STAGING}{RECORDS}", super::TARGET);
        for text in [text.clone(), format!("{text}\n{rest}"), format!("{rest}\n{text}")] {
            let Err(error) = parse(&text) else { panic!("accepted: {text}") };
            assert!(!shown(&error).contains(SECRET), "{error}");
        }
    }
}

async fn opened(folder: &Path, key: &str) -> Result<(), Error> {
    Config::parse(&with_key(key), folder).unwrap().open().await.map(|_| ())
}

#[tokio::test]
async fn a_file_holds_the_secret_and_perhaps_a_newline() {
    let folder = site();
    let path = folder.path().join("link.key");
    for line in [LINE.to_owned(), format!("{LINE}\n"), format!("{LINE}\r\n")] {
        fs::write(&path, line).unwrap();
        opened(folder.path(), "{ file = \"link.key\" }").await.unwrap();
    }
    let parsed = Config::parse(&with_key("{ file = \"link.key\" }"), folder.path()).unwrap();
    let opened = parsed.open().await.unwrap();
    assert_eq!(opened.downloads[0].signer.base(), "https://media.example");
    assert!(!format!("{parsed:?} {opened:?}").contains("BwcH"));
}

#[tokio::test]
async fn what_cannot_be_the_secret_is_told_and_not_shown() {
    let folder = site();
    let key = "{ file = \"link.key\" }";
    let missing = opened(folder.path(), key).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Unavailable);
    assert_eq!(
        missing.to_string(),
        "targets.media.links.key: the secret's file cannot be read: entity not found (line 6)"
    );
    let too_long = "x".repeat((64 << 10) + 1);
    for (content, message) in [
        (&b""[..], "the secret is empty"),
        (b"\n", "the secret is empty"),
        (b"hunter2hunter2", "must be one line, `id:secret`, the secret in base64url"),
        (b"id:hunter2hunter2aa", "a signing key has at least 32 random bytes, not 12"),
        (b"hunter2\0hunter2", "the secret holds a zero byte"),
        (b"hunter2\xff", "the secret is no UTF-8"),
        (too_long.as_bytes(), "the secret has more than 65536 bytes"),
    ] {
        fs::write(folder.path().join("link.key"), content).unwrap();
        let error = opened(folder.path(), key).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.to_string(), format!("targets.media.links.key: {message} (line 6)"));
        assert!(!shown(&error).contains("hunter2"));
    }
    let unset = opened(folder.path(), "{ env = \"DISTRIBUTION_TEST_UNSET\" }").await.unwrap_err();
    assert_eq!(
        unset.to_string(),
        "targets.media.links.key: the environment variable DISTRIBUTION_TEST_UNSET is not set (line 6)"
    );
}

/// The environment of this process cannot be changed safely, so the test runs itself in another one.
#[tokio::test]
async fn the_environment_holds_the_secret() {
    const NAME: &str = "DISTRIBUTION_TEST_LINK_KEY";
    if std::env::var_os(NAME).is_none() {
        let itself = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "secrets::the_environment_holds_the_secret"])
            .env(NAME, LINE)
            .output()
            .unwrap();
        assert!(itself.status.success(), "{}", String::from_utf8_lossy(&itself.stdout));
        assert!(String::from_utf8_lossy(&itself.stdout).contains("1 passed"));
        return;
    }
    opened(site().path(), &format!("{{ env = \"{NAME}\" }}")).await.unwrap();
}

#[test]
fn a_key_line_is_the_line_of_a_key_file() {
    assert_eq!(HmacKey::from_line(LINE).unwrap().id(), "2026-01");
    let error = HmacKey::from_line("hunter2").unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && !error.to_string().contains("hunter2"));
}
