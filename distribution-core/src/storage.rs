//! The storage port: create-only objects that can be read back.

use std::fmt;
use std::fs::File;
use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::error::Error;
use crate::key::ObjectKey;
use crate::object::{ContentHeaders, Digest, LegalHold, Location, ObjectStat, Proof, SourcePin};
use crate::progress::Meter;
use crate::time::Timestamp;

/// Bytes in order; after an error nothing more comes.
pub type ByteStream = BoxStream<'static, Result<Bytes, Error>>;

/// Where published objects live. Every sentence of a method's documentation is a guarantee, and
/// `distribution_testkit::conformance::storage` has a check for it.
///
/// Any method may fail with [`Unavailable`](crate::ErrorKind::Unavailable): then nothing is known,
/// and the caller looks before it concludes. Implementations retry nothing above a `create`.
///
/// A store may have moved an object where it cannot be read at once ([`ObjectStat::is_archived`]): then reading it fails
/// with [`Archived`](crate::ErrorKind::Archived), and it is still there for all else.
#[async_trait]
pub trait Storage: Send + Sync + 'static {
    /// Stores `content` at `key` if nothing is there.
    ///
    /// * An object that is there is never changed: the answer is [`CreateOutcome::AlreadyExists`].
    /// * Of many that create one key at the same time, exactly one is told `Created`.
    /// * The object is seen whole or not at all, by every reader, at every moment.
    /// * It is there, and survives a crash of the machine, when `Created` is returned.
    /// * Content that ends early, fails, or has other bytes than `content.expected` leaves nothing.
    /// * A key that is a folder of another object's key, as `a` is of `a/b`, may be refused with
    ///   [`Conflict`](crate::ErrorKind::Conflict); nothing was changed then.
    /// * On any other error the object may or may not be there.
    /// * A dropped call stores nothing later than the object that it would have stored: all or nothing.
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error>;

    /// Reads every stored byte of the object back, past any buffer of this process, tells `meter` of
    /// each piece, and says what was read; `None` if nothing is at `key`.
    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error>;

    /// What the store says of the object; `None` if nothing is at `key`. A refused look is an error,
    /// never `None`.
    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error>;

    /// The object's bytes in `range`, cut to its end; `None` if nothing is at `key`. A stream that
    /// cannot give all of them ends in an error.
    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error>;

    /// Removes the object, for sweep and retract only: publishing never does. Removing what is not
    /// there succeeds.
    async fn remove(&self, key: &ObjectKey) -> Result<(), Error>;

    /// At most `limit` keys that start with `prefix` and follow `after`, in byte order; fewer only
    /// where there are no more. What was created before the call is listed. The prefix is any
    /// beginning of a key, not only a folder.
    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error>;

    /// At most `limit` creates that were begun before `begun_before`, by the store's clock, and that a crash has
    /// left unfinished: they take up space and are seen by nobody. A store that keeps nothing of such has none.
    async fn unfinished(&self, begun_before: Timestamp, limit: usize) -> Result<Vec<Unfinished>, Error> {
        let _ = (begun_before, limit);
        Ok(Vec::new())
    }

    /// Removes what such a create has left. One that was finished meanwhile stays the object that it became.
    async fn discard(&self, unfinished: &Unfinished) -> Result<(), Error> {
        let _ = unfinished;
        Ok(())
    }

    /// Whether [`set_legal_hold`](Self::set_legal_hold) can be asked for.
    fn keeps_legal_holds(&self) -> bool {
        false
    }

    /// Places the store's own legal hold on the object, or lifts it, and says which it was before; `None` if nothing is
    /// at `key`. It is told by [`stat`](Self::stat) from then on. While it is on, the bytes can be read, and are not
    /// destroyed: a [`remove`](Self::remove) fails, or hides what the store's own tools can bring back.
    async fn set_legal_hold(&self, key: &ObjectKey, hold: LegalHold) -> Result<Option<LegalHold>, Error> {
        let message =
            format!("this store has no legal holds, so that of {key} cannot be {hold:?}: hold its publication");
        Err(Error::new(crate::ErrorKind::Unsupported, message))
    }

    /// The URI of the object at `key`, without credentials; different for different keys.
    fn location(&self, key: &ObjectKey) -> Location;
}

/// A create that was begun and never finished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// What a person may know it by, such as the key of the object that it was to become.
    pub name: String,
    /// When it was begun, by the store's clock.
    pub begun_at: Timestamp,
    /// The store's own word for it.
    pub token: String,
}

/// What became of a [`Storage::create`] that gave an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateOutcome {
    /// The object was not there and is now; with a proof, if this backend has read the stored bytes
    /// back ([`ReadBack`](crate::Verification::ReadBack)), or if the store has told the SHA-256 of the
    /// whole object that it stored ([`StoreAttested`](crate::Verification::StoreAttested)). What was
    /// hashed on its way to the store is no proof.
    Created {
        /// What is known of the stored bytes.
        proof: Option<Proof>,
    },
    /// Something is at this key, perhaps this very content from an earlier call whose answer was
    /// lost. Nothing was changed.
    AlreadyExists,
    /// The content is not what was expected; nothing was stored.
    Unfit(Unfit),
}

/// Why content was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It was read to its end, steadily, and has other bytes than expected.
    OtherBytes {
        /// What was read.
        found: Digest,
    },
    /// It changed while it was read.
    Changed,
}

/// Content on its way into a store.
pub struct Content {
    /// How many bytes there are.
    pub size: u64,
    /// What they must be. A store that hashes on the way refuses others.
    pub expected: crate::Checksum,
    /// What the object is served with, where the store can keep it.
    pub headers: ContentHeaders,
    /// Where the bytes come from.
    pub body: Body,
    /// Told of each piece that is stored.
    pub meter: Meter,
}

/// Where content comes from, so that a store can take a faster road than a stream.
#[non_exhaustive]
pub enum Body {
    /// An open regular file on this machine, read from its start, and the state it had when opened.
    File {
        /// The file.
        file: File,
        /// Its state when it was opened.
        pin: SourcePin,
    },
    /// Bytes from elsewhere.
    Stream(ByteStream),
    /// An object of a store. A storage of the same service may have it copied there, pinned to its
    /// etag, without reading it: then a wrong or changed content is seen when the copy is proven. All
    /// others take `bytes`.
    Object {
        /// The object.
        object: StagedObject,
        /// Its bytes; nothing is asked for before the first one is.
        bytes: ByteStream,
    },
}

/// An object as the service that has it knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedObject {
    /// The service, such as its endpoint: it can copy between any two objects for which this is the same.
    pub service: String,
    /// The bucket or container.
    pub container: String,
    /// The object's name in it.
    pub name: String,
    /// The state of the object, as the service told it (RFC 9110 §8.8.3).
    pub etag: String,
}

impl Body {
    /// The same content, for a store to read itself: never one to be copied unread.
    pub fn to_be_read(self) -> Self {
        match self {
            Self::Object { bytes, .. } => Self::Stream(bytes),
            body => body,
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = match &self.body {
            Body::File { pin, .. } => format!("file {pin:?}"),
            Body::Stream(_) => "stream".to_owned(),
            Body::Object { object, .. } => format!("{object:?}"),
        };
        f.debug_struct("Content")
            .field("size", &self.size)
            .field("expected", &self.expected)
            .field("body", &body)
            .finish_non_exhaustive()
    }
}
