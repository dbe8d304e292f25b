//! Opening the file: set up once, safely beside other processes that do the same.

use std::path::{Path, PathBuf};
use std::time::Duration;

use distribution_core::{Error, ErrorKind};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions as _, Connection as _, SqlitePool};
use tokio::runtime::Handle;

use super::SqliteMetadata;
use super::fault::{BUSY, fault, migration_fault, primary_code};
use super::writer::Writer;
use crate::durable::sync_dir_at;

/// How long a statement waits for another process to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a call waits for a connection to read with.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
const READERS_MAX: u32 = 4;
/// What is kept of the write-ahead log after a burst, in bytes.
const LOG_BYTES_KEPT: &str = "67108864";
/// Changing the journal mode does not wait for a lock by itself.
const JOURNAL_MODE_ATTEMPTS_MAX: u32 = 200;
const JOURNAL_MODE_PAUSE: Duration = Duration::from_millis(50);

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

impl SqliteMetadata {
    /// Opens the file, creating it, and brings its tables up to this version. Several processes may
    /// do so at the same time.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] if the directory is missing, [`ErrorKind::Unsupported`] if a newer
    /// version wrote the file or its file system cannot share it, [`ErrorKind::Corrupt`] if it is no
    /// database of this library, [`ErrorKind::Unavailable`] if it is out of reach or locked.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let runtime = Handle::try_current().map_err(|error| {
            let message = "SQLite needs a Tokio runtime with timers: call this from within one";
            Error::new(ErrorKind::Unsupported, message).because(error)
        })?;
        // On a thread of its own, because it looks at files, and because the compiler cannot tell that
        // sqlx's migrating future is `Send`.
        let opened = tokio::task::spawn_blocking(move || runtime.block_on(open(&path))).await;
        opened.map_err(|error| {
            Error::unavailable("the database was not opened: the runtime is shutting down").because(error)
        })?
    }
}

async fn open(path: &Path) -> Result<SqliteMetadata, Error> {
    let (path, directory) = prepare(path)?;
    let place = path.display().to_string();
    let failed = |error| fault(&place, error);

    let options = options(&path);
    let mut setup = options.clone().create_if_missing(true).connect().await.map_err(failed)?;
    use_log(&mut setup, &place).await?;
    migrate(&mut setup, &place).await?;

    // Not created a second time: a file that is gone must not come back empty and unnoticed.
    let writer = Writer::open(&place, options.clone()).await.map_err(failed)?;
    let readers = readers(options.pragma("query_only", "ON")).await.map_err(failed)?;
    setup.close().await.map_err(failed)?;
    // Here, on the thread that may block: there may be no second one.
    sync_dir_at(&directory).map_err(|error| {
        let message = format!("the directory {} could not be synced: check its disk, then repeat", directory.display());
        Error::unavailable(message).because(error)
    })?;
    Ok(SqliteMetadata { place, writer, readers })
}

/// The absolute path, whatever SQLite would read into a relative one such as `:memory:`, and its
/// directory.
pub(crate) fn prepare(path: &Path) -> Result<(PathBuf, PathBuf), Error> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
    let absolute = std::path::absolute(path)
        .map_err(|error| invalid(format!("the database path {path:?} cannot be used")).because(error))?;
    if absolute.to_str().is_none_or(|path| path.contains('\0')) {
        return Err(invalid(format!("the database path {path:?} must be UTF-8 without a NUL")));
    }
    let directory = absolute.parent().unwrap_or(Path::new("/")).to_owned();
    if !directory.is_dir() {
        let message =
            format!("the directory {} of the database does not exist: create or mount it", directory.display());
        return Err(invalid(message));
    }
    if absolute.is_dir() {
        return Err(invalid(format!("the database path {} is a directory: name a file", absolute.display())));
    }
    Ok((absolute, directory))
}

pub(crate) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .synchronous(SqliteSynchronous::Full)
        // What a durable write needs on macOS; elsewhere without effect.
        .pragma("fullfsync", "ON")
        .pragma("journal_size_limit", LOG_BYTES_KEPT)
}

async fn readers(options: SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    SqlitePoolOptions::new()
        .max_connections(READERS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .connect_with(options)
        .await
}

/// Makes the file use a write-ahead log, for good: readers then never wait.
pub(crate) async fn use_log(setup: &mut SqliteConnection, place: &str) -> Result<(), Error> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let mode = sqlx::query_scalar::<_, String>("PRAGMA journal_mode = WAL").fetch_one(&mut *setup).await;
        match mode {
            Ok(mode) if mode == "wal" => return Ok(()),
            Ok(_) => {
                let message = format!("the database {place} cannot use a write-ahead log: put it on a local disk");
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
            Err(error) if primary_code(&error) == Some(BUSY) && attempts < JOURNAL_MODE_ATTEMPTS_MAX => {
                tokio::time::sleep(JOURNAL_MODE_PAUSE).await;
            }
            Err(error) => return Err(fault(place, error)),
        }
    }
}

/// sqlx locks nothing on SQLite, so all of it happens in one transaction that has the write lock
/// from its start: the second process finds the work done.
async fn migrate(setup: &mut SqliteConnection, place: &str) -> Result<(), Error> {
    let mut transaction = setup.begin_with("BEGIN IMMEDIATE").await.map_err(|error| fault(place, error))?;
    MIGRATIONS.run(&mut *transaction).await.map_err(|error| migration_fault(place, error))?;
    transaction.commit().await.map_err(|error| fault(place, error))
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    /// Cargo does not notice a new file by itself: touch this one.
    #[test]
    fn every_migration_is_built_in() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/sqlite");
        assert_eq!(std::fs::read_dir(directory).unwrap().count(), MIGRATIONS.iter().count());
    }
}
