//! Audit entries in one SQLite file.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{AuditEntry, AuditSink, Error};
use futures::future::ready;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::blocking::blocking;
use crate::desk::{Desk, Shift};
use crate::durable::sync_dir_at;
use crate::evidence::{ChainHead, ChainedEvent, ChainedSink, Draft, Linked, Seal, Verifier};
use crate::metadata::sqlite::{fault, identity, options, prepare, use_log};

/// How many appends share a transaction at most.
const GROUP_APPENDS_MAX: usize = 1024;

/// Rows are added and never changed: SQLite itself refuses.
const SETUP: &str = "
CREATE TABLE IF NOT EXISTS audit_entry (
    position INTEGER NOT NULL PRIMARY KEY, -- in the chain, counted from 0
    id       TEXT    NOT NULL UNIQUE,
    event    BLOB    NOT NULL              -- canonical JSON
) STRICT;
CREATE TRIGGER IF NOT EXISTS audit_entry_is_not_changed BEFORE UPDATE ON audit_entry
    BEGIN SELECT raise(ABORT, 'audit entries are not changed'); END;
CREATE TRIGGER IF NOT EXISTS audit_entry_is_not_removed BEFORE DELETE ON audit_entry
    BEGIN SELECT raise(ABORT, 'audit entries are not removed'); END;
-- INSERT OR REPLACE removes a row without asking the trigger above.
CREATE TRIGGER IF NOT EXISTS audit_entry_is_not_replaced BEFORE INSERT ON audit_entry
    WHEN EXISTS (SELECT 1 FROM audit_entry WHERE position = NEW.position)
    BEGIN SELECT raise(ABORT, 'audit entries are not replaced'); END;
-- An entry that is there is not added again, as with DO NOTHING.
CREATE TRIGGER IF NOT EXISTS audit_entry_is_there_once BEFORE INSERT ON audit_entry
    WHEN EXISTS (SELECT 1 FROM audit_entry WHERE id = NEW.id)
        AND NOT EXISTS (SELECT 1 FROM audit_entry WHERE position = NEW.position)
    BEGIN SELECT raise(IGNORE); END;";
const NEWEST: &str = "SELECT event FROM audit_entry ORDER BY position DESC LIMIT 1";
const INSERT: &str = "INSERT INTO audit_entry (position, id, event) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING";
const PAGE: &str = "SELECT position, event FROM audit_entry WHERE position >= ? ORDER BY position LIMIT ?";
/// How many rows are in memory at a time when all are read.
const PAGE_ROWS: i64 = 200;

/// Audit entries in the table `audit_entry` of one SQLite file, each a CloudEvent in a chain, as [`Seal`] says. Several
/// processes of one machine may share it; give it a file of its own, on a local disk.
///
/// Appends are durable when they return (`WAL`, `synchronous = FULL`). Those that wait for each other share a
/// transaction. One that is dropped happens all the same. Memory does not grow with the table.
///
/// ```
/// use distribution_backends::{Seal, SqliteAudit, Verifier};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.db");
/// let audit = SqliteAudit::open(&path, Seal::default()).await?;
/// assert!(SqliteAudit::verify(&path, Verifier::new()).await?.finish().is_clean());
/// # let _ = audit;
/// # Ok(())
/// # }
/// ```
pub struct SqliteAudit {
    desk: Arc<Desk<Pen, Vec<Draft>, ChainHead>>,
    seal: Seal,
}

/// The connection and how to open another.
struct Pen {
    place: String,
    /// SQLite does not notice that the file has gone.
    file: (u64, u64),
    options: SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    seal: Seal,
}

impl SqliteAudit {
    /// Opens the file, creating it and its table.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) if the directory is missing or the chain is another one,
    /// [`Corrupt`](distribution_core::ErrorKind::Corrupt) if it holds something else,
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it is out of reach or locked.
    pub async fn open(path: impl AsRef<Path>, seal: Seal) -> Result<Self, Error> {
        let (path, directory) = prepared(path.as_ref()).await?;
        let place = path.display().to_string();
        let failed = |error| fault(&place, error);
        let mut setup = options(&path).create_if_missing(true).connect().await.map_err(failed)?;
        use_log(&mut setup, &place).await?;
        let mut transaction = setup.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
        sqlx::raw_sql(SETUP).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
        setup.close().await.map_err(failed)?;
        blocking(move |_| {
            sync_dir_at(&directory).map_err(|error| {
                let what = format!("the directory {} could not be synced: check its disk", directory.display());
                Error::unavailable(what).because(error)
            })
        })
        .await?;
        // Not created a second time: a file that is gone must not come back empty and unnoticed.
        let options = options(&path);
        let file = identity(&options).map_err(failed)?;
        let mut pen = Pen { place, file, options, connection: None, seal: seal.clone() };
        pen.append(&[]).await?;
        Ok(Self { desk: Desk::new(pen), seal })
    }

