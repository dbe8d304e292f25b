//! A publisher and a recoverer, effect by effect. Each place of the program counter is one call of a
//! port, with what the process remembers while it waits; what is decided between two calls is decided by
//! the production functions. The functions are named after those that they mirror in
//! `publisher.rs`, `copy.rs` and `recovery.rs`.

use distribution_core::machine::{Action, Caller, Entry, entry, next_action};
use distribution_core::{Phase, Rejection};

use crate::bugs::Bug;
use crate::ledger::{Fact, Ledger, Rec, Unfit};
use crate::properties::{ANSWERS, LINKS, ONCE, TRAIL};
use crate::scenario::{Content, Role, Scenario, secs};
use crate::sweep::Sweep;
use crate::world::{Answer, Fate, Lost, Object, Reply, State, Write};

/// A process: where it is, and what it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Proc {
    pub(crate) pc: Pc,
    /// How often its caller still repeats a call that came to an end.
    pub(crate) repeats_left: u8,
    /// The record that a recovery has found.
    pub(crate) listed: Option<Rec>,
}

/// The effect that the process is about to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pc {
    Absent,
    /// No call is under way; one will be.
    Idle,
    /// The caller was told that another is at work.
    Busy,
    Done(Outcome),
    /// `gate`: is it published already?
    Gate,
    /// Only with [`Bug::TombstoneReadTooEarly`].
    EarlyTombstone,
    Claim { first: Rec },
    Advance { from: Rec, fact: Fact, next: Rec, then: Then },
    Deliver { record: Rec, then: Then },
    Open { record: Rec },
    /// Not in production yet: after opening, and before a byte is used.
    Tombstone { record: Rec, state: u8, content: Content },
    Create { record: Rec, state: u8, content: Content },
    Look { record: Rec, fault: Option<Unfit> },
    Prove { record: Rec },
    Link { record: Rec },
    LetGo(Outcome),
    Sweep(Sweep),
}

/// What follows on a change of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Then {
    Enter { taken_up: bool },
    Drive,
    End(Outcome),
}

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    Answered,
    Settled,
    Busy,
    Unavailable,
    Refused,
    Rejected,
    Conflict,
    Corrupt,
}

impl Proc {
    pub(crate) fn absent() -> Self {
        Self { pc: Pc::Absent, repeats_left: 0, listed: None }
    }

    pub(crate) fn new(repeats_left: u8) -> Self {
        Self { pc: Pc::Idle, repeats_left, listed: None }
    }

    /// Whether there is anything to lose in a crash.
    pub(crate) fn is_under_way(&self) -> bool {
        !matches!(self.pc, Pc::Absent | Pc::Idle | Pc::Busy | Pc::Done(_))
    }
}

impl Pc {
    /// What can become of the effect.
    pub(crate) fn fates(&self) -> &'static [Fate] {
        match self {
            Self::Absent => &[],
            Self::Idle | Self::Busy | Self::Done(_) => &Fate::ALL[..1],
            Self::Gate | Self::EarlyTombstone | Self::Open { .. } | Self::Tombstone { .. } => &Fate::ALL[..2],
            Self::Look { .. } | Self::Prove { .. } | Self::Link { .. } | Self::LetGo(_) => &Fate::ALL[..2],
            Self::Deliver { .. } => &Fate::ALL[..3],
            Self::Claim { .. } | Self::Advance { .. } | Self::Create { .. } => &Fate::ALL,
            Self::Sweep(sweep) => sweep.fates(),
        }
    }
}

/// One process's turn: it has the effect that it was about to have, and goes on to the next.
pub(crate) struct Turn<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) state: &'a mut State,
    pub(crate) actor: u8,
    pub(crate) proc: Proc,
    pub(crate) fate: Fate,
}

