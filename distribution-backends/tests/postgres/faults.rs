//! What becomes of a write that the server refuses, or does not answer.

use std::time::Duration;

use distribution_backends::{PostgresConfig, PostgresMetadata};
use distribution_core::{Advance, Claim, ErrorKind, MetadataStore};
use sqlx::Connection as _;

use crate::proxy::Proxy;
use crate::rows::{id, next, row};
use crate::server::Schema;

#[tokio::test]
async fn each_refusal_of_the_server_has_its_meaning_and_changes_nothing() {
    use ErrorKind::{Corrupt, Unavailable};
    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
    store.claim(&row(1)).await.unwrap();
    let raise = "CREATE TABLE wanted (code text); INSERT INTO wanted VALUES ('00000'); \
                 CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 RAISE EXCEPTION 'refused' USING ERRCODE = (SELECT code FROM wanted), DETAIL = 'a secret'; END $$; \
                 CREATE TRIGGER refuse BEFORE UPDATE ON publication EXECUTE FUNCTION refuse()";
    schema.execute(raise).await;
    let meanings = [
        ("25006", Unavailable, "name leads to"),
        ("40001", Unavailable, "repeat"),
        ("40P01", Unavailable, "repeat"),
        ("42501", Unavailable, "privilege"),
        ("53100", Unavailable, "full disk"),
        ("53300", Unavailable, "too many connections"),
        ("55P03", Unavailable, "locked"),
        ("57014", Unavailable, "took too long"),
        ("57P01", Unavailable, "stopping or starting"),
        ("58030", Unavailable, "repeat"),
        ("42P01", Corrupt, "expected tables"),
        ("42703", Corrupt, "expected tables"),
        ("22001", Corrupt, "edited by hand"),
        ("23514", Corrupt, "edited by hand"),
        ("XX001", Corrupt, "restore it"),
    ];
    for (code, kind, hint) in meanings {
        schema.execute(&format!("UPDATE wanted SET code = '{code}'")).await;
        let error = store.advance(&next(&row(1))).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{code}: {error}");
        assert!(error.to_string().contains(hint), "{code}: {error}");
        let cause = std::error::Error::source(&error).unwrap();
        assert_eq!(cause.to_string(), format!("{code} refused"));
        assert!(!format!("{cause:?}").contains("secret"), "details hold the values of rows");
        assert_eq!(store.load(&id(1)).await.unwrap(), Some(row(1)));
    }
    schema.execute("DROP TRIGGER refuse ON publication").await;
    assert_eq!(store.advance(&next(&row(1))).await.unwrap(), Advance::Advanced);
}

#[tokio::test]
async fn a_write_whose_connection_ends_is_unknown_and_not_sent_again() {
    let Some(schema) = Schema::new() else { return };
    let store = schema.open().await;
    store.claim(&row(1)).await.unwrap();
    let mut other = schema.connect().await;
    let mut locking = other.begin().await.unwrap();
    sqlx::query("SELECT FROM publication FOR UPDATE").execute(&mut *locking).await.unwrap();
    let (first, second) = (next(&row(1)), next(&next(&row(1))));
    let ending = async {
        // The two that are about one row wait for each other; the first waits for the lock.
        let waits = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE NOT granted AND pg_blocking_pids(pid) && ARRAY(SELECT pid FROM pg_locks \
             WHERE granted AND relation = '{}.publication'::regclass AND mode = 'RowShareLock')",
            schema.name
        );
        while schema.execute(&waits).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // What is sent again would get through now.
        tokio::time::sleep(Duration::from_millis(50)).await;
        locking.rollback().await.unwrap();
    };
    let (first, second, ()) = tokio::join!(store.advance(&first), store.advance(&second), ending);
    assert_eq!(first.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(second.unwrap(), Advance::Superseded(row(1)), "it was written after one that was not");
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(row(1)), "it was sent again");
}

#[tokio::test]
async fn connections_that_were_cut_while_idle_are_made_anew_without_a_failure() {
    let Some(schema) = Schema::new() else { return };
    let proxy = Proxy::start(schema.address()).await;
    let uri = schema.uri.replace(schema.address(), &proxy.addr.to_string());
    let config = PostgresConfig::from_uri(&uri).unwrap().schema(&schema.name);
    let store = PostgresMetadata::open(config).await.unwrap();
    store.claim(&row(1)).await.unwrap();
    store.load(&id(1)).await.unwrap();
    proxy.cut();
    // As long as a connection is trusted.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(store.load(&id(1)).await.unwrap(), Some(row(1)));
    assert_eq!(store.advance(&next(&row(1))).await.unwrap(), Advance::Advanced);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up() {
    let Some(schema) = Schema::new() else { return };
    drop(schema.open().await);
    let slow = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; \
                END $$; CREATE TRIGGER wait BEFORE INSERT ON publication EXECUTE FUNCTION wait()";
    schema.execute(slow).await;
    let config = schema.config().statement_timeout(Duration::from_millis(200));
    let store = PostgresMetadata::open(config).await.unwrap();
    let error = store.claim(&row(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("took too long"), "{error}");
    schema.execute("DROP TRIGGER wait ON publication").await;
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Claimed);
}
