//! Nothing is skipped in silence.
#![allow(clippy::panic, reason = "tests")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use distribution_testkit::conformance::{Check, Harness, Waivers, verify, verify_complete};

struct Store;

impl Harness for Store {}

const CHECKS: &[Check<Store>] =
    &[Check { name: "passes", run: |_| () }, Check { name: "fails", run: |_| panic!("on purpose") }];

fn holds(check: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(check)).is_ok()
}

#[test]
fn a_waiver_is_for_a_check_that_fails() {
    for (name, waivers, ok) in [
        ("passes", &[][..], true),
        ("fails", &[][..], false),
        ("fails", &[("fails", "it cannot")][..], true),
        ("passes", &[("passes", "it cannot")][..], false),
        ("passes", &[("fails", "it cannot")][..], true),
        ("unknown", &[][..], false),
    ] {
        let waivers: Waivers = waivers;
        assert_eq!(holds(|| verify(CHECKS, name, waivers, &Store)), ok, "{name} with {waivers:?}");
    }
}

#[test]
fn every_check_is_a_test_and_every_waiver_names_one() {
    for (tests, waivers, ok) in [
        (&["passes", "fails"][..], &[][..], true),
        (&["passes", "fails"][..], &[("fails", "it cannot")][..], true),
        (&["passes"][..], &[][..], false),
        (&["passes", "fails"][..], &[("fials", "it cannot")][..], false),
        (&["passes", "fails"][..], &[("fails", " ")][..], false),
    ] {
        let waivers: Waivers = waivers;
        assert_eq!(holds(|| verify_complete(CHECKS, tests, waivers)), ok, "{tests:?} with {waivers:?}");
    }
}
