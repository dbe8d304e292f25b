//! Audit trails: gapless, told once, possible in their order, and in agreement with the record.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chrono::Timelike as _;
use distribution_core::{Access, AuditEntry, AuditEvent, Location, Proof, Timestamp, Trail};

use super::archive::Archive;
use super::body::Phase;
use super::derive::attempt_key;
use super::evidence::Evidence;
use super::names::name_of;
use super::records::{Record, Records};
use super::replicas::{Copies, is_place};
use super::{Findings, Promise};

/// The delivered entries of each publication, by sequence.
pub(super) struct Trails<'a>(BTreeMap<&'a str, BTreeMap<u64, &'a AuditEntry>>);

impl<'a> Trails<'a> {
    pub(super) fn gather(evidence: &'a Evidence, found: &mut Findings) -> Self {
        let (mut trails, mut refusals) = (Self(BTreeMap::new()), BTreeMap::new());
        for entry in &evidence.audit {
            let refused = matches!(entry.event, AuditEvent::Refused { .. });
            found.expect(refused == (entry.id.trail == Trail::Refusals), Promise::P5, &entry.id, || {
                "refusals, and nothing else, have a trail of their own".to_owned()
            });
            let id = entry.id.audit_log_id.as_str();
            let place = match entry.id.trail {
                Trail::Publication => trails.0.entry(id).or_default(),
                Trail::Refusals => refusals.entry(id).or_insert_with(BTreeMap::new),
            };
            match place.entry(entry.id.sequence) {
                Entry::Vacant(place) => drop(place.insert(entry)),
                Entry::Occupied(known) => {
                    let how = if *known.get() == entry { "is kept twice" } else { "is kept in two versions" };
                    found.add(Promise::P5, &entry.id, how);
                }
            }
        }
        trails
    }

    fn of(&self, id: &str) -> impl Iterator<Item = (u64, &'a AuditEntry)> {
        self.0.get(id).into_iter().flatten().map(|(sequence, entry)| (*sequence, *entry))
    }

    /// The ends of the links that were granted, as far as the trail has been delivered without a gap.
    pub(super) fn grants_delivered(&self, id: &str) -> impl Iterator<Item = Timestamp> {
        self.gapless(id).filter_map(grant)
    }

    /// Whether reading without a signed link was granted, as far as the trail has been delivered without a gap.
    pub(super) fn access_delivered(&self, id: &str) -> bool {
        self.gapless(id).any(|entry| matches!(entry.event, AuditEvent::AccessGranted { .. }))
    }

    fn gapless(&self, id: &str) -> impl Iterator<Item = &'a AuditEntry> {
        let gapless = self.of(id).zip(0..).take_while(|((sequence, _), expected)| sequence == expected);
        gapless.map(|((_, entry), _)| entry)
    }
}

/// The ends of the links that were granted, whether or not the trail has arrived.
pub(super) fn grants_known<'a>(record: &'a Record<'_>, trails: &'a Trails<'_>) -> impl Iterator<Item = Timestamp> {
    trails.of(record.id()).map(|(_, entry)| entry).chain(&record.body.trail.waiting).filter_map(grant)
}

/// Whether what was published was lost since, and copied anew.
pub(super) fn is_restored(record: &Record<'_>, trails: &Trails<'_>) -> bool {
    let entries = trails.of(record.id()).map(|(_, entry)| entry).chain(&record.body.trail.waiting);
    entries.into_iter().any(|entry| matches!(entry.event, AuditEvent::Restored { .. }))
}

fn grant(entry: &AuditEntry) -> Option<Timestamp> {
    match entry.event {
        AuditEvent::LinkGranted { expires_at } => Some(expires_at),
        _ => None,
    }
}

/// Trails of publications that have no record.
pub(super) fn check_orphans(records: &Records<'_>, trails: &Trails<'_>, found: &mut Findings) {
    for id in trails.0.keys().filter(|id| records.get(id).is_none() && !records.is_broken(id)) {
        found.add(Promise::P3, id, "has a trail and no record: the next call would publish it again");
    }
}

