//! The protocol, checked state by state.
//!
//! Publishers, recoverers and sweepers run effect by effect against a world in which requests and answers
//! get lost, writes happen late or twice, processes die or sleep past their leases, objects rot and
//! staged files change; every order of events within named budgets is tried by `stateright`. What is
//! decided between two effects is decided by the production functions (`claim`, `entry`, `next_action`,
//! `step`) on real records; the order of the effects is that of `publisher.rs`, `copy.rs` and
//! `recovery.rs`. `sweep.rs` is the sweep of staged files.
//!
//! Reading order: `process.rs`, `copying.rs` and `leases.rs` (who does what), `world.rs` (what becomes of it),
//! `sweep.rs`, `properties.rs` (what must hold), `configurations.rs`, `bugs.rs` (what must be caught).
//!
//! ```text
//! cargo test -p distribution-testkit --test model -- --nocapture proof
//! ```
//! checks a small budget; with `PROOF=ci` or `PROOF=long` set, larger ones.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod answers;
mod bugs;
mod configurations;
mod controls;
mod copying;
mod leases;
mod ledger;
mod model;
mod process;
mod properties;
mod scenario;
mod sweep;
mod view;
mod world;

use std::collections::BTreeSet;
use std::time::Instant;

use distribution_testkit::Budget as Size;
use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use crate::bugs::Bug;
use crate::model::{Choice, Protocol};
use crate::scenario::Scenario;
use crate::world::State;

/// What one run came to.
struct Run {
    states: usize,
    depth: usize,
    secs: f64,
    failures: Vec<(&'static str, Path<State, Choice>)>,
    unreached: Vec<&'static str>,
}

impl Run {
    fn assert_kept(&self, name: &str) {
        if let Some((promise, path)) = self.failures.first() {
            panic!("{name}: {promise} is broken by:\n{}", told(path));
        }
        assert!(self.unreached.is_empty(), "{name}: never {:?}", self.unreached);
    }
}

/// All states of a scenario, or those up to the first broken promise.
fn check(scenario: Scenario, threads: usize) -> Run {
    let begun = Instant::now();
    let checker = Protocol::new(scenario.ready())
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .target_state_count(TRANSITIONS_MAX)
        .spawn_dfs()
        .join();
    assert!(checker.state_count() < TRANSITIONS_MAX, "too many to try them all: bound the scenario");
    let properties = checker.model().properties();
    let discoveries = checker.discoveries();
    let is_promise = |name: &str| properties.iter().any(|p| p.name == name && p.expectation == Expectation::Always);
    let sometimes = properties.iter().filter(|property| property.expectation == Expectation::Sometimes);
    Run {
        unreached: sometimes.map(|p| p.name).filter(|name| !discoveries.contains_key(name)).collect(),
        failures: discoveries.into_iter().filter(|(name, _)| is_promise(name)).collect(),
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        secs: begun.elapsed().as_secs_f64(),
    }
}

/// More transitions than memory should be spent on.
const TRANSITIONS_MAX: usize = 400_000_000;

/// How it came to that: each choice, with what it left behind.
fn told(path: &Path<State, Choice>) -> String {
    let step = |(state, choice): &(State, Option<Choice>)| {
        let pcs: Vec<_> = state.procs.iter().map(|proc| proc.pc).collect();
        format!("  {:?} {:?}\n    {pcs:?}\n{choice:?}", state.world.rows, state.world.files)
    };
    path.clone().into_vec().iter().map(step).collect::<Vec<_>>().join("\n")
}

#[test]
fn proof_every_state_of_the_protocol_keeps_every_promise() {
    let (begun, mut states, mut count) = (Instant::now(), 0, 0);
    for scenario in configurations::all(Size::chosen()) {
        let name = scenario.name;
        let run = check(scenario, 2);
        println!(
            "model {name}: {} states, {} deep, {:.1} s, {:.0} states/s",
            run.states,
            run.depth,
            run.secs,
            run.states as f64 / run.secs
        );
        run.assert_kept(name);
        (states, count) = (states + run.states, count + 1);
    }
    println!(
        "proof model: {states} states of {count} configurations keep every promise, {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    assert!(Size::chosen() == Size::Quick || states >= 10_000_000, "the budgets have become too small");
}

#[test]
fn proof_every_seeded_bug_is_caught() {
    let begun = Instant::now();
    for bug in Bug::ALL {
        let (promise, scenario) = controls::control(bug);
        let caught = Instant::now();
        let trace = shortest(&scenario.clone().with(bug), promise).unwrap_or_else(|| panic!("{bug:?} is not caught"));
        let (name, secs) = (scenario.name, caught.elapsed().as_secs_f64());
        println!("model {bug:?} in `{name}`: {promise} is broken after {} steps, {secs:.1} s", trace.len());
    }
    println!("proof model: {} seeded bugs are caught, {:.1} s", Bug::ALL.len(), begun.elapsed().as_secs_f64());
}

/// The shortest way to break this promise, if there is one.
fn shortest(scenario: &Scenario, promise: &'static str) -> Option<Vec<Choice>> {
    let found = |steps_max: usize| {
        let checker = Protocol::new(scenario.clone().ready())
            .checker()
            .target_max_depth(steps_max)
            .finish_when(HasDiscoveries::AllOf([promise].into()))
            .spawn_bfs()
            .join();
        checker.discovery(promise).map(Path::into_actions)
    };
    let mut shortest = found(STEPS_MAX)?;
    // The search goes on for a while after its first find, and tells of its last.
    while let Some(shorter) = found(shortest.len() + 1).filter(|shorter| shorter.len() < shortest.len()) {
        shortest = shorter;
    }
    Some(shortest)
}

/// More steps than any control needs.
const STEPS_MAX: usize = 100;

#[test]
fn proof_without_a_bug_the_controls_keep_every_promise() {
    let (begun, mut names, mut states) = (Instant::now(), BTreeSet::new(), 0);
    for bug in Bug::ALL {
        let (_, scenario) = controls::control(bug);
        let name = scenario.name;
        if names.insert(name) {
            let run = check(scenario, 1);
            println!("model control {name}: {} states, {:.1} s", run.states, run.secs);
            run.assert_kept(name);
            states += run.states;
        }
    }
    let secs = begun.elapsed().as_secs_f64();
    println!("proof model: {states} states of {} controls keep every promise, {secs:.1} s", names.len());
}
