//! Records in a bucket or directory.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Error, MetadataStore, StoragePrefix};

use super::{AT, Metadata, Records};
use crate::ObjectMetadata;
use crate::blocking::blocking;
use crate::config::document::Places;
use crate::config::file::Credentials;
use crate::config::open::storage;
use crate::config::place::Place;

const AT_CREDENTIALS: &str = "metadata.credentials";

struct Objects {
    place: Place,
    credentials: Option<Credentials>,
}

/// What is behind `objects:`, as the `storage` of a target.
pub(super) fn parse(metadata: &Metadata, text: &str, base: &Path, places: &Places) -> Result<Arc<dyn Records>, Error> {
    let place = Place::parse(text, base).map_err(|error| places.locate(AT, error))?;
    if let Some(credentials) = &metadata.credentials {
        credentials.check(&place, AT_CREDENTIALS, places)?;
    }
    Ok(Arc::new(Objects { place, credentials: metadata.credentials.clone() }))
}

#[async_trait]
impl Records for Objects {
    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }

    async fn open(&self, base: &Path, places: &Places) -> Result<Arc<dyn MetadataStore>, Error> {
        let place = match (&self.place, self.credentials.clone()) {
            (Place::Bucket(bucket), Some(credentials)) => {
                let (bucket, base, places) = (bucket.clone(), base.to_owned(), places.clone());
                let given = blocking(move |_| credentials.give(&bucket, (AT_CREDENTIALS, &base, &places))).await?;
                Place::Bucket(given)
            }
            (place, _) => place.clone(),
        };
        let storage = storage(place, false).await.map_err(|error| places.locate(AT, error))?;
        Ok(Arc::new(ObjectMetadata::new(storage, StoragePrefix::default())))
    }
}
