//! Model checking.
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
mod copying;
mod ledger;
mod model;
mod process;
mod properties;
mod scenario;
mod sweep;
mod view;
mod world;

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model, Path};

use crate::configurations::Size;
use crate::model::{Choice, Protocol};
use crate::scenario::Scenario;
use crate::world::State;

/// What one run came to.
struct Run {
    states: usize,
    depth: usize,
    secs: f64,
    failures: Vec<(&'static str, Path<State, Choice>)>,
}

/// All states of a scenario, or those up to the first broken promise.
fn check(scenario: Scenario, threads: usize) -> Run {
    let begun = Instant::now();
    let checker = Protocol::new(scenario.ready())
        .checker()
        .threads(threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    Run {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        secs: begun.elapsed().as_secs_f64(),
        failures: checker.discoveries().into_iter().collect(),
    }
}

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
        for (promise, path) in &run.failures {
            println!("{}", told(path));
            panic!("{name}: {promise} is broken");
        }
        (states, count) = (states + run.states, count + 1);
    }
    println!(
        "proof model: {states} states of {count} configurations keep every promise, {:.1} s",
        begun.elapsed().as_secs_f64()
    );
}
