//! The local backends keep every guarantee of their ports: no waivers.

#![cfg(feature = "sqlite")]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::{HmacKey, HmacSigner, JsonlAudit, LocalDisk, LocalFiles, SqliteMetadata};
use distribution_core::{
    AuditEntry, AuditSink, Link, MetadataStore, ObjectKey, Source, Staging, Storage, Timestamp, UrlSigner, VideoUrl,
};
use distribution_testkit::conformance::{
    AuditHarness, Harness, MetadataHarness, SignerHarness, SourceHarness, StagingHarness, StorageHarness,
};
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::runtime::Runtime;

struct Local {
    dir: TempDir,
    /// Whether a staged file is replaced by another one, and not written anew.
    replaces: bool,
    runtime: Runtime,
}

impl Local {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { dir: TempDir::new().unwrap(), replaces: false, runtime }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// As a volume that is not mounted any more.
    fn cut_off(&self, name: &str, cut_off: bool) -> bool {
        let away = self.path("away");
        let (from, to) = if cut_off { (self.path(name), away) } else { (away, self.path(name)) };
        fs::rename(from, to).is_ok()
    }
}

impl Harness for Local {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }
}

#[async_trait]
impl StorageHarness for Local {
    async fn open(&self) -> Arc<dyn Storage> {
        fs::create_dir_all(self.path("objects")).unwrap();
        Arc::new(LocalDisk::open(self.path("objects")).unwrap())
    }

    async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
        fs::write(self.path("objects").join(key.as_str()), bytes).is_ok()
    }

    async fn cut_off(&self, cut_off: bool) -> bool {
        self.cut_off("objects", cut_off)
    }

    fn scratch(&self) -> PathBuf {
        self.dir.path().to_owned()
    }
}

#[async_trait]
impl MetadataHarness for Local {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        Arc::new(SqliteMetadata::open(self.path("records.sqlite")).await.unwrap())
    }
}

#[async_trait]
impl AuditHarness for Local {
    async fn open(&self) -> Arc<dyn AuditSink> {
        Arc::new(JsonlAudit::open(self.path("audit.jsonl")).await.unwrap())
    }

    async fn kept(&self) -> Vec<AuditEntry> {
        JsonlAudit::read(self.path("audit.jsonl")).unwrap().map(Result::unwrap).collect()
    }
}

#[async_trait]
impl SourceHarness for Local {
    async fn open(&self) -> Arc<dyn Source> {
        fs::create_dir_all(self.path("staging")).unwrap();
        Arc::new(LocalFiles::open(self.path("staging")).unwrap())
    }

    fn url(&self, name: &str) -> VideoUrl {
        VideoUrl::parse(name).unwrap()
    }

    async fn stage(&self, name: &str, bytes: &[u8]) {
        let path = self.path("staging").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        if self.replaces {
            fs::write(self.path("staging/new"), bytes).unwrap();
            fs::rename(self.path("staging/new"), path).unwrap();
        } else {
            fs::write(path, bytes).unwrap();
        }
    }

    async fn cut_off(&self, cut_off: bool) -> bool {
        self.cut_off("staging", cut_off)
    }

    fn refused(&self) -> Vec<VideoUrl> {
        ["../clip.mp4", "file:///etc/passwd", "https://host.example/clip.mp4", "a//b", "./a", "a/../../b"]
            .map(|url| VideoUrl::parse(url).unwrap())
            .into()
    }
}

#[async_trait]
impl StagingHarness for Local {
    async fn staging(&self) -> Arc<dyn Staging> {
        fs::create_dir_all(self.path("staging")).unwrap();
        Arc::new(LocalFiles::open(self.path("staging")).unwrap())
    }
}

/// One key for all who open: a signer has nothing but its keys.
const SECRET: [u8; 32] = [7; 32];
const BASE: &str = "https://media.example/files";

impl Local {
    fn signer() -> HmacSigner {
        HmacSigner::new(BASE, HmacKey::new("k1", SECRET).unwrap()).unwrap()
    }
}

#[async_trait]
impl SignerHarness for Local {
    async fn open(&self) -> Arc<dyn UrlSigner> {
        Arc::new(Self::signer())
    }

    async fn stranger(&self) -> Option<Arc<dyn UrlSigner>> {
        // With the same id, as if it knew all but the secret.
        Some(Arc::new(HmacSigner::new(BASE, HmacKey::new("k1", [8; 32]).unwrap()).unwrap()))
    }

    async fn fetches(&self, method: &str, link: &Link, key: &ObjectKey, now: Timestamp) -> Option<bool> {
        let rest = link.expose().strip_prefix(BASE).and_then(|rest| rest.strip_prefix('/'));
        let granted = rest.and_then(|rest| rest.split_once('?')).and_then(|(path, query)| {
            futures::executor::block_on(Self::signer().verify(method, path, query, now)).ok()
        });
        Some(granted.is_some_and(|grant| grant.key == *key))
    }
}

mod proof_of_local_disk {
    distribution_testkit::storage_conformance!(super::Local::new());
}

mod proof_of_sqlite_metadata {
    distribution_testkit::metadata_conformance!(super::Local::new());
}

mod proof_of_jsonl_audit {
    distribution_testkit::audit_conformance!(super::Local::new());
}

mod proof_of_local_files {
    distribution_testkit::source_conformance!(super::Local::new());
}

mod proof_of_local_files_that_are_replaced {
    use super::Local;

    distribution_testkit::source_conformance!(Local { replaces: true, ..Local::new() });
}

// Not of files that are written where they are: who has one open writes on to it when its name is gone.
mod local_staging_of_replaced_files {
    use super::Local;

    distribution_testkit::staging_conformance!(Local { replaces: true, ..Local::new() });
}

mod proof_of_hmac_signer {
    distribution_testkit::signer_conformance!(super::Local::new());
}