pub(super) fn check(record: &Record<'_>, trails: &Trails<'_>, found: &mut Findings) {
    match whole(record, trails) {
        Ok(entries) => Story::new(record).check(&entries, found),
        Err(message) => found.add(Promise::P5, record.id(), message),
    }
}

/// The whole trail in order: what was delivered, then what waits.
fn whole<'a>(record: &'a Record<'_>, trails: &Trails<'a>) -> Result<Vec<&'a AuditEntry>, String> {
    let (end, id) = (&record.body.trail, record.id());
    let first = end.next.checked_sub(end.waiting.len() as u64).ok_or("more entries wait than there are")?;
    for (entry, sequence) in end.waiting.iter().zip(first..) {
        let place = (entry.id.audit_log_id.as_str(), entry.id.trail, entry.id.sequence);
        if place != (id, Trail::Publication, sequence) {
            return Err(format!("the entry that waits as number {sequence} is {}", entry.id));
        }
    }
    let mut entries = Vec::new();
    let mut expected = 0;
    for (sequence, entry) in trails.of(id) {
        if sequence >= end.next {
            return Err(format!("entry {sequence} was delivered, the record knows of {}", end.next));
        }
        if sequence >= first {
            let waiting = usize::try_from(sequence - first).ok().and_then(|n| end.waiting.get(n));
            if waiting != Some(entry) {
                return Err(format!("entry {sequence} was delivered in another version than the one that waits"));
            }
            continue;
        }
        if sequence != expected {
            return Err(format!("entry {expected} is missing from the trail"));
        }
        expected += 1;
        entries.push(entry);
    }
    if expected != first {
        return Err(format!("entry {expected} is missing from the trail"));
    }
    entries.extend(&end.waiting);
    Ok(entries)
}

/// What the entries tell, one after the other, of this record.
struct Story<'a> {
    record: &'a Record<'a>,
    told: Told,
    attempt: u32,
    published: Option<(Timestamp, &'a Location, &'a Proof)>,
    granted: Option<Timestamp>,
    opened: Option<Access>,
    number: Option<u64>,
    is_held: bool,
    copies: Copies<'a>,
    archive: Archive<'a>,
}

#[derive(Clone, Copy, PartialEq)]
enum Told {
    Nothing,
    AtWork,
    Rejected,
    Published,
    Retracted,
}

impl<'a> Story<'a> {
    fn new(record: &'a Record<'a>) -> Self {
        Self {
            record,
            told: Told::Nothing,
            attempt: 0,
            published: None,
            granted: None,
            opened: None,
            number: None,
            is_held: false,
            copies: Copies::default(),
            archive: Archive::default(),
        }
    }

