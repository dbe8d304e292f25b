//! From a plan to parts that work.

use std::sync::Arc;

use distribution_core::{
    BaseUrl, Builder, Error, ErrorKind, Publisher, Staging, Storage, TargetName, UrlSigner, Verification,
};
use futures::future::try_join_all;

use super::away::Away;
use super::file::Credentials;
use super::links::{Signing, hmac_signer, probed};
use super::place::Place;
use super::plan::TargetPlan;
use super::{Config, Download, Guarded, Opened, Stores, Sweeping};
use crate::blocking::blocking;
use crate::{HmacSigner, LocalDisk, Sources, StoredRevocations, SystemClock, holder_name};

/// What is made without the network.
struct Parts {
    targets: Vec<(TargetName, Place, Signer)>,
    sources: Sources,
    staging: Vec<Arc<dyn Staging>>,
}

enum Signer {
    Route(Box<HmacSigner>),
    Service(Arc<dyn UrlSigner>),
    None(BaseUrl),
}

pub(super) async fn open(config: &Config, change: impl FnOnce(Builder) -> Builder) -> Result<Opened, Error> {
    let this = config.clone();
    let Parts { targets, sources, staging } = blocking(move |_| this.parts()).await?;
    let (plan, places) = (&config.plan, &config.places);
    let targets = config.storages(targets).await?;
    let kept = targets.iter().map(|(name, storage, _)| (name.clone(), storage.clone())).collect();
    let records = plan.records.open(&config.base, places).await?;
    let trail = config.trail().await?;
    let sealed = plan.trail.open(&trail, places).await?;
    let mut audit = sealed.audit;
    if let Some(mirror) = &plan.mirror {
        audit = mirror.wrap(audit, records.clone(), &config.base, places).await?;
    }
    let stores = Stores { targets: kept, metadata: records.clone(), trail };
    let mut builder = Publisher::builder()
        .source(Arc::new(sources))
        .metadata(records)
        .audit(audit)
        .clock(Arc::new(SystemClock))
        .holder(holder_name())
        .policy(plan.policy.clone());
    if plan.inspects {
        builder = super::preflight::inspected(builder);
    }
    for (target, replication) in &plan.replications {
        builder = builder.replicate(target.clone(), replication.clone());
    }
    for (target, archive) in &plan.archives {
        builder = builder.archive(target.clone(), archive.clone());
    }
    let (mut downloads, mut guarded) = (Vec::new(), Vec::new());
    for (target, storage, signer) in targets {
        let planned = plan.targets.get(&target);
        let handed_out =
            |signer| if planned.is_some_and(|target| target.probes) { probed(signer, &storage) } else { Ok(signer) };
        if let Some(base) = planned.and_then(|target| target.authenticated.clone()) {
            builder = builder.authenticated(target.clone(), base.clone());
            guarded.push(Guarded { target: target.clone(), storage: storage.clone(), base });
        }
        builder = match signer {
            Signer::None(base) => builder.public_target(target, storage, base),
            Signer::Service(signer) => {
                let signer = handed_out(signer)?;
                builder.target(target, storage, signer)
            }
            Signer::Route(signer) => {
                let mut signer = *signer;
                if let Some(place) = planned.and_then(|target| target.revocations.clone()) {
                    let at = format!("targets.{target}.links.revocations");
                    let kept = self::storage(place, false).await.map_err(|error| places.locate(&at, error))?;
                    signer = signer.revocations(Arc::new(StoredRevocations::new(kept)));
                }
                let signer = Arc::new(signer);
                downloads.push(Download { target: target.clone(), storage: storage.clone(), signer: signer.clone() });
                let signer = handed_out(signer)?;
                builder.target(target, storage, signer)
            }
        };
    }
    let (policy, grace) = plan.sweep.clone();
    let sweep = Sweeping { staging, policy, grace };
    let (mut builder, mut alerts) = (change(builder), None);
    if !builder.has_alerts() {
        let opened = config.alerts().await?;
        builder = builder.alerts(Arc::new(opened.clone()));
        alerts = Some(opened);
    }
    Ok(Opened {
        publisher: builder.build()?,
        downloads,
        guarded,
        stores,
        sweep,
        #[cfg(feature = "evidence")]
        evidence: sealed.key,
        #[cfg(feature = "evidence")]
        checkpointed: sealed.checkpointed,
        alerts,
    })
}

