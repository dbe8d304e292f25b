//! The server that the environment names, seen by other means than the library's.

use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, process};

use distribution_backends::{PostgresConfig, PostgresMetadata};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

const VARIABLE: &str = "DISTRIBUTION_TEST_POSTGRES";

/// Why there is no server to test with. In CI that is a failure.
pub(crate) fn missing() -> Option<String> {
    if env::var_os(VARIABLE).is_some() {
        return None;
    }
    assert!(env::var_os("CI").is_none(), "{VARIABLE} must name a server in CI: see .ci/servers");
    Some(format!("{VARIABLE} names no server, see .ci/servers"))
}

/// A schema of its own on the server, which goes with this.
pub(crate) struct Schema {
    pub(crate) uri: String,
    pub(crate) name: String,
}

impl Schema {
    /// `None`, and a line that says so, without a server.
    pub(crate) fn new() -> Option<Self> {
        if let Some(missing) = missing() {
            println!("NOT RUN: {missing}");
            return None;
        }
        Some(Self::on(&env::var(VARIABLE).unwrap()))
    }

    pub(crate) fn on(uri: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}_{}", process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        Self { uri: uri.to_owned(), name }
    }

    pub(crate) fn config(&self) -> PostgresConfig {
        PostgresConfig::from_uri(&self.uri).unwrap().schema(&self.name)
    }

    pub(crate) async fn open(&self) -> PostgresMetadata {
        PostgresMetadata::open(self.config()).await.unwrap()
    }

    /// A connection whose names are those of this schema.
    pub(crate) async fn connect(&self) -> PgConnection {
        let options: PgConnectOptions = self.uri.parse().unwrap();
        options.options([("search_path", &self.name)]).connect().await.unwrap()
    }

    pub(crate) async fn execute(&self, sql: &str) -> Vec<PgRow> {
        let mut connection = self.connect().await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(&mut connection).await.unwrap()
    }

    /// The server, without user and database.
    pub(crate) fn address(&self) -> &str {
        self.uri.rsplit_once('@').unwrap().1.split_once('/').unwrap().0
    }
}

impl Drop for Schema {
    /// From a test of any runtime, or of none.
    fn drop(&mut self) {
        let (uri, name) = (self.uri.clone(), self.name.clone());
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let Ok(options) = uri.parse::<PgConnectOptions>() else { return };
                let Ok(mut connection) = options.connect().await else { return };
                let drop = format!("SET client_min_messages = error; DROP SCHEMA IF EXISTS {name} CASCADE");
                let _ = sqlx::raw_sql(AssertSqlSafe(drop)).execute(&mut connection).await;
            });
        });
        let _ = dropping.join();
    }
}
