//! The production state machine, asked once for each question: records are interned, so that a state of
//! the model holds a pointer and a fingerprint, and `claim` and `step` are remembered by their arguments.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Mutex, RwLock};

use bytes::Bytes;
use distribution_core::machine::{self, Event};
use distribution_core::{
    AuditEvent, Lease, Location, Phase, Record, Rejection, Replicas, SourceFault, StoredObject, VideoUrl, Work,
    invariants,
};

use crate::bugs::Bug;
use crate::scenario::{ATTEMPTS_MAX, Content, LEASE_SECS, Scenario, pin, time};

/// A record of the production type, as a state of the model holds it.
#[derive(Clone, Copy)]
pub(crate) struct Rec(&'static Interned);

pub(crate) struct Interned {
    pub(crate) record: Record,
    /// The number of the publication.
    pub(crate) publication: u8,
    /// The number of the attempt's key.
    pub(crate) key: u8,
    /// The number of the key where it is published, if it is.
    pub(crate) published_key: Option<u8>,
    /// The staged file's number.
    pub(crate) file: u8,
    pub(crate) outbox: Vec<Entry>,
    /// What `invariants` and the codec say of it.
    pub(crate) sound: bool,
    fingerprint: u64,
}

/// An audit entry: its place, what is in it, and whether it says Published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    pub(crate) sequence: usize,
    /// Its fingerprint, never 0.
    pub(crate) content: u16,
    pub(crate) published: bool,
}

/// An event of the production type, small enough to be part of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fact {
    /// A recovery brings what was in the record that it found.
    TakenUp {
        listed: Option<Rec>,
    },
    KeptAlive,
    LetGo,
    Transferred {
        key: u8,
        pin: Option<u8>,
        created: bool,
        proof: Option<Content>,
    },
    SourceUnfit(Unfit),
    Examined(Option<Content>),
    ApprovalLapsed,
    Delivered {
        before: u64,
    },
    Amended,
    LinkWanted,
    Numbered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Unfit {
    Missing,
    Changed,
    Other(Content),
}

/// The records of one scenario.
pub(crate) struct Ledger {
    pub(crate) scenario: Scenario,
    records: Mutex<HashMap<(u64, Bytes), Rec>>,
    claims: RwLock<Memo<(u8, u8), Rec>>,
    steps: RwLock<Memo<(Rec, Fact, u8), Option<Rec>>>,
}

type Memo<K, V> = HashMap<K, V, BuildHasherDefault<Quick>>;

impl Ledger {
    pub(crate) fn new(scenario: Scenario) -> Self {
        Self { scenario, records: Mutex::default(), claims: RwLock::default(), steps: RwLock::default() }
    }

    /// `machine::claim`
    pub(crate) fn claim(&self, actor: u8, clock: u8) -> Rec {
        if let Some(known) = self.claims.read().unwrap().get(&(actor, clock)) {
            return *known;
        }
        let (caller, now) = (self.scenario.actor(actor), self.now(clock));
        let order = caller.order().unwrap();
        let publication = &self.scenario.publications[usize::from(caller.publication)];
        let work = Work { lease: self.lease(actor, clock), attempts_left: ATTEMPTS_MAX - 1 };
        let (approval, source) = (self.approval(actor), self.scenario.file_url(order.file));
        let first = machine::claim(
            publication.clone(),
            order.details.clone(),
            approval,
            &source,
            work,
            Replicas::default(),
            now,
        );
        let first = self.intern(first);
        self.claims.write().unwrap().insert((actor, clock), first);
        first
    }

    /// `machine::step`; `None` for what it does not allow.
    pub(crate) fn step(&self, record: Rec, actor: u8, fact: Fact, clock: u8) -> Option<Rec> {
        let question = (record, fact, clock | actor << 4);
        if let Some(known) = self.steps.read().unwrap().get(&question) {
            return *known;
        }
        let event = self.event(actor, fact, clock);
        let next = machine::step(&record.record, event, self.now(clock)).ok().map(|next| self.intern(next));
        self.steps.write().unwrap().insert(question, next);
        next
    }

    pub(crate) fn now(&self, clock: u8) -> distribution_core::Timestamp {
        time(self.scenario.times[usize::from(clock)])
    }

    fn event(&self, actor: u8, fact: Fact, clock: u8) -> Event {
        match fact {
            Fact::TakenUp { listed } => Event::TakenUp {
                lease: self.lease(actor, clock),
                approval: listed.map_or_else(|| self.approval(actor), |listed| listed.record.approval.clone()),
                source: self.source(actor, listed),
                attempts: ATTEMPTS_MAX,
            },
            Fact::KeptAlive => Event::KeptAlive { until: self.lease(actor, clock).until },
            Fact::LetGo => Event::KeptAlive { until: self.now(clock) },
            Fact::Transferred { key, pin: state, created, proof } => Event::Transferred {
                object: StoredObject {
                    location: self.location(key),
                    created,
                    pin: state.map(pin),
                    preflight: None,
                    versions: 0,
                },
                proof: proof.map(Content::proof),
            },
            Fact::SourceUnfit(Unfit::Missing) => Event::SourceUnfit(SourceFault::Missing),
            Fact::SourceUnfit(Unfit::Changed) => Event::SourceUnfit(SourceFault::Changed),
            Fact::SourceUnfit(Unfit::Other(content)) => {
                Event::SourceUnfit(SourceFault::OtherBytes { found: content.digest() })
            }
            Fact::Examined(found) => Event::Examined(found.map(Content::proof)),
            Fact::ApprovalLapsed => Event::ApprovalLapsed,
            Fact::Delivered { before } => Event::Delivered { before },
            Fact::Amended => Event::Amended(Box::new(self.scenario.actor(actor).order().unwrap().details.clone())),
            Fact::LinkWanted => Event::LinkWanted,
            Fact::Numbered => Event::Numbered { version: 1 },
        }
    }

