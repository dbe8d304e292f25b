//! Conformance suites: each guarantee of a port is a named check that any backend can run.
//!
//! A backend implements the suite's harness and invokes the suite's macro, which expands to one
//! `#[test]` per check; the [crate's documentation](crate) shows one.
//!
//! Nothing is skipped in silence. A backend that cannot keep a guarantee waives its check by name,
//! with a reason; a waived check that passes fails as an unneeded waiver, and a waiver that names no
//! check fails too. The checks are tests, so they panic where a backend fails.
//!
//! That the checks can fail is tested as well: for each there is a backend with a planted flaw that it
//! catches.

pub mod audit;
pub mod metadata;
pub mod signer;
pub mod source;
pub mod staging;
pub mod storage;

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::thread;

use bytes::Bytes;
use futures::future::{BoxFuture, join_all};

pub use audit::AuditHarness;
pub use metadata::MetadataHarness;
pub use signer::SignerHarness;
pub use source::SourceHarness;
pub use staging::StagingHarness;
pub use storage::StorageHarness;

use crate::budget::Budget;
use crate::time::let_others_go_first;

/// How a backend's futures are run. A backend that needs no runtime leaves it as it is.
///
/// One on tokio keeps one multi-threaded runtime in its harness, with which `run` is
/// `self.runtime.block_on(future)`. It must be one for all calls, because checks run futures from many
/// threads at once, on what an earlier future opened.
pub trait Harness: Send + Sync + 'static {
    /// Runs the future to its end on this thread. Called from several threads at the same time.
    fn run(&self, future: BoxFuture<'_, ()>) {
        futures::executor::block_on(future);
    }

    /// What is missing, where this backend is not under test: then its checks say so and are not run. For
    /// a backend that needs a server which only some machines have; in CI it is better to panic.
    fn missing(&self) -> Option<String> {
        None
    }

    /// How often each race is run, at least 2. By default 12, 100 or 1,000 times, by the
    /// [`Budget`]. A backend whose calls cost money or seconds says less; below 10, sweeps of faults are sampled.
    fn trials(&self) -> usize {
        Budget::chosen().pick(12, 60, 1_000)
    }
}

/// The checks that a backend cannot pass, each with the reason: `[("name", "why")]`.
pub type Waivers = &'static [(&'static str, &'static str)];

/// A check of a suite whose harness is `H`: returns if the backend passes, panics if not.
pub struct Check<H: ?Sized> {
    /// Its name, which is the test's.
    pub name: &'static str,
    /// What it does, with a harness of its own.
    pub run: fn(&H),
}

/// Runs the check of this name, honouring the waivers.
///
/// # Panics
/// If the check fails, if it was waived and passes, or if there is none of this name.
#[allow(clippy::print_stdout, reason = "nothing is skipped in silence")]
pub fn verify<H: Harness + ?Sized>(checks: &[Check<H>], name: &str, waivers: Waivers, harness: &H) {
    if let Some(missing) = harness.missing() {
        return println!("NOT RUN: {name}: {missing}");
    }
    let check = checks.iter().find(|check| check.name == name);
    let check = check.unwrap_or_else(|| panic!("the suite has no check {name}"));
    let Some((_, reason)) = waivers.iter().find(|(waived, _)| *waived == name) else {
        return (check.run)(harness);
    };
    let outcome = catch_unwind(AssertUnwindSafe(|| (check.run)(harness)));
    assert!(outcome.is_err(), "unneeded waiver: {name} passes, though it was waived because {reason}");
}

/// Checks that the tests are the suite's checks, all of them, and that every waiver names one.
///
/// # Panics
/// If not.
pub fn verify_complete<H: ?Sized>(checks: &[Check<H>], tests: &[&str], waivers: Waivers) {
    let names: Vec<&str> = checks.iter().map(|check| check.name).collect();
    assert_eq!(names, tests, "the tests are not the suite's checks");
    for (waived, reason) in waivers {
        assert!(names.contains(waived), "a waiver names no check: {waived}");
        assert!(!reason.trim().is_empty(), "the waiver of {waived} gives no reason");
    }
}