    fn check(mut self, entries: &[&'a AuditEntry], found: &mut Findings) {
        for entry in entries {
            if let Err((promise, message)) = self.tell(entry) {
                found.add(promise, &entry.id, message);
                return;
            }
        }
        self.check_end(entries, found);
    }

    fn tell(&mut self, entry: &'a AuditEntry) -> Result<(), (Promise, String)> {
        let impossible = || Err((Promise::P5, format!("{} cannot happen here", name_of(&entry.event))));
        let is_link = matches!(entry.event, AuditEvent::LinkGranted { .. } | AuditEvent::LinkIssued { .. });
        if let Some(access) = self.opened.filter(|_| is_link) {
            return Err((Promise::P8, format!("a signed link is granted where the access is {access:?}")));
        }
        if is_link && self.archive.is_freed() {
            return Err((Promise::P8, "a link is granted to what is in the archive only".to_owned()));
        }
        match (&entry.event, self.told) {
            (AuditEvent::Claimed { .. }, Told::Nothing) | (AuditEvent::Reopened { .. }, Told::Rejected) => {
                self.told = Told::AtWork;
            }
            (AuditEvent::AttemptFailed { attempt, location, .. }, Told::AtWork) => {
                if *attempt != self.attempt || !self.is_place(location) {
                    return impossible();
                }
                self.attempt += 1;
            }
            (AuditEvent::Rejected { .. }, Told::AtWork) => self.told = Told::Rejected,
            (AuditEvent::Published { .. }, Told::Published) => {
                return Err((Promise::P3, "is published a second time".to_owned()));
            }
            (AuditEvent::Published { location, proof }, Told::AtWork) => {
                if !self.is_place(location) || proof.digest.checksum != self.record.body.publication.checksum {
                    return impossible();
                }
                if self.copies.proven() < self.record.body.replicas.quorum {
                    return Err((Promise::P1, "is published before enough copies are proven".to_owned()));
                }
                self.told = Told::Published;
                self.published = Some((entry.at, location, proof));
            }
            (AuditEvent::Replicated { target, location, proof }, Told::AtWork | Told::Published) => {
                if !self.copies.replicated((target, location, proof), &self.record.body) {
                    return impossible();
                }
            }
            (AuditEvent::ReplicaLost { target, attempt, location, found }, Told::AtWork | Told::Published) => {
                if !self.copies.lost((target, *attempt, location, found.as_ref()), &self.record.body) {
                    return impossible();
                }
            }
            (AuditEvent::Restored { attempt, location, proof }, Told::Published) => {
                let is_later = *attempt > self.attempt;
                self.attempt = *attempt;
                let is_approved = proof.digest.checksum == self.record.body.publication.checksum;
                if !is_later || !is_approved || !self.is_place(location) {
                    return impossible();
                }
                self.published = self.published.map(|(at, ..)| (at, location, proof));
                self.archive.restored();
            }
            (AuditEvent::ArchiveWanted { target, frees }, Told::Published) => {
                if !self.archive.wanted(target, *frees, self.is_held) {
                    return impossible();
                }
            }
            (AuditEvent::HotFreed { links_end }, Told::Published) => {
                if let Some(access) = self.opened {
                    return Err((
                        Promise::P8,
                        format!("links of the access {access:?} never end, and lead nowhere now"),
                    ));
                }
                self.archive.freed(*links_end, entry.at, &self.copies, self.is_held)?;
                self.copies.freed(&self.record.body);
                self.granted = None;
            }
            (AuditEvent::HotKept, Told::Published) => {
                if !self.archive.kept() {
                    return impossible();
                }
            }
            (AuditEvent::LinkGranted { expires_at }, Told::Published) => self.grant(entry.at, *expires_at)?,
            (AuditEvent::AccessGranted { access }, Told::Published) => self.opened = Some(*access),
            (AuditEvent::LinkIssued { expires_at }, Told::Published) => {
                if expires_at.nanosecond() != 0 || *expires_at <= entry.at {
                    return Err((
                        Promise::P8,
                        format!("a link's end {expires_at} is no whole second after {}", entry.at),
                    ));
                }
                self.archive.linked(*expires_at);
            }
            (AuditEvent::LinksRevoked, Told::Published) => {}
            (AuditEvent::CopyReleased { location }, Told::Published) => {
                let own = self.published.map(|(_, own, _)| own);
                self.archive.released(location, entry.at, own, &self.copies)?;
                if self.is_held {
                    return Err((Promise::P6, "something was released for removal that is held".to_owned()));
                }
            }
            (AuditEvent::StagedFileReleased { .. }, Told::Published)
            | (AuditEvent::CopyReleased { .. }, Told::Retracted) => {
                if self.is_held {
                    return Err((Promise::P6, "something was released for removal that is held".to_owned()));
                }
            }
            (AuditEvent::Numbered { version }, Told::Published) => {
                let has_work = self.record.body.publication.concept_id.is_some();
                if *version == 0 || !has_work || self.number.replace(*version).is_some() {
                    return impossible();
                }
            }
            (AuditEvent::RolledBack { version, versions }, Told::Published) => {
                if self.number != Some(*version) || version > versions {
                    return impossible();
                }
            }
            (AuditEvent::HoldPlaced { concept_id, .. }, told) if told != Told::Nothing => {
                if concept_id.is_none() {
                    self.is_held = true;
                    self.archive.kept();
                }
            }
            (AuditEvent::HoldReleased { concept_id, .. }, told) if told != Told::Nothing => {
                if concept_id.is_none() && !std::mem::take(&mut self.is_held) {
                    return impossible();
                }
            }
            (AuditEvent::Retracted { .. }, Told::AtWork | Told::Rejected | Told::Published) => {
                self.told = Told::Retracted;
            }
            (AuditEvent::Amended { details }, Told::AtWork | Told::Rejected | Told::Published) => {
                self.opened = self.opened.filter(|access| *access == details.access);
            }
            _ => return impossible(),
        }
        Ok(())
    }

    /// Whether this is where the present attempt's object would be, as far as a URI's end can tell.
    fn is_place(&self, location: &Location) -> bool {
        is_place(location, &attempt_key(&self.record.body.publication.key, self.attempt))
    }

    fn grant(&mut self, at: Timestamp, expires_at: Timestamp) -> Result<(), (Promise, String)> {
        if expires_at.nanosecond() != 0 || expires_at <= at {
            return Err((Promise::P8, format!("a link's end {expires_at} is no whole second after {at}")));
        }
        if let Some(before) = self.granted.filter(|before| at < *before) {
            return Err((Promise::P3, format!("a new link was granted at {at}, when the last lived until {before}")));
        }
        self.granted = Some(expires_at);
        self.archive.linked(expires_at);
        Ok(())
    }

    fn check_end(&self, entries: &[&AuditEntry], found: &mut Findings) {
        let (id, body) = (self.record.id(), &self.record.body);
        let told = match body.phase {
            Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Replicating { .. } => Told::AtWork,
            Phase::Published(_) => Told::Published,
            Phase::Rejected {} => Told::Rejected,
            Phase::Retracted(_) => Told::Retracted,
        };
        // A restoration that was under way when copies were freed is not told of: its key is given up, too.
        let is_attempt = body.attempt == self.attempt || (self.archive.was_freed && body.attempt > self.attempt);
        if told != self.told || !is_attempt {
            let message =
                format!("the trail does not end where the record is: {}, attempt {}", body.state(), body.attempt);
            return found.add(Promise::P5, id, message);
        }
        found.expect(body.was_published().is_some() == self.published.is_some(), Promise::P5, id, || {
            "the record and the trail do not agree whether it was published".to_owned()
        });
        found.expect(body.number() == self.number, Promise::P5, id, || {
            format!("it is version {:?}, and the trail tells of {:?}", body.number(), self.number)
        });
        found.expect(body.hold.is_some() == self.is_held, Promise::P5, id, || {
            "the record and the trail do not agree whether it is held".to_owned()
        });
        found.expect(self.archive.agrees(body), Promise::P5, id, || {
            "the record and the trail do not agree what is in the archive".to_owned()
        });
        found.expect(self.copies.agree(body), Promise::P5, id, || {
            "the record and the trail do not agree which copies there are".to_owned()
        });
        if let (Some(published), Some((at, location, proof))) = (body.was_published(), self.published) {
            let how = serde_json::to_value(proof.how).ok();
            let same = published.at == at
                && published.location == location.as_str()
                && published.proof.size == proof.digest.size
                && how.as_ref().and_then(serde_json::Value::as_str) == Some(&published.proof.how);
            found.expect(same, Promise::P5, id, || "the trail tells of another publication".to_owned());
            found.expect(published.link_expires_at == self.granted, Promise::P8, id, || {
                format!("the link's end on record, {:?}, is not the one granted last", published.link_expires_at)
            });
        }
        let access = body.details.get("access").filter(|access| *access != "signed");
        if let Some(access) = access.filter(|_| told == Told::Published) {
            let opened = self.opened.and_then(|opened| serde_json::to_value(opened).ok());
            found.expect(opened.as_ref() == Some(access), Promise::P5, id, || {
                format!("the access on record, {access}, was granted without a trace")
            });
        }
        let amended = entries.iter().rev().find_map(|entry| match &entry.event {
            AuditEvent::Amended { details } => Some(details),
            _ => None,
        });
        let traced = amended.is_none_or(|details| serde_json::to_value(details).is_ok_and(|is| is == body.details));
        found.expect(traced, Promise::P5, id, || "what is shown was amended without a trace".to_owned());
    }
}
