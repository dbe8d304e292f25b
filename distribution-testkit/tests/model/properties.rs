//! The promises, asked of every state. What only a moment shows (an answer, an overwrite, a removal) is
//! noted there in `Seen` and asked for here.

use distribution_core::Phase;
use stateright::Property;

use crate::ledger::{Ledger, Rec};
use crate::model::Protocol;
use crate::process::Pc;
use crate::scenario::{Budget, Content, RETENTION_SECS, Scenario, secs};
use crate::world::{Fate, File, State, Write};

/// The promises that `Seen::broken` holds as bits.
pub(crate) const ONCE: u16 = 1;
pub(crate) const ADDITIVE: u16 = 2;
pub(crate) const TRAIL: u16 = 4;
pub(crate) const STAGING: u16 = 8;
pub(crate) const ANSWERS: u16 = 16;
pub(crate) const LINKS: u16 = 32;
/// A publication is rejected for the staged file that is on its record, and only a call whose own QC report
/// has lapsed is refused for that.
pub(crate) const BLAME: u16 = 64;

/// What must hold always, and what must be reached sometimes, lest the rest holds for lack of events.
pub(crate) fn all(scenario: &Scenario) -> Vec<Property<Protocol>> {
    let mut all = promises();
    all.push(Property::sometimes("an answer is given", |_, state: &State| {
        state.world.seen.answers.iter().any(Option::is_some)
    }));
    if scenario.budget.rots_max > 0 {
        all.push(Property::sometimes("an attempt fails", |_, state: &State| {
            rows(state).any(|row| row.record.attempt > 0)
        }));
    }
    if scenario.sweeps() {
        all.push(Property::sometimes("a staged file is swept", |_, state: &State| {
            state.world.files.iter().any(is_swept)
        }));
    }
    all
}

fn is_swept(file: &File) -> bool {
    file.content.is_none() && file.buried != 0
}

fn promises() -> Vec<Property<Protocol>> {
    vec![
        Property::always("P1 proof", |_, state| rows(state).all(|row| is_proven(state, row))),
        Property::always("P2 gate", |model, state| rows(state).all(|row| was_approved(&model.ledger.scenario, row))),
        Property::always("P3 once", |model, state| {
            keeps(state, ONCE) && rows(state).all(|row| is_once(&model.ledger.scenario, state, row))
        }),
        Property::always("P4 additive", |_, state| keeps(state, ADDITIVE)),
        Property::always("P5 trail", |_, state| keeps(state, TRAIL) && rows(state).all(|row| is_gapless(state, row))),
        Property::always("P6 staging", |_, state| keeps(state, STAGING)),
        Property::always("P7 recovery", Protocol::settles),
        Property::always("P7 answers", |_, state| keeps(state, ANSWERS)),
        Property::always("P7 blame", |_, state| keeps(state, BLAME)),
        Property::always("P8 links", |_, state| keeps(state, LINKS)),
        Property::always("P10 bounded", |_, state| rows(state).all(|row| row.record.trail.next <= TRAIL_MAX)),
        Property::always("records", |_, state| rows(state).all(|row| row.sound)),
    ]
}

fn rows(state: &State) -> impl Iterator<Item = Rec> {
    state.world.rows.iter().flatten().copied()
}

fn keeps(state: &State, promise: u16) -> bool {
    state.world.seen.broken & promise == 0
}

/// What is published was read back once from where the record says. It may have rotted since.
fn is_proven(state: &State, row: Rec) -> bool {
    let proven = |key: u8| state.world.objects[usize::from(key)].is_some_and(|object| object.proven);
    row.published_key.is_none_or(proven)
}

/// What is published was so while a report said pass.
fn was_approved(scenario: &Scenario, row: Rec) -> bool {
    let Phase::Published(published) = &row.record.phase else { return true };
    let mut reports = scenario.actors.iter().filter(|actor| actor.publication == row.publication);
    reports.any(|actor| {
        actor.order().is_some_and(|order| order.report.expires_at.is_none_or(|expires_at| published.at < expires_at))
    })
}

/// One entry says Published, and no good object of an earlier attempt was given up.
fn is_once(scenario: &Scenario, state: &State, row: Rec) -> bool {
    let waiting = row.outbox.iter().fold(0, |all, entry| all | u32::from(entry.published) << entry.sequence);
    let published = state.world.sinks[usize::from(row.publication)].published | waiting;
    let approved = scenario.approved[usize::from(row.publication)];
    let given_up = usize::from(row.key) - row.record.attempt as usize..usize::from(row.key);
    published.count_ones() <= 1
        && state.world.objects[given_up].iter().flatten().all(|object| object.rotted || object.content != approved)
}

