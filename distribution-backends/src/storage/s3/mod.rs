//! S3, and what speaks its protocol.
//!
//! Objects are stored by requests of our own (`create`), which opendal has not: bytes signed with the
//! SHA-256 that they must have, copies within the service, checksums that the service has computed. So are
//! looks (`stat`), for the storage class, and legal holds (`lock`). All else goes through opendal.

pub(crate) mod address;
pub(crate) mod class;
pub(crate) mod client;
mod config;
mod create;
pub(crate) mod credentials;
pub(crate) mod failure;
pub(crate) mod headers;
mod lock;
mod multipart;
mod orphans;
mod probe;
mod stat;
pub(crate) mod xml;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{
    ByteStream, Content, CreateOutcome, Digest, Error, ErrorKind, LegalHold, Location, Meter, ObjectKey, ObjectStat,
    Storage, Timestamp, Unfinished,
};
use futures::stream::{self, StreamExt as _};
use http::HeaderValue;
use opendal::Operator;
use opendal::services::S3;

use self::client::Client;
use self::probe::Roads;
use super::opendal::{OpendalStorage, with_own_client};
use crate::probe::Probe;

pub use self::address::Addressing;
pub use self::config::S3Config;

/// Objects in a bucket of S3, or of a service that speaks its protocol.
///
/// What a service does not do atomically is not used, and that is found out by racing for a key, not
/// believed: see [`probe`](Self::probe). An object appears with one request that fails if its name is taken
/// (`If-None-Match: *`): up to 16 MiB a PUT that is signed with the SHA-256 that the bytes must have, so
/// that the service itself refuses others; above, an upload in parts; and where the staged file is an
/// object of the same service, a copy that the service makes.
///
/// A file or stream is held in memory in parts of 16 MiB, at most five at a time (of more than 156 GiB, in
/// parts of up to 64 MiB, at most three). Requests that can be repeated are, a few times; one that creates an
/// object never is, because an answer that was lost would come back as somebody else's deed. Works
/// within a Tokio runtime.
///
/// ```no_run
/// # async fn example() -> Result<(), distribution_core::Error> {
/// use distribution_backends::{S3Config, S3Storage};
///
/// let config = S3Config::from_uri("s3://media/mvp?region=eu-central-1")?;
/// let storage = S3Storage::open(config).await?;
/// println!("{}", storage.probe());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct S3Storage {
    client: Arc<Client>,
    bucket: String,
    /// What every key is below: empty, or ends with `/`.
    prefix: String,
    reads: OpendalStorage,
    /// What is created is kept in it.
    class: Option<HeaderValue>,
    /// Whether legal holds are asked of it.
    is_locking: bool,
    roads: Roads,
    probe: Arc<Probe>,
}

impl S3Storage {
    /// Probes the bucket, and opens it if it can be published to safely. That takes some hundreds
    /// of small requests, below `distribution-probe/` in the target's prefix. What they store is removed; a
    /// bucket with versions keeps those.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for a [storage class](S3Config::storage_class) that cannot be
    /// read back, or if the bucket does not keep what is under [legal hold](S3Config::object_lock);
    /// [`Unsupported`](distribution_core::ErrorKind::Unsupported) if the service overwrites objects that are
    /// there; [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it cannot be reached, or does not
    /// accept the credentials.
    pub async fn open(config: S3Config) -> Result<Self, Error> {
        let storage = Self::unprobed(&config)?;
        let probe = storage.look().await?;
        storage.with(&config, probe)
    }

    /// Opens the bucket on the word of an earlier probe. Probe again when the service is replaced by another
    /// release: that is not noticed.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for the probe of another bucket or service, a storage class
    /// that cannot be read back, or legal holds where that has not found any;
    /// [`Unsupported`](distribution_core::ErrorKind::Unsupported) if that has found that it cannot be
    /// published to safely.
    pub fn open_probed(config: S3Config, probe: Probe) -> Result<Self, Error> {
        if probe.target != config.place() {
            let message = format!("the probe is of {}, and not of {}: probe that", probe.target, config.place());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Self::unprobed(&config)?.with(&config, probe)
    }

    /// What the service was found to do, and how it fails to do the rest.
    pub fn probe(&self) -> &Probe {
        &self.probe
    }

    fn unprobed(config: &S3Config) -> Result<Self, Error> {
        Ok(Self {
            client: Arc::new(Client::new(config)?),
            bucket: config.bucket.clone(),
            prefix: config.prefix.clone(),
            reads: reads(config)?,
            class: config.storage_class.as_deref().map(class::checked).transpose()?,
            is_locking: config.object_lock,
            roads: Roads::default(),
            probe: Arc::default(),
        })
    }

    fn with(self, config: &S3Config, probe: Probe) -> Result<Self, Error> {
        let roads = Roads::found(&probe, config.attested)?;
        if config.object_lock {
            lock::check(&probe)?;
        }
        Ok(Self { roads, probe: Arc::new(probe), ..self })
    }

    /// The object's name in the bucket.
    fn name(&self, key: &ObjectKey) -> String {
        format!("{}{key}", self.prefix)
    }
}

#[async_trait]
impl Storage for S3Storage {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        self.store(key, content).await
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        self.reads.digest(key, meter).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.stat_object(key).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        let Some(mut bytes) = self.reads.open(key, range).await? else { return Ok(None) };
        // What must be restored first is refused with the first bytes: that is told here, not in the midst of an answer.
        match bytes.next().await {
            Some(Err(error)) if error.kind() == ErrorKind::Archived => Err(error),
            first => Ok(Some(stream::iter(first).chain(bytes).boxed())),
        }
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.reads.remove(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        self.reads.list(prefix, after, limit).await
    }

    async fn unfinished(&self, begun_before: Timestamp, limit: usize) -> Result<Vec<Unfinished>, Error> {
        self.unfinished_uploads(begun_before, limit).await
    }

    async fn discard(&self, unfinished: &Unfinished) -> Result<(), Error> {
        self.abort_upload(unfinished).await
    }

    fn keeps_legal_holds(&self) -> bool {
        self.is_locking
    }

    async fn set_legal_hold(&self, key: &ObjectKey, hold: LegalHold) -> Result<Option<LegalHold>, Error> {
        self.hold_object(key, hold).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        self.reads.location(key)
    }
}

impl fmt::Debug for S3Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Storage")
            .field("client", &self.client)
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// The bucket as opendal reaches it: the same endpoint, and credentials from the same places.
fn reads(config: &S3Config) -> Result<OpendalStorage, Error> {
    let mut builder = S3::default()
        .bucket(&config.bucket)
        .root(&format!("/{}", config.prefix))
        .endpoint(config.endpoint.as_str())
        .region(&config.region)
        .disable_config_load()
        .credential_provider_chain(credentials::provider(config));
    if config.addressing == Addressing::Virtual {
        builder = builder.enable_virtual_host_style();
    }
    let operator = Operator::new(builder).map_err(|_| {
        Error::new(ErrorKind::Invalid, "the bucket or endpoint cannot be right: look at the target's URI")
    })?;
    OpendalStorage::new(with_own_client(operator)?, format!("s3://{}/{}", config.bucket, config.prefix))
}
