//! Azure Blob Storage.

use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Error, Storage, UrlSigner};

use super::{Bucket, ReadSecret, finished, probed};
use crate::config::file::{Beyond, Credentials, Disposed};
use crate::{AzblobConfig, PresignSigner};

pub(in crate::config) fn parse(uri: &str) -> Result<Arc<dyn Bucket>, Error> {
    Ok(Arc::new(AzblobConfig::from_uri(uri)?))
}

#[async_trait]
impl Bucket for AzblobConfig {
    fn name(&self) -> &'static str {
        "an az:// container"
    }

    fn at(&self) -> (String, &str) {
        (format!("{} of {:?} at {:?}", self.container, self.account, self.endpoint), &self.prefix)
    }

    fn uri(&self) -> String {
        format!("az://{}/{}", self.container, self.prefix)
    }

    fn credentials(&self) -> &'static [&'static str] {
        &["account_key"]
    }

    fn with(&self, credentials: &Credentials, read: ReadSecret<'_>) -> Result<Arc<dyn Bucket>, Error> {
        let key = read("account_key", credentials.account_key.as_ref())?;
        Ok(Arc::new(self.clone().with_key(key.as_str())))
    }

    async fn open(&self, _attested: bool) -> Result<Arc<dyn Storage>, Error> {
        probed(AzblobConfig::open(self)?).await
    }

    fn signer(&self, disposition: Disposed, beyond: Beyond) -> Result<Arc<dyn UrlSigner>, Error> {
        Ok(finished(PresignSigner::azblob(self)?, disposition, beyond))
    }
}