impl Turn<'_> {
    pub(crate) fn take(mut self) -> Proc {
        self.proc.pc = match self.proc.pc {
            Pc::Absent => Pc::Absent,
            Pc::Idle | Pc::Busy => self.call(),
            Pc::Done(_) => {
                self.proc.repeats_left -= 1;
                self.call()
            }
            Pc::Gate => self.gate_again(),
            Pc::EarlyTombstone => self.early_tombstone(),
            Pc::Claim { first } => self.claim(first),
            Pc::Advance { from, fact, next, then } => self.advanced(from, fact, next, then),
            Pc::Deliver { record, then } => self.deliver(record, then),
            Pc::Open { record } => self.open(record),
            Pc::Tombstone { record, state, content } => self.tombstone(record, state, content),
            Pc::Create { record, state, content } => self.create(record, state, content),
            Pc::Look { record, fault } => self.look(record, fault),
            Pc::Prove { record } => self.prove(record),
            Pc::Link { record } => self.link(record),
            Pc::LetGo(outcome) => self.let_go(outcome),
            Pc::Sweep(sweep) => self.sweep(sweep),
        };
        self.proc
    }

    /// `publish_watched` to the first effect, or `recover`'s `find`.
    fn call(&mut self) -> Pc {
        let actor = self.scenario().actor(self.actor);
        let order = match &actor.role {
            Role::Publisher(order) => order,
            Role::Recoverer => {
                self.proc.listed = self.row();
                return self.proc.listed.map_or(Pc::Idle, |row| self.enter(row, false));
            }
            Role::Sweeper => return self.begin_sweep(),
        };
        let publication = &self.scenario().publications[usize::from(actor.publication)];
        match order.approval(publication, self.ledger.now(self.clock())) {
            None => Pc::Gate,
            Some(_) if self.has(Bug::TombstoneReadTooEarly) => Pc::EarlyTombstone,
            Some(_) => Pc::Claim { first: self.ledger.claim(self.actor, self.clock()) },
        }
    }

    fn gate_again(&mut self) -> Pc {
        match (self.read(), self.row()) {
            (Err(Lost), _) => Pc::Idle,
            (Ok(()), Some(row)) if row.is_published() => {
                Pc::Claim { first: self.ledger.claim(self.actor, self.clock()) }
            }
            (Ok(()), _) => Pc::Done(Outcome::Refused),
        }
    }

    fn claim(&mut self, first: Rec) -> Pc {
        match self.write(Write::Claim(first)) {
            Ok(Reply::Row(row)) => self.enter(row, false),
            Ok(_) => self.drive(first),
            Err(Lost) if self.has(Bug::LostClaimTakenAsFailure) => {
                self.check_failure(None);
                self.fail(Outcome::Rejected)
            }
            Err(Lost) => self.fail(Outcome::Unavailable),
        }
    }

    fn enter(&mut self, record: Rec, taken_up: bool) -> Pc {
        match self.entry(record, taken_up) {
            Entry::Deliver => Pc::Deliver { record, then: Then::Enter { taken_up } },
            Entry::Busy { .. } => self.fail(Outcome::Busy),
            Entry::TakeUp if self.has(Bug::RejectedNotReopened) && record.record.work().is_none() => self.drive(record),
            Entry::TakeUp => {
                let taken_up = Fact::TakenUp { listed: self.proc.listed };
                self.advance(record, taken_up, Then::Enter { taken_up: true })
            }
            Entry::Amend => self.advance(record, Fact::Amended, Then::Enter { taken_up }),
            Entry::Drive => self.drive(record),
        }
    }

    /// `machine::entry`
    pub(crate) fn entry(&self, record: Rec, taken_up: bool) -> Entry {
        let actor = self.scenario().actor(self.actor);
        let details = actor.order().map(|order| &order.details);
        entry(&record.record, Caller { holder: actor.holder, details, taken_up }, self.ledger.now(self.clock()))
    }

    /// `finish` and `drive`
    fn drive(&mut self, record: Rec) -> Pc {
        if self.has(Bug::LinkBeforeTrail) && record.is_published() {
            return self.finish(record);
        }
        match next_action(&record.record) {
            Some(Action::Transfer) => self.transfer(record),
            Some(Action::Prove) if self.is_anothers(record) => self.fail(Outcome::Busy),
            Some(Action::Prove) => Pc::Prove { record },
            Some(Action::Deliver) => Pc::Deliver { record, then: Then::Drive },
            None => self.finish(record),
        }
    }

    fn finish(&mut self, record: Rec) -> Pc {
        if matches!(self.scenario().actor(self.actor).role, Role::Recoverer) {
            return self.end(Outcome::Settled);
        }
        match &record.record.phase {
            Phase::Published(published) => {
                let now = self.ledger.now(self.clock());
                let alive = published.link_expires_at.is_some_and(|expires_at| now < expires_at);
                let again = self.has(Bug::ReplayGrantsAgain) && self.answered().is_some();
                if alive && !again { Pc::Link { record } } else { self.advance(record, Fact::LinkWanted, Then::Drive) }
            }
            Phase::Rejected { reason } => {
                let outcome = match reason {
                    Rejection::Source { .. } => Outcome::Rejected,
                    Rejection::KeyTaken { .. } => Outcome::Conflict,
                    Rejection::QcLapsed => Outcome::Refused,
                    Rejection::AttemptsUsedUp => Outcome::Corrupt,
                };
                self.check_failure(Some(record));
                self.fail(outcome)
            }
            Phase::Claimed { .. } | Phase::Stored { .. } => unreachable!("there is something left to do"),
        }
    }

    fn transfer(&mut self, record: Rec) -> Pc {
        if self.is_anothers(record) {
            return self.fail(Outcome::Busy);
        }
        if !record.record.approval.holds_at(self.ledger.now(self.clock())) {
            return self.advance(record, Fact::ApprovalLapsed, Then::Drive);
        }
        Pc::Open { record }
    }

    fn open(&mut self, record: Rec) -> Pc {
        if self.read().is_err() {
            return self.fail(Outcome::Unavailable);
        }
        let file = self.state.world.files[self.file()];
        let state = file.state;
        match file.content {
            None => self.unfit(record, Unfit::Missing),
            Some(content) if !self.scenario().sweeps() || self.has(Bug::TombstoneReadTooEarly) => {
                Pc::Create { record, state, content }
            }
            Some(content) if self.has(Bug::TombstoneIgnored) => Pc::Create { record, state, content },
            Some(content) => Pc::Tombstone { record, state, content },
        }
    }

    /// The publisher's half of the exclusion: that it started is on record; a staged file with a
    /// tombstone counts as gone.
    fn tombstone(&mut self, record: Rec, state: u8, content: Content) -> Pc {
        if self.read().is_err() {
            return self.fail(Outcome::Unavailable);
        }
        let file = self.state.world.files[self.file()];
        if file.buried & 1 << state != 0 {
            return self.unfit(record, Unfit::Missing);
        }
        // The file was opened before: what was open can be read even if it was removed since.
        Pc::Create { record, state, content }
    }

    fn early_tombstone(&mut self) -> Pc {
        let file = self.state.world.files[self.file()];
        if self.read().is_err() || file.buried & 1 << file.state != 0 {
            return Pc::Done(Outcome::Rejected);
        }
        Pc::Claim { first: self.ledger.claim(self.actor, self.clock()) }
    }

    fn create(&mut self, record: Rec, state: u8, content: Content) -> Pc {
        let file = self.state.world.files[self.file()];
        if file.state != state && !self.has(Bug::SourceNotPinned) {
            return self.unfit(record, Unfit::Changed);
        }
        if content != self.approved() {
            return self.unfit(record, Unfit::Other(content));
        }
        let key = self.key(record);
        let over = match self.state.world.objects[usize::from(key)] {
            Some(object) => self.overwrites(record, object),
            None => false,
        };
        let reply = self.write(Write::Create { key, content, by: record.publication, over });
        let pin = if self.has(Bug::SourceNotPinned) { file.state } else { state };
        match reply {
            Ok(Reply::AlreadyExists) if self.has(Bug::FoundCountsAsCopied) => {
                self.transferred(record, Some(state), false, None)
            }
            Ok(Reply::AlreadyExists) => self.transferred(record, None, false, None),
            Ok(_) => {
                let proof = self.scenario().create_proves.then_some(content);
                if proof.is_some() {
                    self.note_proof(key);
                }
                self.transferred(record, Some(pin), true, proof)
            }
            Err(Lost) if self.has(Bug::LostCreateTakenAsFailure) => {
                // As if it had been stored and was found missing.
                let stored = Fact::Transferred { key, pin: None, created: true, proof: None };
                let stored = self.ledger.step(record, self.actor, stored, self.clock()).expect("a claimed record");
                self.state.apply(self.ledger, Write::Advance(stored));
                self.advance(stored, Fact::Examined(None), Then::Drive)
            }
            Err(Lost) => self.fail(Outcome::Unavailable),
        }
    }

    fn overwrites(&self, record: Rec, object: Object) -> bool {
        let retries = record.record.attempt > 0 && object.content == Content::Rotten;
        let mine = record.record.work().is_some_and(|work| work.lease.holder == self.holder());
        self.has(Bug::LeaseTrustedForSafety) && mine || self.has(Bug::RetryReusesKey) && retries
    }

    /// The key of the attempt's object.
    fn key(&self, record: Rec) -> u8 {
        let attempts = record.key.min(record.record.attempt as u8);
        if self.has(Bug::RetryReusesKey) { record.key - attempts } else { record.key }
    }

    fn transferred(&mut self, record: Rec, pin: Option<u8>, created: bool, proof: Option<Content>) -> Pc {
        let key = self.key(record);
        self.advance(record, Fact::Transferred { key, pin, created, proof }, Then::Drive)
    }

    fn unfit(&mut self, record: Rec, fault: Unfit) -> Pc {
        if self.has(Bug::RejectedWithoutLook) {
            return self.advance(record, Fact::SourceUnfit(fault), Then::Drive);
        }
        Pc::Look { record, fault: Some(fault) }
    }

    fn look(&mut self, record: Rec, fault: Option<Unfit>) -> Pc {
        if self.read().is_err() {
            return self.fail(Outcome::Unavailable);
        }
        match (self.state.world.objects[usize::from(self.key(record))], fault) {
            (Some(_), _) => self.transferred(record, None, false, None),
            (None, Some(fault)) => self.advance(record, Fact::SourceUnfit(fault), Then::Drive),
            (None, None) => self.fail(Outcome::Unavailable),
        }
    }

    fn prove(&mut self, record: Rec) -> Pc {
        if self.has(Bug::ProofSkipped) {
            return self.advance(record, Fact::Examined(Some(self.approved())), Then::Drive);
        }
        if self.read().is_err() {
            return self.fail(Outcome::Unavailable);
        }
        let key = self.key(record);
        self.note_proof(key);
        let found = self.state.world.objects[usize::from(key)].map(|object| object.content);
        self.advance(record, Fact::Examined(found), Then::Drive)
    }

    fn note_proof(&mut self, key: u8) {
        if let Some(object) = &mut self.state.world.objects[usize::from(key)] {
            object.proven |= object.content != Content::Rotten;
        }
    }

    fn deliver(&mut self, record: Rec, then: Then) -> Pc {
        let before = if self.has(Bug::DeliveredMarksMore) { u64::MAX } else { record.record.trail.next };
        if self.has(Bug::OutboxDropped) {
            return self.advance(record, Fact::Delivered { before }, then);
        }
        match self.write(Write::Append(record)) {
            Ok(_) => self.advance(record, Fact::Delivered { before }, then),
            Err(Lost) => self.after(then, Outcome::Unavailable),
        }
    }

    /// `advance` to its effect.
    fn advance(&mut self, from: Rec, fact: Fact, then: Then) -> Pc {
        match self.ledger.step(from, self.actor, fact, self.clock()) {
            Some(next) => Pc::Advance { from, fact, next, then },
            None => {
                self.state.breaks(ANSWERS);
                self.after(then, Outcome::Corrupt)
            }
        }
    }

    /// `advance` from its effect.
    fn advanced(&mut self, from: Rec, fact: Fact, next: Rec, then: Then) -> Pc {
        let newer = match self.write(Write::Advance(next)) {
            Ok(Reply::Row(newer)) => newer,
            Ok(_) => next,
            Err(Lost) if self.has(Bug::LostAdvanceTakenAsDone) => next,
            Err(Lost) => return self.after(then, Outcome::Unavailable),
        };
        if newer != next && is_same_work(newer, from) {
            return self.advance(newer, fact, then);
        }
        let allowed = self.ledger.step(newer, self.actor, fact, self.clock()).is_some();
        if newer != next && self.has(Bug::ObservationReapplied) && allowed {
            return self.advance(newer, fact, then);
        }
        match then {
            Then::Enter { taken_up } => self.enter(newer, taken_up),
            Then::Drive => self.drive(newer),
            Then::End(outcome) => self.end(outcome),
        }
    }

    /// A call that fails, unless it is failing already.
    fn after(&mut self, then: Then, outcome: Outcome) -> Pc {
        match then {
            Then::End(outcome) => self.end(outcome),
            Then::Enter { .. } | Then::Drive => self.fail(outcome),
        }
    }

    /// `link`, signing included.
    fn link(&mut self, record: Rec) -> Pc {
        if self.read().is_err() {
            return self.fail(Outcome::Unavailable);
        }
        let now = self.ledger.now(self.clock());
        let Phase::Published(published) = &record.record.phase else { unreachable!("only what is published") };
        if self.state.world.objects[usize::from(self.key(record))].is_none() {
            return self.fail(Outcome::Corrupt);
        }
        let granted = published.link_expires_at.expect("the first grant is part of publishing");
        if granted <= now {
            return self.fail(Outcome::Unavailable);
        }
        let beyond = if self.has(Bug::LinkBeyondGrant) { secs(now) + 72 * 3600 } else { 0 };
        let link_expires = secs(granted).max(beyond);
        let answer = Answer { key: record.key, published_at: secs(published.at), link_expires };
        self.check_answer(record, answer, secs(granted));
        self.end(Outcome::Answered)
    }

    /// What is asked of an answer at the moment when it is given.
    fn check_answer(&mut self, record: Rec, answer: Answer, granted: i64) {
        let (number, now) = (usize::from(record.publication), secs(self.ledger.now(self.clock())));
        let on_record = self.is_on_record(record);
        let world = &mut self.state.world;
        let before = world.seen.answers[number].replace(answer);
        let delivered = world.sinks[number].kept.iter().take_while(|kept| **kept != 0).count();
        let same = before.is_none_or(|b| (b.key, b.published_at) == (answer.key, answer.published_at));
        let extended = before.is_some_and(|b| now < b.link_expires && b.link_expires != answer.link_expires);
        for (broken, promise) in [
            (!on_record, ANSWERS),
            (!same, ONCE),
            ((delivered as u64) < record.record.trail.next, TRAIL),
            (extended || answer.link_expires > granted, LINKS),
        ] {
            if broken {
                self.state.breaks(promise);
            }
        }
    }

    /// A failure is told only if the record says so, or did.
    fn check_failure(&mut self, record: Option<Rec>) {
        if !record.is_some_and(|record| self.is_on_record(record)) {
            self.state.breaks(ANSWERS);
        }
    }

    fn is_on_record(&self, record: Rec) -> bool {
        self.row().is_some_and(|row| row.record.revision >= record.record.revision)
    }

    /// An error, after which the lease is let go.
    fn fail(&mut self, outcome: Outcome) -> Pc {
        match self.scenario().actor(self.actor).role {
            Role::Publisher(_) => Pc::LetGo(outcome),
            Role::Recoverer | Role::Sweeper => self.end(outcome),
        }
    }

    fn let_go(&mut self, outcome: Outcome) -> Pc {
        let (Ok(()), Some(row)) = (self.read(), self.row()) else { return self.end(outcome) };
        let now = self.ledger.now(self.clock());
        match row.record.work() {
            Some(work) if work.lease.holder == self.holder() && work.lease.is_live(now) => {
                self.advance(row, Fact::LetGo, Then::End(outcome))
            }
            Some(_) | None => self.end(outcome),
        }
    }

    /// The caller hears how it ended, and repeats where that may help.
    pub(crate) fn end(&mut self, outcome: Outcome) -> Pc {
        self.proc.listed = None;
        let recovers = !matches!(self.scenario().actor(self.actor).role, Role::Publisher(_));
        match outcome {
            Outcome::Unavailable => Pc::Idle,
            _ if recovers => Pc::Idle,
            Outcome::Busy => Pc::Busy,
            _ => Pc::Done(outcome),
        }
    }

    /// `keep_alive`: the lease is renewed while bytes move. Whatever goes wrong is left to the next write.
    pub(crate) fn keep_alive(mut self) -> Proc {
        let (Pc::Create { record, .. } | Pc::Prove { record }) = &mut self.proc.pc else { return self.proc };
        let from = *record;
        let Some(next) = self.ledger.step(from, self.actor, Fact::KeptAlive, self.state.world.clock) else {
            return self.proc;
        };
        match self.state.write(self.ledger, Write::Advance(next), self.fate) {
            Ok(Reply::Row(newer)) if is_same_work(newer, from) => *record = newer,
            Ok(Reply::Done) => *record = next,
            Ok(_) | Err(Lost) => {}
        }
        self.proc
    }

    /// Whether bytes are moving under a lease that is half over.
    pub(crate) fn wants_keep_alive(&self) -> bool {
        let (Pc::Create { record, .. } | Pc::Prove { record }) = self.proc.pc else { return false };
        let now = self.ledger.now(self.clock());
        let until = now + std::time::Duration::from_secs(crate::scenario::LEASE_SECS as u64);
        record.record.work().is_some_and(|work| {
            work.lease.holder == self.holder() && until - work.lease.until >= work.lease.until - now
        })
    }

    fn is_anothers(&self, record: Rec) -> bool {
        let now = self.ledger.now(self.clock());
        record.record.work().is_some_and(|work| work.lease.holder != self.holder() && work.lease.is_live(now))
    }
}

