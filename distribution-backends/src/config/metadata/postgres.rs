//! Records in PostgreSQL.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distribution_core::{Error, MetadataStore};

use super::{AT, Metadata, Records};
use crate::blocking::blocking;
use crate::config::document::Places;
use crate::config::secret::Secret;
use crate::config::values::Whole;
use crate::{PostgresConfig, PostgresMetadata};

const TIMEOUT_SECS_MAX: u32 = 3_600;
const READERS_MAX: u32 = 256;

struct Postgres {
    config: PostgresConfig,
    password: Option<Secret>,
}

pub(super) fn parse(metadata: &Metadata, base: &Path, places: &Places) -> Result<Arc<dyn Records>, Error> {
    if has_password(&metadata.uri) {
        let message = "holds a password: give it by `password`, { env = \"NAME\" } or { file = \"path\" }";
        return Err(places.invalid(AT, message));
    }
    let mut config = PostgresConfig::from_uri(&metadata.uri).map_err(|error| places.locate(AT, error))?.below(base);
    let within = |value: Option<Whole>, key: &str, max: u32| {
        value.map(|value| value.within(1..=max, &format!("metadata.{key}"), places)).transpose()
    };
    let secs = |value: Option<Whole>, key: &str| {
        Ok::<_, Error>(within(value, key, TIMEOUT_SECS_MAX)?.map(|secs| Duration::from_secs(u64::from(secs))))
    };
    if let Some(readers) = within(metadata.read_connections, "read_connections", READERS_MAX)? {
        config = config.readers(readers);
    }
    if let Some(timeout) = secs(metadata.connect_timeout_secs, "connect_timeout_secs")? {
        config = config.connect_timeout(timeout);
    }
    if let Some(timeout) = secs(metadata.acquire_timeout_secs, "acquire_timeout_secs")? {
        config = config.acquire_timeout(timeout);
    }
    if let Some(timeout) = secs(metadata.statement_timeout_secs, "statement_timeout_secs")? {
        config = config.statement_timeout(timeout);
    }
    if let Some(timeout) = secs(metadata.lock_timeout_secs, "lock_timeout_secs")? {
        config = config.lock_timeout(timeout);
    }
    Ok(Arc::new(Postgres { config, password: metadata.password.clone() }))
}

/// Whether something is behind the user's name and a `:` (RFC 3986 §3.2.1).
fn has_password(uri: &str) -> bool {
    let rest = uri.split_once("://").map_or(uri, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

#[async_trait]
impl Records for Postgres {
    async fn database(&self, base: &Path, places: &Places) -> Result<Option<PostgresConfig>, Error> {
        let mut config = self.config.clone();
        if let Some(secret) = self.password.clone() {
            let base = base.to_owned();
            let password = blocking(move |_| secret.read(&base)).await;
            let password = password.map_err(|error| places.locate("metadata.password", error))?;
            config = config.password(password.as_str());
        }
        Ok(Some(config))
    }

    async fn open(&self, base: &Path, places: &Places) -> Result<Arc<dyn MetadataStore>, Error> {
        let config = self.database(base, places).await?.unwrap_or_else(|| self.config.clone());
        let opened = PostgresMetadata::open(config).await.map_err(|error| places.locate(AT, error))?;
        Ok(Arc::new(opened))
    }
}
