//! The sweep of staged files: the process that asks core's `may_remove`, in the order of `removal.rs`.

use chrono::TimeDelta;
use distribution_core::{Phase, User, may_remove};

use crate::bugs::Bug;
use crate::ledger::Rec;
use crate::process::{Outcome, Pc, Turn};
use crate::scenario::{RETENTION_SECS, pin, state_of};
use crate::view::View;
use crate::world::{Fate, PUBLICATIONS, Write};

/// A sweeper's work on one staged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sweep {
    pub(crate) step: Step,
    file: u8,
    state: u8,
    users: [Option<Rec>; PUBLICATIONS],
    again: [Option<Rec>; PUBLICATIONS],
    proven: [Option<crate::scenario::Content>; PUBLICATIONS],
}

/// The effect that the sweeper is about to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Read(u8),
    Prove(u8),
    Bury,
    ReadAgain(u8),
    Remove,
    /// Only with [`Bug::TombstoneTakenBack`].
    Unbury,
}

impl Sweep {
    /// Whether the copies are proven and the removal may follow.
    pub(crate) fn is_decided(&self) -> bool {
        matches!(self.step, Step::Bury | Step::ReadAgain(_) | Step::Remove)
    }

    pub(crate) fn fates(&self) -> &'static [Fate] {
        match self.step {
            Step::Bury | Step::Remove | Step::Unbury => &Fate::ALL[..4],
            Step::Read(_) | Step::Prove(_) | Step::ReadAgain(_) => &Fate::ALL[..2],
        }
    }
}

impl Turn<'_> {
    /// The sweeper comes to a staged file by a publication whose retention is over.
    pub(crate) fn begin_sweep(&mut self) -> Pc {
        let Some((file, state)) = self.see().sweepable() else { return Pc::Idle };
        let none = [None; PUBLICATIONS];
        let step = Step::Read(self.first_read());
        Pc::Sweep(Sweep { step, file, state, users: none, again: none, proven: [None; PUBLICATIONS] })
    }

    pub(crate) fn sweep(&mut self, mut sweep: Sweep) -> Pc {
        let (file, state) = (sweep.file, sweep.state);
        let lost = match sweep.step {
            Step::Bury => self.write(Write::Bury { file, state }).is_err(),
            Step::Unbury => self.write(Write::Unbury { file, state }).is_err(),
            Step::Read(number) => {
                sweep.users[usize::from(number)] = self.user(number);
                self.read().is_err()
            }
            Step::ReadAgain(number) => {
                sweep.again[usize::from(number)] = self.user(number);
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

    /// The publication of this number, if it is of the same bytes.
    fn user(&self, number: u8) -> Option<Rec> {
        let checksum = self.see().approved().digest().checksum;
        self.state.world.rows[usize::from(number)].filter(|row| row.record.publication.checksum == checksum)
    }

    fn first_read(&self) -> u8 {
        if self.has(Bug::OnePublicationRead) { self.see().actor().publication } else { 0 }
    }

    fn following(&self, sweep: &Sweep) -> Option<Step> {
        let last = u8::try_from(self.ledger.scenario.publications.len() - 1).unwrap();
        let next = |number: u8| (number < last && !self.has(Bug::OnePublicationRead)).then_some(number + 1);
        let used = |from: u8| (from..=last).find(|number| sweep.users[usize::from(*number)].is_some());
        match sweep.step {
            Step::Read(number) => match next(number) {
                Some(number) => Some(Step::Read(number)),
                None if self.has(Bug::SweptWithoutProof) => self.verdict(sweep),
                None => used(0).map(Step::Prove),
            },
            Step::Prove(number) => used(number + 1).map(Step::Prove).or_else(|| self.verdict(sweep)),
            Step::Bury if self.has(Bug::PublicationsReadFirst) => Some(Step::Remove),
            Step::Bury => Some(Step::ReadAgain(self.first_read())),
            Step::ReadAgain(number) => match next(number) {
                Some(number) => Some(Step::ReadAgain(number)),
                None if sweep.again == sweep.users => Some(Step::Remove),
                None => self.has(Bug::TombstoneTakenBack).then_some(Step::Unbury),
            },
            Step::Remove | Step::Unbury => None,
        }
    }

    fn verdict(&self, sweep: &Sweep) -> Option<Step> {
        let pin = pin(sweep.state);
        let user = |(number, user): (usize, &Option<Rec>)| {
            let record = &(*user)?.get().record;
            let published = match &record.phase {
                Phase::Published(published) => Some(published),
                _ => None,
            };
            let found = match published {
                Some(published) if self.has(Bug::SweptWithoutProof) => Some(published.proof.digest),
                _ => sweep.proven[number].map(crate::scenario::Content::digest),
            };
            let is_this_state = published.is_some_and(|published| published.pin.as_ref() == Some(&pin));
            let (replicas, stored_for) = (0, Some(TimeDelta::MAX));
            Some(User { record, is_this_state, found, replicas, stored_for, is_held: false })
        };
        let users: Vec<User<'_>> = sweep.users.iter().enumerate().filter_map(user).collect();
        let retention = if self.has(Bug::RetentionIgnored) { 0 } else { RETENTION_SECS };
        may_remove(&users, self.now(), TimeDelta::seconds(retention)).ok().map(|()| Step::Bury)
    }
}

impl View<'_> {
    /// What the survey tells of the file by which the sweeper comes.
    pub(crate) fn sweepable(self) -> Option<(u8, u8)> {
        let row = self.row()?;
        let Phase::Published(published) = &row.record.phase else { return None };
        let (pin, file) = (published.pin.as_ref()?, self.state.world.files[usize::from(row.file)]);
        let over = published.at + TimeDelta::seconds(RETENTION_SECS) <= self.now();
        let there = file.content.is_some() && file.state == state_of(pin);
        ((over || self.ledger.scenario.has(Bug::RetentionIgnored)) && there).then(|| (row.file, state_of(pin)))
    }
}
