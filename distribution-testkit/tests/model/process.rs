//! A publisher and a recoverer, effect by effect. Each place of the program counter is one call of a
//! port, with what the process remembers while it waits; what is decided between two calls is decided by
//! the production functions. Functions are named after those that they mirror: here those of
//! `publisher.rs` and `recovery.rs`, in `copying.rs` those of `copy.rs`.

use distribution_core::machine::{Action, Entry, next_action};
use distribution_core::{Phase, Rejection, Timestamp};

use crate::bugs::Bug;
use crate::leases::lease_end;
use crate::ledger::{Fact, Ledger, Rec, Unfit};
use crate::properties::{ANSWERS, BLAME};
use crate::scenario::{Budget, Content, Role};
use crate::sweep::Sweep;
use crate::view::View;
use crate::world::{Fate, Lost, Reply, State, Write};

/// A process: where it is, and what it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Proc {
    pub(crate) pc: Pc,
    /// How often its caller still repeats a call that came to an end.
    pub(crate) repeats_left: u8,
    /// How often its caller still calls, if that is bounded.
    pub(crate) calls_left: Option<u8>,
    /// The record that a recovery has found.
    pub(crate) listed: Option<Rec>,
    /// The end of the lease that it may let go of.
    pub(crate) own_lease: Option<i64>,
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
    Claim {
        first: Rec,
    },
    Advance {
        from: Rec,
        fact: Fact,
        next: Rec,
        then: Then,
    },
    Deliver {
        record: Rec,
        then: Then,
    },
    Open {
        record: Rec,
    },
    /// Not in production yet: after opening, and before a byte is used.
    Tombstone {
        record: Rec,
        state: u8,
        content: Content,
    },
    Create {
        record: Rec,
        state: u8,
        content: Content,
    },
    Look {
        record: Rec,
        fault: Option<Unfit>,
    },
    Prove {
        record: Rec,
    },
    Link {
        record: Rec,
    },
    LetGo(Outcome),
    Sweep(Sweep),
}

/// What follows on a change of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Then {
    Enter(Entered),
    Drive,
    End(Outcome),
}

