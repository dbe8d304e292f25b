//! The checks of [`Storage::list`].

use distribution_core::{ObjectKey, Storage};
use futures::{FutureExt as _, StreamExt as _, stream};

use super::{StorageHarness, create, key};
use crate::conformance::run;

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
    run(harness, async {
        let storage = harness.open().await;
        let object_keys: Vec<_> = keys.iter().map(|name| key(name)).collect();
        let creates: Vec<_> = object_keys.iter().map(|key| create(&*storage, key, b"x").boxed()).collect();
        stream::iter(creates).buffer_unordered(16).collect::<()>().await;
        assert_eq!(list(&*storage, "many/", None, OBJECTS + 1).await, keys);
        assert_eq!(list(&*storage, "", Some("many/0003.mp4"), 1_005).await, keys[4..1_009]);
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
