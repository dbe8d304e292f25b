//! The checks of creates among others: racers, readers, and calls that are dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread;

use distribution_core::{ByteStream, CreateOutcome};
use futures::channel::oneshot;
use futures::future::{self, Either};
use futures::{StreamExt as _, stream};

use super::{StorageHarness, assert_absent, assert_holds, content, create, digest, digest_of, good, key, pieces, read};
use crate::conformance::{COURSES, pattern, race, run};
use crate::time::let_others_go_first;

const RACERS: usize = 16;

pub(super) fn one_of_many_creates_wins(harness: &dyn StorageHarness) {
    let contents: Vec<_> = (0..RACERS).map(|n| pattern(50_000 + n, n as u8)).collect();
    race_to_create(harness, &contents);
}

pub(super) fn one_of_many_equal_creates_wins(harness: &dyn StorageHarness) {
    race_to_create(harness, &vec![pattern(50_000, 0); RACERS]);
}

fn race_to_create(harness: &dyn StorageHarness, contents: &[Vec<u8>]) {
    let storage = run(harness, harness.open());
    for (round, course) in COURSES.into_iter().enumerate() {
        let key = &key(&format!("race/{round}.mp4"));
        let reading = Arc::new(AtomicUsize::new(0));
        let outcomes = race(harness, course, contents.len(), |n| {
            let body = once_all_read(&reading, contents.len(), pieces(&contents[n], None));
            storage.create(key, content(&contents[n], body))
        });
        let mut winners = Vec::new();
        for (n, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(CreateOutcome::Created { .. }) => winners.push(n),
                Ok(CreateOutcome::AlreadyExists) => {}
                // A store may refuse to say who won; then it is not the winner that it tells so.
                Err(error) => assert!(error.is_retryable(), "racer {n}: {error}"),
                Ok(CreateOutcome::Unfit(unfit)) => panic!("racer {n} was told {unfit:?} of good content"),
            }
        }
        assert_eq!(winners.len(), 1, "racers {winners:?} were told that they created {key}");
        run(harness, assert_holds(&*storage, key, &contents[winners[0]]));
    }
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

pub(super) fn never_shows_an_object_before_it_is_whole(harness: &dyn StorageHarness) {
    let bytes = pattern(300_000, 0);
    let (storage, key) = (run(harness, harness.open()), key("slow/clip.mp4"));
    let seen = Arc::new(AtomicU64::new(0));
    // Before each piece, the content itself looks at what can be seen of it.
    let looks = pieces(&bytes, None).then({
        let (storage, key, seen) = (Arc::clone(&storage), key.clone(), Arc::clone(&seen));
        move |piece| {
            let (storage, key, seen) = (Arc::clone(&storage), key.clone(), Arc::clone(&seen));
            async move {
                assert_absent(&*storage, &key).await;
                seen.fetch_add(1, Ordering::Relaxed);
                piece
            }
        }
    });
    run(harness, async {
        let outcome = storage.create(&key, content(&bytes, looks.boxed())).await.expect("a create");
        assert!(matches!(outcome, CreateOutcome::Created { .. }), "{outcome:?}");
        assert_holds(&*storage, &key, &bytes).await;
    });
    assert!(seen.load(Ordering::Relaxed) > 1, "the content was read piece by piece");
}

pub(super) fn never_shows_part_of_an_object_to_a_parallel_reader(harness: &dyn StorageHarness) {
    let bytes = &pattern(700_000, 0);
    let storage = &run(harness, harness.open());
    for (round, course) in COURSES.into_iter().enumerate() {
        let key = &key(&format!("read/{round}.mp4"));
        let created = &AtomicBool::new(false);
        race(harness, course, 3, |n| async move {
            if n == 0 {
                // Even if it fails: the readers must come to an end.
                let _guard = SetOnDrop(created);
                return create(&**storage, key, bytes).await;
            }
            loop {
                // In this order: what is created before a look must be seen by it.
                let must_be_there = created.load(Ordering::SeqCst);
                let seen = match n {
                    1 => digest(&**storage, key).await,
                    _ => read(&**storage, key, 0..u64::MAX).await.map(|bytes| digest_of(&bytes)),
                };
                assert!(seen.is_none_or(|seen| seen == digest_of(bytes)), "part of {key} was seen: {seen:?}");
                assert!(seen.is_some() || !must_be_there, "{key} was created and is not seen");
                if must_be_there {
                    return;
                }
            }
        });
    }
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub(super) fn a_create_dropped_while_it_reads_leaves_nothing(harness: &dyn StorageHarness) {
    let bytes = pattern(200_000, 0);
    for read in [0, 1, 3, 5] {
        let key = &key(&format!("stalled/{read}.mp4"));
        run(harness, async {
            let storage = harness.open().await;
            // The content stalls for ever, even behind its last piece, and says so.
            let (stalls, stalled) = oneshot::channel::<()>();
            let stall = stream::once(async move {
                let _ = stalls.send(());
                future::pending().await
            });
            let body = pieces(&bytes, None).take(read).chain(stall).boxed();
            let create = storage.create(key, content(&bytes, body));
            if let Either::Left((outcome, _)) = future::select(create, stalled).await {
                panic!("the content has not ended, but {outcome:?}");
            }
            assert_absent(&*storage, key).await;
            super::create(&*storage, key, b"other").await;
            assert_holds(&*storage, key, b"other").await;
        });
    }
}

pub(super) fn a_dropped_create_is_all_or_nothing(harness: &dyn StorageHarness) {
    let (first, second) = (pattern(200_000, 0), pattern(200_000, 1));
    for polls in 0..24 {
        let key = &key(&format!("dropped/{polls}.mp4"));
        run(harness, async {
            let storage = harness.open().await;
            let mut create = storage.create(key, good(&first));
            for _ in 0..polls {
                if futures::poll!(&mut create).is_ready() {
                    break;
                }
                thread::yield_now();
                let_others_go_first().await;
            }
            drop(create);
            let seen = digest(&*storage, key).await;
            assert!(seen.is_none_or(|seen| seen == digest_of(&first)), "{key} after {polls} polls: {seen:?}");

            // Whoever is first now, it stays so: what was dropped can come late, but only whole.
            let outcome = storage.create(key, good(&second)).await.expect("a create");
            let holds = if outcome == CreateOutcome::AlreadyExists { &first } else { &second };
            assert!(seen.is_none() || holds == &first, "{key} was there, but {outcome:?}");
            assert_holds(&*storage, key, holds).await;
        });
    }
}
