//! Audit entries in PostgreSQL.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{AuditEntry, AuditSink, Error};
use futures::future::ready;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::time::timeout;

use crate::desk::{Desk, Shift};
use crate::evidence::{ChainHead, ChainedEvent, ChainedSink, Draft, Linked, Seal, Verifier};
use crate::metadata::PostgresConfig;
use crate::metadata::postgres::{Session, Settings, fault};

/// How many appends share a transaction at most.
const GROUP_APPENDS_MAX: usize = 256;

/// One host at a time, until the transaction ends; any number that is this library's own.
const ALONE: &str =
    "SELECT pg_advisory_xact_lock(hashtextextended('distribution.audit_entry/' || current_schema(), 0))";
const PRESENT: &str = "SELECT to_regclass('audit_entry') IS NOT NULL";
const TABLE: &str = "
CREATE TABLE IF NOT EXISTS audit_entry (
    position bigint NOT NULL PRIMARY KEY,      -- in the chain, counted from 0
    id       text COLLATE \"C\" NOT NULL UNIQUE,
    event    bytea  NOT NULL                   -- canonical JSON
)";
const NEWEST: &str = "SELECT event FROM audit_entry ORDER BY position DESC LIMIT 1";
const INSERT: &str = "INSERT INTO audit_entry (position, id, event) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING";
const PAGE: &str = "SELECT position, event FROM audit_entry WHERE position >= $1 ORDER BY position LIMIT $2";
/// How many rows one statement reads when all are read: a statement may take 30 seconds, a table longer.
const PAGE_ROWS: i64 = 200;

/// Audit entries in the table `audit_entry` of a PostgreSQL schema, each a CloudEvent in a chain, as [`Seal`] says. Any
/// number of hosts may share it, and so may the records of [`PostgresMetadata`](crate::PostgresMetadata).
///
/// Appends are durable when they return. They follow each other over all hosts, and those of one host that wait share a
/// transaction. One that is dropped happens all the same. Give the publisher's role INSERT and SELECT alone, once the
/// table is there, and the server itself refuses to change an entry.
///
/// ```no_run
/// use distribution_backends::{PostgresAudit, PostgresConfig, Seal, Verifier};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = PostgresConfig::from_uri("postgres://publisher@db.example/media")?;
/// let audit = PostgresAudit::open(config.clone(), Seal::new("//publishing.example/eu-1")?).await?;
/// assert!(PostgresAudit::verify(config, Verifier::new()).await?.finish().is_clean());
/// # let _ = audit;
/// # Ok(())
/// # }
/// ```
pub struct PostgresAudit {
    desk: Arc<Desk<Pen, Vec<Draft>, ChainHead>>,
    seal: Seal,
}

/// The connection and how to open another.
struct Pen {
    settings: Settings,
    session: Option<Session>,
    seal: Seal,
}

impl PostgresAudit {
    /// Connects, and makes the schema and the table if they are absent.
    ///
    /// # Errors
    /// As [`PostgresMetadata::open`](crate::PostgresMetadata::open), and
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) if the chain is another one.
    pub async fn open(config: PostgresConfig, seal: Seal) -> Result<Self, Error> {
        let settings = config.settings()?;
        let mut session = Session::open(&settings).await?;
        let setting_up = timeout(settings.statement_timeout, set_up(&mut session.connection, &settings.schema)).await;
        in_time(&settings, setting_up)?.map_err(|error| fault(&settings.place, error))?;
        let mut pen = Pen { settings, session: Some(session), seal: seal.clone() };
        pen.append(&[]).await?;
        Ok(Self { desk: Desk::new(pen), seal })
    }

    /// The entries of a schema, oldest first, all of them in memory: [`entries`](Self::entries) has some of them there
    /// at a time.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn read(config: PostgresConfig) -> Result<Vec<AuditEntry>, Error> {
        Self::entries(config)?.try_collect().await
    }

    /// The entries of a schema, oldest first. Errors are those of [`open`](Self::open), and the end.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for settings that contradict each other.
    pub fn entries(config: PostgresConfig) -> Result<BoxStream<'static, Result<AuditEntry, Error>>, Error> {
        let settings = config.settings()?;
        let place = settings.place.clone();
        let entries = rows(settings).and_then(move |(position, event)| {
            let event: Option<ChainedEvent> = serde_json::from_slice(&event).ok();
            let unread = || Error::corrupt(format!("row {position} of {place} is no audit entry: restore it"));
            ready(event.and_then(|event| event.entry()).ok_or_else(unread))
        });
        Ok(entries.boxed())
    }

    /// Checks all entries, row by row; what was found is what [`finish`](Verifier::finish) of the verifier says.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the server is out of reach.
    pub async fn verify(config: PostgresConfig, mut verifier: Verifier) -> Result<Verifier, Error> {
        let mut rows = rows(config.settings()?);
        while let Some((position, event)) = rows.try_next().await? {
            verifier.check(&format!("row {position}"), &event);
        }
        Ok(verifier)
    }

    async fn ask(&self, entries: &[AuditEntry]) -> Result<ChainHead, Error> {
        let drafts = entries.iter().map(|entry| Draft::of(entry, &self.seal)).collect::<Result<Vec<_>, _>>()?;
        self.desk.ask(drafts, |shift| drop(tokio::spawn(work(shift)))).await
    }
}