    /// The entries in a file, oldest first, all of them in memory: [`entries`](Self::entries) has some of them there
    /// at a time.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn read(path: impl AsRef<Path>) -> Result<Vec<AuditEntry>, Error> {
        Self::entries(path).try_collect().await
    }

    /// The entries in a file, oldest first. Errors are those of [`open`](Self::open), and the end.
    pub fn entries(path: impl AsRef<Path>) -> BoxStream<'static, Result<AuditEntry, Error>> {
        let place = path.as_ref().display().to_string();
        let entries = rows(path.as_ref().to_owned()).and_then(move |(position, event)| {
            let event: Option<ChainedEvent> = serde_json::from_slice(&event).ok();
            let unread = || Error::corrupt(format!("row {position} of {place} is no audit entry: restore it"));
            ready(event.and_then(|event| event.entry()).ok_or_else(unread))
        });
        entries.boxed()
    }

    /// Checks a file, row by row; what was found is what [`finish`](Verifier::finish) of the verifier says.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the file is out of reach.
    pub async fn verify(path: impl AsRef<Path>, mut verifier: Verifier) -> Result<Verifier, Error> {
        let mut rows = rows(path.as_ref().to_owned());
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
impl AuditSink for SqliteAudit {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        self.ask(entries).await.map(drop)
    }
}

#[async_trait]
impl ChainedSink for SqliteAudit {
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

impl Pen {
    /// All of them or, on an error, none or all: then nobody knows.
    async fn append(&mut self, drafts: &[&Draft]) -> Result<ChainHead, Error> {
        // Taken: a connection that met an error, perhaps inside a transaction, is not used again.
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.options.connect().await.map_err(|error| fault(&self.place, error))?,
        };
        let head = self.write(&mut connection, drafts).await?;
        if identity(&self.options).map_err(|error| fault(&self.place, error))? != self.file {
            let what = format!("the database {} was replaced while in use: put it back, then open it anew", self.place);
            return Err(Error::unavailable(what));
        }
        self.connection = Some(connection);
        Ok(head)
    }

    async fn write(&self, connection: &mut SqliteConnection, drafts: &[&Draft]) -> Result<ChainHead, Error> {
        let failed = |error| fault(&self.place, error);
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
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
        let corrupt = || {
            let what =
                format!("the newest audit entry in {} does not read: restore it, or begin elsewhere", self.place);
            Error::corrupt(what)
        };
        let newest: Linked = serde_json::from_slice(event).map_err(|error| corrupt().because(error))?;
        self.seal.check_source(&newest.source, &self.place)?;
        newest.head().ok_or_else(corrupt)
    }
}

/// Each row, and where it is. They are read in pages: who takes their time holds up no writer.
fn rows(path: PathBuf) -> BoxStream<'static, Result<(i64, Vec<u8>), Error>> {
    let pages = stream::try_unfold((path, None, i64::MIN), |(path, connection, next)| async move {
        let place = path.display().to_string();
        let failed = |error| fault(&place, error);
        let mut connection: SqliteConnection = match connection {
            Some(connection) => connection,
            None => {
                let (path, _) = prepared(&path).await?;
                options(&path).pragma("query_only", "ON").connect().await.map_err(failed)?
            }
        };
        let page = sqlx::query_as::<_, (i64, Vec<u8>)>(PAGE).bind(next).bind(PAGE_ROWS);
        let rows = page.fetch_all(&mut connection).await.map_err(failed)?;
        let Some((last, _)) = rows.last() else {
            connection.close().await.map_err(failed)?;
            return Ok::<_, Error>(None);
        };
        let next = last.saturating_add(1);
        Ok(Some((stream::iter(rows).map(Ok), (path, Some(connection), next))))
    });
    pages.try_flatten().boxed()
}

async fn prepared(path: &Path) -> Result<(PathBuf, PathBuf), Error> {
    let path = path.to_owned();
    blocking(move |_| prepare(&path)).await
}

impl fmt::Debug for Pen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pen").field("place", &self.place).finish_non_exhaustive()
    }
}

impl fmt::Debug for SqliteAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteAudit").field("seal", &self.seal).finish_non_exhaustive()
    }
}
