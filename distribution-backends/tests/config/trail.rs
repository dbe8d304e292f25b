//! `[audit]`: where the trail is kept, its name, and its second place.

use std::fs;

use distribution_backends::{Config, Verifier};
use distribution_core::ErrorKind;
use futures::StreamExt as _;

use super::opening::request;
use super::{STAGING, TARGET, refusal, site};

const SQLITE: &str = "[metadata]\nuri = \"sqlite:records.db\"\n";

fn with_audit(keys: &str) -> String {
    format!("{TARGET}{STAGING}{SQLITE}[audit]\n{keys}\n")
}

/// Publishes, and says how many entries the trail has.
async fn published(text: &str, folder: &tempfile::TempDir) -> u64 {
    let config = Config::parse(text, folder.path()).unwrap();
    fs::write(folder.path().join("staging/clip.mp4"), b"bytes").unwrap();
    let opened = config.open().await.unwrap();
    opened.publisher.publish(request("clip.mp4", b"bytes")).await.unwrap();
    opened.close().await.unwrap();
    let read = opened.stores.trail.entries().unwrap().map(Result::unwrap).count().await as u64;
    let trail = config.trail().await.unwrap();
    let verdict = trail.verify(Verifier::new().of_chain(config.chain())).await.unwrap().finish();
    assert!(verdict.is_clean() && verdict.entries == read, "{verdict:?}");
    read
}

#[tokio::test]
async fn each_kind_of_trail_is_appended_to_and_read() {
    for (keys, is_there) in [
        ("jsonl = \"audit.jsonl\"", "audit.jsonl"),
        ("kind = \"jsonl\"\njsonl = \"audit.jsonl\"\nsource = \"//site.example/a\"", "audit.jsonl"),
        ("kind = \"sqlite\"\nsqlite = \"audit.db\"", "audit.db"),
        ("kind = \"objects\"\nobjects = \"trail\"\nsource = \"/site/b\"", "trail/entries/00000000000000000000.jsonl"),
    ] {
        let folder = site();
        fs::create_dir(folder.path().join("trail")).unwrap();
        assert!(published(&with_audit(keys), &folder).await >= 3, "{keys}");
        assert!(folder.path().join(is_there).is_file(), "{keys}");
    }
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_trail_may_be_in_the_database_of_the_records() {
    use sqlx::{AssertSqlSafe, ConnectOptions as _};

    const VARIABLE: &str = "DISTRIBUTION_TEST_POSTGRES";
    let Ok(uri) = std::env::var(VARIABLE) else {
        assert!(std::env::var_os("CI").is_none(), "{VARIABLE} must name a server in CI: see .ci/servers");
        return println!("NOT RUN: {VARIABLE} names no server, see .ci/servers");
    };
    let schema = format!("test_trail_{}", std::process::id());
    let records = format!("[metadata]\nuri = \"{uri}?schema={schema}\"\n");
    let text = format!("{TARGET}{STAGING}{records}[audit]\nkind = \"postgres\"\nsource = \"/c\"\n");
    assert!(published(&text, &site()).await >= 3);
    let options: sqlx::postgres::PgConnectOptions = uri.parse().unwrap();
    let drop = AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
    sqlx::raw_sql(drop).execute(&mut options.connect().await.unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_trail_has_one_name() {
    let folder = site();
    published(&with_audit("jsonl = \"audit.jsonl\"\nsource = \"/one\""), &folder).await;
    let other = Config::parse(&with_audit("jsonl = \"audit.jsonl\"\nsource = \"/other\""), folder.path()).unwrap();
    let error = other.open().await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("audit.jsonl")));
    let verdict = other.trail().await.unwrap().verify(Verifier::new().of_chain(other.chain())).await.unwrap().finish();
    assert!(!verdict.is_clean());
}

#[cfg(feature = "evidence")]
#[tokio::test]
async fn what_a_program_has_appended_is_noted_at_its_end() {
    use distribution_backends::{Checkpointed, LocalDisk};
    use distribution_core::StoragePrefix;

    let folder = site();
    let second = folder.path().join("second");
    fs::create_dir(&second).unwrap();
    let keys = "jsonl = \"audit.jsonl\"\nsigning_key = \"audit.key\"\ncheckpoints = \"second\"";
    let entries = published(&with_audit(keys), &folder).await;
    let opened = Config::parse(&with_audit(keys), folder.path()).unwrap().open().await.unwrap();
    let key = [opened.evidence.clone().unwrap().public_key().clone()];
    let second = LocalDisk::open(second).unwrap();
    let positions = async || {
        let noted = Checkpointed::load(&second, &StoragePrefix::default(), &key).await.unwrap();
        noted.iter().map(|checkpoint| checkpoint.position()).collect::<Vec<_>>()
    };
    assert_eq!(positions().await.last(), Some(&(entries - 1)));
    // Another entry, soon after: by itself it would not be time yet.
    fs::write(folder.path().join("staging/more.mp4"), b"more").unwrap();
    opened.publisher.publish(request("more.mp4", b"more")).await.unwrap();
    assert_eq!(positions().await.last(), Some(&(entries - 1)));
    opened.close().await.unwrap();
    let appended = opened.stores.trail.entries().unwrap().count().await as u64;
    assert_eq!(positions().await.last(), Some(&(appended - 1)));
}

#[test]
fn what_it_cannot_be_is_told() {
    let refused = |keys: &str| refusal(&with_audit(keys));
    for (keys, message) in [
        ("", "audit.jsonl: is missing: `kind = \"jsonl\"` needs it, the place of the trail"),
        ("kind = \"sqlite\"", "audit.sqlite: is missing: `kind = \"sqlite\"` needs it, the place of the trail"),
        ("kind = \"sqlite\"\nsqlite = \"a\"\njsonl = \"b\"", "audit.jsonl: is of no use with `kind = \"sqlite\"`"),
        ("sqlite = \"a\"", "audit.sqlite: is of no use with `kind = \"jsonl\"`"),
        ("kind = \"postgres\"", "audit.kind: \"postgres\" is the database of the records: have `metadata.uri`"),
        ("jsonl = \"a\"\ncredentials = {}", "audit.credentials: is of no use but with `kind = \"objects\"`"),
        ("kind = \"objects\"\nobjects = \"objects/trail\"", "audit.objects: shares the storage of the target `media`"),
        ("jsonl = \"a\"\nsource = \"two words\"", "audit.source: the name of an audit chain is a URI or a path"),
        ("kind = \"mongo\"", "audit.kind: must be"),
    ] {
        let refused = refused(keys);
        assert!(refused.starts_with(message), "{keys}: {refused}");
    }
    #[cfg(feature = "evidence")]
    {
        let keys = "kind = \"objects\"\nobjects = \"trail\"\nsigning_key = \"k\"\ncheckpoints = \"trail/second\"";
        assert!(refused(keys).starts_with("audit.objects: shares the place of `audit.checkpoints`"));
    }
}
