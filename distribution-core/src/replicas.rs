//! Replicas: the other targets that a copy goes to, and how many copies must be proven before links are given.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::key::{ATTEMPT_MAX, ObjectKey, TargetName};
use crate::object::{Location, Proof};
use crate::record::{Phase, Record};
use crate::time::Timestamp;

/// To which other targets copies of what is published on one target go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replication {
    /// The other targets, each once, the preferred one for links first: at most [`Replication::TARGETS_MAX`].
    pub targets: Vec<TargetName>,
    /// How many copies must be proven before it is published, that on the target itself included: 1 to all.
    pub quorum: u32,
}

impl Replication {
    /// The most other targets.
    pub const TARGETS_MAX: usize = 8;

    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid), naming what cannot work.
    pub(crate) fn check(&self, target: &TargetName) -> Result<(), Error> {
        let copies = u32::try_from(self.targets.len()).unwrap_or(u32::MAX).saturating_add(1);
        let invalid = |message: String| Err(Error::invalid("replication", format!("`{target}` {message}")));
        if self.targets.len() > Self::TARGETS_MAX {
            return invalid(format!("has {} replicas: at most {}", self.targets.len(), Self::TARGETS_MAX));
        }
        if !(1..=copies).contains(&self.quorum) {
            return invalid(format!("has a quorum of {}: it must be 1 to {copies}, itself included", self.quorum));
        }
        for (index, replica) in self.targets.iter().enumerate() {
            if replica == target || self.targets.iter().take(index).any(|other| other == replica) {
                return invalid(format!("has `{replica}` twice among its copies: each is on another target"));
            }
        }
        Ok(())
    }
}

/// The copies of a publication on other targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replicas {
    /// How many copies must be proven before it is published, its own object included.
    pub quorum: u32,
    /// The copies that are wanted.
    pub wanted: Vec<Replica>,
}

/// A copy on another target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Replica {
    /// The target.
    pub target: TargetName,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Role::is_replica")]
    pub role: Role,
    /// The number of the attempt there, which names the copy's key as it does on the publication's own target.
    pub attempt: u32,
    /// The copy, as it was read last; `None` if it is still to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<ProvenCopy>,
}

/// What a copy on another target is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Links may lead to it.
    #[default]
    Replica,
    /// It is kept for later: no link leads to it.
    Archive,
}

impl Role {
    /// Whether links may lead to it.
    pub fn is_replica(&self) -> bool {
        *self == Self::Replica
    }
}

/// A copy that was read and has the approved bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProvenCopy {
    /// When it was first read.
    pub at: Timestamp,
    /// Where it is.
    pub location: Location,
    /// What was read there, and how.
    pub proof: Proof,
}

/// What was found in the object of an attempt on another target.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyExamined {
    /// The target.
    pub target: TargetName,
    /// The attempt there.
    pub attempt: u32,
    /// Where the object is.
    pub location: Location,
    /// What its bytes are; `None` if it is not there.
    pub found: Option<Proof>,
}

impl Default for Replicas {
    /// None but the publication's own object.
    fn default() -> Self {
        Self { quorum: 1, wanted: Vec::new() }
    }
}

impl From<&Replication> for Replicas {
    fn from(Replication { targets, quorum }: &Replication) -> Self {
        let wanted = |target: &TargetName| Replica::wanted(target.clone(), Role::Replica);
        Self { quorum: *quorum, wanted: targets.iter().map(wanted).collect() }
    }
}

impl Replica {
    /// One that is to be made.
    pub(crate) fn wanted(target: TargetName, role: Role) -> Self {
        Self { target, role, attempt: 0, proven: None }
    }
}

impl Replicas {
    /// Whether there are none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// How many copies are proven where the publication's own is.
    pub fn proven_with_own(&self) -> u32 {
        self.wanted.iter().filter(|replica| replica.proven.is_some()).fold(1, |count, _| count + 1)
    }

