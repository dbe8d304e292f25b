//! Where the audit trail is kept, and how it is read there.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use distribution_core::{AuditEntry, Error, Storage, StoragePrefix};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use super::document::Places;
use super::file::{Audit, AuditKind, Credentials};
use super::metadata::Records;
use super::open::storage;
use super::place::{Place, path};
use crate::blocking::blocking;
use crate::evidence::ChainedSink;
use crate::{JsonlAudit, ObjectAudit, Seal, Verifier};

/// How many lines are read before others get the thread.
const LINES: usize = 1_000;
/// Where entries are in a place of their own, beside what a probe leaves there.
const PREFIX: &str = "entries/";

/// Where an audit trail is kept, for whoever reads it without the publisher.
///
/// ```no_run
/// # async fn example() -> Result<(), distribution_core::Error> {
/// use distribution_backends::{Config, Verifier};
/// use futures::TryStreamExt as _;
///
/// let trail = Config::load("distribution.toml")?.trail().await?;
/// let mut entries = trail.entries()?;
/// while let Some(entry) = entries.try_next().await? {
///     println!("{} {}", entry.at, entry.id);
/// }
/// assert!(trail.verify(Verifier::new()).await?.finish().is_clean());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AuditTrail(Kind);

#[derive(Clone)]
enum Kind {
    Jsonl(PathBuf),
    #[cfg(feature = "sqlite")]
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(Box<crate::PostgresConfig>),
    Objects(Arc<dyn Storage>, StoragePrefix),
}

impl AuditTrail {
    /// The entries, oldest first, some of them in memory at a time. A file that is not there has none. After an error nothing more comes that counts.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it is out of reach.
    pub fn entries(&self) -> Result<BoxStream<'_, Result<AuditEntry, Error>>, Error> {
        Ok(match &self.0 {
            Kind::Jsonl(path) if !path.exists() => stream::empty().boxed(),
            Kind::Jsonl(path) => lines(path.clone()),
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(path) => crate::SqliteAudit::entries(path),
            #[cfg(feature = "postgres")]
            Kind::Postgres(config) => crate::PostgresAudit::entries((**config).clone())?,
            Kind::Objects(storage, prefix) => ObjectAudit::entries(&**storage, prefix),
        })
    }

    /// Checks all entries; what was found is what [`finish`](Verifier::finish) of the verifier says.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it is out of reach.
    pub async fn verify(&self, verifier: Verifier) -> Result<Verifier, Error> {
        match &self.0 {
            Kind::Jsonl(path) if !path.exists() => Ok(verifier),
            Kind::Jsonl(path) => {
                let path = path.clone();
                blocking(move |_| JsonlAudit::verify(path, verifier)).await
            }
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(path) => crate::SqliteAudit::verify(path, verifier).await,
            #[cfg(feature = "postgres")]
            Kind::Postgres(config) => crate::PostgresAudit::verify((**config).clone(), verifier).await,
            Kind::Objects(storage, prefix) => ObjectAudit::verify(&**storage, prefix, verifier).await,
        }
    }
}

/// The entries of a file, read on a thread that may block.
fn lines(path: PathBuf) -> BoxStream<'static, Result<AuditEntry, Error>> {
    let batches = stream::try_unfold((path, None), |(path, open)| async move {
        let read = blocking(move |_| {
            let mut open = match open {
                Some(open) => open,
                None => JsonlAudit::read(&path)?,
            };
            let batch: Vec<_> = open.by_ref().take(LINES).collect();
            Ok((batch, (path, Some(open))))
        });
        let (batch, rest) = read.await?;
        Ok::<_, Error>((!batch.is_empty()).then(|| (stream::iter(batch), rest)))
    });
    batches.try_flatten().boxed()
}

/// Where a trail will be kept.
pub(super) enum Store {
    Jsonl(PathBuf),
    #[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "refused when it is checked"))]
    Sqlite(PathBuf),
    Postgres,
    Objects(Place, Option<Credentials>),
}

