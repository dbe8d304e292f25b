//! Random sequences against models: the machine against a second, smaller one, and whole publishers
//! against what no sequence of calls, faults and crashes may show.
//!
//! A few seconds by default; `PROOF=ci` and `PROOF=long` run more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod machine;
mod machine_reference;
mod publisher;
mod publisher_calls;

use std::sync::atomic::{AtomicU64, Ordering};

use distribution_testkit::Budget;
use proptest::test_runner::{Config, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

/// Runs so many sequences of up to so many transitions: by default, in CI, and in the long run. Panics
/// with the shortest sequence that fails.
fn run<T: StateMachineTest>(name: &str, transitions_max: usize, [quick, ci, long]: [u32; 3]) {
    let cases = Budget::chosen().pick(quick, ci, long);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let steps = AtomicU64::new(0);
    let outcome = TestRunner::new(config.clone()).run(
        &T::Reference::sequential_strategy(1..transitions_max),
        |(start, transitions, seen)| {
            steps.fetch_add(transitions.len() as u64, Ordering::Relaxed);
            T::test_sequential(config.clone(), start, transitions, seen);
            Ok(())
        },
    );
    if let Err(failure) = outcome {
        panic!("{name}: {failure}");
    }
    println!("{name}: {cases} sequences, {} transitions, none fails", steps.into_inner());
}
