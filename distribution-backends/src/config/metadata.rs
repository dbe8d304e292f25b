//! Where records are kept. The scheme of a URI tells which store it is.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Error, ErrorKind, MetadataStore};
use serde::Deserialize;

use super::document::Places;

#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "sqlite")]
use self::sqlite::parse as sqlite;

/// `[metadata]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Metadata {
    /// `sqlite:records.db`: a file, made if absent, which processes of one machine may share.
    uri: String,
}

/// A store that is not open yet.
#[async_trait]
pub(super) trait Records: Send + Sync {
    async fn open(&self) -> Result<Arc<dyn MetadataStore>, Error>;
}

/// The key that errors name.
pub(super) const AT: &str = "metadata.uri";

impl Metadata {
    /// # Errors
    /// `Invalid` for what names no store; `Unsupported` for one that this build has not.
    pub(super) fn check(&self, base: &Path, places: &Places) -> Result<Arc<dyn Records>, Error> {
        let found = match self.uri.split_once(':') {
            Some(("sqlite", path)) => sqlite(path, base),
            _ => Err(Error::new(ErrorKind::Invalid, "must be like sqlite:records.db")),
        };
        found.map_err(|error| places.locate(AT, error))
    }
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_: &str, _: &Path) -> Result<Arc<dyn Records>, Error> {
    Err(super::bucket::lacks("sqlite"))
}
