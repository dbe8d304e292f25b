//! Records in PostgreSQL: for many hosts at once.

mod config;
mod fault;
mod find;
mod open;
mod row;
mod session;
mod sessions;
mod uri;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Advance, AuditLogId, Claim, Cursor, Error, Found, IdempotencyKey, MetadataStore, Query, Row};

pub use config::PostgresConfig;
pub(crate) use fault::fault;
use row::Statement;
pub(crate) use session::{Session, Settings};
use sessions::Sessions;
use writer::{Write, Writers};

/// Records in one PostgreSQL database, which any number of hosts may share.
///
/// Every write is a compare-and-swap in one statement, and durable when it returns
/// (`synchronous_commit` is at least `on`, whatever role or database say). Writes that wait for each
/// other share a statement. A write whose connection broke may have happened: it is
/// [`Unavailable`](distribution_core::ErrorKind::Unavailable), and never sent again. A write that is
/// dropped happens all the same. Calls need a tokio runtime with timers.
///
/// # The primary
/// Reads and writes go to one server that takes writes; a standby is refused, at each new connection.
/// After a failover the calls under way are `Unavailable`, and later ones go where the host's name leads
/// to then. What the old primary had confirmed is there only if replication is synchronous
/// (`synchronous_standby_names`); records that are restored from an older backup make publishers repeat
/// work, and links that were granted meanwhile are not known any more.
///
/// # Tables
/// They are in a schema of their own (`distribution`), which opening creates and brings up to this
/// version. `publication.body` is the record, byte for byte; the view `record` shows it as `jsonb`, for
/// people and reports. Change nothing by hand: no constraint knows what a record promises.
///
/// # Privileges
/// Opening needs no more than the following where another role, once for each version of this library,
/// has opened it that may `CREATE` in the database:
///
/// ```sql
/// GRANT USAGE ON SCHEMA distribution TO publisher;
/// GRANT SELECT ON distribution._sqlx_migrations TO publisher;
/// GRANT SELECT, INSERT, UPDATE ON distribution.publication TO publisher;
/// GRANT SELECT, INSERT, DELETE ON distribution.publication_tag TO publisher;
/// GRANT SELECT, INSERT ON distribution.idempotency_key TO publisher;
/// ```
///
/// # Poolers
/// PgBouncer works with `pool_mode = session` only: each connection has settings (durability, time
/// limits) and prepared statements that have to stay with it.
///
/// ```no_run
/// use distribution_backends::{PostgresConfig, PostgresMetadata};
/// use distribution_core::{MetadataStore, Query};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = PostgresConfig::from_uri("postgres://publisher@db.example:5432/ops")?
///     .password(std::fs::read_to_string("/run/secrets/postgres")?.trim_end());
/// let records = PostgresMetadata::open(config).await?;
/// println!("{} records", records.find(&Query::default(), None, 10).await?.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresMetadata {
    /// The database, for messages.
    place: Arc<str>,
    writers: Writers,
    readers: Arc<Sessions>,
}

impl PostgresMetadata {
    /// Waits for what is under way and closes the connections. Calls on any clone fail from then on.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it was closed before.
    pub async fn close(&self) -> Result<(), Error> {
        self.writers.close().await?;
        self.readers.close().await
    }

    /// Reads in a task of its own, so that a caller that is dropped, or not polled, holds no
    /// connection.
    async fn read(&self, select: Statement) -> Result<Vec<sqlx::postgres::PgRow>, Error> {
        let readers = Arc::clone(&self.readers);
        let read = tokio::spawn(async move { readers.fetch(select).await }).await;
        let read = read.map_err(|error| Error::unavailable("the runtime is shutting down: repeat").because(error))?;
        read.map_err(|failed| failed.error)
    }

    /// After a write that found the row to be in its way: in a snapshot taken later.
    async fn load_present(&self, id: &AuditLogId) -> Result<Row, Error> {
        self.load(id).await?.ok_or_else(|| {
            Error::corrupt(format!("publication {id} has no row in {}: was it removed by hand?", self.place))
        })
    }
}

#[async_trait]
impl MetadataStore for PostgresMetadata {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        if first.revision != 0 {
            let message = format!("the first row of {} must have revision 0, not {}", first.id, first.revision);
            return Err(Error::invalid("revision", message));
        }
        match self.writers.write(Write::row(first)?).await? {
            true => Ok(Claim::Claimed),
            false => self.load_present(&first.id).await.map(Claim::Exists),
        }
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let found = self.read(row::select(id)).await?;
        found.first().map(|found| row::decode(found, &self.place)).transpose()
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        let write = Write::row(next)?;
        // No row is at a revision below 0.
        if next.revision > 0 && self.writers.write(write).await? {
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
        if self.writers.write(Write::Key(key.clone(), id.clone())).await? {
            return Ok(id.clone());
        }
        let gone = || Error::corrupt(format!("a bound key is gone from {}: was it removed by hand?", self.place));
        self.bound(key).await?.ok_or_else(gone)
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        self.read(row::select_key(key)).await?.first().map(|named| row::decode_key(named, &self.place)).transpose()
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        if query.tag.as_ref().is_some_and(|tag| tag.contains('\0')) {
            // No row has such a tag, and PostgreSQL takes no such text.
            return Ok(Found::default());
        }
        let found = self.read(find::select(query, after, limit)?).await?;
        row::decode_all(&found, &self.place)
    }
}
