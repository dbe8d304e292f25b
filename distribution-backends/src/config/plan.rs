//! From what the file says to what will be opened: every default filled in, every value checked.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use chrono::TimeDelta;
use distribution_core::{
    Access, BaseUrl, Error, KeyTemplate, Lease, Policy, QcPolicy, Replication, SweepPolicy, TargetName, Verification,
};

use super::alerts::AlertPlan;
use super::document::Places;
use super::evidence::{self, Trail};
use super::file::{Credentials, Defaults, File, Target};
use super::links::{Signing, check_probe};
use super::metadata::Records;
use super::place::Place;
use super::preflight;
use super::replicas;
use super::staging::Roots;
use super::story::{self, Mirror};
use super::sweep;

/// The longest and shortest life of a link, in hours, whatever signs it.
const VALID_HOURS: std::ops::RangeInclusive<u32> = 1..=168;

/// What will be opened.
pub(super) struct Plan {
    pub(super) targets: BTreeMap<TargetName, TargetPlan>,
    pub(super) replications: BTreeMap<TargetName, Replication>,
    pub(super) archives: BTreeMap<TargetName, TargetName>,
    pub(super) roots: Roots,
    pub(super) records: Arc<dyn Records>,
    pub(super) trail: Trail,
    pub(super) mirror: Option<Arc<dyn Mirror>>,
    pub(super) alerts: AlertPlan,
    pub(super) policy: Policy,
    pub(super) sweep: (SweepPolicy, TimeDelta),
    /// Whether staged files are looked into.
    pub(super) inspects: bool,
}

pub(super) struct TargetPlan {
    pub(super) place: Place,
    pub(super) credentials: Option<Credentials>,
    pub(super) signing: Signing,
    pub(super) authenticated: Option<BaseUrl>,
    pub(super) revocations: Option<Place>,
    pub(super) probes: bool,
}

impl Plan {
    /// # Errors
    /// `Invalid` or `Unsupported`, naming the key.
    pub(super) fn of(file: &File, base: &Path, places: &Places) -> Result<Self, Error> {
        let targets = file.targets.iter().map(|(name, target)| {
            TargetPlan::of(target, &format!("targets.{name}"), base, places).map(|plan| (name.clone(), plan))
        });
        let targets = targets.collect::<Result<BTreeMap<_, _>, Error>>()?;
        check_bases(&targets, places)?;
        let records = file.metadata.check(base, places)?;
        check_apart(records.place(), ("metadata.uri", "records"), &targets, places)?;
        check_revocations(records.place(), &targets, places)?;
        let trail = evidence::check(&file.audit, &file.metadata.uri, base, places)?;
        check_apart(trail.store.place(), ("audit.objects", "the trail"), &targets, places)?;
        check_trail(&trail, records.place(), places)?;
        Ok(Self {
            replications: replicas::check(file, &targets, places)?,
            archives: replicas::archives(file, &targets, places)?,
            policy: policy(file, &targets, places)?,
            sweep: sweep::policy(&file.sweep, places)?,
            inspects: preflight::check(file.preflight.is_some(), places)?,
            roots: Roots::check(file, base, places)?,
            records,
            trail,
            mirror: mirror(file, places)?,
            alerts: file.alerts.check(base, places)?,
            targets,
        })
    }
}

/// What is no publication's object would be taken for a left-over of one.
fn check_apart(
    place: Option<&Place>,
    (at, what): (&str, &str),
    targets: &BTreeMap<TargetName, TargetPlan>,
    places: &Places,
) -> Result<(), Error> {
    let Some(place) = place else { return Ok(()) };
    match targets.iter().find(|(_, target)| target.place.overlaps(place)) {
        None => Ok(()),
        Some((name, _)) => {
            let message = format!("shares the storage of the target `{name}`: give {what} a prefix beside it");
            Err(places.invalid(at, message))
        }
    }
}

