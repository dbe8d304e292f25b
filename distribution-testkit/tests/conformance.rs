//! The fakes pass the suites that real backends pass.

use std::sync::Arc;

use distribution_core::{MetadataStore, ObjectKey, Storage, TargetName, Verification};
use distribution_testkit::conformance::{Harness, MetadataHarness, StorageHarness};
use distribution_testkit::{MemoryMetadata, MemoryStorage, World};

#[derive(Default)]
struct Memory {
    world: World,
    proof: Option<Verification>,
}

impl Harness for Memory {}

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
}

#[async_trait::async_trait]
impl MetadataHarness for Memory {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        Arc::new(MemoryMetadata::new(&self.world))
    }
}

mod storage {
    distribution_testkit::storage_conformance!(super::Memory::default());
}

mod storage_with_proof {
    use super::*;

    distribution_testkit::storage_conformance!(Memory {
        proof: Some(Verification::StoreAttested),
        ..Memory::default()
    });
}

mod metadata {
    distribution_testkit::metadata_conformance!(super::Memory::default());
}
