//! What is configured, what is refused when it is opened, and what is never shown.

use std::error::Error as _;
use std::time::Duration;

use distribution_backends::{PostgresConfig, PostgresMetadata};
use distribution_core::{Advance, Claim, Error, ErrorKind, MetadataStore};
use sqlx::Row as _;

use crate::cluster::{Cluster, PASSWORD};
use crate::rows::{next, row};
use crate::server::Schema;

const SECRET: &str = "correct-horse-battery";

/// What can be printed of an error.
fn shown(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(" {error} {error:?}");
        cause = error.source();
    }
    text
}

#[test]
fn a_uri_that_is_not_understood_is_refused_without_a_word_of_it() {
    let rests = [
        "",
        "@db/ops",
        ":S@db/ops",
        "user:S@db",
        "user:S@db/",
        "user:S@/ops",
        "user:S@db/ops/more",
        "user:S@db:port/ops",
        "user:S@[::1/ops",
        "user:S@[::1]5432/ops",
        "user:S@one,two/ops",
        "user:S@db/ops?sslmode",
        "user:S@db/ops?sslmode=S",
        "user:S@db/ops?sslmode=require&sslmode=require",
        "user:S@db/ops?ssl_mode=require",
        "user:S@db/ops?S=require",
        "user:S@db/ops?password=S",
        "user:S@db/ops?schema=Distribution",
        "user:S@db/ops?schema=a;drop",
        "user:S@db/ops?schema=\"S\"",
        "user:S@db/ops?schema=pg_own",
        "user:S@db/ops?schema=",
        "user:S@db/ops?host=/run",
        "user:S@/ops?host=run",
        "user:S@db/ops#fragment",
        "user:S @db/ops",
        "user:S%ff@db/ops",
        "user%00:S@db/ops",
    ];
    for rest in rests {
        let uri = format!("postgres://{}", rest.replace('S', SECRET));
        let error = PostgresConfig::from_uri(&uri).expect_err(rest);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{rest}");
        assert!(!shown(&error).contains(SECRET) && !shown(&error).contains('\n'), "{error}");
    }
    assert!(PostgresConfig::from_uri("mysql://user@db/ops").is_err());
    let good = [
        "postgres://user@db/ops",
        "postgresql://user:S@db.example:6432/ops?sslmode=require&schema=own_1",
        "postgres://us%40er:S%2f@[::1]:5432/ops",
        "postgres://user@/ops?host=/var/run/postgresql",
        "postgres://user@db/ops?sslrootcert=%2Fetc%2Fca.pem&sslcert=a&sslkey=b",
    ];
    for uri in good {
        let config = PostgresConfig::from_uri(&uri.replace('S', SECRET)).unwrap();
        assert!(!format!("{config:?}").contains(SECRET));
        assert!(!format!("{config:#?}").contains(SECRET));
    }
}

#[test]
fn away_from_this_machine_a_certificate_is_asked_for_unless_told_otherwise() {
    let shows = |uri: &str, mode: &str| {
        let config = format!("{:?}", PostgresConfig::from_uri(uri).unwrap());
        assert!(config.contains(&format!("ssl_mode: {mode},")), "{uri}: {config}");
    };
    shows("postgres://user@db.example/ops", "VerifyFull");
    shows("postgres://user@10.0.0.1/ops", "VerifyFull");
    shows("postgres://user@db.example/ops?sslmode=disable", "Disable");
    shows("postgres://user@localhost/ops", "Prefer");
    shows("postgres://user@127.0.0.1/ops", "Prefer");
    shows("postgres://user@[::1]/ops", "Prefer");
    shows("postgres://user@/ops?host=/run", "Prefer");
}

#[tokio::test]
async fn settings_out_of_range_are_refused_by_name() {
    let config = || PostgresConfig::from_uri("postgres://user@127.0.0.1/ops").unwrap();
    let wrong = [
        ("readers", config().readers(0)),
        ("readers", config().readers(257)),
        ("schema", config().schema("a b")),
        ("connect_timeout", config().connect_timeout(Duration::ZERO)),
        ("acquire_timeout", config().acquire_timeout(Duration::MAX)),
        ("statement_timeout", config().statement_timeout(Duration::from_micros(999))),
        ("lock_timeout", config().lock_timeout(Duration::from_secs(3601))),
    ];
    for (field, config) in wrong {
        let error = PostgresMetadata::open(config).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)));
    }
}