/// What is not kept yet waits in the record, and what is both is the same.
fn is_gapless(state: &State, row: Rec) -> bool {
    let (kept, next) = (&state.world.sinks[usize::from(row.publication)].kept, row.record.trail.next as usize);
    let first_waiting = next - row.outbox.len();
    kept[..first_waiting].iter().all(|kept| *kept != 0)
        && row.outbox.iter().all(|entry| matches!(kept[entry.sequence], 0) || kept[entry.sequence] == entry.content)
        && kept[next..].iter().all(|kept| *kept == 0)
}

impl State {
    /// What is asked at the moment when a staged file is removed.
    pub(crate) fn check_removal(&mut self, ledger: &Ledger, number: u8) {
        let (file, now) = (self.world.files[usize::from(number)], secs(ledger.now(self.world.clock)));
        let published_from_it = rows(self).any(|row| {
            let object = self.world.objects[usize::from(row.key)];
            row.is_published() && object.is_some_and(|object| object.from == (number, file.state))
        });
        let is_safe = |row: Rec| match &row.record.phase {
            Phase::Published(published) => {
                let object = self.world.objects[usize::from(row.key)];
                let intact = object.is_some_and(|object| object.content != Content::Rotten);
                intact && secs(published.at) + RETENTION_SECS <= now
            }
            _ => false,
        };
        let used = |row: &Rec| file.used_by & 1 << row.publication != 0;
        // A publisher that has passed its look at the tombstone relies on the file until it is stored.
        let relied_on = self.procs.iter().any(|proc| match proc.pc {
            Pc::Create { record, state, .. } => {
                let row = self.world.rows[usize::from(record.publication)];
                state == file.state && row.is_some_and(|row| row.file == number && !row.is_published())
            }
            _ => false,
        });
        if !published_from_it || relied_on || !rows(self).filter(used).all(is_safe) {
            self.breaks(STAGING);
        }
    }
}

impl Protocol {
    /// Whatever has happened, if every process dies here, the same call finishes the job: from what is
    /// left of the world, a caller who comes when all leases are over and meets no fault gets an answer.
    /// It stages the file again only if the call said that this is the way out.
    pub(crate) fn settles(&self, state: &State) -> bool {
        self.once_for_each_world(state, |state| {
            let mut state = state.clone();
            (0..self.ledger.scenario.publications.len())
                .all(|number| state.world.rows[number].is_none() || self.survivor_settles(&mut state, number))
        })
    }

    fn survivor_settles(&self, state: &mut State, number: usize) -> bool {
        use crate::process::Outcome;
        let scenario = &self.ledger.scenario;
        state.world.clock = u8::try_from(scenario.times.len() - 1).unwrap();
        let approved = scenario.approved[number];
        let object = |state: &State| state.world.rows[number].and_then(|row| state.world.objects[usize::from(row.key)]);
        let stored = object(state).is_some_and(|object| object.content == approved);
        for call in 0..3 {
            let outcome = self.call(state, u8::try_from(scenario.actors.len() + number).unwrap());
            let row = state.world.rows[number].expect("it was claimed");
            match outcome {
                Outcome::Answered => return row.is_published() && row.record.is_settled(),
                // It is another's file that is there.
                Outcome::Conflict => {
                    let conflict = object(state).is_some_and(|object| object.content != approved);
                    return conflict && !row.record.publication.key_tells_bytes;
                }
                Outcome::Rejected if !stored || call > 0 => {
                    let file = &mut state.world.files[usize::from(row.file)];
                    (file.content, file.state) = (Some(approved), file.state + 1);
                }
                Outcome::Corrupt => {}
                _ => return false,
            }
        }
        false
    }

    /// One call without faults, from its beginning to its end.
    fn call(&self, state: &mut State, actor: u8) -> crate::process::Outcome {
        use crate::process::{Outcome, Proc, Turn};
        let mut proc = Proc::new(Budget::default());
        for _ in 0..EFFECTS_MAX {
            proc = Turn { ledger: &self.ledger, state, actor, proc, fate: Fate::Works }.take();
            match proc.pc {
                Pc::Done(outcome) => return outcome,
                Pc::Busy => return Outcome::Busy,
                Pc::Idle => return Outcome::Unavailable,
                _ => {}
            }
        }
        Outcome::Unavailable
    }
}

/// More entries than any trail needs here. Processes that undo each other's work for ever exceed it.
pub(crate) const TRAIL_MAX: u64 = 18;
/// More effects than a call without faults has.
const EFFECTS_MAX: usize = 64;

/// Whether bytes may rot here: not between the last proof and the removal, where no protocol can help.
pub(crate) fn is_about_to_remove(state: &State) -> bool {
    let removes = |write: &Write| matches!(write, Write::Remove { .. });
    let sweeper = |pc: &Pc| matches!(pc, Pc::Sweep(sweep) if sweep.is_decided());
    state.world.late.iter().flatten().any(removes) || state.procs.iter().any(|proc| sweeper(&proc.pc))
}
