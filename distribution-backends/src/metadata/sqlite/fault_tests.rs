use std::error::Error as _;

use bytes::Bytes;
use distribution_core::{AuditLogId, Checksum, Claim, ErrorKind, Index, MetadataStore, Row, State, Timestamp};
use sqlx::ConnectOptions as _;
use sqlx::migrate::MigrateError;

use super::SqliteMetadata;
use super::fault::{fault, migration_fault};

fn row(n: u32, body_bytes: usize) -> Row {
    let index = Index {
        concept_id: None,
        checksum: Checksum::of(b""),
        tags: vec!["a tag".into()],
        state: State::InProgress,
        settled: false,
        claimed_at: Timestamp::UNIX_EPOCH,
    };
    let id = AuditLogId::parse(format!("dist_{n:025}0")).unwrap();
    Row { id, revision: 0, index, body: Bytes::from(vec![b'x'; body_bytes]) }
}

async fn pragma(store: &SqliteMetadata, pragma: &'static str) {
    store.writer.write(sqlx::query(pragma)).await.unwrap();
}

#[tokio::test]
async fn a_locked_file_is_unavailable_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("records.db");
    let store = SqliteMetadata::open(&path).await.unwrap();
    pragma(&store, "PRAGMA busy_timeout = 1").await;

    let mut other = super::open::options(&path).connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let error = store.claim(&row(1, 10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().ends_with("records.db is locked by another process: repeat"), "{error}");
    assert!(error.source().is_some());
    assert_eq!(store.load(&row(1, 10).id).await.unwrap(), None, "readers do not wait for writers");

    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(store.claim(&row(1, 10)).await.unwrap(), Claim::Claimed);
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_the_store_goes_on_when_there_is_space() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteMetadata::open(directory.path().join("records.db")).await.unwrap();
    assert_eq!(store.claim(&row(1, 10)).await.unwrap(), Claim::Claimed);
    let next = Row { revision: 1, ..row(1, 500_000) };
    for _ in 0..3 {
        // For as long as the connection lives, which is until it meets an error.
        pragma(&store, "PRAGMA max_page_count = 1").await;
        let other = row(2, 500_000);
        let (claim, advance) = tokio::join!(store.claim(&other), store.advance(&next));
        let failed: Vec<_> = claim.err().into_iter().chain(advance.err()).collect();
        assert!(!failed.is_empty());
        for error in failed {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert!(error.to_string().contains("full disk"), "{error}");
        }
    }
    assert!(matches!(store.claim(&row(3, 500_000)).await.unwrap(), Claim::Claimed));
    let found = store.load(&next.id).await.unwrap().unwrap();
    assert!(found == row(1, 10) || found == next);
}

#[tokio::test]
async fn a_write_waits_for_another_process_that_is_soon_done() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("records.db");
    let store = SqliteMetadata::open(&path).await.unwrap();
    let mut other = super::open::options(&path).connect().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let release = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        sqlx::query("COMMIT").execute(&mut other).await.unwrap();
    };
    let row = row(1, 10);
    let (claim, ()) = tokio::join!(store.claim(&row), release);
    assert_eq!(claim.unwrap(), Claim::Claimed);
}

#[test]
fn faults_of_the_connection_are_unavailable_and_of_the_migrations_are_not() {
    let io = || sqlx::Error::Io(std::io::Error::other("gone"));
    for error in [sqlx::Error::PoolTimedOut, sqlx::Error::PoolClosed, sqlx::Error::WorkerCrashed, io()] {
        assert_eq!(fault("x.db", error).kind(), ErrorKind::Unavailable);
    }
    assert_eq!(fault("x.db", sqlx::Error::Decode("no".into())).kind(), ErrorKind::Corrupt);
    let kind = |error| migration_fault("x.db", error).kind();
    assert_eq!(kind(MigrateError::VersionMissing(9)), ErrorKind::Unsupported);
    assert_eq!(kind(MigrateError::VersionMismatch(1)), ErrorKind::Corrupt);
    assert_eq!(kind(MigrateError::ExecuteMigration(io(), 1)), ErrorKind::Unavailable);
}
