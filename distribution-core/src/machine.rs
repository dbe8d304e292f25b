//! The publish state machine: what to do next, and what a fact changes. Pure.
//!
//! [`next_action`] reads off a record what is left to do; [`step`] takes a fact that somebody
//! observed and returns the record that follows. Effects are derived from the record, never
//! remembered, so the first run, a retry and the recovery after a crash are the same loop.
//!
//! ```text
//!                    ┌──── missing or other bytes: next attempt, new key ──┐
//!                    ▼                                                     │
//!   claim ───▶ Claimed ── Transferred ─▶ Stored ── Examined ───────────────┤
//!                │  ▲  └── with a proof ───────────────────────┐           │
//!                │  └── TakenUp ── Rejected ◀── attempts used up, key taken, QC lapsed
//!                └─ staged file missing or other ──▶ ▲         ▼
//!                                                          Published ◀── quorum ── Replicating
//! ```
//!
//! Where a quorum of more than the one copy is wanted, what is proven is `Replicating` first.

pub use crate::entry::{Caller, Entry, entry};
pub use crate::event::Event;
use crate::key::ATTEMPT_MAX;
use crate::object::{Location, Proof};
use crate::publication::{Details, Publication};
use crate::qc::QcApproval;
use crate::record::{
    Hold, HotCopies, Lease, Phase, Published, Record, Retracted, StagedAt, StoredObject, Version, Work,
};
use crate::rejection::{Rejection, SourceFault};
use crate::replicas::Replicas;
use crate::request::{Access, VideoUrl};
use crate::time::{Timestamp, link_expiry, to_micros};
use crate::trail::{AuditEvent, TrailEnd};

/// What is to be done next, for anybody who reads the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Copy the staged file to the attempt's key.
    Transfer,
    /// Read the attempt's object back.
    Prove,
    /// Make the copies on other targets that are not proven.
    Replicate,
    /// See whether the copies that links lead to are freed, now that the one in the archive is proven.
    Free,
    /// Give the publication its place among the versions of its work.
    Number,
    /// Have the links of what was taken back end.
    EndLinks,
    /// Deliver the outbox to the audit sink.
    Deliver,
}

/// An event that cannot happen in the record's phase: a bug of the caller, never of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this event cannot happen in this phase")]
pub struct IllegalTransition;

/// The first record of a publication.
pub fn claim(
    publication: Publication,
    details: Details,
    approval: QcApproval,
    source: &VideoUrl,
    work: Work,
    replicas: Replicas,
    now: Timestamp,
) -> Record {
    let now = to_micros(now);
    let (holder, qc_report_id) = (work.lease.holder.clone(), approval.report_id().map(str::to_owned));
    let mut record = Record {
        publication,
        phase: Phase::Claimed { work },
        attempt: 0,
        approval,
        source: source.into(),
        details,
        hold: None,
        replicas,
        hot: HotCopies::Kept,
        spared_until: None,
        restoring: None,
        trail: TrailEnd::default(),
        claimed_at: now,
        revision: 0,
    };
    record.log(now, AuditEvent::Claimed { holder, qc_report_id });
    record
}

/// How many entries wait before they are delivered although the publication is not finished.
const DELIVER_AT: usize = 16;

/// What is left to do; `None` if nothing is.
pub fn next_action(record: &Record) -> Option<Action> {
    match record.phase {
        Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Replicating { .. }
            if record.trail.waiting.len() >= DELIVER_AT =>
        {
            Some(Action::Deliver)
        }
        Phase::Claimed { .. } => Some(Action::Transfer),
        Phase::Stored { .. } => Some(Action::Prove),
        Phase::Replicating { .. } => Some(Action::Replicate),
        Phase::Published(Published { version: Some(Version::After(_)), .. }) => Some(Action::Number),
        Phase::Published(_) if record.is_ready_to_free() => Some(Action::Free),
        Phase::Retracted(Retracted { published: Some(_), links_end: None, .. }) => Some(Action::EndLinks),
        _ if !record.trail.waiting.is_empty() => Some(Action::Deliver),
        Phase::Published(_) => record.to_make().next().map(|_| Action::Replicate),
        Phase::Rejected { .. } | Phase::Retracted(_) => None,
    }
}

