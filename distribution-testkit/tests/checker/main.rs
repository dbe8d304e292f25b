//! The checker finds nothing in healthy worlds, and every damage that is planted, by the right promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod archived;
mod since;
mod stores;
mod support;
mod told;

use std::collections::BTreeSet;

use distribution_testkit::checker::{Evidence, Promise, unsettled, violations, violations_since};
use futures::executor::block_on;

use crate::support::{healthy, object, row, world};

#[test]
fn proof_that_every_planted_damage_is_caught() {
    let mut caught = 0;
    assert_eq!(violations(&archived::archived()), []);
    let usual = [stores::OBJECTS, stores::ROWS, told::TRAIL, told::ANSWERS].concat();
    let usual = usual.into_iter().map(|damage| (damage, healthy()));
    let archived = archived::ARCHIVED.iter().map(|damage| (*damage, archived::archived()));
    for ((name, expected, damage), mut evidence) in usual.chain(archived) {
        damage(&mut evidence);
        let found = violations(&evidence);
        let promises: BTreeSet<Promise> = found.iter().map(|violation| violation.promise).collect();
        let expected: BTreeSet<Promise> = expected.iter().copied().collect();
        assert_eq!(promises, expected, "{name}: {found:#?}");
        assert!(found.iter().all(|violation| !violation.to_string().contains(['\n', '\u{1b}'])), "{name}: {found:?}");
        assert!(found.iter().all(|violation| !violation.to_string().contains("hunter2")), "{name}: {found:?}");
        caught += 1;
    }
    for (name, expected, damage) in since::HISTORY {
        let (before, mut after) = (healthy(), healthy());
        damage(&mut after);
        let found = violations_since(&before, &after);
        let promises: Vec<Promise> = found.iter().map(|violation| violation.promise).collect();
        assert_eq!(promises, *expected, "{name}: {found:#?}");
        caught += 1;
    }
    println!("checker: {caught} damages planted, all caught by the right promise");
}

#[test]
fn a_healthy_world_breaks_no_promise_and_nothing_changes_by_looking() {
    let evidence = healthy();
    assert_eq!(violations(&evidence), []);
    assert_eq!(violations_since(&evidence, &healthy()), []);
    assert_eq!(evidence.answers.len(), 4);
}

#[test]
fn arrival_order_does_not_matter_and_foreign_objects_are_left_alone() {
    let mut evidence = healthy().with_foreign("logo.mp4");
    evidence.audit.reverse();
    evidence.rows.reverse();
    let logo = object("logo.mp4", evidence.objects.values().next().unwrap());
    evidence.objects.insert("memory://default/logo.mp4".into(), logo);
    assert_eq!(violations(&evidence), []);
}

#[test]
fn what_is_unfinished_is_named_until_it_is_finished() {
    let (world, _) = world();
    let waiting = unsettled(&world.evidence());
    assert_eq!(waiting, [world.evidence().rows[row(&healthy(), "waiting")].id.clone()]);
    let before = world.evidence();
    let recovery = block_on(world.publisher("b").recover()).unwrap();
    assert_eq!((recovery.settled, recovery.failed), (1, 0));
    assert_eq!(unsettled(&world.evidence()), []);
    assert_eq!(violations(&world.evidence()), []);
    assert_eq!(violations_since(&before, &world.evidence()), []);
}

#[test]
fn evidence_of_stores_is_that_of_their_world() {
    let (world, _) = world();
    let parts = world.parts(&distribution_core::TargetName::default());
    let seen = block_on(Evidence::of(&*parts.storage, &*parts.metadata, world.audit())).unwrap();
    let known = world.evidence();
    assert_eq!((seen.objects, seen.audit), (known.objects, known.audit));
    assert_eq!(seen.rows.len(), known.rows.len());
    assert!(seen.rows.iter().all(|row| known.rows.contains(row)));
}
