//! Every sink keeps the guarantees of the port, and a chain that verifies after whatever was done to it.
#![cfg(feature = "sqlite")]

use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::{JsonlAudit, LocalDisk, ObjectAudit, Seal, SqliteAudit, Verifier};
use distribution_core::{AuditEntry, AuditSink, ErrorKind, ObjectKey, Storage, StoragePrefix};
use distribution_testkit::conformance::{AuditHarness, Harness};
use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::trails::{key, trail};

#[derive(Clone, Copy)]
enum Kind {
    Jsonl,
    Sqlite,
    Objects,
}

struct Site {
    kind: Kind,
    directory: TempDir,
    runtime: Runtime,
}

impl Site {
    fn new(kind: Kind) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { kind, directory: TempDir::new().unwrap(), runtime }
    }

    fn file(&self) -> std::path::PathBuf {
        self.directory.path().join("audit")
    }

    fn storage(&self) -> Arc<LocalDisk> {
        Arc::new(LocalDisk::open(self.directory.path()).unwrap())
    }

    fn prefix() -> StoragePrefix {
        StoragePrefix::parse("audit/").unwrap()
    }

    async fn verify(&self) {
        let verifier = Verifier::new().with_key(key().public_key().clone());
        let verifier = match self.kind {
            Kind::Jsonl => JsonlAudit::verify(self.file(), verifier).unwrap(),
            Kind::Sqlite => SqliteAudit::verify(self.file(), verifier).await.unwrap(),
            Kind::Objects => ObjectAudit::verify(&*self.storage(), &Self::prefix(), verifier).await.unwrap(),
        };
        let verdict = verifier.finish();
        // The suite appends in any order, and so leaves gaps in trails.
        let wrong = verdict.findings.iter().find(|finding| finding.kind != distribution_backends::FindingKind::Gap);
        assert_eq!(wrong, None);
        assert_eq!(verdict.entries, verdict.signed);
    }
}

impl Harness for Site {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }
}

#[async_trait]
impl AuditHarness for Site {
    async fn open(&self) -> Arc<dyn AuditSink> {
        let seal = Seal::default().signed_by(key());
        match self.kind {
            Kind::Jsonl => Arc::new(JsonlAudit::open_sealed(self.file(), seal).await.unwrap()),
            Kind::Sqlite => Arc::new(SqliteAudit::open(self.file(), seal).await.unwrap()),
            Kind::Objects => Arc::new(ObjectAudit::open(self.storage(), Self::prefix(), seal).await.unwrap()),
        }
    }

    async fn kept(&self) -> Vec<AuditEntry> {
        self.verify().await;
        match self.kind {
            Kind::Jsonl => JsonlAudit::read(self.file()).unwrap().map(Result::unwrap).collect(),
            Kind::Sqlite => SqliteAudit::read(self.file()).await.unwrap(),
            Kind::Objects => ObjectAudit::read(&*self.storage(), &Self::prefix()).await.unwrap(),
        }
    }
}

mod proof_of_jsonl_audit_signed {
    use super::{Kind, Site};

    distribution_testkit::audit_conformance!(Site::new(Kind::Jsonl));
}

mod proof_of_sqlite_audit {
    use super::{Kind, Site};

    distribution_testkit::audit_conformance!(Site::new(Kind::Sqlite));
}

mod proof_of_object_audit {
    use super::{Kind, Site};

    distribution_testkit::audit_conformance!(Site::new(Kind::Objects));
}