/// The record that follows from `record` when `event` is observed at `now`, one revision later.
///
/// # Errors
/// [`IllegalTransition`] for an event that the phase does not allow.
pub fn step(record: &Record, event: Event, now: Timestamp) -> Result<Record, IllegalTransition> {
    let mut next = record.clone();
    next.revision += 1;
    let now = to_micros(now);
    match (&record.phase, event) {
        (Phase::Published(_) | Phase::Retracted(_), Event::TakenUp { .. }) => return Err(IllegalTransition),
        (_, Event::TakenUp { lease, approval, source, attempts }) => {
            next.take_up(lease, approval, source.as_ref(), attempts, now)?;
        }
        (_, Event::KeptAlive { until }) => next.work_mut().ok_or(IllegalTransition)?.lease.until = until,

        (Phase::Claimed { work }, Event::Transferred { object, proof: None }) => {
            next.phase = Phase::Stored { work: work.clone(), object };
        }
        (Phase::Claimed { work }, Event::Transferred { object, proof: Some(proof) }) => {
            next.judge(work, &object, Some(proof), now);
        }
        (Phase::Stored { work, object }, Event::Examined(found)) => next.judge(work, object, found, now),

        (Phase::Claimed { work }, Event::KeyBuried { location }) => next.try_again(work, &location, None, now),
        (Phase::Claimed { .. }, Event::SourceUnfit(fault)) => {
            if matches!(fault, SourceFault::OtherBytes { found } if found.checksum == record.publication.checksum) {
                return Err(IllegalTransition);
            }
            next.reject(Rejection::Source { fault }, now);
        }
        (Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Replicating { .. }, Event::ApprovalLapsed) => {
            if record.approval.holds_at(now) {
                return Err(IllegalTransition);
            }
            next.reject(Rejection::QcLapsed, now);
        }

        (Phase::Replicating { object, proof, .. }, Event::CopyExamined(seen)) => {
            next.observe_copy(seen, now)?;
            if next.replicas.is_quorum_reached() {
                next.publish(object, *proof, now);
            }
        }
        (Phase::Published(_), Event::CopyExamined(seen)) => next.observe_copy(seen, now)?,

        (
            Phase::Published(published),
            event @ (Event::Restoring { .. }
            | Event::Restored { .. }
            | Event::ArchiveWanted { .. }
            | Event::HotFreed
            | Event::HotKept),
        ) => next.keep(published.clone(), event, now)?,
        (Phase::Published(published), Event::Numbered { version: number }) => {
            if !matches!(published.version, Some(Version::After(others)) if others < number) {
                return Err(IllegalTransition);
            }
            next.phase = Phase::Published(Published { version: Some(Version::Number(number)), ..published.clone() });
            next.log(now, AuditEvent::Numbered { version: number });
        }
        (Phase::Published(published), Event::RolledBack { version, versions }) => {
            if published.version != Some(Version::Number(version)) || version > versions {
                return Err(IllegalTransition);
            }
            next.log(now, AuditEvent::RolledBack { version, versions });
        }

        (Phase::Retracted(_), Event::Retracted { .. } | Event::Amended(_)) => return Err(IllegalTransition),
        (phase, Event::Retracted { reason }) => {
            let published = match phase {
                Phase::Published(published) => Some(published.clone()),
                _ => None,
            };
            next.log(now, AuditEvent::Retracted { reason: reason.clone() });
            next.phase = Phase::Retracted(Retracted { at: now, reason, published, links_end: None });
        }
        (Phase::Retracted(retracted), Event::LinksEnded { by }) if retracted.links_end.is_none() => {
            next.phase = Phase::Retracted(Retracted { links_end: Some(by), ..retracted.clone() });
        }
        (_, Event::CopyReleased { location }) if record.may_release(&location) => {
            next.log(now, AuditEvent::CopyReleased { location });
        }
        (_, Event::HoldPlaced { concept_id, reason }) => {
            if concept_id.is_none() {
                next.hold = Some(Hold { at: now, reason: reason.clone() });
                if next.hot == HotCopies::ToFree {
                    next.hot = HotCopies::Kept;
                }
            }
            next.log(now, AuditEvent::HoldPlaced { concept_id, reason });
        }
        (_, Event::HoldReleased { concept_id, reason }) => {
            if concept_id.is_none() && next.hold.take().is_none() {
                return Err(IllegalTransition);
            }
            next.log(now, AuditEvent::HoldReleased { concept_id, reason });
        }

        (_, Event::Delivered { before }) => next.trail.waiting.retain(|entry| entry.id.sequence >= before),
        (phase, Event::Amended(details)) => {
            let opens = matches!(phase, Phase::Published(_)) && details.access != record.details.access;
            next.details = (*details).clone();
            next.log(now, AuditEvent::Amended { details });
            if opens {
                next.grant_access(now);
            }
        }
        (Phase::Published(published), Event::LinkWanted)
            if record.details.access == Access::Signed && !record.is_archived() =>
        {
            let mut published = published.clone();
            next.grant_link(&mut published, now);
            next.phase = Phase::Published(published);
        }
        (Phase::Published(published), Event::LinkAsked { expires_at })
            if record.details.access == Access::Signed && !record.is_archived() =>
        {
            if expires_at <= now || expires_at.timestamp_subsec_nanos() != 0 {
                return Err(IllegalTransition);
            }
            let links_until = published.links_until.max(Some(expires_at));
            next.phase = Phase::Published(Published { links_until, ..published.clone() });
            next.log(now, AuditEvent::LinkIssued { expires_at });
        }
        // Whatever the access is now: it may have been another when they were signed.
        (Phase::Published(_), Event::LinksRevoked) => next.log(now, AuditEvent::LinksRevoked),
        (Phase::Published(_), Event::StagedFileReleased { url }) if record.hold.is_none() => {
            next.log(now, AuditEvent::StagedFileReleased { url: url.redacted() });
        }

        (
            _,
            Event::Transferred { .. }
            | Event::KeyBuried { .. }
            | Event::SourceUnfit(_)
            | Event::Examined(_)
            | Event::CopyExamined(_)
            | Event::Restoring { .. }
            | Event::Restored { .. }
            | Event::ArchiveWanted { .. }
            | Event::HotFreed
            | Event::HotKept
            | Event::ApprovalLapsed
            | Event::Numbered { .. }
            | Event::RolledBack { .. }
            | Event::LinkWanted
            | Event::LinkAsked { .. }
            | Event::LinksRevoked
            | Event::LinksEnded { .. }
            | Event::CopyReleased { .. }
            | Event::StagedFileReleased { .. },
        ) => return Err(IllegalTransition),
    }
    Ok(next)
}

