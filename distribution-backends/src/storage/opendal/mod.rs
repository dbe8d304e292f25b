//! Objects in any service that opendal knows and that can create if absent.

mod create;
#[cfg(any(feature = "gcs", feature = "azblob"))]
mod endpoint;
mod fault;
mod hashing;
mod list;
mod plan;
mod read;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
mod transport;

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use distribution_core::{
    ByteStream, Content, CreateOutcome, Digest, Error, ErrorKind, Location, Meter, ObjectKey, ObjectStat, Storage,
};
use opendal::layers::{RetryLayer, TimeoutLayer};
use opendal::{Capability, Operator};
use tokio::runtime::Handle;

#[cfg(any(feature = "gcs", feature = "azblob"))]
pub(crate) use self::endpoint::checked_endpoint;
#[cfg(feature = "s3")]
pub(crate) use self::read::validator;
#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
pub(crate) use self::transport::with_own_client;

/// How long a look or a removal may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a piece that is read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a piece that is written may take, or a commit, which waits for the last pieces.
const WRITE_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How often what changes nothing is tried again.
const RETRIES_MAX: usize = 3;
/// After how long at first; twice as long each time.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Services that show an object under its key while it is still being written.
const WRITES_IN_PLACE: [&str; 5] = ["azdls", "compfs", "hdfs", "monoiofs", "sftp"];

/// Objects in a service that a host brings as an opendal [`Operator`], one for each object, named by its key.
///
/// The service must be able to create an object only if there is none, which opendal calls
/// `write_with_if_not_exists`. opendal *believes* that a service does what it says: whoever brings one
/// has to make sure that it really does, also under a race and above the size of a single request.
/// Services that show an object before it is whole are refused where they are known, such as `fs`.
///
/// Content goes in one conditional request, or in parts of 8 MiB of which four are on their way (72 GiB
/// and more: larger parts, so that 9,000 are enough), and is hashed on its way. If anything goes wrong,
/// the upload is aborted and nothing is shown. What is read is pinned to the version or etag that the
/// object had at first, where the service has such. The operator must come **without a retry layer**,
/// since a create that was applied and whose answer was lost would come back as "somebody else was
/// first"; what changes nothing is tried again here. Headers and user metadata are kept where the service
/// can. Works within a Tokio runtime that has its timers and I/O.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use distribution_backends::OpendalStorage;
/// use distribution_backends::opendal::{Operator, services::Memory};
/// use distribution_core::{ObjectKey, Storage};
///
/// let storage = OpendalStorage::new(Operator::new(Memory::default())?, "memory://test")?;
/// let key = ObjectKey::parse("mvp/clip.mp4")?;
/// assert!(storage.stat(&key).await?.is_none());
/// assert_eq!(storage.location(&key).as_str(), "memory://test/mvp/clip.mp4");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct OpendalStorage {
    /// Never tries anything again.
    writes: Operator,
    /// The same service, for what can be tried again.
    reads: Operator,
    can: Capability,
    scheme: &'static str,
    base: Location,
}

impl OpendalStorage {
    /// Objects of `operator`, whose root is named `base` in [`location`](Storage::location), such as
    /// `gs://bucket/prefix`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if the service cannot do what a storage needs; [`ErrorKind::Invalid`]
    /// for a base that is no URI, or holds `@`, `?` or `#`.
    pub fn new(operator: Operator, base: impl AsRef<str>) -> Result<Self, Error> {
        let info = operator.info();
        let (scheme, can) = (info.scheme(), info.capability());
        check(scheme, &can)?;
        let reads = operator
            .clone()
            .layer(TimeoutLayer::new().with_timeout(LOOK_TIMEOUT).with_io_timeout(READ_TIMEOUT))
            .layer(RetryLayer::new().with_jitter().with_min_delay(RETRY_DELAY).with_max_times(RETRIES_MAX));
        let writes = operator.layer(TimeoutLayer::new().with_timeout(LOOK_TIMEOUT).with_io_timeout(WRITE_TIMEOUT));
        Ok(Self { writes, reads, can, scheme, base: location_base(base.as_ref())? })
    }
}

