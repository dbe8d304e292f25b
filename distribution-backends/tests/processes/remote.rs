//! A bucket that publishers share.

use distribution_backends::{Probe, S3Config, S3Storage, SystemClock};
use distribution_core::{Clock as _, Error, Storage as _};
use serde::{Deserialize, Serialize};

use crate::server::Server;

/// A prefix in a bucket, and how processes get there.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Remote {
    server: Server,
    bucket: String,
    prefix: String,
    /// What the server was found to do, so that not every process must find out.
    probe: Probe,
}

impl Remote {
    /// On the server that the variable names, if it names one.
    pub(crate) fn named(variable: &str) -> Option<Self> {
        let server = Server::named(variable)?;
        let bucket = server.bucket().to_owned();
        let remote = Self { server, bucket, prefix: String::new(), probe: Probe::default() }.elsewhere();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let probe = runtime.block_on(S3Storage::open(remote.config())).unwrap().probe().clone();
        Some(Self { probe, ..remote })
    }

    /// The same, with a prefix that nobody uses.
    pub(crate) fn elsewhere(&self) -> Self {
        let mut random = [0; 6];
        getrandom::fill(&mut random).unwrap();
        Self { prefix: format!("site-{}", data_encoding::HEXLOWER.encode(&random)), ..self.clone() }
    }

    #[cfg(feature = "postgres")]
    /// The same, by another way to the server.
    pub(crate) fn by(&self, host: String) -> Self {
        let mut there = self.clone();
        there.server.host = host;
        there
    }

    #[cfg(feature = "postgres")]
    /// Where the server listens.
    pub(crate) fn host(&self) -> &str {
        &self.server.host
    }

    pub(crate) fn storage(&self) -> Result<S3Storage, Error> {
        let config = self.config();
        let probe = Probe { target: config.place(), ..self.probe.clone() };
        S3Storage::open_probed(config, probe)
    }

    /// How many uploads nobody has finished.
    pub(crate) async fn unfinished(&self) -> Result<usize, Error> {
        let later = SystemClock.now() + chrono::TimeDelta::hours(1);
        Ok(self.storage()?.unfinished(later, 10_000).await?.len())
    }

    /// Removes all that is there.
    pub(crate) async fn clear(&self) {
        let storage = self.storage().unwrap();
        let later = SystemClock.now() + chrono::TimeDelta::hours(1);
        for upload in storage.unfinished(later, 10_000).await.unwrap() {
            storage.discard(&upload).await.unwrap();
        }
        for key in storage.list("", None, 10_000).await.unwrap() {
            storage.remove(&key).await.unwrap();
        }
    }

    fn config(&self) -> S3Config {
        self.server.config(&self.bucket, &self.prefix, &self.server.host)
    }
}