#[tokio::test]
async fn what_cannot_be_opened_says_why_without_the_password() {
    let Some(schema) = Schema::new() else { return };
    let refused = async |uri: String, kind: ErrorKind, hint: &str| {
        let config = PostgresConfig::from_uri(&uri).unwrap().password(SECRET).connect_timeout(Duration::from_secs(2));
        assert!(!format!("{config:?}").contains(SECRET));
        let error = PostgresMetadata::open(config.schema(&schema.name)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{uri}: {}", shown(&error));
        assert!(error.to_string().contains(hint), "{uri}: {error}");
        assert!(!shown(&error).contains(SECRET), "{}", shown(&error));
    };
    let address = schema.address();
    refused(format!("postgres://nobody@{address}/test"), ErrorKind::Invalid, "refuses the user").await;
    refused(format!("postgres://test@{address}/nowhere"), ErrorKind::Invalid, "does not exist").await;
    refused(format!("postgres://test@{address}/test?sslmode=require"), ErrorKind::Unavailable, "TLS").await;
    refused("postgres://test@127.0.0.1:1/test".into(), ErrorKind::Unavailable, "out of reach").await;
    // Somebody who listens and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    refused(format!("postgres://test@127.0.0.1:{port}/test"), ErrorKind::Unavailable, "did not answer").await;

    let store = PostgresMetadata::open(schema.config().password(SECRET)).await.unwrap();
    assert!(!format!("{store:?}").contains(SECRET));
}

#[tokio::test]
async fn tables_of_a_newer_version_and_of_nobody_are_refused() {
    let Some(schema) = Schema::new() else { return };
    schema.open().await;
    schema.execute("UPDATE _sqlx_migrations SET checksum = 'other'").await;
    let error = PostgresMetadata::open(schema.config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");

    let Some(schema) = Schema::new() else { return };
    schema.open().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 VALUES (9999, 'of a newer version', TRUE, '', 0)";
    schema.execute(newer).await;
    let error = PostgresMetadata::open(schema.config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("newer version"), "{error}");

    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
    schema.execute("DROP TABLE publication CASCADE").await;
    assert_eq!(store.claim(&row(1)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    assert_eq!(store.load(&row(1).id).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A role with a setting that would break a promise, or with few rights. It goes with this.
struct Role<'s> {
    schema: &'s Schema,
    name: String,
}

impl<'s> Role<'s> {
    async fn new(schema: &'s Schema, settings: &str) -> Self {
        let name = format!("role_of_{}", schema.name);
        schema.execute(&format!("CREATE ROLE {name} LOGIN; {}", settings.replace("$ROLE", &name))).await;
        Self { schema, name }
    }

    fn config(&self) -> PostgresConfig {
        let uri = format!("postgres://{}@{}/test", self.name, self.schema.address());
        PostgresConfig::from_uri(&uri).unwrap().schema(&self.schema.name)
    }

    async fn drop(self) {
        self.schema.execute(&format!("DROP OWNED BY {0} CASCADE; DROP ROLE {0}", self.name)).await;
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_is_refused_and_later_taken() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
    let grants =
        format!("GRANT ALL ON SCHEMA {0} TO $ROLE; GRANT ALL ON ALL TABLES IN SCHEMA {0} TO $ROLE;", schema.name);
    let role = Role::new(&schema, &(grants + "ALTER ROLE $ROLE SET default_transaction_read_only = on")).await;
    let error = PostgresMetadata::open(role.config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("is a standby or read-only: name the primary"), "{error}");

    schema.execute(&format!("ALTER ROLE {} RESET default_transaction_read_only", role.name)).await;
    let store_of_role = PostgresMetadata::open(role.config()).await.unwrap();
    assert_eq!(store_of_role.claim(&row(1)).await.unwrap(), Claim::Claimed);
    assert_eq!(store.advance(&next(&row(1))).await.unwrap(), Advance::Advanced);
    drop(store_of_role);
    role.drop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_refused_until_it_is_promoted() {
    let Some(cluster) = Cluster::start("a standby") else { return };
    let schema = Schema::on(&cluster.uri());
    let store = schema.open().await;
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Claimed);
    assert_eq!(store.load(&row(1).id).await.unwrap(), Some(row(1)));
    cluster.demote();
    let opening = PostgresMetadata::open(schema.config()).await.map(drop);
    // The first to ask find their connections closed, the later ones a standby.
    for _ in 0..2 {
        assert_eq!(store.advance(&next(&row(1))).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(store.load(&row(1).id).await.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    let (write, read) = (store.claim(&row(1)).await.map(drop), store.load(&row(1).id).await.map(drop));
    for refused in [opening, write, read] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("is a standby or read-only: name the primary"), "{error}");
    }
    cluster.promote();
    assert_eq!(store.load(&row(1).id).await.unwrap(), Some(row(1)));
    assert_eq!(store.advance(&next(&row(1))).await.unwrap(), Advance::Advanced);
}

#[tokio::test]
async fn a_primary_that_becomes_read_only_is_unavailable_and_its_connections_are_given_up() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Claimed);
    // What a server says that was demoted, and who has said it.
    let demote = "CREATE FUNCTION demote() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                  RAISE EXCEPTION 'read-only: %', pg_backend_pid() USING ERRCODE = '25006'; END $$; \
                  CREATE TRIGGER demote BEFORE UPDATE ON publication EXECUTE FUNCTION demote()";
    schema.execute(demote).await;
    let error = store.advance(&next(&row(1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("takes no writes"), "{error}");
    let cause = error.source().unwrap().to_string();
    let connection = cause.strip_prefix("25006 read-only: ").unwrap();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let alive = schema.execute(&format!("SELECT FROM pg_stat_activity WHERE pid = {connection}")).await;
        if alive.is_empty() {
            schema.execute("DROP FUNCTION demote CASCADE").await;
            assert_eq!(store.advance(&next(&row(1))).await.unwrap(), Advance::Advanced);
            return;
        }
    }
    panic!("the connection is still used");
}

#[tokio::test]
async fn a_write_is_durable_whatever_the_role_defaults_to() {
    let Some(schema) = Schema::new() else { return };
    drop(schema.open().await);
    schema
        .execute(
            "CREATE TABLE seen (setting text); CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$; \
             CREATE TRIGGER look AFTER INSERT ON publication EXECUTE FUNCTION look()",
        )
        .await;
    let all = format!("GRANT ALL ON SCHEMA {0} TO $ROLE; GRANT ALL ON ALL TABLES IN SCHEMA {0} TO $ROLE;", schema.name);
    let defaults = "ALTER ROLE $ROLE SET default_transaction_isolation = serializable; \
                    ALTER ROLE $ROLE SET search_path = public; ALTER ROLE $ROLE SET statement_timeout = '5s'";
    let role = Role::new(&schema, &format!("{all} {defaults}")).await;
    for (n, (default, expected)) in
        [("off", "on"), ("local", "on"), ("remote_write", "on"), ("on", "on"), ("remote_apply", "remote_apply")]
            .into_iter()
            .enumerate()
    {
        schema.execute(&format!("ALTER ROLE {} SET synchronous_commit = {default}; TRUNCATE seen", role.name)).await;
        let store = PostgresMetadata::open(role.config()).await.unwrap();
        assert_eq!(store.claim(&row(n as u64)).await.unwrap(), Claim::Claimed);
        let seen = schema.execute("SELECT setting FROM seen").await;
        assert_eq!(seen[0].get::<String, _>(0), expected, "the role has {default}");
    }
    role.drop().await;
}

#[tokio::test]
async fn the_documented_privileges_are_enough_and_fewer_are_named() {
    let Some(schema) = Schema::new() else { return };
    let role = Role::new(&schema, "").await;
    let error = PostgresMetadata::open(role.config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.to_string().contains("grant what the documentation lists"), "{error}");

    drop(schema.open().await);
    let documentation = include_str!("../../src/metadata/postgres.rs");
    let grants = documentation.lines().filter_map(|line| line.trim().strip_prefix("/// GRANT "));
    let grants: String = grants
        .map(|grant| grant.replace("distribution", &schema.name).replace("publisher", &role.name))
        .map(|grant| format!("GRANT {grant}"))
        .collect();
    assert_eq!(grants.matches("GRANT").count(), 5);
    schema.execute(&grants).await;
    let store = PostgresMetadata::open(role.config()).await.unwrap();
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Claimed);
    assert_eq!(store.advance(&next(&row(1))).await.unwrap(), Advance::Advanced);
    let key = distribution_core::IdempotencyKey::parse("key").unwrap();
    assert_eq!(store.bind(&key, &row(1).id).await.unwrap(), row(1).id);
    assert_eq!(store.find(&crate::rows::by_tag("tag 0"), None, 10).await.unwrap().rows, [next(&row(1))]);
    drop(store);
    role.drop().await;
}

#[tokio::test]
async fn a_password_is_taken_and_the_server_is_verified() {
    let Some((cluster, certificate)) = Cluster::start_with_tls("a password and TLS") else { return };
    let certificate = certificate.display();
    let opened = async |uri: String, password: Option<&str>| {
        let mut config = PostgresConfig::from_uri(&uri)?;
        if let Some(password) = password {
            config = config.password(password);
        }
        let store = PostgresMetadata::open(config).await?;
        store.load(&row(1).id).await
    };
    let uri = cluster.uri();
    let refused = async |uri: String, password: &str, kind: ErrorKind, hint: &str| {
        let error = opened(uri.clone(), Some(password)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{uri}: {}", shown(&error));
        assert!(error.to_string().contains(hint), "{uri}: {error}");
        assert!(!shown(&error).contains(password));
    };
    let verified = format!("{uri}?sslmode=verify-full&sslrootcert={certificate}");
    opened(verified.clone(), Some(PASSWORD)).await.unwrap();
    opened(format!("{uri}?sslmode=require"), Some(PASSWORD)).await.unwrap();
    // As it stands in a URI.
    let in_uri = verified.replace("test@", "test:pass%20%2F%3A%40%3F%23%25word@");
    opened(in_uri, None).await.unwrap();
    refused(verified.clone(), SECRET, ErrorKind::Invalid, "refuses the user or the password").await;
    refused(format!("{uri}?sslmode=disable"), PASSWORD, ErrorKind::Invalid, "refuses the user").await;
    // No authority that the system trusts; another name than the certificate's.
    refused(format!("{uri}?sslmode=verify-full"), PASSWORD, ErrorKind::Unavailable, "check sslmode").await;
    let elsewhere = verified.replace("127.0.0.1", "localhost");
    refused(elsewhere, PASSWORD, ErrorKind::Unavailable, "check sslmode").await;
}