#[async_trait]
impl Storage for OpendalStorage {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        runtime()?;
        self.create_object(key, content).await
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        runtime()?;
        self.digest_object(key, meter).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        runtime()?;
        Ok(self.look(key).await?.map(|found| read::stat(&found)))
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        runtime()?;
        self.open_object(key, range).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        runtime()?;
        match self.reads.delete(key.as_str()).await {
            Err(error) if !fault::is_absent(&error) => Err(fault::failed("remove", key, &error)),
            _ => Ok(()),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        runtime()?;
        self.list_objects(prefix, after, limit).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        // `new` has tried the longest key there is.
        Location::parse(format!("{}/{key}", self.base)).unwrap_or_else(|_| self.base.clone())
    }
}

impl fmt::Debug for OpendalStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OpendalStorage").field(&self.base).finish()
    }
}

/// The runtime that this is called in: without one, Tokio would panic.
pub(crate) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|error| {
        let message = "object storage needs a Tokio runtime: call this from within one";
        Error::new(ErrorKind::Unsupported, message).because(error)
    })
}

fn check(scheme: &str, can: &Capability) -> Result<(), Error> {
    let unsupported = |message: String| Err(Error::new(ErrorKind::Unsupported, message));
    if scheme == "fs" {
        let message = "opendal's `fs` overwrites when two create at once, and syncs no directory: use LocalDisk";
        return unsupported(message.to_owned());
    }
    if WRITES_IN_PLACE.contains(&scheme) {
        return unsupported(format!("{scheme} shows objects before they are whole: use another service"));
    }
    let needed = [
        ("create an object only if there is none", can.write && can.write_with_if_not_exists),
        ("tell whether an object is there", can.stat),
        ("read", can.read),
        ("remove", can.delete),
        ("list all below a prefix", can.list && can.list_with_recursive),
    ];
    match needed.iter().find(|(_, can)| !can) {
        Some((what, _)) => unsupported(format!("{scheme} cannot {what}: use another service")),
        None => Ok(()),
    }
}

fn location_base(base: &str) -> Result<Location, Error> {
    let base = base.trim_end_matches('/');
    let longest = format!("{base}/{}", "k".repeat(ObjectKey::BYTES_MAX));
    if base.contains(['@', '?', '#']) || base.ends_with(':') || Location::parse(longest).is_err() {
        let message = "the base of locations must be a URI without credentials or query, such as gs://bucket/prefix";
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Location::parse(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Capability {
        let memory = Operator::new(opendal::services::Memory::default()).unwrap();
        memory.info().capability()
    }

    #[test]
    fn a_service_that_is_not_safe_is_refused_in_words() {
        assert!(check("memory", &all()).is_ok());
        let without = |change: fn(&mut Capability)| {
            let mut can = all();
            change(&mut can);
            can
        };
        let cases = [
            ("fs", all(), "use LocalDisk"),
            ("sftp", all(), "before they are whole"),
            ("obs", without(|can| can.write_with_if_not_exists = false), "create an object only if there is none"),
            ("http", without(|can| can.write = false), "create an object only if there is none"),
            ("x", without(|can| can.list_with_recursive = false), "list all below a prefix"),
            ("x", without(|can| can.delete = false), "remove"),
        ];
        for (scheme, can, words) in cases {
            let error = check(scheme, &can).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{scheme}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn without_a_runtime_there_is_an_error_and_no_panic() {
        let operator = Operator::new(opendal::services::Memory::default()).unwrap();
        let (storage, key) = (OpendalStorage::new(operator, "memory://x").unwrap(), ObjectKey::parse("a").unwrap());
        let error = futures::executor::block_on(storage.stat(&key)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn a_base_is_a_uri_without_credentials() {
        assert_eq!(location_base("gs://bucket/prefix/").unwrap().as_str(), "gs://bucket/prefix");
        assert_eq!(location_base("memory://test").unwrap().as_str(), "memory://test");
        let long = format!("gs://{}", "b".repeat(4_000));
        for wrong in ["", "bucket", "gs://", "gs://key:secret@bucket", "gs://bucket?sig=secret", "gs://a b", &long] {
            let error = location_base(wrong).unwrap_err();
            assert!(error.kind() == ErrorKind::Invalid && !error.to_string().contains("secret"), "{wrong}");
        }
    }
}
