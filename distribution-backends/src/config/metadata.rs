//! Where records are kept. The scheme of a URI tells which store it is.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Error, MetadataStore};
use serde::Deserialize;

use super::document::Places;
use super::fault::all_of;
use super::file::Credentials;
use super::place::Place;
use super::secret::Secret;
use super::story::{self, Story};
use super::values::Whole;

mod objects;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "postgres")]
use self::postgres::parse as postgres;
#[cfg(feature = "sqlite")]
use self::sqlite::parse as sqlite;

/// `[metadata]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Metadata {
    /// `sqlite:records.db`: a file, made if absent, which processes of one machine may share. Or
    /// `postgres://user@host/database`, for many hosts, with the settings of `PostgresConfig`, but no password. Or
    /// `objects:` and a directory or bucket like the `storage` of a target, which belongs to records alone: no
    /// database, but slow to find by tag or state. Or `story:https://…` or `story:stdio`, the Story MCP datastore.
    pub(super) uri: String,
    /// `story:`: how it is reached and spoken to.
    story: Option<Story>,
    /// `objects:`: with which keys the bucket is asked, if not with those that its own tools would find.
    credentials: Option<Credentials>,
    /// `postgres://`: the user's password, if the server asks for one. Default: `PGPASSWORD`.
    password: Option<Secret>,
    /// `postgres://`: how many connections read, 1 to 256; two more write. Default: 4.
    read_connections: Option<Whole>,
    /// `postgres://`: how long connecting may take, in seconds, 1 to 3,600. Default: 10.
    connect_timeout_secs: Option<Whole>,
    /// `postgres://`: how long a call waits for a free connection, in seconds, 1 to 3,600. Default: 30.
    acquire_timeout_secs: Option<Whole>,
    /// `postgres://`: how long a statement may take, in seconds, 1 to 3,600. Default: 30.
    statement_timeout_secs: Option<Whole>,
    /// `postgres://`: how long a statement waits for a row that is locked, in seconds, 1 to 3,600. Default: 5.
    lock_timeout_secs: Option<Whole>,
}

/// A store that is not open yet.
#[async_trait]
pub(super) trait Records: Send + Sync {
    /// Reads its secrets and opens it. Errors name no key but that of a secret.
    async fn open(&self, base: &Path, places: &Places) -> Result<Arc<dyn MetadataStore>, Error>;

    /// The database that they are in, with its secrets, if it is one that the audit trail may be in too.
    #[cfg(feature = "postgres")]
    async fn database(&self, _: &Path, _: &Places) -> Result<Option<crate::PostgresConfig>, Error> {
        Ok(None)
    }

    /// Where they are, if that is a place that could also be a target's.
    fn place(&self) -> Option<&Place> {
        None
    }
}

/// The key that errors name.
const AT: &str = "metadata.uri";
const OF_POSTGRES: [&str; 6] = [
    "password",
    "read_connections",
    "connect_timeout_secs",
    "acquire_timeout_secs",
    "statement_timeout_secs",
    "lock_timeout_secs",
];

impl Metadata {
    /// # Errors
    /// `Invalid` for what names no store, or a key that is another store's; `Unsupported` for a store that this
    /// build has not.
    pub(super) fn check(&self, base: &Path, places: &Places) -> Result<Arc<dyn Records>, Error> {
        match self.uri.split_once(':') {
            Some(("sqlite", path)) => {
                self.check_keys("sqlite:", &[], places)?;
                sqlite(path, base).map_err(|error| places.locate(AT, error))
            }
            Some(("postgres" | "postgresql", _)) => {
                self.check_keys("postgres:", &OF_POSTGRES, places)?;
                postgres(self, base, places)
            }
            Some(("objects", place)) => {
                self.check_keys("objects:", &["credentials"], places)?;
                objects::parse(self, place, base, places)
            }
            Some(("story", server)) => {
                self.check_keys("story:", &["story"], places)?;
                story::records(server, self.story.as_ref(), places)
            }
            _ => {
                let message = "must be like sqlite:records.db, postgres://user@host/database, \
                               objects:s3://bucket/prefix or story:https://host/mcp";
                Err(places.invalid(AT, message))
            }
        }
    }

    /// That no key of another store is there.
    fn check_keys(&self, scheme: &str, known: &[&str], places: &Places) -> Result<(), Error> {
        let given = [
            ("credentials", self.credentials.is_some()),
            ("story", self.story.is_some()),
            ("password", self.password.is_some()),
            ("read_connections", self.read_connections.is_some()),
            ("connect_timeout_secs", self.connect_timeout_secs.is_some()),
            ("acquire_timeout_secs", self.acquire_timeout_secs.is_some()),
            ("statement_timeout_secs", self.statement_timeout_secs.is_some()),
            ("lock_timeout_secs", self.lock_timeout_secs.is_some()),
        ];
        let Some((key, _)) = given.iter().find(|(key, is_given)| *is_given && !known.contains(key)) else {
            return Ok(());
        };
        let has =
            if known.is_empty() { "which has `uri` only".to_owned() } else { format!("which has {}", all_of(known)) };
        Err(places.invalid(&format!("metadata.{key}"), format!("is of no use with {scheme}, {has}")))
    }
}

#[cfg(not(feature = "sqlite"))]
fn sqlite(_: &str, _: &Path) -> Result<Arc<dyn Records>, Error> {
    Err(super::bucket::lacks("sqlite"))
}

#[cfg(not(feature = "postgres"))]
fn postgres(_: &Metadata, _: &Path, places: &Places) -> Result<Arc<dyn Records>, Error> {
    Err(places.locate(AT, super::bucket::lacks("postgres")))
}
