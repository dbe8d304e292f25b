//! What a configuration opens: the publisher, and what it works with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{BaseUrl, Error, MetadataStore, Publisher, Staging, Storage, SweepPolicy, TargetName};

use super::{AuditTrail, OpenAlerts};
use crate::HmacSigner;

/// How long alerts that wait may take when a program ends.
const ALERTS_MAX: Duration = Duration::from_secs(5);

/// What a [`Config`](super::Config) opens.
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
    pub(super) checkpointed: Option<Arc<crate::Checkpointed>>,
    /// The configuration's own sink, if the host has given no other.
    pub(super) alerts: Option<OpenAlerts>,
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

impl Opened {
    /// What a program does at its end: notes in the second place what it has added to the audit trail, so that it
    /// cannot be cut off unseen, and lets alerts that wait be sent for some seconds. A program that is killed
    /// instead loses neither entries nor alerts; the next one goes on with them.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the audit trail or its second place is out of reach.
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
    /// [`Unsupported`](distribution_core::ErrorKind::Unsupported) if two targets' base URLs differ in their host only: tell them apart
    /// yourself.
    pub fn router(&self) -> Result<Option<axum::Router>, Error> {
        crate::serve::nested(&self.downloads, &self.publisher)
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
