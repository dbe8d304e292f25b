//! One connection to the primary, with the settings that our promises rest on.

use std::time::Duration;

use distribution_core::{Error, ErrorKind};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};
use tokio::time::{Instant, timeout};

use super::fault::opening_fault;
use super::row::Statement;

/// A connection that nobody has used for so long may be gone, and is asked before it is trusted.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// How much longer than the server this side waits for the end of a statement.
const GRACE: Duration = Duration::from_secs(5);

/// How a connection is made.
#[derive(Clone)]
pub(crate) struct Settings {
    /// The database, for messages.
    pub(crate) place: String,
    pub(crate) options: PgConnectOptions,
    pub(crate) schema: String,
    pub(crate) connect_timeout: Duration,
    pub(crate) statement_timeout: Duration,
    pub(crate) lock_timeout: Duration,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    statement_timeout: Duration,
    used_at: Instant,
}

impl Session {
    /// # Errors
    /// `Unavailable` if the server is out of reach, or takes no writes; `Invalid` if it refuses the user
    /// or has no such database; `Unsupported` if the database holds no UTF-8.
    pub(crate) async fn open(settings: &Settings) -> Result<Self, Error> {
        let place = &settings.place;
        let opened = timeout(settings.connect_timeout, async {
            let mut connection = settings.options.connect().await?;
            let answer = prepare(settings).fetch_one(&mut connection).await?;
            Ok((connection, answer))
        });
        let (connection, answer) = opened
            .await
            .map_err(|_| Error::unavailable(format!("the database {place} did not answer in time: repeat")))?
            .map_err(|error| opening_fault(place, error))?;
        let says = |column: &str| answer.try_get::<bool, _>(column).map_err(|error| opening_fault(place, error));
        if !says("takes_writes")? {
            let message = format!("the database {place} is a standby or read-only: name the primary");
            return Err(Error::unavailable(message));
        }
        if !says("is_utf8")? {
            let message = format!("the database {place} has another encoding than UTF8: create one that has it");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(Self { connection, statement_timeout: settings.statement_timeout, used_at: Instant::now() })
    }

    /// Whether it can be used, as far as this can be known.
    pub(crate) async fn is_alive(&mut self) -> bool {
        self.used_at.elapsed() < TRUSTED_FOR || matches!(timeout(GRACE, self.connection.ping()).await, Ok(Ok(())))
    }

    /// On an error, and when this is dropped, the connection must not be used again.
    pub(crate) async fn fetch(&mut self, statement: Statement) -> Result<Vec<PgRow>, sqlx::Error> {
        let rows = timeout(self.statement_timeout + GRACE, statement.fetch_all(&mut self.connection)).await;
        let rows = rows.map_err(|_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))??;
        self.used_at = Instant::now();
        Ok(rows)
    }

    pub(crate) async fn close(self) {
        // The server notices in any case.
        let _ = timeout(GRACE, self.connection.close()).await;
    }
}

/// What holds for the session, and what the server is, in one round trip. With sorts, hashes and scans
/// switched off a plan depends on no statistics, which may be old: only on the indexes.
fn prepare(settings: &Settings) -> Statement {
    let millis = |limit: Duration| limit.as_millis().to_string();
    sqlx::query(
        "SELECT set_config('search_path', $1, false), \
         set_config('statement_timeout', $2, false), \
         set_config('lock_timeout', $3, false), \
         set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
             WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, false), \
         set_config('default_transaction_isolation', 'read committed', false), \
         set_config('plan_cache_mode', 'force_custom_plan', false), \
         set_config('jit', 'off', false), \
         set_config('max_parallel_workers_per_gather', '0', false), \
         (SELECT max(set_config(method, 'off', false)) FROM unnest(ARRAY['enable_seqscan', 'enable_sort', \
             'enable_incremental_sort', 'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin']) AS m (method)), \
         NOT pg_is_in_recovery() AND NOT current_setting('transaction_read_only')::boolean AS takes_writes, \
         current_setting('server_encoding') = 'UTF8' AS is_utf8",
    )
    .bind(settings.schema.clone())
    .bind(millis(settings.statement_timeout))
    .bind(millis(settings.lock_timeout))
    // Sent once for each connection.
    .persistent(false)
}
