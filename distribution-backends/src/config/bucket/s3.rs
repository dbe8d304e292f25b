//! S3 and what speaks its protocol.

use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Error, Storage, UrlSigner};

use super::{Bucket, Files, ReadSecret, finished};
use crate::config::file::{Beyond, Credentials, Disposed};
use crate::storage::s3::class::checked;
use crate::{PresignSigner, S3Config, S3Files, S3Storage};

pub(in crate::config) fn parse(uri: &str) -> Result<Arc<dyn Bucket>, Error> {
    Ok(Arc::new(S3Config::from_uri(uri)?))
}

#[async_trait]
impl Bucket for S3Config {
    fn name(&self) -> &'static str {
        "an s3:// bucket"
    }

    fn at(&self) -> (String, &str) {
        (self.place(), &self.prefix)
    }

    fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.prefix)
    }

    fn credentials(&self) -> &'static [&'static str] {
        &["access_key_id", "secret_access_key"]
    }

    fn with(&self, credentials: &Credentials, read: ReadSecret<'_>) -> Result<Arc<dyn Bucket>, Error> {
        let id = read("access_key_id", credentials.access_key_id.as_ref())?;
        let secret = read("secret_access_key", credentials.secret_access_key.as_ref())?;
        Ok(Arc::new(self.clone().keys(id.as_str(), secret.as_str())))
    }

    fn storing_as(&self, class: &str) -> Option<Result<Arc<dyn Bucket>, Error>> {
        let checked = checked(class);
        Some(checked.map(|_| -> Arc<dyn Bucket> { Arc::new(self.clone().storage_class(class)) }))
    }

    fn locking(&self) -> Option<Arc<dyn Bucket>> {
        Some(Arc::new(self.clone().object_lock(true)))
    }

    fn is_locking(&self) -> bool {
        self.object_lock
    }

    async fn open(&self, attested: bool) -> Result<Arc<dyn Storage>, Error> {
        Ok(Arc::new(S3Storage::open(self.clone().attested(attested)).await?))
    }

    fn signer(&self, disposition: Disposed, beyond: Beyond) -> Result<Arc<dyn UrlSigner>, Error> {
        Ok(finished(PresignSigner::s3(self.clone())?, disposition, beyond))
    }

    fn can_attest(&self) -> bool {
        true
    }

    fn files(&self) -> Option<Result<Files, Error>> {
        let opened = S3Files::open(self.clone()).map(Arc::new);
        Some(opened.map(|files| -> Files { (files.clone(), files) }))
    }
}
