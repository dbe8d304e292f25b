//! A publisher from one file, `distribution.toml`.

mod alerts;
mod audit;
mod bucket;
mod cloudfront;
mod credentials;
mod document;
mod evidence;
mod fault;
mod file;
#[cfg(feature = "http-source")]
mod hosts;
mod links;
mod metadata;
mod node;
mod open;
mod place;
mod plan;
mod preflight;
mod replicas;
mod secret;
mod staging;
mod story;
mod sweep;
mod values;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{
    BaseUrl, Builder, Error, ErrorKind, MetadataStore, Publisher, Staging, Storage, SweepPolicy, TargetName,
};

pub use self::alerts::OpenAlerts;
pub use self::audit::AuditTrail;
use self::document::Places;
use self::plan::Plan;
use crate::HmacSigner;

/// How long alerts that wait may take when a program ends.
const ALERTS_MAX: Duration = Duration::from_secs(5);
/// The most bytes that a configuration file has.
const FILE_BYTES_MAX: usize = 1 << 20;

/// A checked configuration, from which publishers are opened.
///
/// `examples/distribution.toml` in the repository has every key, with its meaning, default and limits.
///
/// * Whatever is not known is refused: an error names the key (`targets.media.links.base_url`), the file
///   and line, and what is allowed. If there is a `Config`, no two of its settings contradict each other.
/// * Secrets are referred to, `{ env = "NAME" }` or `{ file = "path" }`, never written into the file. They are
///   read by [`open`](Self::open), and shown by nothing: where one stands in the file by mistake, its error
///   does not repeat it.
/// * Relative paths are below the folder that the file is in. Folders are not made: a volume that is not
///   mounted must not be filled silently.
///
/// ```
/// # #[cfg(feature = "sqlite")]
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use distribution_backends::Config;
///
/// # let folder = tempfile::tempdir().unwrap();
/// # std::fs::create_dir(folder.path().join("objects")).unwrap();
/// # std::fs::create_dir(folder.path().join("staging")).unwrap();
/// # let folder = folder.path();
/// let config = Config::parse(
///     r#"
///     [targets.media]
///     storage = "objects"
///     links = { kind = "hmac", base_url = "https://media.example/files", key_file = "link.key" }
///
///     [staging.edits]
///     root = "staging"
///
///     [metadata]
///     uri = "sqlite:records.db"
///
///     [audit]
///     jsonl = "audit.jsonl"
///     "#,
///     folder,
/// )?;
/// let opened = config.open().await?;
/// let recovery = opened.publisher.recover().await?;
/// assert_eq!(recovery.settled, 0);
///
/// let error = Config::parse("[targets.media]\nstrage = 'objects'", folder).unwrap_err();
/// assert_eq!(error.field(), Some("targets.media.strage"));
/// # Ok::<(), distribution_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Config {
    plan: Arc<Plan>,
    base: PathBuf,
    places: Places,
}

/// What a [`Config`] opens.
#[derive(Clone)]
pub struct Opened {
    /// The publisher.
    pub publisher: Publisher,
    /// What this host, or another one with the same key, must serve, so that links work: one for each target
    /// with links of kind `hmac`.
    pub downloads: Vec<Download>,
    /// What the host's own routes serve, those of targets with an `authenticated_url`.
    pub guarded: Vec<Guarded>,
    /// What the publisher keeps things in.
    pub stores: Stores,
    /// What its sweep goes through.
    pub sweep: Sweeping,
    /// What signs the audit trail, and may sign receipts; `None` if nothing does.
    #[cfg(feature = "evidence")]
    pub evidence: Option<crate::EvidenceKey>,
    /// What notes the end of the audit trail in a second place.
    #[cfg(feature = "evidence")]
    checkpointed: Option<Arc<crate::Checkpointed>>,
    /// The configuration's own sink, if the host has given no other.
    alerts: Option<OpenAlerts>,
}

/// What is swept, and how long things are kept.
///
/// ```no_run
/// # async fn example() -> Result<(), distribution_core::Error> {
/// use distribution_backends::Config;
///
/// let opened = Config::load("distribution.toml")?.open().await?;
/// for staging in opened.sweep.staging {
///     let mut sweep = opened.publisher.plan_sweep(staging, opened.sweep.policy.clone());
///     while let Some(decision) = sweep.next().await? {
///         println!("{}: {}", decision.file.url, decision.verdict);
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Sweeping {
    /// The staging roots that can be listed: all but hosts.
    pub staging: Vec<Arc<dyn Staging>>,
    /// How long staged files are kept.
    pub policy: SweepPolicy,
    /// For how long left-overs are left alone.
    pub grace: TimeDelta,
}

