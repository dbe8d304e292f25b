//! A publisher from one file, `distribution.toml`.

mod alerts;
mod audit;
mod away;
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
mod opened;
mod place;
mod plan;
mod preflight;
mod replicas;
mod secret;
mod staging;
mod story;
mod sweep;
mod values;

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use distribution_core::{Builder, Error, ErrorKind, TargetName};

pub use self::alerts::OpenAlerts;
pub use self::audit::AuditTrail;
use self::document::Places;
pub use self::opened::{Download, Guarded, Opened, Stores, Sweeping};
use self::plan::Plan;

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

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let targets: Vec<_> = self.plan.targets.keys().map(TargetName::as_str).collect();
        f.debug_struct("Config").field("base", &self.base).field("targets", &targets).finish_non_exhaustive()
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
