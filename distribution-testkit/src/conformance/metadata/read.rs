//! The checks of what readers and callers that give up see of writes.

use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use distribution_core::{Advance, Claim, IdempotencyKey, MetadataStore, Query, Row, State};

use super::MetadataHarness;
use super::rows::{advance, assert_row, claim, id, next, row, tags};
use crate::conformance::{SetOnDrop, drop_after, few_trials, pattern, polls, race, run};
use crate::time::let_others_go_first;

pub(super) fn readers_see_index_and_body_of_one_revision(harness: &dyn MetadataHarness) {
    const ADVANCES: u64 = 12;
    let stores = &run(harness, async { [harness.open().await, harness.open().await] });
    for (trial, course) in few_trials(harness) {
        run(harness, claim(&*stores[0], &at_revision(trial, 0)));
        let written = &AtomicBool::new(false);
        race(harness, course, 3, |n| async move {
            if n == 0 {
                let _guard = SetOnDrop(written);
                for revision in 1..=ADVANCES {
                    advance(&*stores[0], &at_revision(trial, revision)).await;
                }
                return;
            }
            let mut newest = 0;
            while newest < ADVANCES {
                let was_written = written.load(Ordering::SeqCst);
                let seen = look(&*stores[n % 2], trial, n == 1).await;
                assert!(seen == at_revision(trial, seen.revision), "parts of two revisions: {:?}", seen.index);
                assert!(seen.revision >= newest, "revision {} after {newest}", seen.revision);
                newest = seen.revision;
                assert!(!was_written || newest == ADVANCES, "an old revision after the newest was written");
                let_others_go_first().await;
            }
        });
    }
}

async fn look(store: &dyn MetadataStore, publication: usize, by_id: bool) -> Row {
    if by_id {
        return store.load(&id(publication)).await.expect("a load").expect("the row is there");
    }
    let query = Query { checksum: Some(row(publication).index.checksum), ..Query::default() };
    store.find(&query, None, 2).await.expect("a find").rows.pop().expect("the row is there")
}

/// A row of which every part tells its revision.
fn at_revision(publication: usize, revision: u64) -> Row {
    let mut row = Row { revision, body: pattern(9_000 + revision as usize, revision as u8), ..row(publication) };
    row.index.tags = tags(&[&format!("a{revision}"), &format!("z{revision}")]);
    row.index.state = State::ALL[revision as usize % 3];
    row.index.settled = revision % 2 == 1;
    row
}

pub(super) fn another_handle_sees_at_once(harness: &dyn MetadataHarness) {
    run(harness, async {
        let (one, other) = (harness.open().await, harness.open().await);
        for store in [&one, &other] {
            assert_eq!(store.load(&id(0)).await.expect("a load"), None);
            assert_eq!(store.find(&Query::default(), None, 10).await.expect("a find").rows, []);
        }
        let mut present = at_revision(0, 0);
        claim(&*one, &present).await;
        for revision in 1..10 {
            let (reader, writer) = if revision % 2 == 0 { (&one, &other) } else { (&other, &one) };
            for store in [reader, writer] {
                assert_row(&**store, &present).await;
                assert_eq!(store.find(&Query::default(), None, 10).await.expect("a find").rows, [present.clone()]);
            }
            present = at_revision(0, revision);
            advance(&**writer, &present).await;
        }
    });
}

pub(super) fn a_dropped_write_is_all_or_nothing(harness: &dyn MetadataHarness) {
    let store = run(harness, harness.open());
    for (n, polls) in polls().enumerate() {
        let ended = run(harness, async {
            let claimed = dropped_claim(&*store, n, polls).await;
            let advanced = dropped_advance(&*store, n, polls).await;
            let bound = dropped_bind(&*store, n, polls).await;
            claimed && advanced && bound
        });
        if ended {
            return;
        }
    }
}

/// Each says whether the call ended before it was dropped. What was dropped can happen late, but whole.
async fn dropped_claim(store: &dyn MetadataStore, n: usize, polls: usize) -> bool {
    let (dropped, other) = (row(n), Row { body: Bytes::from("other"), ..row(n) });
    let ended = drop_after(polls, store.claim(&dropped)).await.is_some();
    let seen = store.load(&id(n)).await.expect("a load");
    assert!(if seen.is_some() { seen.as_ref() == Some(&dropped) } else { !ended }, "after {polls} polls: {seen:?}");
    let present = match store.claim(&other).await.expect("a claim") {
        Claim::Claimed => other,
        Claim::Exists(present) => present,
    };
    assert!(if seen.is_some() { present == dropped } else { present.index == dropped.index }, "{present:?}");
    assert_row(store, &present).await;
    ended
}

async fn dropped_advance(store: &dyn MetadataStore, n: usize, polls: usize) -> bool {
    let first = store.load(&id(n)).await.expect("a load").expect("the row is there");
    let (mut dropped, other) = (next(&first, pattern(20_000, 1)), next(&first, "other"));
    dropped.index.tags = tags(&["dropped"]);
    let ended = drop_after(polls, store.advance(&dropped)).await.is_some();
    let seen = store.load(&id(n)).await.expect("a load").expect("the row is there");
    assert!(seen == dropped || (seen == first && !ended), "after {polls} polls: {:?}", seen.index);
    let present = match store.advance(&other).await.expect("an advance") {
        Advance::Advanced => other,
        Advance::Superseded(present) => dropped_or(&dropped, present),
    };
    assert!(seen == first || present == dropped, "what was seen did not stay");
    assert_row(store, &present).await;
    let query = Query { checksum: Some(first.index.checksum), ..Query::default() };
    assert_eq!(store.find(&query, None, 10).await.expect("a find").rows, [present]);
    ended
}

fn dropped_or(dropped: &Row, present: Row) -> Row {
    assert!(present == *dropped, "superseded by what nobody wrote: {:?}", present.index);
    present
}

async fn dropped_bind(store: &dyn MetadataStore, n: usize, polls: usize) -> bool {
    let name = IdempotencyKey::parse(format!("order-{n}")).expect("an idempotency key");
    let ended = drop_after(polls, store.bind(&name, &id(n))).await.is_some();
    let named = store.bind(&name, &id(n + 1)).await.expect("a bind");
    assert!(named == id(n) || (named == id(n + 1) && !ended), "a name of {named}");
    assert_eq!(store.bind(&name, &id(n)).await.expect("a bind"), named);
    ended
}
