//! Which links were taken back: by how often the links of their object were.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{Body, Checksum, Content, ContentHeaders, CreateOutcome, Error, Meter, ObjectKey, Storage};
use futures::stream;

/// How often the links of each object were revoked.
///
/// A link says how often when it was signed, and works while that is still so. Signing and verifying must
/// see the same: whoever signs reads it for each link, and whoever verifies for each request.
#[async_trait]
pub trait Revocations: Send + Sync + 'static {
    /// How often the object's links were revoked: 0 at first, and never less than it was.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it is not known: then no link is signed
    /// or let through.
    async fn count(&self, key: &ObjectKey) -> Result<u64, Error>;

    /// Makes the count of the object higher than it was when this was called, durably.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it may have been or not: repeat.
    async fn revoke(&self, key: &ObjectKey) -> Result<(), Error>;
}

/// Revocations as empty objects of a storage, such as a directory or a bucket: `revoked/{SHA-256 of the
/// key}/{number}`, of which none is ever changed or removed.
///
/// The storage is for these alone, so that nothing sweeps or publishes there. Removing an object from it
/// brings links back. An object whose links were never revoked costs one look at the storage for each link
/// and request, others a few.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # runtime.block_on(async {
/// use std::sync::Arc;
///
/// use distribution_backends::{HmacKey, HmacSigner, LocalDisk, StoredRevocations};
/// use distribution_core::{LinkRequest, ObjectKey, UrlSigner};
///
/// let revocations = StoredRevocations::new(Arc::new(LocalDisk::open(dir.path())?));
/// let signer = HmacSigner::new("https://media.example/files", HmacKey::new("2026-01", [7; 32])?)?
///     .revocations(Arc::new(revocations));
/// let now = "2026-01-02T00:00:00Z".parse().unwrap();
/// let wanted = LinkRequest {
///     key: ObjectKey::parse("mvp/clip.mp4")?,
///     expires_at: "2026-01-05T00:00:00Z".parse().unwrap(),
/// };
/// let leaked = signer.sign(&wanted, now).await?.link;
/// let query = leaked.expose().split_once('?').unwrap().1;
/// assert!(signer.verify("GET", "mvp/clip.mp4", query, now).await.is_ok());
///
/// signer.revoke(&wanted.key).await?;
/// assert!(signer.verify("GET", "mvp/clip.mp4", query, now).await.is_err());
/// assert_ne!(signer.sign(&wanted, now).await?.link, leaked);
/// # Ok::<(), distribution_core::Error>(())
/// # }).unwrap();
/// ```
pub struct StoredRevocations {
    storage: Arc<dyn Storage>,
}

impl StoredRevocations {
    /// Revocations in this storage.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    async fn has(&self, key: &ObjectKey, number: u64) -> Result<bool, Error> {
        Ok(self.storage.stat(&slot(key, number)?).await?.is_some())
    }
}

#[async_trait]
impl Revocations for StoredRevocations {
    async fn count(&self, key: &ObjectKey) -> Result<u64, Error> {
        // Numbers have no gaps: steps that double, then halve, find the last one.
        let (mut last, mut step) = (0_u64, 1_u64);
        while self.has(key, last.saturating_add(step)).await? {
            last = last.saturating_add(step);
            step = step.saturating_mul(2);
        }
        while step > 1 {
            step /= 2;
            if self.has(key, last.saturating_add(step)).await? {
                last = last.saturating_add(step);
            }
        }
        Ok(last)
    }

    async fn revoke(&self, key: &ObjectKey) -> Result<(), Error> {
        let slot = slot(key, self.count(key).await?.saturating_add(1))?;
        match self.storage.create(&slot, nothing()).await? {
            // Whoever else created it did so after this call has counted.
            CreateOutcome::Created { .. } | CreateOutcome::AlreadyExists => Ok(()),
            CreateOutcome::Unfit(_) => Err(Error::unavailable(format!("{slot} was damaged on its way: repeat"))),
        }
    }
}

/// Keys may be as long as a key can be, so the object's is hashed.
fn slot(key: &ObjectKey, number: u64) -> Result<ObjectKey, Error> {
    ObjectKey::parse(format!("revoked/{}/{number}", Checksum::of(key.as_str().as_bytes()).hex()))
}

fn nothing() -> Content {
    let headers = ContentHeaders {
        content_type: "application/octet-stream".to_owned(),
        content_disposition: "inline".to_owned(),
        cache_control: "no-store".to_owned(),
        user_metadata: BTreeMap::new(),
    };
    let body = Body::Stream(Box::pin(stream::empty::<Result<Bytes, Error>>()));
    Content { size: 0, expected: Checksum::of(b""), headers, body, meter: Meter::default() }
}
