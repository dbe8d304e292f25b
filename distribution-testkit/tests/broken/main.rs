//! Negative controls: the conformance suites can fail. Each planted flaw is caught by the checks that
//! are named after what it breaks, and no check is without a flaw that it catches.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod audit;
mod metadata;
mod signer;
mod source;
mod storage;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use distribution_testkit::conformance::Check;

/// What catches each flaw, first of all.
type Caught<'a, F> = &'a [(F, &'a [&'a str])];

/// Runs each check against each flaw that it is said to catch. There is no list of exceptions: a
/// check that no flaw fails is an error.
fn prove<H: ?Sized, F: Copy + Debug>(
    suite: &str,
    checks: &[Check<H>],
    caught: Caught<F>,
    with: impl Fn(F, &dyn Fn(&H)),
) {
    hush();
    let mut catching = BTreeSet::new();
    let mut cases = 0;
    for (flaw, names) in caught {
        for name in *names {
            let check = checks.iter().find(|check| check.name == *name);
            let check = check.unwrap_or_else(|| panic!("there is no check {name}"));
            let is_caught = catch_unwind(AssertUnwindSafe(|| with(*flaw, &|harness| (check.run)(harness)))).is_err();
            assert!(is_caught, "{flaw:?} is not caught by {name}");
            catching.insert(*name);
            cases += 1;
        }
    }
    let idle: Vec<_> = checks.iter().map(|check| check.name).filter(|name| !catching.contains(name)).collect();
    assert!(idle.is_empty(), "no flaw is known that these checks catch: {idle:?}");
    let (flaws, checks) = (caught.len(), checks.len());
    println!(
        "proof that the {suite} suite can fail: {flaws} flaws caught by {checks} of {checks} checks, {cases} cases"
    );
}

/// Every check passes what has no flaw, so that it is the flaw that is caught.
fn pass<H: ?Sized, F: Copy>(checks: &[Check<H>], nothing: F, with: impl Fn(F, &dyn Fn(&H))) {
    for check in checks {
        let passed = catch_unwind(AssertUnwindSafe(|| with(nothing, &|harness| (check.run)(harness))));
        if let Err(panic) = passed {
            let message = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref().copied());
            panic!("{} fails without a flaw: {}", check.name, message.unwrap_or("no message"));
        }
    }
}

/// Has the checks, which are meant to panic here, do so without a word.
fn hush() {
    static HUSHED: Once = Once::new();
    HUSHED.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            let is_meant = panic.location().is_some_and(|at| at.file().contains("src/conformance"));
            if !is_meant {
                tell(panic);
            }
        }));
    });
}
