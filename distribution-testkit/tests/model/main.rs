//! Model checking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod bugs;
mod ledger;
mod model;
mod process;
mod properties;
mod scenario;
mod sweep;
mod world;

use std::time::Instant;

use stateright::{Checker, HasDiscoveries, Model};

use crate::model::Protocol;
use crate::scenario::{Budget, Content, Scenario};

fn video(name: &'static str) -> Scenario {
    Scenario::new(name).publication("clip-0123456789ab.mp4", Content::First, "work", true).staged(Content::First)
}

#[test]
fn first() {
    let scenario = video("two publishers")
        .publisher("a", 0, "title", 0)
        .publisher("b", 0, "title", 0)
        .clock(&[0, 61])
        .budget(Budget { crashes_max: 1, faults_max: 1, late_writes_max: 1, ..Budget::default() });
    let begun = Instant::now();
    let checker = Protocol::new(scenario.ready())
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs()
        .join();
    println!("{} unique {} total {:?}", checker.unique_state_count(), checker.state_count(), begun.elapsed());
    for (name, path) in checker.discoveries() {
        println!("{name}: {} steps", path.clone().into_vec().len());
        for (state, action) in path.into_vec() {
            println!("{:?} {:?}\n    {action:?}", state.world.rows, state.procs);
        }
    }
}
