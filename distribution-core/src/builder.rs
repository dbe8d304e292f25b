//! Wiring: which parts a publisher is made of, and its policy.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::alert::AlertSink;
use crate::audit::AuditSink;
use crate::base_url::BaseUrl;
use crate::error::{Error, ErrorKind};
use crate::flight::Flights;
use crate::invariants::HOLDER_BYTES_MAX;
use crate::key::{ObjectKey, TargetName};
use crate::metadata::MetadataStore;
use crate::metrics::Outcomes;
use crate::origin::Named;
use crate::parts::{Parts, Policy, Reach, Target};
use crate::preflight::Inspector;
use crate::publisher::Publisher;
use crate::replicas::Replication;
use crate::signer::UrlSigner;
use crate::source::Source;
use crate::storage::Storage;
use crate::time::Clock;

/// Wires a [`Publisher`]. Every part but the inspector and the policy must be given once.
#[derive(Default)]
pub struct Builder {
    targets: BTreeMap<TargetName, Target>,
    authenticated: BTreeMap<TargetName, BaseUrl>,
    replications: BTreeMap<TargetName, Replication>,
    archives: BTreeMap<TargetName, TargetName>,
    source: Option<Arc<dyn Source>>,
    inspector: Option<Arc<dyn Inspector>>,
    metadata: Option<Arc<dyn MetadataStore>>,
    audit: Option<Arc<dyn AuditSink>>,
    alerts: Option<Arc<dyn AlertSink>>,
    clock: Option<Arc<dyn Clock>>,
    holder: String,
    policy: Policy,
}

impl Publisher {
    /// Begins to wire a publisher.
    pub fn builder() -> Builder {
        Builder::default()
    }
}

impl Builder {
    /// A target: where objects go, and what signs links to them. The name is part of the identity
    /// of all that is published there, so it must never change.
    pub fn target(mut self, name: TargetName, storage: Arc<dyn Storage>, signer: Arc<dyn UrlSigner>) -> Self {
        let reach = Reach::Private { signer, authenticated: None };
        self.targets.insert(name, Target { storage, reach, replication: None, archive: None });
        self
    }

    /// A target that everybody can read: what is published there has, for ever, the link `{base}/{key}`. That
    /// the base leads to the storage, and lets everybody through, is the host's to see to.
    pub fn public_target(mut self, name: TargetName, storage: Arc<dyn Storage>, base: BaseUrl) -> Self {
        self.targets.insert(name, Target { storage, reach: Reach::Public(base), replication: None, archive: None });
        self
    }

    /// The base of a route to this target's objects that asks the host who may read them, for requests with
    /// the access `authenticated`: their links are `{base}/{key}`, without a signature. The target is one that
    /// is not public.
    pub fn authenticated(mut self, name: TargetName, base: BaseUrl) -> Self {
        self.authenticated.insert(name, base);
        self
    }

    /// Where else copies of what is published on this target go, and how many of them, the one on the target
    /// included, must be proven before it is published. The others are made by [`Publisher::recover`]. The targets of
    /// the copies are configured like any other, each as public, or not, as this one. It is in force for what is
    /// claimed from now on.
    pub fn replicate(mut self, name: TargetName, replication: Replication) -> Self {
        self.replications.insert(name, replication);
        self
    }

    /// Where [`Publisher::archive`] copies what is published on this target: another target, such as a bucket with a
    /// cheaper storage class, from which it can be read at once. No link leads there, so it may be out of everybody's
    /// reach; it must not be public where this one is not. Scrubs, sweeps and tidying read what is there as any other
    /// copy, which some classes charge for.
    pub fn archive(mut self, name: TargetName, archive: TargetName) -> Self {
        self.archives.insert(name, archive);
        self
    }

    /// Where staged files are read from.
    pub fn source(mut self, source: Arc<dyn Source>) -> Self {
        self.source = Some(source);
        self
    }

    /// Who looks into staged files before they are copied, as [`Policy::preflight`] says. Without one, nobody
    /// does.
    pub fn inspector(mut self, inspector: Arc<dyn Inspector>) -> Self {
        self.inspector = Some(inspector);
        self
    }

    /// Where records live.
    pub fn metadata(mut self, metadata: Arc<dyn MetadataStore>) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Where the audit trail goes.
    pub fn audit(mut self, audit: Arc<dyn AuditSink>) -> Self {
        self.audit = Some(audit);
        self
    }

    /// Who is told when something is wrong.
    pub fn alerts(mut self, alerts: Arc<dyn AlertSink>) -> Self {
        self.alerts = Some(alerts);
        self
    }

    /// Whether somebody was given who is told: a host that changes a builder of others may have done so.
    pub fn has_alerts(&self) -> bool {
        self.alerts.is_some()
    }

    /// Where the time comes from.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The name under which this publisher takes work up: one per process, at most 256 bytes.
    pub fn holder(mut self, holder: impl Into<String>) -> Self {
        self.holder = holder.into();
        self
    }

