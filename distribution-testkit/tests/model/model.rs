//! The protocol as a model for `stateright`: every effect of every process and every whim of the
//! environment is one transition.

use std::collections::HashSet;
use std::sync::Mutex;

use stateright::{Model, Property};

use crate::ledger::{Ledger, hash_of};
use crate::process::{Pc, Turn};
use crate::properties::{self, TRAIL_MAX, is_about_to_remove};
use crate::scenario::{Content, Role, Scenario};
use crate::view::View;
use crate::world::{Fate, State};

pub(crate) struct Protocol {
    pub(crate) ledger: Ledger,
    /// The worlds from which the survivors were seen to settle.
    settled: Mutex<HashSet<u64>>,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// A process has its next effect.
    Turn(u8, Fate),
    /// A process renews its lease while bytes move.
    KeepAlive(u8, Fate),
    Crash(u8),
    Tick,
    /// A write happens that was told to have failed.
    Late(u8),
    Rot(u8),
    Restage,
}

impl Protocol {
    pub(crate) fn new(scenario: Scenario) -> Self {
        Self { ledger: Ledger::new(scenario), settled: Mutex::default() }
    }

    /// Asks the question unless it was answered with yes for the same world.
    pub(crate) fn once_for_each_world(&self, state: &State, ask: impl FnOnce(&State) -> bool) -> bool {
        let world = &state.world;
        let fingerprint = hash_of(&(&world.rows, &world.objects, &world.files, &world.sinks));
        if self.settled.lock().unwrap().contains(&fingerprint) {
            return true;
        }
        let settles = ask(state);
        if settles {
            self.settled.lock().unwrap().insert(fingerprint);
        }
        settles
    }

    fn turn<'a>(&'a self, state: &'a mut State, actor: u8, fate: Fate) -> Turn<'a> {
        let proc = state.procs[usize::from(actor)];
        Turn { ledger: &self.ledger, state, actor, proc, fate }
    }

    fn view<'a>(&'a self, state: &'a State, actor: u8) -> View<'a> {
        View { ledger: &self.ledger, state, actor, proc: state.procs[usize::from(actor)] }
    }

    /// Whether the process has anything to do now.
    fn may_go(view: View<'_>) -> bool {
        let calls = view.proc.calls_left != Some(0) && view.actor().from <= view.state.world.clock;
        match (view.proc.pc, &view.actor().role) {
            (Pc::Idle | Pc::Busy | Pc::Done(_), _) if !calls => false,
            (Pc::Absent, _) => false,
            (Pc::Done(_), _) => view.proc.repeats_left > 0,
            (Pc::Idle, Role::Publisher(_)) => true,
            (Pc::Busy, Role::Publisher(_)) => !view.would_be_busy(),
            (Pc::Idle | Pc::Busy, Role::Recoverer) => {
                view.row().is_some_and(|row| !row.record.is_settled()) && !view.would_be_busy()
            }
            (Pc::Idle | Pc::Busy, Role::Sweeper) => view.sweepable().is_some(),
            _ => true,
        }
    }

    fn fates<'a>(state: &'a State, of: &'a [Fate]) -> impl Iterator<Item = Fate> + use<'a> {
        let left = state.world.left;
        of.iter().copied().filter(move |fate| match fate {
            Fate::Works => true,
            Fate::LostRequest | Fate::LostAnswer | Fate::Repeated => left.faults > 0,
            Fate::Late => left.late_writes > 0 && state.world.late.iter().any(Option::is_none),
        })
    }

    fn environment(&self, state: &State, choices: &mut Vec<Choice>) {
        let (world, scenario) = (&state.world, &self.ledger.scenario);
        if usize::from(world.clock) + 2 < scenario.times.len() {
            choices.push(Choice::Tick);
        }
        choices.extend((0..2).filter(|slot| world.late[usize::from(*slot)].is_some()).map(Choice::Late));
        if world.left.rots > 0 && !is_about_to_remove(state) {
            let sound = |object: &crate::world::Object| object.content != Content::Rotten;
            let keys = (0..8).filter(|key: &u8| world.objects[usize::from(*key)].as_ref().is_some_and(sound));
            choices.extend(keys.map(Choice::Rot));
        }
        if world.left.restagings > 0 {
            choices.push(Choice::Restage);
        }
    }
}

impl Model for Protocol {
    type State = State;
    type Action = Choice;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(&self.ledger.scenario)]
    }

    fn actions(&self, state: &State, choices: &mut Vec<Choice>) {
        for actor in 0..self.ledger.scenario.actors.len() as u8 {
            let view = self.view(state, actor);
            if !Self::may_go(view) {
                continue;
            }
            choices.extend(Self::fates(state, view.proc.pc.fates()).map(|fate| Choice::Turn(actor, fate)));
            if view.wants_keep_alive() {
                let fates = [Fate::Works, Fate::LostAnswer, Fate::Late];
                choices.extend(Self::fates(state, &fates).map(|fate| Choice::KeepAlive(actor, fate)));
            }
            if state.world.left.crashes > 0 && view.proc.is_under_way() {
                choices.push(Choice::Crash(actor));
            }
        }
        self.environment(state, choices);
    }

    fn next_state(&self, state: &State, choice: Choice) -> Option<State> {
        let mut next = state.clone();
        match choice {
            Choice::Turn(actor, fate) | Choice::KeepAlive(actor, fate) => {
                let left = &mut next.world.left;
                match fate {
                    Fate::Works => {}
                    Fate::Late => left.late_writes -= 1,
                    Fate::LostRequest | Fate::LostAnswer | Fate::Repeated => left.faults -= 1,
                }
                let turn = self.turn(&mut next, actor, fate);
                let proc = if matches!(choice, Choice::Turn(..)) { turn.take() } else { turn.keep_alive() };
                next.procs[usize::from(actor)] = proc;
            }
            Choice::Crash(actor) => {
                next.world.left.crashes -= 1;
                let proc = &mut next.procs[usize::from(actor)];
                *proc = proc.restarted();
            }
            Choice::Tick => next.world.clock += 1,
            Choice::Late(slot) => {
                let write = next.world.late[usize::from(slot)].take()?;
                next.apply(&self.ledger, write);
            }
            Choice::Rot(key) => {
                next.world.left.rots -= 1;
                let object = next.world.objects[usize::from(key)].as_mut()?;
                (object.content, object.rotted) = (Content::Rotten, true);
            }
            Choice::Restage => {
                let restagings = &self.ledger.scenario.restagings;
                let (file, content) = restagings[restagings.len() - usize::from(next.world.left.restagings)];
                next.world.left.restagings -= 1;
                let file = &mut next.world.files[usize::from(file)];
                if content.is_some() {
                    (file.state, file.used_by) = (file.state + 1, 0);
                }
                file.content = content;
            }
        }
        Some(next)
    }

    /// Nothing is looked for beyond a trail that is too long.
    fn within_boundary(&self, state: &State) -> bool {
        state.world.rows.iter().flatten().all(|row| row.record.trail.next <= TRAIL_MAX + 2)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all(&self.ledger.scenario)
    }
}
