//! What is observed of the copies of a publication, and which of them are kept. Pure: a part of
//! [`step`](crate::machine::step).

use crate::event::Event;
use crate::key::{ATTEMPT_MAX, TargetName};
use crate::machine::IllegalTransition;
use crate::object::Location;
use crate::record::{HotCopies, Phase, Published, Record};
use crate::replicas::{CopyExamined, ProvenCopy, Replica, Role};
use crate::request::Access;
use crate::time::Timestamp;
use crate::trail::AuditEvent;

impl Record {
    /// What was found in an object on another target is on record, if that is the one that is wanted now.
    pub(crate) fn observe_copy(&mut self, seen: CopyExamined, now: Timestamp) -> Result<(), IllegalTransition> {
        let CopyExamined { target, attempt, location, found } = seen;
        let approved = self.publication.checksum;
        let copy = self.replicas.wanted.iter_mut().find(|copy| copy.target == target);
        let copy = copy.filter(|copy| copy.attempt == attempt).ok_or(IllegalTransition)?;
        match found {
            Some(proof) if proof.digest.checksum == approved && copy.proven.is_none() => {
                copy.proven = Some(ProvenCopy { at: now, location: location.clone(), proof });
                self.log(now, AuditEvent::Replicated { target, location, proof });
            }
            Some(proof) if proof.digest.checksum == approved => return Err(IllegalTransition),
            Some(_) | None if attempt > ATTEMPT_MAX => return Err(IllegalTransition),
            Some(_) | None => {
                copy.give_up();
                self.log(now, AuditEvent::ReplicaLost { target, attempt, location, found });
            }
        }
        Ok(())
    }

    /// The own object of what is published is copied anew, or its copies are moved into the archive.
    pub(crate) fn keep(&mut self, published: Published, event: Event, now: Timestamp) -> Result<(), IllegalTransition> {
        match event {
            Event::Restoring { attempt } if attempt > self.last_attempt() && attempt <= ATTEMPT_MAX => {
                self.restoring = Some(attempt);
            }
            Event::Restored { attempt, location, proof }
                if self.restoring == Some(attempt) && proof.digest.checksum == self.publication.checksum =>
            {
                (self.attempt, self.restoring) = (attempt, None);
                if self.is_archived() {
                    self.hot = HotCopies::Kept;
                }
                let restored_at = Some(now);
                self.phase =
                    Phase::Published(Published { location: location.clone(), proof, restored_at, ..published });
                self.log(now, AuditEvent::Restored { attempt, location, proof });
            }
            Event::ArchiveWanted { target, frees } if self.may_want(&target, frees) => {
                if self.archive_copy().is_none() {
                    self.replicas.wanted.push(Replica::wanted(target.clone(), Role::Archive));
                }
                if frees {
                    self.hot = HotCopies::ToFree;
                }
                self.log(now, AuditEvent::ArchiveWanted { target, frees });
            }
            Event::HotFreed if self.may_free() => {
                // Links to what was freed before may work still.
                let ends = [published.link_expires_at, published.links_until, self.spared_until];
                let links_end = ends.into_iter().flatten().fold(now, Timestamp::max);
                (self.attempt, self.restoring) = (self.last_attempt(), None);
                self.replicas.wanted.iter_mut().filter(|copy| copy.role.is_replica()).for_each(Replica::give_up);
                (self.hot, self.spared_until) = (HotCopies::Freed { at: now }, Some(links_end));
                self.phase = Phase::Published(Published { link_expires_at: None, links_until: None, ..published });
                self.log(now, AuditEvent::HotFreed { links_end });
            }
            Event::HotKept if self.hot == HotCopies::ToFree => {
                self.hot = HotCopies::Kept;
                self.log(now, AuditEvent::HotKept);
            }
            _ => return Err(IllegalTransition),
        }
        Ok(())
    }

    /// The last attempt whose key may have an object.
    fn last_attempt(&self) -> u32 {
        self.restoring.unwrap_or(self.attempt)
    }

    /// Whether it changes anything, and can be done, that this target is to have a copy for the archive.
    pub(crate) fn may_want(&self, archive: &TargetName, frees: bool) -> bool {
        let is_other = |copy: &Replica| copy.target == *archive || copy.role == Role::Archive;
        let is_news = match self.replicas.wanted.iter().find(|copy| is_other(copy)) {
            None => *archive != self.publication.target,
            Some(known) if known.target != *archive || known.role != Role::Archive => return false,
            Some(_) => frees && self.hot == HotCopies::Kept,
        };
        is_news && !self.is_archived() && (!frees || (self.hold.is_none() && self.has_ending_links()))
    }

    /// Whether the hot copies are to be freed, and may be: the one in the archive is proven, nothing is held, and there
    /// is a key left to come back to.
    pub(crate) fn may_free(&self) -> bool {
        self.is_ready_to_free() && self.hold.is_none() && self.has_ending_links() && self.last_attempt() < ATTEMPT_MAX
    }

    /// Whether the object at this place may be removed: it is not held, and was taken back, freed, or copied anew
    /// elsewhere; and while there is no other but that in the archive, that one is proven.
    pub(crate) fn may_release(&self, location: &Location) -> bool {
        let mut proven = self.replicas.wanted.iter().filter_map(|copy| copy.proven.as_ref());
        self.hold.is_none()
            && match &self.phase {
                Phase::Retracted(_) => true,
                Phase::Published(published) => {
                    let is_own = published.location == *location && !self.is_archived();
                    let is_alone = self.is_archived() && !self.has_archived_copy();
                    self.was_elsewhere() && !is_own && !is_alone && proven.all(|copy| copy.location != *location)
                }
                _ => false,
            }
    }

    /// Whether its links end: others would lead nowhere for ever.
    pub(crate) fn has_ending_links(&self) -> bool {
        self.details.access == Access::Signed
    }

    /// Whether all is done that comes before the hot copies are freed.
    pub(crate) fn is_ready_to_free(&self) -> bool {
        self.hot == HotCopies::ToFree && self.has_archived_copy()
    }
}

impl Replica {
    /// The key of a copy that was given up is never used again.
    fn give_up(&mut self) {
        (self.attempt, self.proven) = (self.attempt.saturating_add(1).min(ATTEMPT_MAX + 1), None);
    }
}