/// The stores behind a publisher, for whoever looks into them without it, such as an independent check.
///
/// ```no_run
/// # async fn example() -> Result<(), distribution_core::Error> {
/// use distribution_backends::Config;
/// use futures::StreamExt as _;
///
/// let stores = Config::load("distribution.toml")?.open().await?.stores;
/// for (target, storage) in &stores.targets {
///     println!("{target} begins with {:?}", storage.list("", None, 10).await?);
/// }
/// println!("the trail has {} entries", stores.trail.entries()?.count().await);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Stores {
    /// Where objects are, by target.
    pub targets: BTreeMap<TargetName, Arc<dyn Storage>>,
    /// Where records are.
    pub metadata: Arc<dyn MetadataStore>,
    /// Where the audit trail is.
    pub trail: AuditTrail,
}

/// The parts of one target's download route.
///
/// ```no_run
/// # #[cfg(feature = "serve")]
/// # async fn example() -> Result<(), distribution_core::Error> {
/// use std::sync::Arc;
/// use distribution_backends::{Config, SystemClock, serve};
///
/// let opened = Config::load("distribution.toml")?.open().await?;
/// for download in opened.downloads {
///     println!("{} is to be served at {}", download.target, download.signer.base());
///     let route = serve::router(download.storage, download.signer, Arc::new(SystemClock));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Download {
    /// The target.
    pub target: TargetName,
    /// Where its objects are.
    pub storage: Arc<dyn Storage>,
    /// What signs its links, and lets them through.
    pub signer: Arc<HmacSigner>,
}

/// What a route needs that asks the host who may read.
#[derive(Clone)]
pub struct Guarded {
    /// The target.
    pub target: TargetName,
    /// Where its objects are.
    pub storage: Arc<dyn Storage>,
    /// What links begin with that lead to the route.
    pub base: BaseUrl,
}

impl Config {
    /// The audit trail, to be read or verified without anything else being opened.
    ///
    /// # Errors
    /// Those of the secrets that it takes, and of a bucket.
    pub async fn trail(&self) -> Result<AuditTrail, Error> {
        self.plan.trail.store.trail(&*self.plan.records, &self.base, &self.places).await
    }

    /// The stores alone, to be looked at: the audit trail is not opened to be added to, so one that is broken hinders
    /// nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open), but for what is wrong with the trail.
    pub async fn stores(&self) -> Result<Stores, Error> {
        open::stores(self).await
    }

    /// The name of the audit trail's chain.
    pub fn chain(&self) -> &str {
        self.plan.trail.seal.source()
    }

    /// Whether the end of the audit trail is noted in a second place.
    pub fn has_checkpoints(&self) -> bool {
        self.plan.trail.checkpoints.is_some()
    }

