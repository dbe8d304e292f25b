//! Opening the database: set up once, safely beside other hosts that do the same.

use std::sync::Arc;
use std::time::Duration;

use distribution_core::{Error, ErrorKind};
use sqlx::AssertSqlSafe;
use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::fault::migration_fault;
use super::session::{Session, Settings};
use super::sessions::Sessions;
use super::writer::Writers;
use super::{PostgresConfig, PostgresMetadata};

/// How long bringing the tables up to this version may take, and waiting for another host that does.
const MIGRATION_TIMEOUT: Duration = Duration::from_secs(600);

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

impl PostgresMetadata {
    /// Connects, and brings the tables up to this version. Many hosts may do so at the same time.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for settings out of their range and for what the server refuses (user,
    /// password, database, privileges), [`ErrorKind::Unsupported`] if a newer version set up the tables
    /// or the database is not in UTF8, [`ErrorKind::Corrupt`] if the tables are not this library's,
    /// [`ErrorKind::Unavailable`] if the server is out of reach or a standby.
    pub async fn open(config: PostgresConfig) -> Result<Self, Error> {
        let runtime = Handle::try_current().map_err(|error| {
            let message = "PostgreSQL needs a Tokio runtime with timers: call this from within one";
            Error::new(ErrorKind::Unsupported, message).because(error)
        })?;
        // On a thread of its own, because the compiler cannot tell that sqlx's migrating future is `Send`.
        let opened = tokio::task::spawn_blocking(move || runtime.block_on(open(config))).await;
        opened.map_err(|error| {
            Error::unavailable("the database was not opened: the runtime is shutting down").because(error)
        })?
    }
}

async fn open(config: PostgresConfig) -> Result<PostgresMetadata, Error> {
    let settings = config.settings()?;
    let waiting =
        Settings { statement_timeout: MIGRATION_TIMEOUT, lock_timeout: MIGRATION_TIMEOUT, ..settings.clone() };
    let mut setup = Session::open(&waiting).await?;
    let migrated = timeout(MIGRATION_TIMEOUT, migrate(&mut setup.connection, &settings.schema)).await;
    let place = &settings.place;
    migrated
        .map_err(|_| Error::unavailable(format!("the database {place} could not be set up in time: repeat")))?
        .map_err(|error| migration_fault(place, error))?;
    setup.close().await;
    let sessions = |size| Arc::new(Sessions::new(settings.clone(), size, config.acquire_timeout));
    let (writers, readers) = (Writers::new(sessions(config.writers)), sessions(config.readers));
    Ok(PostgresMetadata { place: settings.place.as_str().into(), writers, readers })
}

/// Changes nothing, and needs no right to, where nothing is to be done.
async fn migrate(setup: &mut PgConnection, schema: &str) -> Result<(), MigrateError> {
    if is_current(setup).await? {
        return Ok(());
    }
    // An advisory lock for the session. On an error the connection is closed, and the lock gone.
    setup.lock().await?;
    let present = sqlx::query("SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1").bind(schema);
    if present.fetch_optional(&mut *setup).await?.is_none() {
        // The name was checked: lower-case letters, digits and underscores.
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE SCHEMA \"{schema}\""))).execute(&mut *setup).await?;
    }
    MIGRATIONS.run_direct(None, &mut *setup, false).await?;
    setup.unlock().await
}

async fn is_current(setup: &mut PgConnection) -> Result<bool, MigrateError> {
    let table = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(&*MIGRATIONS.table_name);
    if !table.fetch_one(&mut *setup).await? {
        return Ok(false);
    }
    let applied = setup.list_applied_migrations(&MIGRATIONS.table_name).await?;
    let applied = applied.iter().map(|applied| (applied.version, &applied.checksum));
    Ok(applied.eq(MIGRATIONS.iter().map(|known| (known.version, &known.checksum))))
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    /// Cargo does not notice a new file by itself: touch this one.
    #[test]
    fn every_migration_is_built_in() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/postgres");
        assert_eq!(std::fs::read_dir(directory).unwrap().count(), MIGRATIONS.iter().count());
    }
}
