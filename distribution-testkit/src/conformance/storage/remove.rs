//! The checks of [`Storage::remove`](distribution_core::Storage::remove).

use bytes::Bytes;
use distribution_core::CreateOutcome;

use super::race::{RACERS, winners};
use super::{StorageHarness, assert_absent, assert_holds, content, create, key, read, slowly};
use crate::conformance::{pattern, race, run, trials};

pub(super) fn removes_once_and_again(harness: &dyn StorageHarness) {
    run(harness, async {
        let (storage, key, other) = (harness.open().await, key("mvp/a.mp4"), key("mvp/ab.mp4"));
        storage.remove(&key).await.expect("nothing is there to remove");
        create(&*storage, &key, b"first").await;
        create(&*storage, &other, b"other").await;
        for _ in 0..2 {
            storage.remove(&key).await.expect("a remove");
            assert_absent(&*storage, &key).await;
        }
        assert_holds(&*storage, &other, b"other").await;
        create(&*storage, &key, b"second").await;
        assert_holds(&*storage, &key, b"second").await;
    });
}

pub(super) fn creates_and_removes_at_once_leave_one_or_none(harness: &dyn StorageHarness) {
    const REMOVERS: usize = 4;
    let contents: Vec<Bytes> = (0..RACERS - REMOVERS).map(|n| pattern(50_000 + n, n as u8)).collect();
    let storages = run(harness, async { [harness.open().await, harness.open().await] });
    for (trial, course) in trials(harness) {
        let key = &key(&format!("race/{trial}.mp4"));
        let outcomes = race(harness, course, RACERS, |n| {
            let (storage, bytes) = (&storages[n % 2], contents.get(n));
            async move {
                let Some(bytes) = bytes else {
                    storage.remove(key).await.expect("a remove");
                    return Ok(CreateOutcome::AlreadyExists);
                };
                storage.create(key, content(bytes, slowly(bytes))).await
            }
        });
        let winners = winners(&outcomes);
        // One at first, and one more for each removal.
        assert!((1..=1 + REMOVERS).contains(&winners.len()), "racers {winners:?} were told that they created {key}");
        run(harness, async {
            let storage = &*storages[0];
            match read(storage, key, 0..u64::MAX).await {
                None => assert_absent(storage, key).await,
                Some(held) => {
                    assert!(winners.iter().any(|n| contents[*n] == held), "{key} holds what nobody created");
                    assert_holds(storage, key, &held).await;
                }
            }
            // And nothing comes back afterwards, or stands in the way.
            storage.remove(key).await.expect("a remove");
            assert_absent(storage, key).await;
            create(storage, key, b"next").await;
            assert_holds(&*storages[1], key, b"next").await;
        });
    }
}
