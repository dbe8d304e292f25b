//! Records in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Error, ErrorKind, MetadataStore};

use super::Records;
use crate::SqliteMetadata;

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
    async fn open(&self) -> Result<Arc<dyn MetadataStore>, Error> {
        Ok(Arc::new(SqliteMetadata::open(&self.0).await?))
    }
}
