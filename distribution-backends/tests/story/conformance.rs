//! The metadata suite, over both transports.

use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::{SqliteMetadata, StoryContract, StoryMcpMetadata};
use distribution_core::MetadataStore;
use distribution_testkit::conformance::{Harness, MetadataHarness};
use distribution_testkit::story::StoryServer;
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::child;
use crate::server::{Http, Story};

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Each opening is a child of its own, over one SQLite file.
struct Stdio {
    dir: TempDir,
    runtime: Runtime,
}

impl Harness for Stdio {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }

    fn trials(&self) -> usize {
        distribution_testkit::Budget::chosen().pick(4, 12, 200)
    }
}

#[async_trait]
impl MetadataHarness for Stdio {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        let config = child::config(&self.dir.path().join("records.db"));
        Arc::new(StoryMcpMetadata::open(config, StoryContract::default()).await.unwrap())
    }
}

mod over_stdio {
    use super::*;

    distribution_testkit::metadata_conformance!(Stdio { dir: TempDir::new().unwrap(), runtime: runtime() });
}

/// Each opening is a session of its own with one server.
struct OverHttp {
    dir: TempDir,
    runtime: Runtime,
    server: OnceCell<Http>,
}

impl Harness for OverHttp {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }

    fn trials(&self) -> usize {
        distribution_testkit::Budget::chosen().pick(4, 12, 200)
    }
}

#[async_trait]
impl MetadataHarness for OverHttp {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        let server = self.server.get_or_init(|| async {
            let records = SqliteMetadata::open(self.dir.path().join("records.db")).await.unwrap();
            Http::serve(&Story::new(StoryServer::new(Arc::new(records)))).await
        });
        Arc::new(server.await.open().await)
    }
}

mod over_http {
    use super::*;

    distribution_testkit::metadata_conformance!(OverHttp {
        dir: TempDir::new().unwrap(),
        runtime: runtime(),
        server: OnceCell::new(),
    });
}