#[async_trait]
impl AuditSink for PostgresAudit {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        self.ask(entries).await.map(drop)
    }
}

#[async_trait]
impl ChainedSink for PostgresAudit {
    fn source(&self) -> &str {
        self.seal.source()
    }

    async fn head(&self) -> Result<ChainHead, Error> {
        self.ask(&[]).await
    }
}

async fn work(mut shift: Shift<Pen, Vec<Draft>, ChainHead>) {
    while let Some((pen, group)) = shift.next_group(GROUP_APPENDS_MAX) {
        let drafts: Vec<&Draft> = group.iter().flat_map(|(drafts, _)| drafts).collect();
        let result = pen.append(&drafts).await;
        drop(drafts);
        group.into_iter().for_each(|(_, caller)| caller.answer(result.clone()));
    }
}

/// Needs no right to make anything where all is there.
async fn set_up(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    if sqlx::query_scalar(PRESENT).fetch_one(&mut *connection).await? {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('distribution.audit_entry', 0))")
        .execute(&mut *transaction)
        .await?;
    // The name was checked: lower-case letters, digits and underscores.
    let schema = format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\"");
    sqlx::raw_sql(AssertSqlSafe(schema)).execute(&mut *transaction).await?;
    sqlx::raw_sql(TABLE).execute(&mut *transaction).await?;
    transaction.commit().await
}

impl Pen {
    /// All of them or, on an error, none or all: then nobody knows.
    async fn append(&mut self, drafts: &[&Draft]) -> Result<ChainHead, Error> {
        // Taken: a connection that met an error, perhaps inside a transaction, is not used again.
        let mut session = match self.session.take() {
            Some(session) => session,
            None => Session::open(&self.settings).await?,
        };
        let limit = self.settings.statement_timeout;
        let head = in_time(&self.settings, timeout(limit, self.write(&mut session.connection, drafts)).await)??;
        self.session = Some(session);
        Ok(head)
    }

    async fn write(&self, connection: &mut PgConnection, drafts: &[&Draft]) -> Result<ChainHead, Error> {
        let failed = |error| fault(&self.settings.place, error);
        let mut transaction = connection.begin().await.map_err(failed)?;
        sqlx::query(ALONE).execute(&mut *transaction).await.map_err(failed)?;
        let newest =
            sqlx::query_scalar::<_, Vec<u8>>(NEWEST).fetch_optional(&mut *transaction).await.map_err(failed)?;
        let mut head = newest.map_or(Ok(ChainHead::default()), |event| self.head(&event))?;
        for draft in drafts {
            let (event, behind) = draft.link(head, &self.seal);
            let position = i64::try_from(head.entries())
                .map_err(|error| Error::corrupt("the audit chain has no more positions").because(error))?;
            let insert = sqlx::query(INSERT).bind(position).bind(draft.id.to_string()).bind(event);
            if insert.execute(&mut *transaction).await.map_err(failed)?.rows_affected() > 0 {
                head = behind;
            }
        }
        transaction.commit().await.map_err(failed)?;
        Ok(head)
    }

    fn head(&self, event: &[u8]) -> Result<ChainHead, Error> {
        let place = &self.settings.place;
        let corrupt = || {
            Error::corrupt(format!("the newest audit entry in {place} does not read: restore it, or begin elsewhere"))
        };
        let newest: Linked = serde_json::from_slice(event).map_err(|error| corrupt().because(error))?;
        self.seal.check_source(&newest.source, place)?;
        newest.head().ok_or_else(corrupt)
    }
}

/// Each row, and where it is.
fn rows(settings: Settings) -> BoxStream<'static, Result<(i64, Vec<u8>), Error>> {
    let pages = stream::try_unfold((settings, None, i64::MIN), |(settings, session, next)| async move {
        let mut session: Session = match session {
            Some(session) => session,
            None => Session::open(&settings).await?,
        };
        let page = sqlx::query_as::<_, (i64, Vec<u8>)>(PAGE).bind(next).bind(PAGE_ROWS);
        let read = timeout(settings.statement_timeout, page.fetch_all(&mut session.connection)).await;
        let rows = in_time(&settings, read)?.map_err(|error| fault(&settings.place, error))?;
        let Some((last, _)) = rows.last() else {
            session.close().await;
            return Ok::<_, Error>(None);
        };
        let next = last.saturating_add(1);
        Ok(Some((stream::iter(rows).map(Ok), (settings, Some(session), next))))
    });
    pages.try_flatten().boxed()
}

fn in_time<T>(settings: &Settings, result: Result<T, tokio::time::error::Elapsed>) -> Result<T, Error> {
    let late = || Error::unavailable(format!("the database {} did not answer in time: repeat", settings.place));
    result.map_err(|_| late())
}

impl fmt::Debug for Pen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pen").field("place", &self.settings.place).finish_non_exhaustive()
    }
}

impl fmt::Debug for PostgresAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresAudit").field("seal", &self.seal).finish_non_exhaustive()
    }
}
