//! Google Cloud Storage.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Error, Storage, UrlSigner};

use super::{Bucket, ReadSecret, finished, probed};
use crate::config::file::{Beyond, Credentials, Disposed};
use crate::{GcsConfig, PresignSigner};

pub(in crate::config) fn parse(uri: &str) -> Result<Arc<dyn Bucket>, Error> {
    Ok(Arc::new(GcsConfig::from_uri(uri)?))
}

#[async_trait]
impl Bucket for GcsConfig {
    fn name(&self) -> &'static str {
        "a gs:// bucket"
    }

    fn at(&self) -> (String, &str) {
        (format!("{} at {:?}", self.bucket, self.endpoint), &self.prefix)
    }

    fn uri(&self) -> String {
        format!("gs://{}/{}", self.bucket, self.prefix)
    }

    fn credentials(&self) -> &'static [&'static str] {
        &["key_file"]
    }

    fn with(&self, credentials: &Credentials, _: ReadSecret<'_>) -> Result<Arc<dyn Bucket>, Error> {
        let path = credentials.key_file.as_deref().unwrap_or(Path::new(""));
        Ok(Arc::new(self.clone().with_key_file(path)))
    }

    async fn open(&self, _attested: bool) -> Result<Arc<dyn Storage>, Error> {
        probed(GcsConfig::open(self)?).await
    }

    fn signer(&self, disposition: Disposed, beyond: Beyond) -> Result<Arc<dyn UrlSigner>, Error> {
        Ok(finished(PresignSigner::gcs(self)?, disposition, beyond))
    }
}
