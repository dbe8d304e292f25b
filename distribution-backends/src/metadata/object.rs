//! Records in object storage: no database, only a bucket.

mod find;
mod keys;
mod slot;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use distribution_core::{
    Advance, AuditLogId, Body, Checksum, Claim, Content, ContentHeaders, CreateOutcome, Cursor, Error, ErrorKind,
    Found, IdempotencyKey, MetadataStore, Meter, ObjectKey, Query, Row, Storage, StoragePrefix,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde::{Deserialize, Serialize};
use tracing::debug;

use keys::Keys;
use slot::{SLOT_BYTES_MAX, corrupt, seal, unseal};

/// Records in object storage, below a prefix that belongs to them alone. Any [`Storage`] will do, because
/// its `create` is what a compare-and-swap needs: of many that create one key, one is told so. Any number
/// of hosts may share it.
///
/// Every revision of a record is an object of its own, `publication/{audit_log_id}/000000.jsonl` and so on: a
/// line with the SHA-256 of the rest, a line with the columns, then the record. Who creates the next number has
/// advanced the record. What keeps that right, and every row in its lists:
///
/// * A slot is created only where the one before it is, and never removed: so the highest is the row, and a
///   writer with an old view cannot create a number again and believe that it has advanced.
/// * Lists are empty objects, markers, whose names sort newest first: `by-time/`, `by-concept/`, `by-checksum/`,
///   and `open/` for each revision with something left to do. They are created before the slot, so that no row
///   is ever missing from a list. What a list says too much is skipped by looking at the row.
/// * A marker is removed only when it can never count again: that of a revision below the row's or settled, or
///   of a claim at another time than the row's. So no writer, however late, removes what another needs.
///
/// What it costs in requests, of which an S3 service charges writes and lists about ten times as much as
/// reads, and no removals:
///
/// | | |
/// |---|---|
/// | `load` | a list and a read; from 1,000 revisions on, lists that grow with the logarithm: 4 at 5,000 |
/// | `claim` | a list and 4 to 5 writes; if it is claimed already, a `load` |
/// | `advance` | a look and a write; a further write while something is left to do; a removal. If another was faster, a `load` besides |
/// | `bind` | a write; if it is bound already, a further read |
/// | `bound` | a read |
/// | `find` of a work, of the same bytes, of what is open, or of all in an order of time | a list for each 1,000 markers that are looked at, and a `load` for each row |
/// | `find` by tag or state | the same, and a `load` for each row that is newer than the last one found: use a database where that is too slow |
///
/// So a publish has 9 or 10 writes, a list, 5 reads and 3 removals, and leaves 6 or 7 small objects for good; the
/// same request again, a list and a read.
///
/// No lifecycle rule may remove anything below the prefix. Who may not remove objects can do without: then recovery
/// looks at all that ever was open. On [`LocalDisk`](crate::LocalDisk) a list reads the whole folder, so that with
/// many thousands of records SQLite is faster.
///
/// A damaged slot is [`Corrupt`](ErrorKind::Corrupt) for who loads it, and told beside what a `find` finds: the message
/// names the object to bring back.
///
/// ```
/// use std::sync::Arc;
///
/// use distribution_backends::{LocalDisk, ObjectMetadata};
/// use distribution_core::{MetadataStore, Query, StoragePrefix};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// let storage = LocalDisk::open(path)?; // or S3Storage::open(…)
/// let records = ObjectMetadata::new(Arc::new(storage), StoragePrefix::parse("records/")?);
/// assert!(records.find(&Query::default(), None, 10).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ObjectMetadata {
    storage: Arc<dyn Storage>,
    keys: Keys,
}

/// How many keys are asked for at a time.
const LIST_KEYS: usize = 1_000;
/// How many markers are written, or rows read, at a time.
const IN_FLIGHT: usize = 16;
/// How many lists tell the newest revision at most: a number of 64 bits is doubled 64 times, and halved as often.
const LISTS_MAX: usize = 130;

