//! Records in one SQLite file: for one machine, without a server.

mod fault;
mod find;
mod open;
mod row;

use async_trait::async_trait;
use distribution_core::{Advance, AuditLogId, Claim, Cursor, Error, IdempotencyKey, MetadataStore, Query, Row};
use sqlx::SqlitePool;

/// Records in one SQLite file, which several processes of one machine may share.
///
/// Every write is a single statement, durable when it returns (`WAL`, `synchronous = FULL`): there
/// is no transaction that a dropped future or a failure could leave open. A dropped write may still
/// happen, like one whose answer was lost.
///
/// The file must be on a local disk, since SQLite's locks and shared memory do not work over a
/// network. Its futures must be polled and dropped inside a tokio runtime with timers.
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
    /// One connection: SQLite has one writer at a time, and waiting for it here is fair and cheap.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteMetadata {
    /// Waits for what is under way, writes the file's log back into it and lets go of it. Calls on
    /// any clone fail from then on.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    fn fault(&self, error: sqlx::Error) -> Error {
        fault::fault(&self.place, error)
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
        let insert = row::insert(first)?.execute(&self.writer).await;
        match insert.map_err(|error| self.fault(error))?.rows_affected() {
            0 => self.load_present(&first.id).await.map(Claim::Exists),
            _ => Ok(Claim::Claimed),
        }
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let found = row::select(id).fetch_optional(&self.readers).await;
        found.map_err(|error| self.fault(error))?.map(|found| row::decode(&found, &self.place)).transpose()
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        // No row is at a revision below 0.
        if let Some(expected) = next.revision.checked_sub(1) {
            let update = row::update(next, expected)?.execute(&self.writer).await;
            if update.map_err(|error| self.fault(error))?.rows_affected() > 0 {
                return Ok(Advance::Advanced);
            }
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
        let insert = row::insert_key(key, id).execute(&self.writer).await;
        if insert.map_err(|error| self.fault(error))?.rows_affected() > 0 {
            return Ok(id.clone());
        }
        let named = row::select_key(key).fetch_optional(&self.readers).await;
        match named.map_err(|error| self.fault(error))? {
            Some(named) => row::decode_key(&named, &self.place),
            None => Err(Error::corrupt(format!("a bound key is gone from {}: was it removed by hand?", self.place))),
        }
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Vec<Row>, Error> {
        let found = find::select(query, after, limit)?.build().fetch_all(&self.readers).await;
        found.map_err(|error| self.fault(error))?.iter().map(|found| row::decode(found, &self.place)).collect()
    }
}

#[cfg(test)]
#[path = "sqlite/fault_tests.rs"]
mod fault_tests;