/// Says in one line what the tests of a module have shown, if they pass.
#[doc(hidden)]
#[allow(clippy::print_stdout, reason = "a test's summary")]
pub fn summarise(module: &str, harness: &(impl Harness + ?Sized), checks: usize, waivers: Waivers) {
    if let Some(missing) = harness.missing() {
        return println!("NOT RUN: {module}: {missing}");
    }
    println!("proof: {module}: {checks} checks, {} waived, {} trials of each race", waivers.len(), harness.trials());
}

/// Runs the future by the harness and gives back what it gives.
fn run<T: Send>(harness: &(impl Harness + ?Sized), future: impl Future<Output = T> + Send) -> T {
    let mut output = None;
    harness.run(Box::pin(async { output = Some(future.await) }));
    output.expect("the harness runs a future to its end")
}

/// How a race is run.
#[derive(Clone, Copy, Debug)]
enum Course {
    /// On a thread each, all beginning at the same moment: as parallel as the machine is.
    Threads,
    /// By turns on one thread, from `await` to `await`: as interleaved as can be.
    Turns,
}

/// The trials of a race, by number. What one course misses by luck, the other finds.
fn trials(harness: &(impl Harness + ?Sized)) -> impl Iterator<Item = (usize, Course)> {
    [Course::Threads, Course::Turns].into_iter().cycle().enumerate().take(harness.trials().max(2))
}

/// The trials of a race that moves much or takes long: an eighth of them, by number.
fn few_trials(harness: &(impl Harness + ?Sized)) -> impl Iterator<Item = (usize, Course)> {
    trials(harness).take((harness.trials() / 8).max(2))
}

/// After how many polls a call is dropped: after each of the first, then in steps that grow, because
/// a call on other threads is polled thousands of times here.
fn polls() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(0), |polls| Some(polls + 1 + polls / 16 * 4)).take(80)
}

/// Polls the call so often and drops it; gives back what it gave, if it ended before.
async fn drop_after<T>(polls: usize, call: impl Future<Output = T>) -> Option<T> {
    let mut call = pin!(call);
    for _ in 0..polls {
        if let Poll::Ready(output) = futures::poll!(&mut call) {
            return Some(output);
        }
        thread::yield_now();
        let_others_go_first().await;
    }
    None
}

/// Sets a flag when it is dropped, be it by a panic: who waits for it must come to an end.
struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs `racer` for 0, 1, 2 … and gives back what they give, in this order.
fn race<T: Send, F: Future<Output = T> + Send>(
    harness: &(impl Harness + ?Sized),
    course: Course,
    racers: usize,
    racer: impl Fn(usize) -> F + Sync,
) -> Vec<T> {
    if matches!(course, Course::Turns) {
        return run(harness, join_all((0..racers).map(racer)));
    }
    let start = Barrier::new(racers);
    let begin = &|n: usize| {
        let future = racer(n);
        start.wait();
        run(harness, future)
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..racers).map(|n| scope.spawn(move || begin(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// Bytes that repeat only after 251, the same for the same seed.
fn pattern(len: usize, seed: u8) -> Bytes {
    (0..len).map(|n| (n % 251) as u8 ^ seed).collect()
}

/// A suite's checks, from the one list of their names.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_checks {
    (($harness:ty) $($name:ident)*) => {
        &[$($crate::conformance::Check::<$harness> { name: stringify!($name), run: $name }),*]
    };
}

/// A suite's tests, from the same list.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    (($suite:ident, $trait:ident, $harness:expr) $($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                use $crate::conformance::{$suite, $trait, verify};
                let harness = $harness;
                verify($suite::CHECKS, stringify!($name), $trait::waived(&harness), &harness);
            }
        )*

        #[test]
        fn every_check_of_the_suite_is_a_test() {
            use $crate::conformance::{$suite, $trait, summarise, verify_complete};
            let harness = $harness;
            let waived = $trait::waived(&harness);
            verify_complete($suite::CHECKS, &[$(stringify!($name)),*], waived);
            summarise(module_path!(), &harness, $suite::CHECKS.len(), waived);
        }
    };
}
