//! Copies on other targets: which targets have some, how many must be proven, and where the archive is.

use std::collections::BTreeMap;

use distribution_core::{Error, Replication, TargetName};

use super::document::Places;
use super::file::{File, Target};
use super::links::Signing;
use super::plan::TargetPlan;

type Targets = BTreeMap<TargetName, TargetPlan>;

pub(super) fn check(
    file: &File,
    targets: &Targets,
    places: &Places,
) -> Result<BTreeMap<TargetName, Replication>, Error> {
    let with_replicas = file.targets.iter().filter(|(_, target)| target.replicas.is_some() || target.quorum.is_some());
    let replications = with_replicas.map(|(name, target)| {
        let replication = of(name, target, targets, places)?;
        Ok((name.clone(), replication))
    });
    replications.collect()
}

fn of(name: &TargetName, target: &Target, targets: &Targets, places: &Places) -> Result<Replication, Error> {
    let at = format!("targets.{name}.replicas");
    let Some(replicas) = target.replicas.clone().filter(|replicas| !replicas.is_empty()) else {
        let message = "names no other target: leave it out, and `quorum` with it";
        return Err(places.invalid(&at, message));
    };
    let most = Replication::TARGETS_MAX;
    if replicas.len() > most {
        return Err(places.invalid(&at, format!("names {} targets, and may name {most}", replicas.len())));
    }
    for (index, replica) in replicas.iter().enumerate() {
        let other = named(replica, targets, &at, places)?;
        if replica == name || replicas.iter().take(index).any(|earlier| earlier == replica) {
            return Err(places.invalid(&at, format!("names `{replica}` twice: each copy is on another target")));
        }
        let earlier =
            targets.get(name).into_iter().chain(replicas.iter().take(index).filter_map(|name| targets.get(name)));
        if earlier.into_iter().any(|earlier| earlier.place.overlaps(&other.place)) {
            let message = format!("`{replica}` shares the storage of another copy: that is no copy");
            return Err(places.invalid(&at, message));
        }
        let own = targets.get(name).map(is_public);
        if own.is_some_and(|own| own != is_public(other)) {
            let message = format!("`{replica}` is public and `{name}` is not, or the other way round");
            return Err(places.invalid(&at, message));
        }
    }
    let all = u32::try_from(replicas.len()).unwrap_or(u32::MAX).saturating_add(1);
    let quorum = match target.quorum {
        Some(quorum) => quorum.within(1..=all, &format!("targets.{name}.quorum"), places)?,
        None => 1,
    };
    Ok(Replication { targets: replicas, quorum })
}

fn named<'a>(name: &TargetName, targets: &'a Targets, at: &str, places: &Places) -> Result<&'a TargetPlan, Error> {
    targets.get(name).ok_or_else(|| {
        // Its value is not repeated: it may be a secret in the wrong place.
        let names = targets.keys().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        places.invalid(at, format!("names what is no target: there are {names}"))
    })
}

/// Where the archives are.
pub(super) fn archives(
    file: &File,
    targets: &Targets,
    places: &Places,
) -> Result<BTreeMap<TargetName, TargetName>, Error> {
    let mut archives = BTreeMap::new();
    for (name, target) in &file.targets {
        let Some(archive) = &target.archive else { continue };
        let at = format!("targets.{name}.archive");
        let other = named(archive, targets, &at, places)?;
        let copies = std::iter::once(name).chain(target.replicas.iter().flatten());
        if copies.clone().any(|copy| copy == archive) {
            let message = format!("`{archive}` has a copy already: the archive is another target");
            return Err(places.invalid(&at, message));
        }
        let mut places_of = copies.filter_map(|copy| targets.get(copy)).map(|copy| &copy.place);
        if places_of.any(|place| place.overlaps(&other.place)) {
            let message = format!("`{archive}` shares the storage of another copy: that is no copy");
            return Err(places.invalid(&at, message));
        }
        if is_public(other) && !targets.get(name).is_some_and(is_public) {
            return Err(places.invalid(&at, format!("`{archive}` is public, and `{name}` is not")));
        }
        archives.insert(name.clone(), archive.clone());
    }
    Ok(archives)
}

fn is_public(target: &TargetPlan) -> bool {
    matches!(target.signing, Signing::Public(_))
}
