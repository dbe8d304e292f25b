//! Records as objects of Google and Azure: what makes a storage of them makes a metadata store, too.

use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::ObjectMetadata;
use distribution_core::{MetadataStore, Storage, StoragePrefix};
use distribution_testkit::conformance::{Harness, MetadataHarness};
use futures::future::BoxFuture;
use tokio::runtime::Runtime;

/// An empty place in a service; `None` where no server is named.
struct Place<S> {
    service: Option<S>,
    runtime: Runtime,
}

trait Service: Send + Sync + 'static {
    fn storage(&self) -> Arc<dyn Storage>;
    /// How often each race is run.
    fn trials(&self) -> usize;
}

impl<S: Service> Harness for Place<S> {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }

    fn missing(&self) -> Option<String> {
        self.service.is_none().then(|| "no server is named, see .ci/servers".to_owned())
    }

    fn trials(&self) -> usize {
        self.service.as_ref().map_or(2, Service::trials)
    }
}

#[async_trait]
impl<S: Service> MetadataHarness for Place<S> {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        let prefix = StoragePrefix::parse("records/").unwrap();
        Arc::new(ObjectMetadata::new(self.service.as_ref().unwrap().storage(), prefix))
    }
}

#[cfg(feature = "gcs")]
mod google {
    use super::*;
    use crate::google::Google;

    impl Service for Google {
        fn storage(&self) -> Arc<dyn Storage> {
            Arc::new(crate::gcs::storage(self.clone()))
        }

        fn trials(&self) -> usize {
            4
        }
    }

    mod proof_of_object_metadata_on_a_double_of_google {
        use super::*;

        distribution_testkit::metadata_conformance!(Place {
            service: Some(Google::default()),
            runtime: crate::runtime(),
        });
    }
}

#[cfg(feature = "azblob")]
mod azure {
    use super::*;
    use crate::azurite::Server;

    struct Container {
        server: Server,
        name: String,
    }

    impl Service for Container {
        fn storage(&self) -> Arc<dyn Storage> {
            Arc::new(self.server.config(&self.name).open().unwrap())
        }

        fn trials(&self) -> usize {
            distribution_testkit::Budget::chosen().pick(2, 2, 24)
        }
    }

    fn place() -> Place<Container> {
        let runtime = crate::runtime();
        let server = Server::find("proof_of_object_metadata_on_azurite");
        let service = server.map(|server| Container { name: runtime.block_on(server.container()), server });
        Place { service, runtime }
    }

    mod proof_of_object_metadata_on_azurite {
        distribution_testkit::metadata_conformance!(super::place());
    }
}