/// What is no entry or no checkpoint would be taken for damage.
fn check_trail(trail: &Trail, records: Option<&Place>, places: &Places) -> Result<(), Error> {
    let (Some(place), checkpoints) = (trail.store.place(), trail.checkpoints.as_ref()) else { return Ok(()) };
    for (other, what) in [(records, "`metadata.uri`"), (checkpoints, "`audit.checkpoints`")] {
        if other.is_some_and(|other| other.overlaps(place)) {
            return Err(
                places.invalid("audit.objects", format!("shares the place of {what}: give each one of its own"))
            );
        }
    }
    Ok(())
}

/// Each target has its own: one object's links would be taken back with those of another target's of that name.
fn check_revocations(
    records: Option<&Place>,
    targets: &BTreeMap<TargetName, TargetPlan>,
    places: &Places,
) -> Result<(), Error> {
    let mut others: Vec<_> = records.map(|place| ("`metadata.uri`".to_owned(), place)).into_iter().collect();
    for (name, target) in targets {
        let (at, Some(place)) = (format!("targets.{name}.links.revocations"), &target.revocations) else { continue };
        check_apart(Some(place), (&at, "revocations"), targets, places)?;
        if let Some((other, _)) = others.iter().find(|(_, other)| other.overlaps(place)) {
            return Err(places.invalid(&at, format!("shares the place of {other}: give each one of its own")));
        }
        others.push((format!("`{at}`"), place));
    }
    Ok(())
}

fn mirror(file: &File, places: &Places) -> Result<Option<Arc<dyn Mirror>>, Error> {
    const AT: &str = "audit.mirror";
    match (&file.audit.mirror, &file.audit.story) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(places.invalid("audit.story", "is of no use without `audit.mirror`")),
        (Some(_), _) if file.metadata.uri.starts_with("story:") => {
            Err(places.invalid(AT, "is of no use where records are kept in Story: remove it"))
        }
        (Some(uri), keys) => match uri.strip_prefix("story:") {
            Some(server) => story::mirror(server, keys.as_ref(), places).map(Some),
            None => Err(places.invalid(AT, "must be like story:https://host/mcp or story:stdio")),
        },
    }
}

impl TargetPlan {
    fn of(target: &Target, at: &str, base: &Path, places: &Places) -> Result<Self, Error> {
        let place = Place::parse(&target.storage, base);
        let mut place = place.map_err(|error| places.locate(&format!("{at}.storage"), error))?;
        if let Some(class) = &target.storage_class {
            place = place.storing_as(class, &format!("{at}.storage_class"), places)?;
        }
        if target.object_lock {
            place = place.locking(&format!("{at}.object_lock"), places)?;
        }
        if let Some(credentials) = &target.credentials {
            credentials.check(&place, &format!("{at}.credentials"), places)?;
        }
        let (links, at) = (target.links.as_ref(), format!("{at}.links"));
        let signing = Signing::of(links, &place, &at, places)?;
        let authenticated = links.map_or(Ok(None), |links| links.authenticated(&at, places))?;
        let revocations = links.map_or(Ok(None), |links| links.revocations(&at, base, places))?;
        let probes = links.is_some_and(|links| links.probe);
        if probes {
            check_probe().map_err(|error| places.locate(&format!("{at}.probe"), error))?;
        }
        Ok(Self { place, credentials: target.credentials.clone(), signing, authenticated, revocations, probes })
    }

    fn can_attest(&self) -> bool {
        matches!(&self.place, Place::Bucket(bucket) if bucket.can_attest())
    }
}