impl ObjectMetadata {
    /// Records in this storage, below a prefix where nothing else is. Nothing is touched yet.
    pub fn new(storage: Arc<dyn Storage>, prefix: StoragePrefix) -> Self {
        Self { storage, keys: Keys::new(prefix) }
    }

    /// The newest revision.
    async fn latest(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let Some((revision, key)) = self.newest(id).await? else { return Ok(None) };
        let slot = self.read(&key).await?.ok_or_else(|| {
            Error::unavailable(format!("{key} is listed and not there: wait for the store, then repeat"))
        })?;
        slot::decode(&key, id, revision, &slot).map(Some)
    }

    /// The highest number that has a slot. A list tells whether any follows a number: where there are many, the
    /// number is doubled until none does, and then what is between is halved until one list holds it.
    async fn newest(&self, id: &AuditLogId) -> Result<Option<(u64, ObjectKey)>, Error> {
        let slots = self.keys.slots(id);
        let (mut newest, mut end, mut after) = (None, None, None);
        for _ in 0..LISTS_MAX {
            let behind = after.map(|revision| self.keys.slot(id, revision)).transpose()?;
            let page = self.storage.list(&slots, behind.as_ref(), LIST_KEYS).await?;
            let is_rest = page.len() < LIST_KEYS;
            match page.into_iter().rev().find_map(|key| Some((self.keys.revision(id, &key)?, key))) {
                Some(found) if is_rest => return Ok(Some(found)),
                Some(found) => newest = Some(found),
                None if is_rest => end = after,
                None => break,
            }
            let Some((low, _)) = newest else { return Ok(None) };
            after = match end {
                Some(end) if end <= low => return Ok(newest),
                Some(end) if end - low <= LIST_KEYS as u64 => Some(low),
                Some(end) => Some(low.midpoint(end)),
                None => Some(low.saturating_mul(2)),
            };
        }
        Err(Error::corrupt(format!("{slots} is full of objects that are no slots: remove them")))
    }

    /// The newest revision of what must have one.
    async fn present(&self, id: &AuditLogId) -> Result<Row, Error> {
        self.latest(id).await?.ok_or_else(|| {
            let place = self.keys.slots(id);
            Error::corrupt(format!("publication {id} has no record below {place}: was it removed by hand?"))
        })
    }

    /// Whether this call is the one that created it.
    async fn create(&self, key: &ObjectKey, bytes: Bytes) -> Result<bool, Error> {
        let headers = ContentHeaders {
            content_type: "application/json".to_owned(),
            content_disposition: "inline".to_owned(),
            cache_control: "no-store".to_owned(),
            user_metadata: std::collections::BTreeMap::new(),
        };
        let (size, expected) = (bytes.len() as u64, Checksum::of(&bytes));
        let body = Body::Stream(Box::pin(stream::once(async { Ok(bytes) })));
        match self.storage.create(key, Content { size, expected, headers, body, meter: Meter::default() }).await? {
            CreateOutcome::Created { .. } => Ok(true),
            CreateOutcome::AlreadyExists => Ok(false),
            CreateOutcome::Unfit(_) => Err(Error::unavailable(format!("{key} was damaged on its way: repeat"))),
        }
    }

    async fn read(&self, key: &ObjectKey) -> Result<Option<Bytes>, Error> {
        let Some(mut pieces) = self.storage.open(key, 0..SLOT_BYTES_MAX as u64 + 1).await? else { return Ok(None) };
        let mut bytes = BytesMut::new();
        while let Some(piece) = pieces.try_next().await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > SLOT_BYTES_MAX {
                return Err(corrupt(key, "is longer than any record"));
            }
        }
        Ok(Some(bytes.freeze()))
    }

    /// Before a revision is written that has something left to do: recovery must find it.
    async fn mark_open(&self, row: &Row) -> Result<(), Error> {
        if !row.index.settled {
            self.create(&self.keys.open(&row.id, row.index.claimed_at, row.revision)?, Bytes::new()).await?;
        }
        Ok(())
    }

    /// After a revision is written: the one before it has nothing left to do. Who finds it removes what
    /// this leaves.
    async fn unmark_open(&self, row: &Row) {
        let Some(before) = row.revision.checked_sub(1) else { return };
        let Ok(marker) = self.keys.open(&row.id, row.index.claimed_at, before) else { return };
        if let Err(error) = self.storage.remove(&marker).await {
            debug!(%error, "a marker of work that is done was left");
        }
    }
}

