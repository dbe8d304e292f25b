//! Copies on other targets: what the trail tells of them, and what is there.

use std::collections::BTreeMap;

use distribution_core::{Checksum, Location, Proof, TargetName};

use super::body::{ATTEMPTS_MAX, Body, Phase, Role};
use super::derive::attempt_key;
use super::evidence::Evidence;
use super::published::check_object;
use super::records::Record;
use super::{Findings, Promise};

/// The copies as the trail tells of them: of each target, the attempt, and where the proven copy is.
#[derive(Default)]
pub(super) struct Copies<'a>(BTreeMap<&'a str, (u32, Option<&'a Location>)>);

impl<'a> Copies<'a> {
    pub(super) fn replicated(
        &mut self,
        (target, location, proof): (&'a TargetName, &'a Location, &'a Proof),
        body: &Body,
    ) -> bool {
        let (attempt, proven) = self.0.entry(target.as_str()).or_default();
        let is_sound = is_place(location, &attempt_key(&body.publication.key, *attempt))
            && is_approved(proof, &body.publication.checksum);
        is_sound && proven.replace(location).is_none()
    }

    pub(super) fn lost(
        &mut self,
        (target, attempt, location, found): (&'a TargetName, u32, &'a Location, Option<&'a Proof>),
        body: &Body,
    ) -> bool {
        let (known, proven) = self.0.entry(target.as_str()).or_default();
        let is_bad = attempt == *known
            && is_place(location, &attempt_key(&body.publication.key, attempt))
            && !found.is_some_and(|proof| is_approved(proof, &body.publication.checksum));
        (*known, *proven) = (attempt.saturating_add(1), None);
        is_bad
    }

    /// Whether the copy of this target was proven and is not known to be lost.
    pub(super) fn has(&self, target: &str) -> bool {
        self.0.get(target).is_some_and(|(_, proven)| proven.is_some())
    }

    /// Whether a copy that counts is at this place.
    pub(super) fn is_at(&self, location: &Location) -> bool {
        self.0.values().any(|(_, proven)| *proven == Some(location))
    }

    /// Only the copy in the archive counts any more; the others have other keys when they are made again.
    pub(super) fn freed(&mut self, body: &'a Body) {
        for copy in body.replicas.wanted.iter().filter(|copy| copy.role == Role::Replica) {
            let (attempt, proven) = self.0.entry(&copy.target).or_default();
            (*attempt, *proven) = (attempt.saturating_add(1).min(ATTEMPTS_MAX), None);
        }
    }

    /// How many copies were proven and are not known to be lost, where the publication's own is.
    pub(super) fn proven(&self) -> usize {
        1 + self.0.values().filter(|(_, proven)| proven.is_some()).count()
    }

    /// Whether the record says the same.
    pub(super) fn agree(&self, body: &Body) -> bool {
        let wanted = &body.replicas.wanted;
        let told = |target: &str| self.0.get(target).copied().unwrap_or_default();
        self.0.keys().all(|target| wanted.iter().any(|replica| replica.target == **target))
            && wanted.iter().all(|replica| {
                let (attempt, proven) = told(&replica.target);
                let location = replica.proven.as_ref().map(|copy| copy.location.as_str());
                (attempt, proven.map(Location::as_str)) == (replica.attempt, location)
            })
    }
}

fn is_approved(proof: &Proof, approved: &Checksum) -> bool {
    proof.digest.checksum == *approved
}

/// Whether a URI's end is this key.
pub(super) fn is_place(location: &Location, key: &str) -> bool {
    location.as_str().strip_suffix(key).is_some_and(|start| start.ends_with('/'))
}

/// What counts as a copy of what is published is there and has the approved bytes.
pub(super) fn check(record: &Record<'_>, evidence: &Evidence, found: &mut Findings) {
    let (id, body) = (record.id(), &record.body);
    if let Phase::Replicating { proof, .. } = &body.phase {
        let approved = &body.publication.checksum;
        found.expect(proof.checksum == *approved, Promise::P1, id, || {
            format!("{} is copied to other targets, {approved} was approved", proof.checksum)
        });
    }
    let copies = body.replicas.wanted.iter().filter_map(|replica| replica.proven.as_ref());
    for copy in copies.filter(|_| body.published().is_some()) {
        let approved = &body.publication.checksum;
        found.expect(copy.proof.checksum == *approved, Promise::P1, id, || {
            format!("{} was proven at {}, {approved} was approved", copy.proof.checksum, copy.location)
        });
        check_object(evidence, id, &copy.location, approved, copy.proof.size, found);
    }
}
