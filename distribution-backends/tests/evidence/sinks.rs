//! Every sink keeps the guarantees of the port, and a chain that verifies after whatever was done to it.
#![cfg(feature = "sqlite")]

use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::{JsonlAudit, LocalDisk, ObjectAudit, Seal, SqliteAudit, Verifier};
use distribution_core::{AuditEntry, AuditSink, ErrorKind, ObjectKey, Storage, StoragePrefix};
use distribution_testkit::conformance::{AuditHarness, Harness};
use futures::future::BoxFuture;
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
