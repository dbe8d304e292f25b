//! The checks of every metadata store.

use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::{LocalDisk, ObjectMetadata};
use distribution_core::{MetadataStore, StoragePrefix, TargetName};
use distribution_testkit::conformance::{Harness, MetadataHarness};
use distribution_testkit::{MemoryStorage, World};
use futures::future::BoxFuture;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub(crate) fn prefix() -> StoragePrefix {
    StoragePrefix::parse("records/").unwrap()
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// In memory, without a runtime.
struct Memory(World);

impl Harness for Memory {}

#[async_trait]
impl MetadataHarness for Memory {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        let storage = MemoryStorage::new(&self.0, &TargetName::default());
        Arc::new(ObjectMetadata::new(Arc::new(storage), prefix()))
    }
}

mod proof_of_object_metadata_in_memory {
    distribution_testkit::metadata_conformance!(super::Memory(distribution_testkit::World::new()));
}

struct Disk {
    dir: TempDir,
    runtime: Runtime,
}

impl Harness for Disk {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }

    fn trials(&self) -> usize {
        distribution_testkit::Budget::chosen().pick(4, 6, 200)
    }
}

#[async_trait]
impl MetadataHarness for Disk {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        Arc::new(ObjectMetadata::new(Arc::new(LocalDisk::open(self.dir.path()).unwrap()), prefix()))
    }
}

mod proof_of_object_metadata_on_disk {
    distribution_testkit::metadata_conformance!(super::Disk {
        dir: tempfile::tempdir().unwrap(),
        runtime: super::runtime(),
    });
}

#[cfg(feature = "s3")]
mod s3 {
    use std::sync::OnceLock;

    use distribution_backends::{Probe, S3Storage};

    use super::*;
    use crate::s3_server::S3Server;
    use crate::server::Server;

    /// A fresh prefix on a server.
    pub(super) struct Bucket {
        server: Option<Server>,
        prefix: String,
        runtime: Runtime,
        _served: Option<S3Server>,
    }

    impl Bucket {
        pub(super) fn named(variable: &str) -> Self {
            Self::on(Server::named(variable), None, runtime())
        }

        pub(super) fn double() -> Self {
            let runtime = runtime();
            let (server, _, served) = runtime.block_on(Server::double());
            Self::on(Some(server), Some(served), runtime)
        }

        fn on(server: Option<Server>, served: Option<S3Server>, runtime: Runtime) -> Self {
            if let Some(server) = &server {
                server.bucket();
            }
            let mut random = [0; 6];
            getrandom::fill(&mut random).unwrap();
            let prefix = format!("p-{}", data_encoding::HEXLOWER.encode(&random));
            Self { server, prefix, runtime, _served: served }
        }
    }

    impl Harness for Bucket {
        fn run(&self, future: BoxFuture<'_, ()>) {
            self.runtime.block_on(future);
        }

        fn missing(&self) -> Option<String> {
            self.server.is_none().then(|| "no server is named, see .ci/servers".to_owned())
        }

        fn trials(&self) -> usize {
            distribution_testkit::Budget::chosen().pick(2, 2, 24)
        }
    }

    #[async_trait]
    impl MetadataHarness for Bucket {
        async fn open(&self) -> Arc<dyn MetadataStore> {
            // Once for all: what one finds holds for the next.
            static PROBE: OnceLock<Probe> = OnceLock::new();
            let server = self.server.as_ref().unwrap();
            let config = server.config(server.bucket(), &self.prefix, &server.host);
            let storage = match PROBE.get() {
                Some(probe) => {
                    let probe = Probe { target: config.place(), ..probe.clone() };
                    S3Storage::open_probed(config, probe).unwrap()
                }
                None => S3Storage::open(config).await.unwrap(),
            };
            PROBE.get_or_init(|| storage.probe().clone());
            Arc::new(ObjectMetadata::new(Arc::new(storage), prefix()))
        }
    }
}

#[cfg(feature = "s3")]
mod proof_of_object_metadata_on_s3 {
    distribution_testkit::metadata_conformance!(super::s3::Bucket::named("DISTRIBUTION_TEST_S3"));
}

#[cfg(feature = "s3")]
mod proof_of_object_metadata_on_the_double {
    distribution_testkit::metadata_conformance!(super::s3::Bucket::double());
}
