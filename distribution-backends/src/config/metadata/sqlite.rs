//! Records in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Error, ErrorKind, MetadataStore};

use super::{AT, Records};
use crate::SqliteMetadata;
use crate::config::document::Places;

struct Sqlite(PathBuf);

/// What is behind `sqlite:`: a path, or `//` and an absolute one.
pub(super) fn parse(text: &str, base: &Path) -> Result<Arc<dyn Records>, Error> {
    let path = text.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(text);
    let is_path = !path.is_empty() && !path.starts_with("//") && !path.starts_with(':') && !path.contains(['?', '\0']);
    if !is_path {
        let message = "must be a path behind `sqlite:`, such as sqlite:records.db or sqlite:///srv/records.db";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(Arc::new(Sqlite(base.join(path))))
}

#[async_trait]
impl Records for Sqlite {
    async fn open(&self, _: &Path, places: &Places) -> Result<Arc<dyn MetadataStore>, Error> {
        let opened = SqliteMetadata::open(&self.0).await.map_err(|error| places.locate(AT, error))?;
        Ok(Arc::new(opened))
    }
}
