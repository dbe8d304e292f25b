//! The checks of names.

use distribution_core::IdempotencyKey;

use super::rows::{claim, id, row};
use super::{MetadataHarness, RACERS};
use crate::conformance::{race, run, trials};

pub(super) fn binds_for_ever(harness: &dyn MetadataHarness) {
    let key = name("order-66");
    run(harness, async {
        let store = harness.open().await;
        // Before there is a row, and for more than one name of the same publication.
        assert_eq!(store.bound(&key).await.expect("a look"), None, "nothing is named yet");
        assert_eq!(store.bind(&key, &id(0)).await.expect("a bind"), id(0));
        assert_eq!(store.bind(&name("order-67"), &id(0)).await.expect("a bind"), id(0));
        claim(&*store, &row(1)).await;
        for n in [1, 0, 2] {
            assert_eq!(store.bind(&key, &id(n)).await.expect("a bind"), id(0));
            assert_eq!(harness.open().await.bound(&key).await.expect("a look"), Some(id(0)));
        }
    });
    run(harness, async {
        assert_eq!(harness.open().await.bind(&key, &id(1)).await.expect("a bind"), id(0), "after reopening");
    });
}

pub(super) fn one_of_many_binds_wins(harness: &dyn MetadataHarness) {
    let stores = run(harness, async { [harness.open().await, harness.open().await] });
    for (trial, course) in trials(harness) {
        let key = &name(&format!("order-{trial}"));
        let named = race(harness, course, RACERS, |n| {
            let store = &stores[n % 2];
            async move { store.bind(key, &id(n)).await.expect("a bind") }
        });
        assert!((0..RACERS).any(|n| id(n) == named[0]), "the name is none of the racers'");
        assert!(named.iter().all(|id| *id == named[0]), "the racers do not agree: {named:?}");
        for store in &stores {
            assert_eq!(run(harness, store.bound(key)).expect("a look").as_ref(), Some(&named[0]));
            assert_eq!(run(harness, store.bind(key, &id(RACERS))).expect("a bind"), named[0]);
        }
    }
}

pub(super) fn tells_names_apart(harness: &dyn MetadataHarness) {
    let (long, longer) = ("k".repeat(254), "k".repeat(255));
    let names = [
        "a", "A", "b", "a/b", "a.b", "..", "../a", "/", "%", "_", "%2e", "it's", "\"", "\\", "a:b", "a?b", "*", &long,
        &longer,
    ];
    run(harness, async {
        let store = harness.open().await;
        for (n, text) in names.into_iter().enumerate() {
            assert_eq!(store.bound(&name(text)).await.expect("a look"), None, "the new name {text}");
            assert_eq!(store.bind(&name(text), &id(n)).await.expect("a bind"), id(n), "the new name {text}");
        }
        for (n, text) in names.into_iter().enumerate() {
            assert_eq!(store.bind(&name(text), &id(99)).await.expect("a bind"), id(n), "the name {text}");
        }
    });
}

fn name(text: &str) -> IdempotencyKey {
    IdempotencyKey::parse(text).expect("an idempotency key")
}
