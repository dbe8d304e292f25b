//! Where records are kept, and what each store can be told.

use super::{STAGING, TARGET, refusal};
#[cfg(feature = "postgres")]
use super::{parse, site};

#[track_caller]
fn refused(metadata: &str) -> String {
    refusal(&format!("{TARGET}{STAGING}[audit]\njsonl = \"a\"\n[metadata]\n{metadata}"))
}

#[test]
fn a_key_of_another_store_is_refused() {
    assert_eq!(
        refused("uri = \"sqlite:records.db\"\nlock_timeout_secs = 5"),
        "metadata.lock_timeout_secs: is of no use with sqlite:, which has `uri` only (line 11)"
    );
    assert_eq!(
        refused("uri = \"sqlite:records.db\"\npassword = { env = \"PASSWORD\" }"),
        "metadata.password: is of no use with sqlite:, which has `uri` only (line 11)"
    );
}

#[tokio::test]
async fn records_can_be_objects_in_a_folder_of_their_own() {
    let folder = super::site();
    std::fs::create_dir(folder.path().join("records")).unwrap();
    let text = format!("{TARGET}{STAGING}[audit]\njsonl = \"a\"\n[metadata]\nuri = \"objects:records\"\n");
    let opened = distribution_backends::Config::parse(&text, folder.path()).unwrap().open().await.unwrap();
    assert_eq!(opened.publisher.recover().await.unwrap().settled, 0);

    for shared in ["objects", "./objects", "other/../objects", "objects/records", "."] {
        assert_eq!(
            refused(&format!("uri = \"objects:{shared}\"")),
            "metadata.uri: shares the storage of the target `media`: give records a prefix beside it (line 10)"
        );
    }
    assert_eq!(
        refused("uri = \"objects:records\"\n[metadata.credentials]\nkey_file = \"k\""),
        "metadata.credentials: a local disk takes no credentials: remove them (line 11)"
    );
    assert_eq!(
        refused("uri = \"objects:records\"\nlock_timeout_secs = 5"),
        "metadata.lock_timeout_secs: is of no use with objects:, which has `credentials` (line 11)"
    );
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_build_without_postgres_says_so() {
    assert_eq!(
        refused("uri = \"postgres://user@host/ops\""),
        "metadata.uri: this build has no feature `postgres`: add it to distribution-backends in Cargo.toml (line 10)"
    );
}

#[cfg(feature = "postgres")]
#[test]
fn postgres_is_told_by_uri_without_a_password_and_within_its_limits() {
    let uri = "uri = \"postgres://publisher@db.example/ops\"\n";
    assert_eq!(
        refused("uri = \"postgres://publisher:hunter2@db.example/ops\""),
        "metadata.uri: holds a password: give it by `password`, { env = \"NAME\" } or { file = \"path\" } (line 10)"
    );
    assert!(refused("uri = \"postgres://publisher@db.example/ops?pasword=hunter2\"").starts_with("metadata.uri: "));
    assert_eq!(
        refused(&format!("{uri}read_connections = 257")),
        "metadata.read_connections: must be 1 to 256, not 257 (line 11)"
    );
    for key in ["connect_timeout_secs", "acquire_timeout_secs", "statement_timeout_secs", "lock_timeout_secs"] {
        assert_eq!(refused(&format!("{uri}{key} = 0")), format!("metadata.{key}: must be 1 to 3600, not 0 (line 11)"));
    }
    let all = format!(
        "{TARGET}{STAGING}[audit]\njsonl = \"a\"\n[metadata]\n{uri}password = {{ env = \"PASSWORD\" }}\n\
         read_connections = 256\nlock_timeout_secs = 3600\n"
    );
    assert!(parse(&all).is_ok());
}

/// At a port where nobody is, and with a secret that is not there.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn what_hinders_postgres_is_told_by_its_key() {
    use distribution_backends::Config;
    use distribution_core::ErrorKind;

    let folder = site();
    let open = async |rest: &str| {
        let text = format!(
            "{TARGET}{STAGING}[audit]\njsonl = \"a\"\n[metadata]\nuri = \"postgres://publisher@127.0.0.1:1/ops\"\n\
             connect_timeout_secs = 2\n{rest}"
        );
        Config::parse(&text, folder.path()).unwrap().open().await.unwrap_err()
    };
    let away = open("").await;
    assert_eq!((away.kind(), away.field()), (ErrorKind::Unavailable, Some("metadata.uri")));
    let missing = open("password = { file = \"absent\" }").await;
    assert_eq!(missing.to_string(), "metadata.password: the secret's file cannot be read: entity not found (line 12)");
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn a_publisher_with_records_in_postgres_opens() {
    use distribution_backends::Config;
    use sqlx::{AssertSqlSafe, ConnectOptions as _};

    const VARIABLE: &str = "DISTRIBUTION_TEST_POSTGRES";
    let Ok(uri) = std::env::var(VARIABLE) else {
        assert!(std::env::var_os("CI").is_none(), "{VARIABLE} must name a server in CI: see .ci/servers");
        return println!("NOT RUN: {VARIABLE} names no server, see .ci/servers");
    };
    let (folder, schema) = (site(), format!("test_config_{}", std::process::id()));
    std::fs::write(folder.path().join("password"), "not asked for\n").unwrap();
    let text = format!(
        "{TARGET}{STAGING}[audit]\njsonl = \"a\"\n[metadata]\nuri = \"{uri}?schema={schema}\"\n\
         password = {{ file = \"password\" }}\n"
    );
    let opened = Config::parse(&text, folder.path()).unwrap().open().await.unwrap();
    assert_eq!(opened.publisher.recover().await.unwrap().settled, 0);
    let options: sqlx::postgres::PgConnectOptions = uri.parse().unwrap();
    let drop = AssertSqlSafe(format!("DROP SCHEMA {schema} CASCADE"));
    sqlx::raw_sql(drop).execute(&mut options.connect().await.unwrap()).await.unwrap();
}

#[cfg(feature = "story-mcp")]
#[test]
fn story_is_told_by_a_url_or_a_command() {
    for (wrong, message) in [
        ("uri = \"story:stdio\"", "metadata.uri: needs `metadata.story.command`, an array (line 10)"),
        (
            "uri = \"story:https://story.example/mcp\"\n[metadata.story]\ncommand = [\"x\"]",
            "metadata.story.command: is of no use with a URL: use story:stdio (line 12)",
        ),
        (
            "uri = \"story:stdio\"\n[metadata.story]\ncommand = [\"x\"]\nbearer = { env = \"T\" }",
            "metadata.story.bearer: is of no use with a child: give it by its environment (line 13)",
        ),
        (
            "uri = \"story:stdio\"\n[metadata.story]\ncommand = [\"x\"]\ncall_timeout_secs = 0",
            "metadata.story.call_timeout_secs: must be 1 to 3600, not 0 (line 13)",
        ),
    ] {
        assert_eq!(refused(wrong), message);
    }
    let unknown =
        refused("uri = \"story:https://s.example/\"\n[metadata.story]\ncontract = { tools = { putt = \"x\" } }");
    assert!(
        unknown.starts_with("metadata.story.contract.tools.putt: is no key here: did you mean `put`?"),
        "{unknown}"
    );
    assert!(!refused("uri = \"story:https://user:hunter2@story.example/mcp\"").contains("hunter2"));

    let audit = |rest: &str| {
        refusal(&format!("{TARGET}{STAGING}[metadata]\nuri = \"sqlite:r.db\"\n[audit]\njsonl = \"a\"\n{rest}"))
    };
    assert_eq!(
        audit("[audit.story]\ncall_timeout_secs = 3"),
        "audit.story: is of no use without `audit.mirror` (line 11)"
    );
    assert_eq!(
        audit("mirror = \"https://x\""),
        "audit.mirror: must be like story:https://host/mcp or story:stdio (line 11)"
    );
    assert_eq!(
        refusal(&format!(
            "{TARGET}{STAGING}[metadata]\nuri = \"story:https://s.example/\"\n[audit]\njsonl = \"a\"\n\
             mirror = \"story:https://s.example/\""
        )),
        "audit.mirror: is of no use where records are kept in Story: remove it (line 11)"
    );
}
