//! Objects as files below a directory of this machine.

mod copy;
mod create;
mod hashing;
mod list;
mod read;
mod stage;
mod stream;
mod unfinished;

pub(crate) use hashing::hash_file;

use std::fmt;
use std::io;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{
    Body, ByteStream, Content, CreateOutcome, Digest, Error, ErrorKind, Location, Meter, ObjectKey, ObjectStat,
    Storage, Timestamp, Unfinished,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tokio::sync::Semaphore;

use self::create::{Creation, Origin};
use crate::blocking::blocking;
use crate::confined::{Kind, Refusal, Root, way_out};

/// What a path in a `file:` URI holds unescaped: the unreserved characters of RFC 3986 §2.3, and `/`.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Objects as files below a directory, `<root>/<key>`.
///
/// An object is copied into a file without a name, read back and hashed, synced, and only then
/// linked to its own name, which fails if something has it. So it appears whole or not at all, and
/// is durable when `create` returns. Where the system has no files without a name, it is a hidden one
/// (`.stage-…`), of which a crash leaves what it was. Nothing is ever reached through a symbolic link
/// below the root. Headers are not kept: whoever serves the files sets them.
///
/// What is read back comes from the kernel's page cache: it proves what the kernel will write, not
/// the medium. A copy does not stay in that cache, so its first download reads the disk. Where the
/// file system can, a copy shares the staged file's blocks until one of them changes (reflink). The
/// file system must have hard links. Works within a Tokio runtime.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use distribution_backends::LocalDisk;
/// use distribution_core::{ObjectKey, Storage};
///
/// let root = tempfile::tempdir()?;
/// let storage = LocalDisk::open(root.path())?;
/// assert!(storage.stat(&ObjectKey::parse("mvp/clip.mp4")?).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct LocalDisk {
    root: Arc<Root>,
    base: Location,
    streams: Arc<Semaphore>,
}

/// How many streams are stored at a time. Each holds a blocking thread while it waits for its source,
/// which may need one too; tokio has 512 for all.
const STREAMS_MAX: usize = 64;

impl LocalDisk {
    /// Objects below the directory `root`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if it is missing (it is never made: a volume that is not mounted must
    /// not be filled silently), a symbolic link or no directory; [`ErrorKind::Unavailable`] if it
    /// cannot be opened.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = Root::open(&root.into())?;
        let path = percent_encode(root.path.as_os_str().as_bytes(), ESCAPED).to_string();
        let base = format!("file://{}", path.trim_end_matches('/'));
        // So that no key can make `location` fail later.
        Location::parse(format!("{base}/{}", "k".repeat(ObjectKey::BYTES_MAX)))
            .map_err(|_| Error::new(ErrorKind::Invalid, "the root's path is too long: choose a shorter one"))?;
        let streams = Arc::new(Semaphore::new(STREAMS_MAX));
        Ok(Self { root: Arc::new(root), base: Location::parse(base)?, streams })
    }
}

#[async_trait]
impl Storage for LocalDisk {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let Content { size, expected: checksum, headers: _, body, meter } = content;
        let creation = Creation { key: key.clone(), wanted: Digest { checksum, size }, meter };
        let root = Arc::clone(&self.root);
        match body {
            Body::File { file, pin } => {
                let origin = Origin::<io::Empty>::File { file, pin };
                blocking(move |cancel| creation.run(&root, origin, cancel)).await
            }
            Body::Stream(stream) | Body::Object { bytes: stream, .. } => {
                let _permit = self.streams.acquire().await;
                let (pump, reader) = stream::pump(stream);
                let store = blocking(move |cancel| creation.run(&root, Origin::Stream(reader), cancel));
                // The stream's own error says more than that of the copy that missed the rest.
                let (pumped, stored) = futures::join!(pump, store);
                pumped.and(stored)
            }
            _ => Err(Error::new(ErrorKind::Unsupported, "a local disk does not know this kind of content")),
        }
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        let (root, key, meter) = (Arc::clone(&self.root), key.clone(), meter.clone());
        blocking(move |cancel| read::digest(&root, &key, &meter, cancel)).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        let (root, key) = (Arc::clone(&self.root), key.clone());
        blocking(move |_| read::stat(&root, &key)).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        let (root, key) = (Arc::clone(&self.root), key.clone());
        blocking(move |_| read::open(&root, &key, range)).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        let (root, key) = (Arc::clone(&self.root), key.clone());
        blocking(move |_| read::remove(&root, &key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        let (root, prefix, after) = (Arc::clone(&self.root), prefix.to_owned(), after.cloned());
        blocking(move |cancel| list::list(&root, &prefix, after.as_ref(), limit, cancel)).await
    }

    /// Stages with a name, where the system has no files without one.
    async fn unfinished(&self, begun_before: Timestamp, limit: usize) -> Result<Vec<Unfinished>, Error> {
        let root = Arc::clone(&self.root);
        blocking(move |cancel| unfinished::find(&root, begun_before, limit, cancel)).await
    }

    async fn discard(&self, unfinished: &Unfinished) -> Result<(), Error> {
        let (root, name) = (Arc::clone(&self.root), unfinished.name.clone());
        blocking(move |_| unfinished::remove(&root, &name)).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        // `open` has tried the longest key there is.
        Location::parse(format!("{}/{key}", self.base)).unwrap_or_else(|_| self.base.clone())
    }
}

impl fmt::Debug for LocalDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LocalDisk").field(&self.root.path).finish()
    }
}

/// The segments of the key before its last one.
fn folder(key: &ObjectKey) -> impl Iterator<Item = &[u8]> {
    key.segments().rev().skip(1).collect::<Vec<_>>().into_iter().rev().map(str::as_bytes)
}

fn failed(task: &str, key: &ObjectKey, error: io::Error) -> Error {
    Error::unavailable(format!("cannot {task} {key}: {}", way_out(&error))).because(error)
}

/// A refusal as an error: an operator must see to what does not belong below the root.
fn refused(task: &str, key: &ObjectKey, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Io(error) => failed(task, key, error),
        Refusal::Irregular { name, kind: kind @ (Kind::File | Kind::Directory) } => {
            let message = format!("cannot {task} {key}: {name} is {} there: use another key", kind.as_str());
            Error::new(ErrorKind::Conflict, message)
        }
        Refusal::Irregular { name, kind: kind @ (Kind::Link | Kind::Special) } => {
            let message = format!("cannot {task} {key}: {name} is {} there: replace or remove it", kind.as_str());
            Error::corrupt(message)
        }
    }
}
