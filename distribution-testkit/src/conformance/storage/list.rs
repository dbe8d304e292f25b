//! The checks of [`Storage::list`].

use std::sync::atomic::{AtomicUsize, Ordering};

use distribution_core::{ObjectKey, Storage};

use super::race::RACERS;
use super::{StorageHarness, create, key};
use crate::conformance::{Course, few_trials, race, run};
use crate::time::let_others_go_first;

/// Sorted by bytes, which is neither the order of folders nor that of words: `-` and `.` come before
/// `/`, and capitals before small letters.
const KEYS: [&str; 12] = ["D/x", "a-x", "a.x", "a/x", "a/x.y", "a0", "a_x", "aa/x", "b/c-d", "b/c.d", "b/c/d", "b/c0"];

pub(super) fn lists_in_byte_order(harness: &dyn StorageHarness) {
    run(harness, async {
        let storage = harness.open().await;
        assert_eq!(list(&*storage, "", None, 10).await, Vec::<String>::new());
        create_all(&*storage).await;
        assert_eq!(list(&*storage, "", None, usize::MAX).await, KEYS);
    });
}

pub(super) fn lists_by_any_beginning(harness: &dyn StorageHarness) {
    let prefixes = [
        "", "a", "a/", "a/x", "a/x.", "a.", "a-", "A", "D", "b", "b/", "b/c", "b/c/", "b/c/d", "b/c/d/", "zz", "/",
        "//", ".", "../",
    ];
    run(harness, async {
        let storage = harness.open().await;
        create_all(&*storage).await;
        for prefix in prefixes {
            assert_eq!(list(&*storage, prefix, None, 100).await, expected(prefix, None), "the prefix {prefix:?}");
        }
    });
}

pub(super) fn lists_in_pages(harness: &dyn StorageHarness) {
    run(harness, async {
        let storage = harness.open().await;
        create_all(&*storage).await;
        for prefix in ["", "a", "b/c", "b/c/"] {
            // Behind each key that is there, and behind some that are not, inside the prefix and out.
            for after in KEYS.into_iter().chain(["-", "A", "a", "a/w", "b/c", "b/c/c", "zz"]) {
                let following = expected(prefix, Some(after));
                for limit in [0, 1, 2, 5, 100, usize::MAX] {
                    let page = list(&*storage, prefix, Some(after), limit).await;
                    let most = following.len().min(limit);
                    assert_eq!(page, following[..most], "at most {limit} of {prefix:?} behind {after}");
                }
            }
        }
    });
}

pub(super) fn lists_more_than_a_thousand(harness: &dyn StorageHarness) {
    const OBJECTS: usize = 1_010;
    let keys: Vec<_> = (0..OBJECTS).map(|n| format!("many/{n:04}.mp4")).collect();
    let storage = &run(harness, harness.open());
    // Many at a time, where one would wait for the disk or the network.
    race(harness, Course::Threads, RACERS, |n| {
        let mine = keys.iter().skip(n).step_by(RACERS);
        async move {
            for name in mine {
                create(&**storage, &key(name), b"x").await;
            }
        }
    });
    run(harness, async {
        assert_eq!(list(&**storage, "many/", None, OBJECTS + 1).await, keys);
        assert_eq!(list(&**storage, "", Some("many/0003.mp4"), 1_005).await, keys[4..1_009]);
    });
}

pub(super) fn lists_what_was_just_created(harness: &dyn StorageHarness) {
    run(harness, async {
        let (storage, reader) = (harness.open().await, harness.open().await);
        for n in 0..16 {
            let name = format!("new/{n}.mp4");
            create(&*storage, &key(&name), b"x").await;
            let listed = list(&*reader, "new/", None, 100).await;
            assert!(listed.contains(&name) && listed.len() == n + 1, "{name} is missing from {listed:?}");
        }
    });
}

pub(super) fn lists_the_same_while_others_write(harness: &dyn StorageHarness) {
    const KEPT: usize = 40;
    const WRITES: usize = 30;
    let kept: Vec<_> = (0..KEPT).map(|n| format!("steady/{n:02}-kept.mp4")).collect();
    let (storage, lister) = &run(harness, async { (harness.open().await, harness.open().await) });
    run(harness, async {
        for name in &kept {
            create(&**storage, &key(name), b"kept").await;
        }
    });
    for (trial, course) in few_trials(harness) {
        let writing = &AtomicUsize::new(2);
        race(harness, course, 4, |n| {
            let kept = &kept;
            async move {
                // Two list while two create and remove, before and behind and among what is listed.
                if n < 2 {
                    while writing.load(Ordering::SeqCst) > 0 {
                        let listed = list_all(&**lister, "steady/", 7 + n).await;
                        let steady: Vec<_> = listed.iter().filter(|name| name.ends_with("-kept.mp4")).collect();
                        assert_eq!(steady, kept.iter().collect::<Vec<_>>(), "each once, in order");
                    }
                    return;
                }
                let _guard = Leave(writing);
                for write in 0..WRITES {
                    let folder = if write % 3 == 0 { "-x/" } else { "" };
                    let key = key(&format!("steady/{:02}{folder}-{trial}-{n}.mp4", (write * 7 + n) % KEPT));
                    create(&**storage, &key, b"new").await;
                    if write % 4 != 3 {
                        storage.remove(&key).await.expect("a remove");
                    }
                }
            }
        });
    }
}

/// One less writes.
struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// All pages, whose keys must follow each other.
async fn list_all(storage: &dyn Storage, prefix: &str, limit: usize) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    loop {
        let page = list(storage, prefix, all.last().map(String::as_str), limit).await;
        let is_last = page.len() < limit;
        all.extend(page);
        assert!(all.is_sorted_by(|a, b| a < b), "not in order, or twice: {all:?}");
        if is_last {
            return all;
        }
        let_others_go_first().await;
    }
}

async fn create_all(storage: &dyn Storage) {
    // Not in order, so that the order of creation is not the order of the list.
    for name in KEYS.iter().step_by(2).chain(KEYS.iter().skip(1).step_by(2)) {
        create(storage, &key(name), name.as_bytes()).await;
    }
}

async fn list(storage: &dyn Storage, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let after = after.map(key);
    let listed = storage.list(prefix, after.as_ref(), limit).await.expect("a list");
    listed.into_iter().map(ObjectKey::into).collect()
}

fn expected(prefix: &str, after: Option<&str>) -> Vec<&'static str> {
    KEYS.into_iter().filter(|key| key.starts_with(prefix) && after.is_none_or(|after| *key > after)).collect()
}