    /// What holds where a request says nothing.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The publisher.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the part that is missing or the setting that cannot work.
    pub fn build(self) -> Result<Publisher, Error> {
        let Self { mut targets, policy, holder, .. } = self;
        for (name, base) in self.authenticated {
            let Some(Target { reach: Reach::Private { authenticated, .. }, .. }) = targets.get_mut(&name) else {
                let message = format!("`{name}` is no configured target, or a public one");
                return Err(Error::invalid("authenticated", message));
            };
            *authenticated = Some(base);
        }
        for (name, replication) in self.replications {
            check_replication(&targets, &name, &replication)?;
            if let Some(target) = targets.get_mut(&name) {
                target.replication = Some(replication);
            }
        }
        for (name, archive) in self.archives {
            check_archive(&targets, &name, &archive)?;
            if let Some(target) = targets.get_mut(&name) {
                target.archive = Some(archive);
            }
        }
        let Some(usual) = targets.get(&policy.target) else {
            let names: Vec<&str> = targets.keys().map(TargetName::as_str).collect();
            let message = format!("`{}` is no configured target: there are [{}]", policy.target, names.join(", "));
            return Err(Error::invalid("policy.target", message));
        };
        if matches!(usual.reach, Reach::Private { .. }) {
            usual.base(policy.access).map_err(|error| error.at("policy.access"))?;
        }
        if holder.is_empty() || holder.len() > HOLDER_BYTES_MAX {
            let message = format!("must have 1 to {HOLDER_BYTES_MAX} bytes and differ in every process");
            return Err(Error::invalid("holder", message));
        }
        policy.validate()?;
        Ok(Publisher::new(Parts {
            targets,
            source: required("source", self.source)?,
            inspector: self.inspector,
            metadata: Arc::new(Named(required("metadata", self.metadata)?)),
            audit: Arc::new(Named(required("audit", self.audit)?)),
            alerts: required("alerts", self.alerts)?,
            clock: required("clock", self.clock)?,
            holder,
            policy,
            flights: Flights::default(),
            outcomes: Outcomes::default(),
        }))
    }
}

fn check_replication(
    targets: &BTreeMap<TargetName, Target>,
    name: &TargetName,
    replication: &Replication,
) -> Result<(), Error> {
    let is_public_itself = is_public(targets, name).map_err(|error| error.at("replication"))?;
    replication.check(name)?;
    for replica in &replication.targets {
        if is_public(targets, replica).map_err(|error| error.at("replication"))? != is_public_itself {
            let message = format!("of `{name}` and `{replica}`, one is public and the other is not");
            return Err(Error::invalid("replication", message));
        }
    }
    let all: Vec<_> = std::iter::once(name).chain(&replication.targets).collect();
    check_apart(targets, &all).map_err(|error| error.at("replication"))
}

fn check_archive(targets: &BTreeMap<TargetName, Target>, name: &TargetName, archive: &TargetName) -> Result<(), Error> {
    let is_leak = is_public(targets, archive).map_err(|error| error.at("archive"))?
        && !is_public(targets, name).map_err(|error| error.at("archive"))?;
    if is_leak {
        return Err(Error::invalid("archive", format!("`{archive}` is public, and `{name}` is not")));
    }
    let replicas = targets.get(name).and_then(|target| target.replication.as_ref());
    let replicas = replicas.map_or(&[][..], |replication| &replication.targets);
    if archive == name || replicas.contains(archive) {
        let message = format!("`{archive}` has a copy of what is on `{name}` already: the archive is another target");
        return Err(Error::invalid("archive", message));
    }
    let all: Vec<_> = std::iter::once(name).chain(replicas).chain([archive]).collect();
    check_apart(targets, &all).map_err(|error| error.at("archive"))
}

fn is_public(targets: &BTreeMap<TargetName, Target>, name: &TargetName) -> Result<bool, Error> {
    let target = targets.get(name).ok_or_else(|| {
        let message = format!("`{name}` is no configured target: configure it, or leave it out");
        Error::new(ErrorKind::Invalid, message)
    })?;
    Ok(matches!(target.reach, Reach::Public(_)))
}

fn check_apart(targets: &BTreeMap<TargetName, Target>, all: &[&TargetName]) -> Result<(), Error> {
    let place = |name: &TargetName| {
        let key = ObjectKey::parse("distribution").ok()?;
        Some(targets.get(name)?.storage.location(&key))
    };
    for (index, one) in all.iter().enumerate() {
        if let Some(other) = all.iter().skip(index + 1).find(|other| place(other) == place(one)) {
            let message = format!("`{one}` and `{other}` are one place: a copy there is none");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
    }
    Ok(())
}

fn required<T: ?Sized>(name: &str, part: Option<Arc<T>>) -> Result<Arc<T>, Error> {
    let message = || format!("a publisher needs one: call Builder::{name}");
    part.ok_or_else(|| Error::new(ErrorKind::Invalid, message()).at(name))
}
