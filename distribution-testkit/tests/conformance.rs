//! The fakes pass the suites that real backends pass.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use distribution_core::{
    AuditEntry, AuditSink, ContentHeaders, Link, MetadataStore, ObjectKey, Source, Staging, Storage, TargetName,
    Timestamp, UrlSigner, Verification, VideoUrl,
};
use distribution_testkit::conformance::{
    AuditHarness, Harness, MetadataHarness, SignerHarness, SourceHarness, StagingHarness, StorageHarness,
};
use distribution_testkit::{
    Fault, MemoryAudit, MemoryMetadata, MemorySource, MemoryStaging, MemoryStorage, TestSigner, World,
};

#[derive(Default)]
struct Memory {
    world: World,
    proof: Option<Verification>,
}

impl Harness for Memory {}

impl Memory {
    fn cut_off(&self, cut_off: bool) -> bool {
        if cut_off {
            self.world.fail(|_| Some(Fault::LostRequest));
        } else {
            self.world.heal();
        }
        true
    }
}

#[async_trait::async_trait]
impl StorageHarness for Memory {
    async fn open(&self) -> Arc<dyn Storage> {
        let storage = MemoryStorage::new(&self.world, &TargetName::parse("main").unwrap());
        match self.proof {
            Some(how) => Arc::new(storage.with_proof(how)),
            None => Arc::new(storage),
        }
    }

    async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
        self.world.corrupt("main", key.as_str(), |stored| *stored = bytes.to_vec())
    }

    async fn cut_off(&self, cut_off: bool) -> bool {
        self.cut_off(cut_off)
    }

    async fn headers(&self, key: &ObjectKey) -> Option<ContentHeaders> {
        self.world.object("main", key.as_str()).map(|object| object.headers)
    }
}

#[async_trait::async_trait]
impl MetadataHarness for Memory {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        Arc::new(MemoryMetadata::new(&self.world))
    }
}

#[async_trait::async_trait]
impl AuditHarness for Memory {
    async fn open(&self) -> Arc<dyn AuditSink> {
        Arc::new(MemoryAudit::new(&self.world))
    }

    async fn kept(&self) -> Vec<AuditEntry> {
        self.world.audit()
    }
}

#[async_trait::async_trait]
impl SignerHarness for Memory {
    async fn open(&self) -> Arc<dyn UrlSigner> {
        Arc::new(TestSigner::new(&self.world))
    }

    async fn stranger(&self) -> Option<Arc<dyn UrlSigner>> {
        None
    }

    async fn fetches(&self, method: &str, link: &Link, key: &ObjectKey, now: Timestamp) -> Option<bool> {
        Some(matches!(method, "GET" | "HEAD") && TestSigner::open(link, now).as_ref() == Some(key))
    }
}

#[async_trait::async_trait]
impl StagingHarness for Memory {
    async fn staging(&self) -> Arc<dyn Staging> {
        Arc::new(MemoryStaging::new(&self.world))
    }
}

#[async_trait::async_trait]
impl SourceHarness for Memory {
    async fn open(&self) -> Arc<dyn Source> {
        Arc::new(MemorySource::new(&self.world))
    }

    fn url(&self, name: &str) -> VideoUrl {
        VideoUrl::parse(name).unwrap()
    }

    async fn stage(&self, name: &str, bytes: &[u8]) {
        self.world.stage(name, bytes.to_vec());
    }

    async fn cut_off(&self, cut_off: bool) -> bool {
        self.cut_off(cut_off)
    }

    fn refused(&self) -> Vec<VideoUrl> {
        let refused =
            ["ftp://host/clip.mp4", "http://host/clip.mp4", "../clip.mp4", "edits/../../clip.mp4", "/etc/passwd"];
        refused.map(|url| VideoUrl::parse(url).unwrap()).into()
    }
}

mod proof_of_storage {
    distribution_testkit::storage_conformance!(super::Memory::default());
}

mod storage_with_legal_holds {
    use super::*;

    fn memory() -> Memory {
        let memory = Memory::default();
        memory.world.give_legal_holds(&TargetName::parse("main").unwrap());
        memory
    }

    distribution_testkit::storage_conformance!(memory());
}

mod proof_of_storage_with_proof {
    use super::*;

    distribution_testkit::storage_conformance!(Memory {
        proof: Some(Verification::StoreAttested),
        ..Memory::default()
    });
}

mod proof_of_metadata {
    distribution_testkit::metadata_conformance!(super::Memory::default());
}

mod proof_of_audit {
    distribution_testkit::audit_conformance!(super::Memory::default());
}

mod proof_of_signer {
    distribution_testkit::signer_conformance!(super::Memory::default());
}

mod proof_of_source {
    distribution_testkit::source_conformance!(super::Memory::default());
}

mod staging {
    distribution_testkit::staging_conformance!(super::Memory::default());
}