impl Store {
    /// # Errors
    /// `Invalid` or `Unsupported`, naming the key.
    pub(super) fn check(audit: &Audit, records: &str, base: &Path, places: &Places) -> Result<Self, Error> {
        let (kind, own) = match audit.kind {
            AuditKind::Jsonl => ("jsonl", Some("jsonl")),
            AuditKind::Sqlite => ("sqlite", Some("sqlite")),
            AuditKind::Postgres => ("postgres", None),
            AuditKind::Objects => ("objects", Some("objects")),
        };
        let given = [("jsonl", &audit.jsonl), ("sqlite", &audit.sqlite), ("objects", &audit.objects)];
        let mut place = None;
        for (key, value) in given {
            match value {
                Some(value) if own == Some(key) => place = Some(value),
                Some(_) => {
                    let message = format!("is of no use with `kind = \"{kind}\"`: remove it, or change the kind");
                    return Err(places.invalid(&format!("audit.{key}"), message));
                }
                None => {}
            }
        }
        if audit.credentials.is_some() && audit.kind != AuditKind::Objects {
            return Err(places.invalid("audit.credentials", "is of no use but with `kind = \"objects\"`"));
        }
        let at = format!("audit.{kind}");
        let missing = || {
            let message = format!("is missing: `kind = \"{kind}\"` needs it, the place of the trail");
            places.invalid(&at, message)
        };
        let located = |error| places.locate(&at, error);
        match audit.kind {
            AuditKind::Jsonl => path(place.ok_or_else(missing)?, base).map(Self::Jsonl).map_err(located),
            AuditKind::Sqlite if cfg!(not(feature = "sqlite")) => {
                Err(places.locate("audit.kind", super::bucket::lacks("sqlite")))
            }
            AuditKind::Sqlite => path(place.ok_or_else(missing)?, base).map(Self::Sqlite).map_err(located),
            AuditKind::Postgres if !records.starts_with("postgres") => {
                let message = "\"postgres\" is the database of the records: have `metadata.uri` name one";
                Err(places.invalid("audit.kind", message))
            }
            AuditKind::Postgres => Ok(Self::Postgres),
            AuditKind::Objects => {
                let place = Place::parse(place.ok_or_else(missing)?, base).map_err(located)?;
                if let Some(credentials) = &audit.credentials {
                    credentials.check(&place, "audit.credentials", places)?;
                }
                Ok(Self::Objects(place, audit.credentials.clone()))
            }
        }
    }

    /// Where it is, if that is a place that could also be a target's.
    pub(super) fn place(&self) -> Option<&Place> {
        match self {
            Self::Objects(place, _) => Some(place),
            Self::Jsonl(_) | Self::Sqlite(_) | Self::Postgres => None,
        }
    }

    /// The trail, to be read.
    pub(super) async fn trail(&self, records: &dyn Records, base: &Path, places: &Places) -> Result<AuditTrail, Error> {
        Ok(AuditTrail(match self {
            Self::Jsonl(path) => Kind::Jsonl(path.clone()),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(path) => Kind::Sqlite(path.clone()),
            #[cfg(not(feature = "sqlite"))]
            Self::Sqlite(_) => return Err(places.locate("audit.kind", super::bucket::lacks("sqlite"))),
            Self::Postgres => database(records, base, places).await?,
            Self::Objects(place, credentials) => {
                let place = match (place, credentials.clone()) {
                    (Place::Bucket(bucket), Some(credentials)) => {
                        let (bucket, base, places) = (bucket.clone(), base.to_owned(), places.clone());
                        let at = "audit.credentials";
                        Place::Bucket(blocking(move |_| credentials.give(&bucket, (at, &base, &places))).await?)
                    }
                    (place, _) => place.clone(),
                };
                let storage = storage(place, false).await.map_err(|error| places.locate("audit.objects", error))?;
                let prefix = StoragePrefix::parse(PREFIX).map_err(|error| places.locate("audit.objects", error))?;
                Kind::Objects(storage, prefix)
            }
        }))
    }
}

impl AuditTrail {
    /// The sink that appends to it.
    pub(super) async fn sink(&self, seal: Seal, places: &Places) -> Result<Arc<dyn ChainedSink>, Error> {
        let (at, opened): (_, Result<Arc<dyn ChainedSink>, Error>) = match &self.0 {
            Kind::Jsonl(path) => {
                ("audit.jsonl", JsonlAudit::open_sealed(path, seal).await.map(|sink| Arc::new(sink) as _))
            }
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(path) => {
                ("audit.sqlite", crate::SqliteAudit::open(path, seal).await.map(|sink| Arc::new(sink) as _))
            }
            #[cfg(feature = "postgres")]
            Kind::Postgres(config) => (
                "audit.kind",
                crate::PostgresAudit::open((**config).clone(), seal).await.map(|sink| Arc::new(sink) as _),
            ),
            Kind::Objects(storage, prefix) => {
                let opened = ObjectAudit::open(storage.clone(), prefix.clone(), seal).await;
                ("audit.objects", opened.map(|sink| Arc::new(sink) as _))
            }
        };
        opened.map_err(|error| places.locate(at, error))
    }
}

#[cfg(feature = "postgres")]
async fn database(records: &dyn Records, base: &Path, places: &Places) -> Result<Kind, Error> {
    let config = records.database(base, places).await?;
    let missing = || places.invalid("audit.kind", "\"postgres\" is the database of the records, and there is none");
    config.map(|config| Kind::Postgres(Box::new(config))).ok_or_else(missing)
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "it is where there is a database")]
async fn database(_: &dyn Records, _: &Path, places: &Places) -> Result<Kind, Error> {
    Err(places.locate("audit.kind", super::bucket::lacks("postgres")))
}

impl fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Jsonl(path) => f.debug_tuple("Jsonl").field(path).finish(),
            #[cfg(feature = "sqlite")]
            Kind::Sqlite(path) => f.debug_tuple("Sqlite").field(path).finish(),
            #[cfg(feature = "postgres")]
            Kind::Postgres(config) => f.debug_tuple("Postgres").field(config).finish(),
            Kind::Objects(..) => f.debug_tuple("Objects").finish_non_exhaustive(),
        }
    }
}