/// What `enter` has done already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Entered {
    pub(crate) taken_up: bool,
    pub(crate) amended: bool,
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
        Self { pc: Pc::Absent, repeats_left: 0, calls_left: None, listed: None, own_lease: None }
    }

    pub(crate) fn new(budget: Budget) -> Self {
        let calls_left = (budget.calls_max > 0).then_some(budget.calls_max);
        Self { pc: Pc::Idle, repeats_left: budget.repeats_max, calls_left, listed: None, own_lease: None }
    }

    /// The process after a crash.
    pub(crate) fn restarted(self) -> Self {
        Self { pc: Pc::Idle, listed: None, own_lease: None, ..self }
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
        self.proc.calls_left = self.proc.calls_left.map(|left| left - 1);
        let actor = self.see().actor();
        let order = match &actor.role {
            Role::Publisher(order) => order,
            Role::Recoverer => {
                self.proc.listed = self.see().row();
                return self.proc.listed.map_or(Pc::Idle, |row| self.enter(row, Entered::default()));
            }
            Role::Sweeper => return self.begin_sweep(),
        };
        match order.passes(self.ledger.scenario.approved[usize::from(actor.publication)], self.now()) {
            false => Pc::Gate,
            true if self.has(Bug::TombstoneReadTooEarly) => Pc::EarlyTombstone,
            true => self.claiming(),
        }
    }

    fn gate_again(&mut self) -> Pc {
        match (self.read(), self.see().row()) {
            (Err(Lost), _) => Pc::Idle,
            (Ok(()), Some(row)) if row.is_published() => self.claiming(),
            (Ok(()), _) => Pc::Done(Outcome::Refused),
        }
    }

    pub(crate) fn claiming(&self) -> Pc {
        Pc::Claim { first: self.ledger.claim(self.actor, self.state.world.clock) }
    }

    fn claim(&mut self, first: Rec) -> Pc {
        self.proc.own_lease = lease_end(first);
        match self.write(Write::Claim(first)) {
            Ok(Reply::Row(row)) => {
                self.proc.own_lease = None;
                self.enter(row, Entered::default())
            }
            Ok(_) => self.drive(first),
            Err(Lost) if self.has(Bug::LostClaimTakenAsFailure) => {
                self.check_failure(None);
                self.fail(Outcome::Rejected)
            }
            Err(Lost) => self.fail(Outcome::Unavailable),
        }
    }

    /// A turn of `enter`'s loop.
    fn enter(&mut self, record: Rec, mut entered: Entered) -> Pc {
        entered.amended |= self.see().is_as_wanted(record) && !self.has(Bug::AmendedAgainAndAgain);
        match self.see().entry(record, entered) {
            Entry::Deliver => Pc::Deliver { record, then: Then::Enter(entered) },
            Entry::Busy { .. } => self.fail(Outcome::Busy),
            Entry::TakeUp if self.has(Bug::RejectedNotReopened) && record.record.work().is_none() => self.drive(record),
            Entry::TakeUp => self.take_up(record, Then::Enter(entered)),
            Entry::Amend => self.advance(record, Fact::Amended, Then::Enter(entered)),
            Entry::Drive => self.drive(record),
        }
    }

    /// `finish` and `drive`
    pub(crate) fn drive(&mut self, record: Rec) -> Pc {
        if self.has(Bug::LinkBeforeTrail) && record.is_published() {
            return self.finish(record);
        }
        match next_action(&record.record) {
            Some(Action::Transfer) => self.transfer(record),
            Some(Action::Prove) if self.see().is_anothers(record) => self.fail(Outcome::Busy),
            Some(Action::Prove) => Pc::Prove { record },
            Some(Action::Replicate) => unreachable!("there are no replicas here"),
            Some(Action::EndLinks | Action::Free) => unreachable!("nobody takes anything back or archives it here"),
            // Each is the only version of its work, so its number is not what others could take.
            Some(Action::Number) => self.advance(record, Fact::Numbered, Then::Drive),
            Some(Action::Deliver) => Pc::Deliver { record, then: Then::Drive },
            None => self.finish(record),
        }
    }

    fn finish(&mut self, record: Rec) -> Pc {
        if matches!(self.see().actor().role, Role::Recoverer) {
            return self.end(Outcome::Settled);
        }
        match &record.record.phase {
            Phase::Published(published) => {
                let now = self.now();
                let alive = published.link_expires_at.is_some_and(|expires_at| now < expires_at);
                let newest = now + std::time::Duration::from_secs(72 * 3600);
                let older = published.link_expires_at.is_some_and(|expires_at| expires_at < newest);
                let again = self.has(Bug::ReplayGrantsAgain) && older;
                if alive && !again { Pc::Link { record } } else { self.advance(record, Fact::LinkWanted, Then::Drive) }
            }
            Phase::Rejected { reason } if self.see().is_free_of(reason, record) => self.take_up(record, Then::Drive),
            Phase::Rejected { reason } => {
                let outcome = match reason {
                    Rejection::Source { .. } => Outcome::Rejected,
                    Rejection::KeyTaken { .. } => Outcome::Conflict,
                    Rejection::QcLapsed => Outcome::Refused,
                    Rejection::AttemptsUsedUp => Outcome::Corrupt,
                };
                if outcome == Outcome::Refused && self.see().report_counts() {
                    self.state.breaks(BLAME);
                }
                self.check_failure(Some(record));
                self.fail(outcome)
            }
            Phase::Retracted(_) => unreachable!("nobody takes anything back here"),
            Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Replicating { .. } => {
                unreachable!("there is something left to do")
            }
        }
    }

    fn deliver(&mut self, record: Rec, then: Then) -> Pc {
        let before = record.record.trail.next;
        if self.has(Bug::OutboxDropped) {
            return self.advance(record, Fact::Delivered { before }, then);
        }
        match self.write(Write::Append(record)) {
            Ok(_) => self.advance(record, Fact::Delivered { before }, then),
            Err(Lost) => self.after(then, Outcome::Unavailable),
        }
    }

    /// `advance` to its effect.
    pub(crate) fn advance(&mut self, from: Rec, fact: Fact, then: Then) -> Pc {
        match self.ledger.step(from, self.actor, fact, self.state.world.clock) {
            Some(next) => Pc::Advance { from, fact, next, then },
            None => {
                self.state.breaks(ANSWERS);
                self.after(then, Outcome::Corrupt)
            }
        }
    }

    /// `advance` from its effect.
    fn advanced(&mut self, from: Rec, fact: Fact, next: Rec, then: Then) -> Pc {
        let (newer, won) = match self.write(Write::Advance(next)) {
            Ok(Reply::Row(newer)) => (newer, false),
            Ok(_) => (next, true),
            Err(Lost) if self.has(Bug::LostAdvanceTakenAsDone) => (next, true),
            Err(Lost) => return self.after(then, Outcome::Unavailable),
        };
        // The staged file on record is to blame, or the next caller is sent to mend the wrong one.
        if newer == next && matches!(fact, Fact::SourceUnfit(_)) && next.file != self.see().file_number() {
            self.state.breaks(BLAME);
        }
        let takes_up = matches!(fact, Fact::TakenUp { .. });
        if takes_up && !won {
            self.proc.own_lease = None;
        }
        if newer != next && !takes_up && fact != Fact::LetGo && self.is_same_work(newer, from) {
            return self.advance(newer, fact, then);
        }
        if newer != next && self.has(Bug::DeliveredMarksMore) && matches!(fact, Fact::Delivered { .. }) {
            return self.advance(newer, Fact::Delivered { before: newer.record.trail.next }, then);
        }
        let allowed = self.ledger.step(newer, self.actor, fact, self.state.world.clock).is_some();
        if newer != next && self.has(Bug::ObservationReapplied) && allowed {
            return self.advance(newer, fact, then);
        }
        match then {
            Then::Enter(entered) => {
                let taken_up = if takes_up { won } else { entered.taken_up };
                self.enter(newer, Entered { taken_up, ..entered })
            }
            Then::Drive => self.drive(newer),
            Then::End(outcome) => self.end(outcome),
        }
    }

    /// A call that fails, unless it is failing already.
    pub(crate) fn after(&mut self, then: Then, outcome: Outcome) -> Pc {
        match then {
            Then::End(outcome) => self.end(outcome),
            Then::Enter(_) | Then::Drive => self.fail(outcome),
        }
    }

    /// An error, after which the lease is let go.
    pub(crate) fn fail(&mut self, outcome: Outcome) -> Pc {
        match self.see().actor().role {
            Role::Publisher(_) => Pc::LetGo(outcome),
            Role::Recoverer | Role::Sweeper => self.end(outcome),
        }
    }

    /// The caller hears how it ended, and repeats where that may help.
    pub(crate) fn end(&mut self, outcome: Outcome) -> Pc {
        (self.proc.listed, self.proc.own_lease) = (None, None);
        let recovers = !matches!(self.see().actor().role, Role::Publisher(_));
        match outcome {
            Outcome::Unavailable => Pc::Idle,
            _ if recovers => Pc::Idle,
            Outcome::Busy => Pc::Busy,
            _ => Pc::Done(outcome),
        }
    }
}

/// The effects, and what the process sees.
impl Turn<'_> {
    pub(crate) fn write(&mut self, write: Write) -> Result<Reply, Lost> {
        self.state.write(self.ledger, write, self.fate)
    }

    pub(crate) fn read(&self) -> Result<(), Lost> {
        if self.fate == Fate::Works { Ok(()) } else { Err(Lost) }
    }

    pub(crate) fn see(&self) -> View<'_> {
        View { ledger: self.ledger, state: self.state, actor: self.actor, proc: self.proc }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.see().now()
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.ledger.scenario.has(bug)
    }
}