/// The small questions.
impl Turn<'_> {
    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.ledger.scenario.has(bug)
    }

    pub(crate) fn scenario(&self) -> &Scenario {
        &self.ledger.scenario
    }

    pub(crate) fn clock(&self) -> u8 {
        self.state.world.clock
    }

    fn holder(&self) -> &str {
        self.scenario().actor(self.actor).holder
    }

    pub(crate) fn row(&self) -> Option<Rec> {
        self.state.world.rows[usize::from(self.scenario().actor(self.actor).publication)]
    }

    fn answered(&self) -> Option<Answer> {
        self.state.world.seen.answers[usize::from(self.scenario().actor(self.actor).publication)]
    }

    fn approved(&self) -> Content {
        self.scenario().approved[usize::from(self.scenario().actor(self.actor).publication)]
    }

    /// The file that this call reads: its own, or that of the record which a recovery found.
    fn file(&self) -> usize {
        let order = self.scenario().actor(self.actor).order();
        usize::from(order.map_or_else(|| self.proc.listed.expect("a recovery found it").file, |order| order.file))
    }

    pub(crate) fn write(&mut self, write: Write) -> Result<Reply, Lost> {
        self.state.write(self.ledger, write, self.fate)
    }

    pub(crate) fn read(&self) -> Result<(), Lost> {
        if self.fate == Fate::Works { Ok(()) } else { Err(Lost) }
    }
}

/// `Record::is_same_work`, which is not public.
fn is_same_work(one: Rec, other: Rec) -> bool {
    let holder = |record: Rec| record.get().record.work().map(|work| work.lease.holder.as_str());
    holder(one).is_some()
        && holder(one) == holder(other)
        && one.record.attempt == other.record.attempt
        && std::mem::discriminant(&one.record.phase) == std::mem::discriminant(&other.record.phase)
}
