//! The checks of what readers see of an object that is being created or removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use distribution_core::{Checksum, CreateOutcome, Digest, ObjectKey, Storage};
use futures::{StreamExt as _, TryStreamExt as _};

use super::{
    StorageHarness, assert_absent, assert_holds, content, create, digest, digest_of, key, large, pieces, slowly,
};
use crate::conformance::{Course, SetOnDrop, few_trials, pattern, race, run, trials};
use crate::time::let_others_go_first;

pub(super) fn never_shows_an_object_before_it_is_whole(harness: &dyn StorageHarness) {
    let bytes = pattern(300_000, 0);
    let (storage, reader) = run(harness, async { (harness.open().await, harness.open().await) });
    let (key, seen) = (key("slow/clip.mp4"), Arc::new(AtomicU64::new(0)));
    // Before each piece, the content itself looks at what can be seen of it.
    let looks = pieces(&bytes, None).then({
        let (key, seen) = (key.clone(), Arc::clone(&seen));
        move |piece| {
            let (reader, key, seen) = (Arc::clone(&reader), key.clone(), Arc::clone(&seen));
            async move {
                assert_absent(&*reader, &key).await;
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
    let bytes = pattern(300_000, 0);
    watch_creates(harness, trials(harness), &bytes);
}

pub(super) fn never_shows_part_of_a_large_object_to_a_parallel_reader(harness: &dyn StorageHarness) {
    watch_creates(harness, few_trials(harness), &large(harness, 0));
}

fn watch_creates(harness: &dyn StorageHarness, trials: impl Iterator<Item = (usize, Course)>, bytes: &Bytes) {
    let (storage, reader) = &run(harness, async { (harness.open().await, harness.open().await) });
    for (trial, course) in trials {
        let key = &key(&format!("watched/{trial}.mp4"));
        let created = &AtomicBool::new(false);
        race(harness, course, 1 + LOOKS.len(), |n| async move {
            let Some(look) = n.checked_sub(1).map(|n| LOOKS[n]) else {
                let _guard = SetOnDrop(created);
                let outcome = storage.create(key, content(bytes, slowly(bytes))).await.expect("a create");
                return assert!(matches!(outcome, CreateOutcome::Created { .. }), "{key}: {outcome:?}");
            };
            loop {
                // In this order: what is created before a look must be seen by it.
                let must_be_there = created.load(Ordering::SeqCst);
                let is_seen = look.sees(&**reader, key, bytes).await;
                assert!(is_seen || !must_be_there, "{key} was created, but {look:?} does not see it");
                if must_be_there {
                    return;
                }
                let_others_go_first().await;
            }
        });
    }
}

pub(super) fn never_shows_part_of_what_is_removed(harness: &dyn StorageHarness) {
    let bytes = &pattern(300_000, 0);
    let (storage, reader) = &run(harness, async { (harness.open().await, harness.open().await) });
    for (trial, course) in trials(harness) {
        let key = &key(&format!("removed/{trial}.mp4"));
        run(harness, create(&**storage, key, bytes));
        let removed = &AtomicBool::new(false);
        race(harness, course, 1 + LOOKS.len(), |n| async move {
            let Some(look) = n.checked_sub(1).map(|n| LOOKS[n]) else {
                // A few turns late, when the others are reading.
                for _ in 0..trial % 16 {
                    let_others_go_first().await;
                }
                let _guard = SetOnDrop(removed);
                return storage.remove(key).await.expect("a remove");
            };
            loop {
                let must_be_gone = removed.load(Ordering::SeqCst);
                let is_seen = look.sees(&**reader, key, bytes).await;
                assert!(!is_seen || !must_be_gone, "{key} was removed, but {look:?} sees it");
                if must_be_gone {
                    return;
                }
                let_others_go_first().await;
            }
        });
    }
}

/// The ways of looking at an object.
#[derive(Clone, Copy, Debug)]
enum Look {
    Digest,
    Stat,
    Open,
    List,
}

const LOOKS: [Look; 4] = [Look::Digest, Look::Stat, Look::Open, Look::List];

impl Look {
    /// Whether these bytes are seen at `key`; fails if it is others, or a part of them.
    async fn sees(self, storage: &dyn Storage, key: &ObjectKey, bytes: &[u8]) -> bool {
        let seen = match self {
            Self::Digest => digest(storage, key).await,
            Self::Open => {
                let Some(stream) = storage.open(key, 0..u64::MAX).await.expect("an open") else { return false };
                match stream.try_collect::<Vec<_>>().await {
                    Ok(pieces) => Some(digest_of(&pieces.concat())),
                    // It was removed while it was read, and the stream says so.
                    Err(_) => return false,
                }
            }
            Self::Stat => {
                let stat = storage.stat(key).await.expect("a stat");
                stat.map(|stat| Digest { checksum: Checksum::of(bytes), size: stat.size })
            }
            Self::List => {
                return storage.list(key.as_str(), None, 10).await.expect("a list").contains(key);
            }
        };
        assert!(seen.is_none_or(|seen| seen == digest_of(bytes)), "part of {key} was seen: {seen:?}");
        seen.is_some()
    }
}