    /// Whether, with the publication's own object, enough copies are proven.
    pub fn is_quorum_reached(&self) -> bool {
        self.proven_with_own() >= self.quorum
    }
}

impl Record {
    /// The copies on other targets that are still to be made: of a target that has spoilt all attempts there are, none
    /// is; and where only the copy in the archive is to stay, no other.
    pub(crate) fn to_make(&self) -> impl Iterator<Item = &Replica> {
        let wanted = self.replicas.wanted.iter();
        wanted.filter(|copy| copy.proven.is_none() && copy.attempt <= ATTEMPT_MAX && self.keeps(copy.role))
    }

    /// How many copies must be proven: one, where it is in the archive.
    pub fn quorum(&self) -> u32 {
        if self.is_archived() { 1 } else { self.replicas.quorum }
    }

    /// How many copies are proven: 0 before the first one is.
    pub fn replica_count(&self) -> u32 {
        let has_any = self.published().is_some() || matches!(self.phase, Phase::Replicating { .. });
        match self.replicas.proven_with_own() {
            _ if !has_any => 0,
            proven if self.is_archived() => proven - 1,
            proven => proven,
        }
    }

    /// Where the publication has, or may have, its objects: its own first, unless that was freed, then its copies, each
    /// on its target, then the one that is being copied anew.
    pub fn places(&self) -> Vec<(TargetName, ObjectKey)> {
        let own = (!self.is_archived()).then_some(self.attempt);
        let copy = |copy: &Replica| (copy.target.clone(), self.publication.key.attempt(copy.attempt));
        let copies = self.replicas.wanted.iter().map(copy);
        let place = |attempt| (self.publication.target.clone(), self.publication.key.attempt(attempt));
        own.map(place).into_iter().chain(copies).chain(self.restoring.map(place)).collect()
    }

    /// Where objects may be of attempts that were given up, or were freed.
    pub fn given_up(&self) -> Vec<(TargetName, ObjectKey)> {
        let end = self.restoring.unwrap_or(self.attempt.saturating_add(1));
        let own = (0..end).filter(|attempt| *attempt != self.attempt || self.is_archived());
        let mut given_up: Vec<_> = own.map(|attempt| (&self.publication.target, attempt)).collect();
        for Replica { target, attempt, .. } in &self.replicas.wanted {
            given_up.extend((0..*attempt).map(|attempt| (target, attempt)));
        }
        let key = |attempt| self.publication.key.attempt(attempt);
        given_up.into_iter().map(|(target, attempt)| (target.clone(), key(attempt))).collect()
    }

    /// Where links may lead, or may have led.
    pub(crate) fn linked_places(&self) -> Vec<(TargetName, ObjectKey)> {
        let archive = self.archive_copy().map(|copy| &copy.target);
        let all = self.places().into_iter().chain(self.given_up());
        all.filter(|(target, _)| Some(target) != archive).collect()
    }

    /// Where copies are, or were, that were proven and that links may have been given to.
    pub(crate) fn proven_locations(&self) -> Vec<&Location> {
        let copies = self.replicas.wanted.iter().filter_map(|copy| Some(&copy.proven.as_ref()?.location));
        self.published().map(|published| &published.location).into_iter().chain(copies).collect()
    }

    /// Where copies are that were proven: its own first, unless that was freed, then in the order of the others.
    pub fn proven_places(&self) -> Vec<(TargetName, ObjectKey)> {
        let has_own = self.published().is_some() || matches!(self.phase, Phase::Replicating { .. });
        let own = (self.publication.target.clone(), self.object_key());
        let copy = |copy: &Replica| (copy.target.clone(), self.publication.key.attempt(copy.attempt));
        let proven = self.replicas.wanted.iter().filter(|copy| copy.proven.is_some()).map(copy);
        (has_own && !self.is_archived()).then_some(own).into_iter().chain(proven).collect()
    }
}
