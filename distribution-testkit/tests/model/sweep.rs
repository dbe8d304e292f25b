//! The sweep of staged files: what may be removed, as a pure function, and the process that asks it.
//!
//! Exclusion without a lock. The publisher writes that it started (its claim or its taking up), then
//! reads the tombstone of the staged file, and if there is one, the file counts as gone. The sweeper
//! writes a tombstone, for ever, then reads every publication that uses the file. One of the two always
//! sees the other.

use chrono::TimeDelta;
use distribution_core::{Digest, Phase, Record, SourcePin, Timestamp};

use crate::bugs::Bug;
use crate::ledger::Rec;
use crate::process::{Outcome, Pc, Turn};
use crate::scenario::{RETENTION_SECS, pin, state_of};
use crate::view::View;
use crate::world::{Fate, PUBLICATIONS, Write};

/// A publication whose record names the staged file, read after the tombstone was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct User<'a> {
    pub(crate) record: &'a Record,
    /// What was read back from its object just now; `None` if nothing was there.
    pub(crate) proven: Option<Digest>,
}

/// Why a staged file is kept. Whatever is unknown is kept too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It is not, or not known to be, a state of the file that was published.
    OtherState,
    /// A publication that uses it is not published.
    Unpublished,
    /// A publication that uses it has something left to do.
    Unsettled,
    /// A publication that uses it was published too recently.
    Retained,
    /// A distribution copy was missing or had other bytes just now.
    Unproven,
}

/// Whether the staged file in the state `pin` may be removed at `now`: if it was published by one of its
/// users, and every user is published, settled, past the retention, and was just proven again.
pub(crate) fn may_remove(
    pin: &SourcePin,
    users: &[User<'_>],
    now: Timestamp,
    retention: TimeDelta,
) -> Result<(), Kept> {
    let mut published_from_it = false;
    for User { record, proven } in users {
        let Phase::Published(published) = &record.phase else { return Err(Kept::Unpublished) };
        if !record.is_settled() {
            return Err(Kept::Unsettled);
        }
        if now < published.at + retention {
            return Err(Kept::Retained);
        }
        if *proven != Some(published.proof.digest) {
            return Err(Kept::Unproven);
        }
        published_from_it |= published.pin.as_ref() == Some(pin);
    }
    if published_from_it { Ok(()) } else { Err(Kept::OtherState) }
}

/// A sweeper's work on one staged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sweep {
    pub(crate) step: Step,
    file: u8,
    state: u8,
    users: [Option<Rec>; PUBLICATIONS],
    proven: [Option<crate::scenario::Content>; PUBLICATIONS],
}

/// The effect that the sweeper is about to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Bury,
    Read(u8),
    Prove(u8),
    Remove,
    /// Only with [`Bug::TombstoneTakenBack`].
    Unbury,
}

impl Sweep {
    /// Whether only the removal is left.
    pub(crate) fn is_decided(&self) -> bool {
        self.step == Step::Remove
    }

    pub(crate) fn fates(&self) -> &'static [Fate] {
        match self.step {
            Step::Bury | Step::Remove | Step::Unbury => &Fate::ALL[..4],
            Step::Read(_) | Step::Prove(_) => &Fate::ALL[..2],
        }
    }
}

impl Turn<'_> {
    /// The sweeper comes to a staged file by a publication whose retention is over.
    pub(crate) fn begin_sweep(&mut self) -> Pc {
        let Some((file, state)) = self.see().sweepable() else { return Pc::Idle };
        let step = if self.has(Bug::PublicationsReadFirst) { Step::Read(0) } else { Step::Bury };
        Pc::Sweep(Sweep { step, file, state, users: [None; PUBLICATIONS], proven: [None; PUBLICATIONS] })
    }

    pub(crate) fn sweep(&mut self, mut sweep: Sweep) -> Pc {
        let (file, state) = (sweep.file, sweep.state);
        let lost = match sweep.step {
            Step::Bury => self.write(Write::Bury { file, state }).is_err(),
            Step::Unbury => self.write(Write::Unbury { file, state }).is_err(),
            Step::Read(number) => {
                let row = self.state.world.rows[usize::from(number)];
                sweep.users[usize::from(number)] = row.filter(|row| row.file == file);
                self.read().is_err()
            }
            Step::Prove(number) => {
                let user = sweep.users[usize::from(number)];
                let object = user.and_then(|user| self.state.world.objects[usize::from(user.key)]);
                sweep.proven[usize::from(number)] = object.map(|object| object.content);
                self.read().is_err()
            }
            Step::Remove => {
                let whatever = self.has(Bug::SweptWithoutPin);
                self.write(Write::Remove { file, state, whatever }).is_err()
            }
        };
        match self.following(&sweep) {
            Some(step) if !lost => Pc::Sweep(Sweep { step, ..sweep }),
            Some(_) | None => self.end(Outcome::Settled),
        }
    }

    fn following(&self, sweep: &Sweep) -> Option<Step> {
        let own = self.see().actor().publication;
        let last = u8::try_from(self.ledger.scenario.publications.len() - 1).unwrap();
        let from = |number: u8| (number..=last).find(|number| sweep.users[usize::from(*number)].is_some());
        match sweep.step {
            Step::Bury if self.has(Bug::PublicationsReadFirst) => Some(Step::Remove),
            Step::Bury if self.has(Bug::OnePublicationRead) => Some(Step::Read(own)),
            Step::Bury => Some(Step::Read(0)),
            Step::Read(number) if number < last && !self.has(Bug::OnePublicationRead) => Some(Step::Read(number + 1)),
            Step::Read(_) if self.has(Bug::SweptWithoutProof) => self.verdict(sweep),
            Step::Read(_) => from(0).map(Step::Prove),
            Step::Prove(number) => from(number + 1).map(Step::Prove).or_else(|| self.verdict(sweep)),
            Step::Remove | Step::Unbury => None,
        }
    }

    fn verdict(&self, sweep: &Sweep) -> Option<Step> {
        let proven = |number: usize, user: Rec| match &user.record.phase {
            Phase::Published(published) if self.has(Bug::SweptWithoutProof) => Some(published.proof.digest),
            _ => sweep.proven[number].map(crate::scenario::Content::digest),
        };
        let user = |(number, user): (usize, &Option<Rec>)| {
            user.map(|user| User { record: &user.get().record, proven: proven(number, user) })
        };
        let users: Vec<User<'_>> = sweep.users.iter().enumerate().filter_map(user).collect();
        let retention = if self.has(Bug::RetentionIgnored) { 0 } else { RETENTION_SECS };
        let now = self.now();
        match may_remove(&pin(sweep.state), &users, now, TimeDelta::seconds(retention)) {
            Ok(()) if self.has(Bug::PublicationsReadFirst) => Some(Step::Bury),
            Ok(()) => Some(Step::Remove),
            Err(_) if self.has(Bug::TombstoneTakenBack) => Some(Step::Unbury),
            Err(_) => None,
        }
    }
}

impl View<'_> {
    /// A look before the tombstone, which is for ever: nothing is buried that could not be removed.
    pub(crate) fn sweepable(self) -> Option<(u8, u8)> {
        let row = self.row()?;
        let Phase::Published(published) = &row.record.phase else { return None };
        let (pin, file) = (published.pin.as_ref()?, self.state.world.files[usize::from(row.file)]);
        let over = published.at + TimeDelta::seconds(RETENTION_SECS) <= self.now();
        let there = file.content.is_some() && file.state == state_of(pin);
        ((over || self.ledger.scenario.has(Bug::RetentionIgnored)) && there).then(|| (row.file, state_of(pin)))
    }
}