impl Record {
    /// Whether both are one publisher's work on one attempt at one point, so that what was observed
    /// for the one holds for the other: they differ in a renewed lease, an amendment, a delivery. Work
    /// from another staged file, or under another approval, is other work.
    pub(crate) fn is_same_work(&self, other: &Self) -> bool {
        let at = |record: &Self| record.work().map(|work| work.lease.holder.clone());
        at(self).is_some()
            && at(self) == at(other)
            && self.attempt == other.attempt
            && self.source == other.source
            && self.approval == other.approval
            && std::mem::discriminant(&self.phase) == std::mem::discriminant(&other.phase)
    }

    fn work_mut(&mut self) -> Option<&mut Work> {
        match &mut self.phase {
            Phase::Claimed { work } | Phase::Stored { work, .. } | Phase::Replicating { work, .. } => Some(work),
            Phase::Published(_) | Phase::Rejected { .. } | Phase::Retracted(_) => None,
        }
    }

    /// A publisher begins, goes on with, or opens again.
    fn take_up(
        &mut self,
        lease: Lease,
        approval: QcApproval,
        source: Option<&VideoUrl>,
        attempts: u32,
        now: Timestamp,
    ) -> Result<(), IllegalTransition> {
        if self.attempt > ATTEMPT_MAX {
            return Err(IllegalTransition);
        }
        let attempts_left = attempts.saturating_sub(1);
        if let Some(work) = self.work_mut() {
            *work = Work { lease, attempts_left };
        } else {
            let (holder, qc_report_id) = (lease.holder.clone(), approval.report_id().map(str::to_owned));
            self.phase = Phase::Claimed { work: Work { lease, attempts_left } };
            self.log(now, AuditEvent::Reopened { holder, qc_report_id });
        }
        self.approval = approval;
        self.source = source.map_or_else(|| self.source.clone(), StagedAt::from);
        Ok(())
    }