    /// `Publisher::lease`
    fn lease(&self, actor: u8, clock: u8) -> Lease {
        let until = time(self.scenario.times[usize::from(clock)] + LEASE_SECS);
        Lease { holder: self.scenario.actor(actor).holder.to_owned(), until }
    }

    /// Where the call has the bytes; a recovery only knows what may be kept.
    fn source(&self, actor: u8, listed: Option<Rec>) -> Option<VideoUrl> {
        match self.scenario.actor(actor).order() {
            Some(order) => Some(self.scenario.file_url(order.file)),
            None => listed.map(|listed| &listed.get().record.source).filter(|at| at.whole).map(|at| at.url.clone()),
        }
    }

    /// What QC said to this caller. Whether it holds now was asked before; here only its end matters.
    fn approval(&self, actor: u8) -> distribution_core::QcApproval {
        let actor = self.scenario.actor(actor);
        let publication = &self.scenario.publications[usize::from(actor.publication)];
        let mut report = actor.order().unwrap().report.clone();
        if self.scenario.has(Bug::GateNotAskedAgain) {
            report.expires_at = None;
        }
        let at_the_gate = distribution_core::Timestamp::MIN_UTC;
        report.approve(&publication.checksum, distribution_core::QcPolicy::default(), at_the_gate).unwrap()
    }

    pub(crate) fn location(&self, key: u8) -> Location {
        Location::parse(format!("memory://default/{}", self.scenario.keys[usize::from(key)])).unwrap()
    }

    fn intern(&self, record: Record) -> Rec {
        let encoded = record.encode();
        let body = match &encoded {
            Ok(row) => row.body.clone(),
            Err(_) => Bytes::from(format!("{record:?}")),
        };
        let mut records = self.records.lock().unwrap();
        *records.entry((record.revision, body.clone())).or_insert_with(|| {
            let decodes = encoded.is_ok_and(|row| Record::decode(&row).is_ok_and(|decoded| decoded == record));
            let sound = decodes && invariants::check_written(&record).is_ok();
            let fingerprint = hash_of(&(record.revision, body));
            Rec(Box::leak(Box::new(self.describe(record, fingerprint, sound))))
        })
    }

    fn describe(&self, record: Record, fingerprint: u64, sound: bool) -> Interned {
        let number = |found: Option<usize>| u8::try_from(found.expect("what is in the scenario")).unwrap();
        let publication = number(self.scenario.publications.iter().position(|known| known == &record.publication));
        let key = number(self.scenario.keys.iter().position(|known| *known == record.object_key()));
        let file = number((0..2).position(|file| self.scenario.file_url(file).redacted() == record.source.url));
        let entry = |entry: &distribution_core::AuditEntry| Entry {
            sequence: usize::try_from(entry.id.sequence).unwrap(),
            content: hash_of(&format!("{entry:?}")) as u16 | 1,
            published: matches!(entry.event, AuditEvent::Published { .. }),
        };
        let is_at =
            |location: &Location| (0..self.scenario.keys.len()).find(|key| self.location(*key as u8) == *location);
        let published_key = match &record.phase {
            Phase::Published(published) => Some(number(is_at(&published.location))),
            _ => None,
        };
        let outbox = record.trail.waiting.iter().map(entry).collect();
        Interned { record, publication, key, published_key, file, outbox, sound, fingerprint }
    }
}

impl Rec {
    pub(crate) fn get(self) -> &'static Interned {
        self.0
    }

    pub(crate) fn is_published(self) -> bool {
        matches!(self.record.phase, Phase::Published(_))
    }
}

impl Deref for Rec {
    type Target = Interned;
    fn deref(&self) -> &Interned {
        self.0
    }
}

impl PartialEq for Rec {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl Eq for Rec {}

impl Hash for Rec {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.fingerprint);
    }
}

impl fmt::Debug for Rec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match &self.record.phase {
            Phase::Claimed { work } => format!("claimed by {}", work.lease.holder),
            Phase::Stored { work, .. } => format!("stored by {}", work.lease.holder),
            Phase::Replicating { work, .. } => format!("replicating by {}", work.lease.holder),
            Phase::Published(_) => "published".to_owned(),
            Phase::Rejected { reason: Rejection::Source { .. } } => "rejected for its staged file".to_owned(),
            Phase::Rejected { reason: Rejection::KeyTaken { .. } } => "rejected for its key".to_owned(),
            Phase::Rejected { reason: Rejection::QcLapsed } => "rejected for its approval".to_owned(),
            Phase::Rejected { reason: Rejection::AttemptsUsedUp } => "rejected for its store".to_owned(),
            Phase::Retracted(_) => "retracted".to_owned(),
        };
        let (number, record) = (self.publication, &self.record);
        let (waiting, next) = (record.trail.waiting.len(), record.trail.next);
        write!(f, "#{number}@{} {phase}, attempt {}, {waiting} of {next} wait", record.revision, record.attempt)
    }
}

pub(crate) fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A hasher for keys that are fingerprints already, or nearly.
#[derive(Default)]
pub(crate) struct Quick(u64);

impl Hasher for Quick {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_isize(&mut self, word: isize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        // The maps look at the highest bits too.
        self.0 ^ self.0 >> 32
    }
}
