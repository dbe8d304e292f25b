//! opendal's own memory keeps every guarantee that memory can.

use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::OpendalStorage;
use distribution_backends::opendal::{Operator, services::Memory};
use distribution_core::{ObjectKey, Storage};
use distribution_testkit::conformance::{Harness, StorageHarness, Waivers};
use futures::future::BoxFuture;
use tokio::runtime::Runtime;

struct InMemory {
    operator: Operator,
    runtime: Runtime,
}

impl InMemory {
    fn new() -> Self {
        Self { operator: Operator::new(Memory::default()).unwrap(), runtime: crate::runtime() }
    }
}

impl Harness for InMemory {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }
}

#[async_trait]
impl StorageHarness for InMemory {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(OpendalStorage::new(self.operator.clone(), "memory://test").unwrap())
    }

    async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
        self.operator.write(key.as_str(), bytes.to_vec()).await.is_ok()
    }

    fn waived(&self) -> Waivers {
        &[("out_of_reach_is_an_error", "memory is never out of reach")]
    }
}

mod proof_of_memory {
    distribution_testkit::storage_conformance!(super::InMemory::new());
}
