//! The bucket of a replica that is out of reach when a configuration is opened: it is opened when it is used.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{
    ByteStream, Content, CreateOutcome, Digest, Error, ErrorKind, LegalHold, Location, Meter, ObjectKey, ObjectStat,
    Storage, Timestamp, Unfinished,
};
use tokio::sync::OnceCell;
use tracing::warn;

use super::bucket::Bucket;

pub(super) struct Away {
    bucket: Arc<dyn Bucket>,
    is_attested: bool,
    base: Location,
    opened: OnceCell<Arc<dyn Storage>>,
}

impl Away {
    /// The open bucket, or else one that is opened when it is used, if it is only out of reach.
    pub(super) async fn open(bucket: Arc<dyn Bucket>, is_attested: bool) -> Result<Arc<dyn Storage>, Error> {
        match bucket.open(is_attested).await {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                let base = Location::parse(bucket.uri().trim_end_matches('/'))?;
                warn!(%base, %error, "a replica's target is out of reach: it is opened when it is there again");
                Ok(Arc::new(Self { bucket, is_attested, base, opened: OnceCell::new() }))
            }
            opened => opened,
        }
    }

    async fn storage(&self) -> Result<&dyn Storage, Error> {
        let opened = self.opened.get_or_try_init(|| self.bucket.open(self.is_attested)).await?;
        Ok(&**opened)
    }
}

#[async_trait]
impl Storage for Away {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        self.storage().await?.create(key, content).await
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        self.storage().await?.digest(key, meter).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.storage().await?.stat(key).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.storage().await?.open(key, range).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.storage().await?.remove(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        self.storage().await?.list(prefix, after, limit).await
    }

    async fn unfinished(&self, begun_before: Timestamp, limit: usize) -> Result<Vec<Unfinished>, Error> {
        self.storage().await?.unfinished(begun_before, limit).await
    }

    async fn discard(&self, unfinished: &Unfinished) -> Result<(), Error> {
        self.storage().await?.discard(unfinished).await
    }

    fn keeps_legal_holds(&self) -> bool {
        self.bucket.is_locking()
    }

    async fn set_legal_hold(&self, key: &ObjectKey, hold: LegalHold) -> Result<Option<LegalHold>, Error> {
        self.storage().await?.set_legal_hold(key, hold).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        Location::parse(format!("{}/{key}", self.base)).unwrap_or_else(|_| self.base.clone())
    }
}