    /// The configuration in the file at `path`. Blocks on the disk.
    ///
    /// # Errors
    /// Those of [`parse`](Self::parse), naming the file too; [`Unavailable`](ErrorKind::Unavailable) if it cannot
    /// be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = read(path)?;
        let base = path.parent().filter(|base| !base.as_os_str().is_empty()).unwrap_or(Path::new("."));
        Self::of(&text, base, Some(path))
    }

    /// The configuration that `text` spells, with relative paths below `base`. Secrets are not read, and nothing
    /// is asked of anybody.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid), naming key and line, for an unknown or missing key, a value of another
    /// type or out of its range, and settings that contradict each other; [`Unsupported`](ErrorKind::Unsupported)
    /// for what this build has no feature for.
    pub fn parse(text: &str, base: impl AsRef<Path>) -> Result<Self, Error> {
        Self::of(text, base.as_ref(), None)
    }

    fn of(text: &str, base: &Path, file: Option<&Path>) -> Result<Self, Error> {
        // A path that means another place after the process has changed its directory is a trap.
        let base = std::path::absolute(base).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("the folder {} cannot be used", base.display())).because(error)
        })?;
        let (content, places) = document::parse(text, file)?;
        Ok(Self { plan: Arc::new(Plan::of(&content, &base, &places)?), base, places })
    }

    /// Reads the secrets, opens all parts, and probes the buckets, each with some hundreds of small requests.
    /// Works within a Tokio runtime.
    ///
    /// # Errors
    /// Those of the parts, naming the key of the one that failed: [`Invalid`](ErrorKind::Invalid) for a folder that
    /// is missing or a secret that cannot be one, [`Unsupported`](ErrorKind::Unsupported) for a bucket that
    /// cannot be published to safely, [`Unavailable`](ErrorKind::Unavailable) for what is out of reach.
    pub async fn open(&self) -> Result<Opened, Error> {
        self.open_with(|builder| builder).await
    }

    /// Opens all parts as [`open`](Self::open) does, and lets the host change some: its own alerts, clock or holder.
    /// A host with alerts of its own has the configuration's left closed; [`alerts`](Self::alerts) opens them, for
    /// one that wants both.
    ///
    /// ```no_run
    /// # async fn example(pager: std::sync::Arc<dyn distribution_core::AlertSink>) -> Result<(), distribution_core::Error> {
    /// use distribution_backends::Config;
    ///
    /// let opened = Config::load("distribution.toml")?.open_with(|builder| builder.alerts(pager)).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(&self, change: impl FnOnce(Builder) -> Builder) -> Result<Opened, Error> {
        open::open(self, change).await
    }

    /// Opens where the configuration sends alerts, and nothing else, for a host that sends them there and elsewhere. A
    /// webhook's queue begins to be sent, with what other processes have left in it.
    ///
    /// ```no_run
    /// # async fn example(alert: distribution_core::Alert) -> Result<(), distribution_core::Error> {
    /// use std::time::Duration;
    /// use distribution_backends::Config;
    /// use distribution_core::AlertSink as _;
    ///
    /// let alerts = Config::load("distribution.toml")?.alerts().await?;
    /// alerts.raise(alert);
    /// alerts.settle(Duration::from_secs(10)).await; // before the program ends
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`open`](Self::open), of what alerts need.
    pub async fn alerts(&self) -> Result<OpenAlerts, Error> {
        self.plan.alerts.open(&self.base, &self.places).await
    }
}

impl Opened {
    /// What a program does at its end: notes in the second place what it has added to the audit trail, so that it
    /// cannot be cut off unseen, and lets alerts that wait be sent for some seconds. A program that is killed
    /// instead loses neither entries nor alerts; the next one goes on with them.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if the audit trail or its second place is out of reach.
    pub async fn close(&self) -> Result<(), Error> {
        if let Some(alerts) = &self.alerts {
            alerts.settle(ALERTS_MAX).await;
        }
        #[cfg(feature = "evidence")]
        if let Some(checkpointed) = &self.checkpointed {
            checkpointed.finish().await?;
        }
        Ok(())
    }
}

#[cfg(feature = "serve")]
impl Opened {
    /// One router for all [`downloads`](Self::downloads), each below the path of its base URL; `None` if there are
    /// none. A host that has more routes merges it into its own. What was [taken back](Publisher::retract) is answered
    /// with 410: where its links can be revoked, of those; else each request costs a look at the records.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) if two targets' base URLs differ in their host only: tell them apart
    /// yourself.
    pub fn router(&self) -> Result<Option<axum::Router>, Error> {
        crate::serve::nested(&self.downloads, &self.publisher)
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets: Vec<_> = self.plan.targets.keys().map(TargetName::as_str).collect();
        f.debug_struct("Config").field("base", &self.base).field("targets", &targets).finish_non_exhaustive()
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("downloads", &self.downloads).finish_non_exhaustive()
    }
}

impl fmt::Debug for Stores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets: Vec<_> = self.targets.keys().map(TargetName::as_str).collect();
        f.debug_struct("Stores").field("targets", &targets).field("trail", &self.trail).finish_non_exhaustive()
    }
}

impl fmt::Debug for Guarded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarded").field("target", &self.target).field("base", &self.base).finish_non_exhaustive()
    }
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download").field("target", &self.target).field("signer", &self.signer).finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let unreadable = |error: std::io::Error| {
        Error::unavailable(format!("cannot read the configuration {}: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("the configuration {} {what}", path.display()));
    if bytes.len() > FILE_BYTES_MAX {
        return Err(invalid(&format!("has more than {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| invalid("is no UTF-8"))
}