#[tokio::test]
async fn an_object_of_the_chain_that_is_gone_is_missed() {
    let site = TempDir::new().unwrap();
    let (storage, prefix) = (Arc::new(LocalDisk::open(site.path()).unwrap()), Site::prefix());
    let sink = ObjectAudit::open(storage.clone(), prefix.clone(), Seal::default()).await.unwrap();
    for entry in trail(0) {
        sink.append(&[entry]).await.unwrap();
    }
    let key = ObjectKey::parse("audit/00000000000000000002.jsonl").unwrap();
    storage.remove(&key).await.unwrap();
    let verdict = ObjectAudit::verify(&*storage, &prefix, Verifier::new()).await.unwrap().finish();
    assert_eq!(verdict.findings[0].position, Some(2), "{:?}", verdict.findings);
    let error = ObjectAudit::open(storage, prefix, Seal::default()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_database_that_is_gone_or_of_another_chain_is_noticed() {
    let site = TempDir::new().unwrap();
    let path = site.path().join("audit.db");
    let sink = SqliteAudit::open(&path, Seal::default()).await.unwrap();
    sink.append(&trail(0)).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(sink.append(&trail(1)).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let other = SqliteAudit::open(&path, Seal::default()).await.unwrap();
    other.append(&trail(1)).await.unwrap();
    let error = SqliteAudit::open(&path, Seal::new("//other").unwrap()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_table_is_read_in_pages_and_row_by_row() {
    let site = TempDir::new().unwrap();
    let path = site.path().join("audit.db");
    let sink = SqliteAudit::open(&path, Seal::default()).await.unwrap();
    let all: Vec<AuditEntry> = (0..300).flat_map(trail).collect();
    sink.append(&all).await.unwrap();
    assert!(all.len() > 1000);
    assert_eq!(SqliteAudit::read(&path).await.unwrap(), all);
    let first: Vec<AuditEntry> = SqliteAudit::entries(&path).take(3).try_collect().await.unwrap();
    assert_eq!(first, all[..3]);
    let verdict = SqliteAudit::verify(&path, Verifier::new()).await.unwrap().finish();
    assert!(verdict.is_clean() && verdict.entries == all.len() as u64, "{:?}", verdict.findings);
}

#[tokio::test]
async fn no_statement_replaces_a_row() {
    let site = TempDir::new().unwrap();
    let path = site.path().join("audit.db");
    let sink = SqliteAudit::open(&path, Seal::default()).await.unwrap();
    sink.append(&trail(1)).await.unwrap();
    let run = async |statement: &'static str| {
        let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
        let done = sqlx::raw_sql(statement).execute(&mut connection).await;
        connection.close().await.unwrap();
        done.map(|done| done.rows_affected())
    };
    for (statement, refusal) in [
        ("UPDATE audit_entry SET event = x'00'", "not changed"),
        ("DELETE FROM audit_entry", "not removed"),
        ("REPLACE INTO audit_entry VALUES (1, 'other', x'00')", "not replaced"),
        ("INSERT OR REPLACE INTO audit_entry SELECT position, id, x'00' FROM audit_entry", "not replaced"),
    ] {
        let error = run(statement).await.unwrap_err().to_string();
        assert!(error.contains(refusal), "{statement}: {error}");
    }
    // By its name, at another position.
    let by_name = "INSERT OR REPLACE INTO audit_entry SELECT position + 100, id, x'00' FROM audit_entry";
    assert_eq!(run(by_name).await.unwrap(), 0);
    sink.append(&trail(1)).await.unwrap();
    sink.append(&trail(3)).await.unwrap();
    let verdict = SqliteAudit::verify(&path, Verifier::new()).await.unwrap().finish();
    assert!(verdict.is_clean() && verdict.entries == 7, "{verdict:?}");
}

#[tokio::test]
async fn nothing_is_appended_behind_an_object_that_is_broken_in_its_middle() {
    let site = TempDir::new().unwrap();
    let (storage, prefix) = (Arc::new(LocalDisk::open(site.path()).unwrap()), Site::prefix());
    let open = async || ObjectAudit::open(storage.clone(), prefix.clone(), Seal::default()).await.unwrap();
    let (ours, other) = (open().await, open().await);
    other.append(&trail(1)).await.unwrap();
    let path = site.path().join("audit/00000000000000000000.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let first = whole.split_inclusive('\n').next().unwrap();
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, format!("{first}{{}}\n")).unwrap();
    for n in [3, 5, 3] {
        assert_eq!(ours.append(&trail(n)).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert_eq!(std::fs::read_dir(site.path().join("audit")).unwrap().count(), 1, "nothing comes behind it");
    // Once it is restored, the chain goes on.
    std::fs::write(&path, whole).unwrap();
    ours.append(&trail(3)).await.unwrap();
    let verdict = ObjectAudit::verify(&*storage, &prefix, Verifier::new()).await.unwrap().finish();
    assert!(verdict.is_clean() && verdict.entries == 7, "{verdict:?}");
    let first: Vec<AuditEntry> = ObjectAudit::entries(&*storage, &prefix).take(1).try_collect().await.unwrap();
    assert_eq!(first, trail(1)[..1]);
}
