//! The checks of many creates at the same time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use distribution_core::{ByteStream, CreateOutcome, Error};
use futures::{StreamExt as _, stream};

use super::{StorageHarness, assert_absent, assert_holds, content, create, good, key, large, pieces_of};
use crate::conformance::{Course, few_trials, pattern, race, run, trials};
use crate::time::let_others_go_first;

pub(super) const RACERS: usize = 16;

pub(super) fn one_of_many_creates_wins(harness: &dyn StorageHarness) {
    let contents: Vec<_> = (0..RACERS).map(|n| pattern(50_000 + n, n as u8)).collect();
    race_to_create(harness, trials(harness), &contents);
}

pub(super) fn one_of_many_equal_creates_wins(harness: &dyn StorageHarness) {
    race_to_create(harness, trials(harness), &vec![pattern(50_000, 0); RACERS]);
}

pub(super) fn one_of_many_large_creates_wins(harness: &dyn StorageHarness) {
    // Each of four contents four times: equal and different ones at once.
    let four: Vec<_> = (0..4).map(|n| large(harness, n)).collect();
    let contents: Vec<_> = four.into_iter().cycle().take(RACERS).collect();
    race_to_create(harness, few_trials(harness), &contents);
}

fn race_to_create(harness: &dyn StorageHarness, trials: impl Iterator<Item = (usize, Course)>, contents: &[Bytes]) {
    // As two processes would.
    let storages = run(harness, async { [harness.open().await, harness.open().await] });
    for (trial, course) in trials {
        let key = &key(&format!("race/{trial}.mp4"));
        let reading = Arc::new(AtomicUsize::new(0));
        let outcomes = race(harness, course, contents.len(), |n| {
            let body = once_all_read(&reading, contents.len(), pieces_of(&contents[n], None));
            storages[n % 2].create(key, content(&contents[n], body))
        });
        let winners = winners(&outcomes);
        assert_eq!(winners.len(), 1, "racers {winners:?} were told that they created {key}");
        for storage in &storages {
            run(harness, assert_holds(&**storage, key, &contents[winners[0]]));
        }
    }
}

/// Those who were told that they created.
pub(super) fn winners(outcomes: &[Result<CreateOutcome, Error>]) -> Vec<usize> {
    let mut winners = Vec::new();
    for (n, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(CreateOutcome::Created { .. }) => winners.push(n),
            Ok(CreateOutcome::AlreadyExists) => {}
            // A store may refuse to say who won; then it is not the winner that it tells so.
            Err(error) => assert!(error.is_retryable(), "racer {n}: {error}"),
            Ok(CreateOutcome::Unfit(unfit)) => panic!("racer {n} was told {unfit:?} of good content"),
        }
    }
    winners
}

/// A body that begins when all racers read theirs, so that all have looked before one writes. It
/// waits for so many turns only: a store may let racers in one by one.
fn once_all_read(reading: &Arc<AtomicUsize>, racers: usize, body: ByteStream) -> ByteStream {
    const TURNS_MAX: usize = 1_000;
    let reading = Arc::clone(reading);
    let begins = stream::once(async move {
        reading.fetch_add(1, Ordering::SeqCst);
        for _ in 0..TURNS_MAX {
            if reading.load(Ordering::SeqCst) >= racers {
                break;
            }
            thread::yield_now();
            let_others_go_first().await;
        }
        body
    });
    begins.flatten().boxed()
}

pub(super) fn another_handle_sees_at_once(harness: &dyn StorageHarness) {
    run(harness, async {
        let (one, other) = (harness.open().await, harness.open().await);
        for n in 0..harness.trials().max(2) {
            let (writer, reader) = if n % 2 == 0 { (&one, &other) } else { (&other, &one) };
            // Three keys in turn, so that what is remembered of one is out of date.
            let (key, bytes) = (key(&format!("seen/{}.mp4", n % 3)), n.to_string());
            for storage in [&one, &other] {
                assert_absent(&**storage, &key).await;
            }
            create(&**writer, &key, bytes.as_bytes()).await;
            for storage in [reader, writer] {
                assert_holds(&**storage, &key, bytes.as_bytes()).await;
                let outcome = storage.create(&key, good(b"other")).await.expect("a create");
                assert_eq!(outcome, CreateOutcome::AlreadyExists);
            }
            reader.remove(&key).await.expect("a remove");
        }
    });
}