/// The stores alone: the audit trail is not opened to be added to.
pub(super) async fn stores(config: &Config) -> Result<Stores, Error> {
    let this = config.clone();
    let Parts { targets, .. } = blocking(move |_| this.parts()).await?;
    let targets = config.storages(targets).await?.into_iter().map(|(name, storage, _)| (name, storage)).collect();
    let metadata = config.plan.records.open(&config.base, &config.places).await?;
    Ok(Stores { targets, metadata, trail: config.trail().await? })
}

impl Config {
    async fn storages<S>(
        &self,
        targets: Vec<(TargetName, Place, S)>,
    ) -> Result<Vec<(TargetName, Arc<dyn Storage>, S)>, Error> {
        let is_attested = self.plan.policy.verification == Verification::StoreAttested;
        let opening = targets.into_iter().map(|(name, place, signer)| async move {
            let is_replica = self.plan.replications.values().any(|replication| replication.targets.contains(&name))
                || self.plan.archives.values().any(|archive| *archive == name);
            let storage = match place {
                // One that is down is no reason not to begin.
                Place::Bucket(bucket) if is_replica => Away::open(bucket, is_attested).await,
                place => storage(place, is_attested).await,
            };
            let at = || format!("targets.{name}.storage");
            let storage = storage.map_err(|error| self.places.locate(&at(), error))?;
            Ok::<_, Error>((name, storage, signer))
        });
        try_join_all(opening).await
    }

    /// Reads secrets, and opens what is on this machine.
    fn parts(&self) -> Result<Parts, Error> {
        let targets = self.plan.targets.iter().map(|(name, target)| {
            let (place, signer) = self.target(target, &format!("targets.{name}"))?;
            Ok((name.clone(), place, signer))
        });
        let targets = targets.collect::<Result<Vec<_>, Error>>()?;
        let (sources, staging) = self.plan.roots.open(&self.base, &self.places)?;
        Ok(Parts { targets, sources, staging })
    }

    fn target(&self, target: &TargetPlan, at: &str) -> Result<(Place, Signer), Error> {
        let place = self.with_keys(&target.place, target.credentials.as_ref(), &format!("{at}.credentials"))?;
        let at = format!("{at}.links");
        let signer = match &target.signing {
            Signing::Public(base) => Signer::None(base.clone()),
            Signing::Hmac { base, key, accepted } => {
                let signer = hmac_signer(base, key, accepted, (&at, &self.base, &self.places))?;
                Signer::Route(Box::new(signer))
            }
            Signing::Presign { disposition, beyond, credentials } => {
                let signing = self.with_keys(&place, credentials.as_ref(), &format!("{at}.credentials"))?;
                let signer = match signing {
                    Place::Bucket(bucket) => bucket.signer(*disposition, *beyond),
                    Place::Disk(_) => Err(Error::new(ErrorKind::Unsupported, "a local disk checks no links")),
                };
                Signer::Service(signer.map_err(|error| self.places.locate(&at, error))?)
            }
            Signing::CloudFront(links) => Signer::Service(links.signer((&at, &self.base, &self.places))?),
        };
        Ok((place, signer))
    }

    fn with_keys(&self, place: &Place, credentials: Option<&Credentials>, at: &str) -> Result<Place, Error> {
        match (place, credentials) {
            (Place::Bucket(bucket), Some(credentials)) => {
                credentials.give(bucket, (at, &self.base, &self.places)).map(Place::Bucket)
            }
            (place, _) => Ok(place.clone()),
        }
    }
}

pub(super) async fn storage(place: Place, is_attested: bool) -> Result<Arc<dyn Storage>, Error> {
    match place {
        Place::Disk(root) => Ok(Arc::new(blocking(move |_| LocalDisk::open(root)).await?)),
        Place::Bucket(bucket) => bucket.open(is_attested).await,
    }
}
