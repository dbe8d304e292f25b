//! A database that publishers share.

use distribution_backends::{PostgresConfig, PostgresMetadata};
use distribution_core::Error;
use serde::{Deserialize, Serialize};

/// A schema in a database, and how processes get there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Database {
    uri: String,
}

impl Database {
    /// On the server that `DISTRIBUTION_TEST_POSTGRES` names, if it names one.
    pub(crate) fn named() -> Option<Self> {
        const VARIABLE: &str = "DISTRIBUTION_TEST_POSTGRES";
        let Ok(uri) = std::env::var(VARIABLE) else {
            assert!(std::env::var_os("CI").is_none(), "{VARIABLE} must name a server in CI: see .ci/servers");
            println!("NOT RUN: {VARIABLE} names no server, see .ci/servers");
            return None;
        };
        let mut random = [0; 6];
        getrandom::fill(&mut random).unwrap();
        Some(Self { uri: format!("{uri}?schema=site_{}", data_encoding::HEXLOWER.encode(&random)) })
    }

    pub(crate) async fn open(&self) -> Result<PostgresMetadata, Error> {
        PostgresMetadata::open(PostgresConfig::from_uri(&self.uri)?).await
    }
}