#[async_trait]
impl MetadataStore for ObjectMetadata {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        if first.revision != 0 {
            let message = format!("the first row of {} must have revision 0, not {}", first.id, first.revision);
            return Err(Error::invalid("revision", message));
        }
        let slot = slot::encode(first)?;
        if let Some(row) = self.latest(&first.id).await? {
            return Ok(Claim::Exists(row));
        }
        let (key, markers) = (self.keys.slot(&first.id, 0)?, self.keys.markers(&first.id, &first.index)?);
        // Markers first, so that every row has its own; those of a claim that loses name another time than
        // the row's, or the same.
        let marking = markers.into_iter().map(async |key| self.create(&key, Bytes::new()).await.map(drop));
        let marked = stream::iter(marking).buffer_unordered(IN_FLIGHT).try_collect::<()>();
        futures::try_join!(self.mark_open(first), marked)?;
        match self.create(&key, slot).await? {
            true => Ok(Claim::Claimed),
            false => self.present(&first.id).await.map(Claim::Exists),
        }
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        self.latest(id).await
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        let (slot, key) = (slot::encode(next)?, self.keys.slot(&next.id, next.revision)?);
        // No row is at a revision below 0.
        let Some(before) = next.revision.checked_sub(1) else {
            return self.present(&next.id).await.map(Advance::Superseded);
        };
        if self.storage.stat(&self.keys.slot(&next.id, before)?).await?.is_none() {
            return self.superseded(next, before).await;
        }
        self.mark_open(next).await?;
        if !self.create(&key, slot).await? {
            return self.present(&next.id).await.map(Advance::Superseded);
        }
        self.unmark_open(next).await;
        Ok(Advance::Advanced)
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        let place = self.keys.name(key)?;
        let name = serde_json::to_vec(&Name { key: key.clone(), id: id.clone() })
            .map_err(|error| Error::new(ErrorKind::Invalid, "a name could not be written as JSON").because(error))?;
        if self.create(&place, seal(&name)).await? {
            return Ok(id.clone());
        }
        self.bound(key).await?.ok_or_else(|| corrupt(&place, "was bound and is gone"))
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        let place = self.keys.name(key)?;
        let Some(named) = self.read(&place).await? else { return Ok(None) };
        match serde_json::from_slice::<Name>(&unseal(&place, &named)?) {
            Ok(named) if named.key == *key => Ok(Some(named.id)),
            Ok(_) => Err(corrupt(&place, "names another key")),
            Err(error) => Err(corrupt(&place, "does not decode").because(error)),
        }
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        find::find(self, query, after, limit).await
    }
}

impl ObjectMetadata {
    /// What an advance is told that found no slot before its own.
    async fn superseded(&self, next: &Row, before: u64) -> Result<Advance, Error> {
        let row = self.present(&next.id).await?;
        if row.revision == before {
            let message = format!("publication {} changed at the same moment: repeat", next.id);
            return Err(Error::unavailable(message));
        }
        Ok(Advance::Superseded(row))
    }
}

/// What an idempotency key names.
#[derive(Serialize, Deserialize)]
struct Name {
    key: IdempotencyKey,
    id: AuditLogId,
}

impl std::fmt::Debug for ObjectMetadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ObjectMetadata").field("keys", &self.keys).finish_non_exhaustive()
    }
}