    /// Judges what was found in the attempt's object.
    fn judge(&mut self, work: &Work, object: &StoredObject, found: Option<Proof>, now: Timestamp) {
        match found {
            Some(proof) if proof.digest.checksum == self.publication.checksum => {
                if self.replicas.is_quorum_reached() {
                    self.publish(object, proof, now);
                } else {
                    self.phase = Phase::Replicating { work: work.clone(), object: object.clone(), proof };
                }
            }
            Some(proof) if !object.created && !self.publication.key_tells_bytes => {
                self.reject(Rejection::KeyTaken { found: proof.digest }, now);
            }
            Some(_) | None => self.try_again(work, &object.location, found, now),
        }
    }

    /// The gate once more, then the end.
    fn publish(&mut self, object: &StoredObject, proof: Proof, now: Timestamp) {
        if !self.approval.holds_at(now) {
            return self.reject(Rejection::QcLapsed, now);
        }
        let StoredObject { location, pin, preflight, versions, .. } = object.clone();
        self.log(now, AuditEvent::Published { location: location.clone(), proof });
        let version = self.publication.concept_id.is_some().then_some(Version::After(versions));
        let mut published = Published {
            at: now,
            location,
            proof,
            pin,
            preflight,
            link_expires_at: None,
            links_until: None,
            restored_at: None,
            version,
        };
        match self.details.access {
            Access::Signed => self.grant_link(&mut published, now),
            Access::Public | Access::Authenticated => self.grant_access(now),
        }
        self.phase = Phase::Published(published);
    }

    /// Goes on with a new key, or gives up. The key that failed is never used again.
    fn try_again(&mut self, work: &Work, location: &Location, found: Option<Proof>, now: Timestamp) {
        let (attempt, location) = (self.attempt, location.clone());
        self.log(now, AuditEvent::AttemptFailed { attempt, location, found });
        self.attempt += 1;
        match work.attempts_left.checked_sub(1) {
            Some(attempts_left) if self.attempt <= ATTEMPT_MAX => {
                self.phase = Phase::Claimed { work: Work { attempts_left, ..work.clone() } };
            }
            Some(_) | None => self.reject(Rejection::AttemptsUsedUp, now),
        }
    }

    fn reject(&mut self, reason: Rejection, now: Timestamp) {
        self.log(now, AuditEvent::Rejected { reason: reason.clone() });
        self.phase = Phase::Rejected { reason };
    }

    fn grant_link(&mut self, published: &mut Published, now: Timestamp) {
        if let Some(expires_at) = link_expiry(now, self.details.url_expiry_hours) {
            published.link_expires_at = Some(expires_at);
            self.log(now, AuditEvent::LinkGranted { expires_at });
        }
    }

    /// Where links are not signed, the right to read is granted once, and not link by link.
    fn grant_access(&mut self, now: Timestamp) {
        let access = self.details.access;
        if access != Access::Signed {
            self.log(now, AuditEvent::AccessGranted { access });
        }
    }
}