/// A route or distribution serves one target below a base: none may be the beginning of another.
fn check_bases(targets: &BTreeMap<TargetName, TargetPlan>, places: &Places) -> Result<(), Error> {
    let bases = targets.iter().flat_map(|(name, target)| {
        let authenticated = target.authenticated.iter().map(|base| ("authenticated_url", base.as_str()));
        let base = target.signing.base().map(|base| ("base_url", base));
        base.into_iter().chain(authenticated).map(move |(key, base)| (name, key, base))
    });
    let bases: Vec<_> = bases.collect();
    for (name, key, base) in &bases {
        let above = bases.iter().find(|(other, other_key, above)| {
            (other, other_key) != (name, key)
                && base.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        if let Some((other, ..)) = above {
            let message = format!("is below that of the target `{other}`: give each target a route of its own");
            return Err(places.invalid(&format!("targets.{name}.links.{key}"), message));
        }
    }
    Ok(())
}

fn policy(file: &File, targets: &BTreeMap<TargetName, TargetPlan>, places: &Places) -> Result<Policy, Error> {
    let (usual, defaults) = (Policy::default(), &file.defaults);
    let number = |value: Option<super::values::Whole>, key: &str, range, usual| match value {
        Some(value) => value.within(range, &format!("defaults.{key}"), places),
        None => Ok(usual),
    };
    let access = defaults.access.unwrap_or(usual.access);
    check_access(access, targets, places)?;
    let verification = defaults.verification.unwrap_or(usual.verification);
    if verification == Verification::StoreAttested && !targets.values().any(|target| target.can_attest()) {
        let message = "cannot be `store_attested`: no target is an s3:// bucket, and nothing else attests";
        return Err(places.invalid("defaults.verification", message));
    }
    Ok(Policy {
        target: default_target(defaults, targets, places)?,
        storage_prefix: defaults.storage_prefix.clone().unwrap_or_default(),
        key_template: defaults.key_template.clone().map_or_else(KeyTemplate::default, |template| template.0),
        url_expiry_hours: number(defaults.url_expiry_hours, "url_expiry_hours", VALID_HOURS, usual.url_expiry_hours)?,
        preflight: preflight::policy(file.preflight.as_ref(), places)?,
        qc: QcPolicy { require_checksum: defaults.qc_checksum_required },
        access,
        verification,
        attempts_max: number(defaults.attempts_max, "attempts_max", 1..=Policy::ATTEMPTS_MAX, usual.attempts_max)?,
        lease_secs: number(defaults.lease_secs, "lease_secs", 1..=Lease::SECS_MAX, usual.lease_secs)?,
        recoveries_max: number(
            defaults.recoveries_max,
            "recoveries_max",
            1..=Policy::RECOVERIES_MAX,
            usual.recoveries_max,
        )?,
    })
}

fn check_access(access: Access, targets: &BTreeMap<TargetName, TargetPlan>, places: &Places) -> Result<(), Error> {
    let message = match access {
        Access::Public => {
            "cannot be `public`: what is published to a target with links of `kind = \"public\"` always is"
        }
        Access::Authenticated if targets.values().all(|target| target.authenticated.is_none()) => {
            "cannot be `authenticated`: no target has an `authenticated_url`"
        }
        Access::Authenticated | Access::Signed => return Ok(()),
    };
    Err(places.invalid("defaults.access", message))
}

fn default_target(
    defaults: &Defaults,
    targets: &BTreeMap<TargetName, TargetPlan>,
    places: &Places,
) -> Result<TargetName, Error> {
    const AT: &str = "defaults.target";
    let names = targets.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let usual = TargetName::default();
    match (&defaults.target, targets.first_key_value()) {
        (_, None) => Err(places.invalid("targets", "has no target: add `[targets.NAME]` with a `storage`")),
        (Some(wanted), _) if targets.contains_key(wanted) => Ok(wanted.clone()),
        (Some(wanted), _) => Err(places.invalid(AT, format!("`{wanted}` is no target: there are {names}"))),
        (None, Some((only, _))) if targets.len() == 1 => Ok(only.clone()),
        (None, _) if targets.contains_key(&usual) => Ok(usual),
        (None, _) => Err(places.invalid(AT, format!("is missing: say which it is, one of {names}"))),
    }
}
