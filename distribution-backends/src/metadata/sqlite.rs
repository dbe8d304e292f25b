//! Records in one SQLite file: for one machine, without a server.

mod fault;
mod find;
mod open;
mod row;
mod writer;

use async_trait::async_trait;
use distribution_core::{Advance, AuditLogId, Claim, Cursor, Error, Found, IdempotencyKey, MetadataStore, Query, Row};
use sqlx::SqlitePool;

pub(crate) use fault::fault;
pub(crate) use open::{options, prepare, use_log};
use writer::Writer;
pub(crate) use writer::identity;

/// Records in one SQLite file, which several processes of one machine may share.
///
/// Every write is durable when it returns (`WAL`, `synchronous = FULL`). Writes that wait for each
/// other share a transaction. One that is dropped happens all the same.
///
/// The file must be on a local disk, since SQLite's locks and shared memory do not work over a
/// network, and belong to this library alone. Calls need a tokio runtime with timers.
///
/// ```
/// use distribution_backends::SqliteMetadata;
/// use distribution_core::{MetadataStore, Query};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("records.db");
/// let records = SqliteMetadata::open(&path).await?;
/// assert!(records.find(&Query::default(), None, 10).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SqliteMetadata {
    /// The file, for messages.
    place: String,
    writer: Writer,
    readers: SqlitePool,
}

impl SqliteMetadata {
    /// Waits for what is under way, writes the file's log back into it and lets go of it. Calls on
    /// any clone fail from then on.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it was closed before, or if
    /// SQLite failed; the file is whole in any case.
    pub async fn close(&self) -> Result<(), Error> {
        self.readers.close().await;
        self.writer.close().await
    }

    /// Reads in a task of its own, so that a caller that is dropped, or not polled, holds no
    /// connection.
    async fn read<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let read = tokio::spawn(work).await;
        read.map_err(|error| Error::unavailable("the runtime is shutting down: repeat").because(error))?
            .map_err(|error| fault::fault(&self.place, error))
    }

    /// After a write that found the row to be in its way.
    async fn load_present(&self, id: &AuditLogId) -> Result<Row, Error> {
        self.load(id).await?.ok_or_else(|| {
            Error::corrupt(format!("publication {id} has no row in {}: was it removed by hand?", self.place))
        })
    }
}

#[async_trait]
impl MetadataStore for SqliteMetadata {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        if first.revision != 0 {
            let message = format!("the first row of {} must have revision 0, not {}", first.id, first.revision);
            return Err(Error::invalid("revision", message));
        }
        match self.writer.write(row::insert(first)?).await? {
            0 => self.load_present(&first.id).await.map(Claim::Exists),
            _ => Ok(Claim::Claimed),
        }
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let (select, readers) = (row::select(id), self.readers.clone());
        let found = self.read(async move { select.fetch_optional(&readers).await }).await?;
        found.map(|found| row::decode(&found, &self.place)).transpose()
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        // No row is at a revision below 0.
        if let Some(expected) = next.revision.checked_sub(1)
            && self.writer.write(row::update(next, expected)?).await? > 0
        {
            return Ok(Advance::Advanced);
        }
        let row = self.load_present(&next.id).await?;
        if row.revision.checked_add(1) == Some(next.revision) {
            // It got there between the two statements: only a repeat can tell what that means.
            let message = format!("publication {} changed at the same moment: repeat", next.id);
            return Err(Error::unavailable(message));
        }
        Ok(Advance::Superseded(row))
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        if self.writer.write(row::insert_key(key, id)).await? > 0 {
            return Ok(id.clone());
        }
        let gone = || Error::corrupt(format!("a bound key is gone from {}: was it removed by hand?", self.place));
        self.bound(key).await?.ok_or_else(gone)
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        let (select, readers) = (row::select_key(key), self.readers.clone());
        let named = self.read(async move { select.fetch_optional(&readers).await }).await?;
        named.map(|named| row::decode_key(&named, &self.place)).transpose()
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        let (mut select, readers) = (find::select(query, after, limit)?, self.readers.clone());
        let found = self.read(async move { select.build().fetch_all(&readers).await }).await?;
        row::decode_all(&found, &self.place)
    }
}

#[cfg(test)]
#[path = "sqlite/fault_tests.rs"]
mod fault_tests;
