//! `PostgresMetadata` keeps every guarantee of its port: no waivers.

use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::MetadataStore;
use distribution_testkit::conformance::{Harness, MetadataHarness};
use futures::future::BoxFuture;
use tokio::runtime::Runtime;

use crate::server::{Schema, missing};

struct Postgres {
    runtime: Runtime,
    /// `None` without a server.
    schema: Option<Schema>,
}

impl Postgres {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { runtime, schema: missing().is_none().then(|| Schema::new().unwrap()) }
    }
}

impl Harness for Postgres {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }

    fn missing(&self) -> Option<String> {
        missing()
    }
}

#[async_trait]
impl MetadataHarness for Postgres {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        Arc::new(self.schema.as_ref().unwrap().open().await)
    }
}

mod proof_of_postgres_metadata {
    distribution_testkit::metadata_conformance!(super::Postgres::new());
}
