use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use distribution_core::{ObjectKey, Storage};

use crate::support::{Place, bytes_of, key_of};

/// Puts files where `create` would, only faster.
fn put_all<'a>(place: &Place, keys: impl IntoIterator<Item = &'a str>) {
    for key in keys {
        let path = place.store(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }
}

/// Lists in pages of `limit` to the end.
async fn pages(place: &Place, prefix: &str, limit: usize) -> Vec<String> {
    let mut keys: Vec<ObjectKey> = Vec::new();
    loop {
        let page = place.disk.list(prefix, keys.last(), limit).await.unwrap();
        assert!(page.len() <= limit);
        let is_last = page.len() < limit;
        keys.extend(page);
        if is_last {
            return keys.into_iter().map(String::from).collect();
        }
    }
}

#[tokio::test]
async fn the_order_is_that_of_whole_keys_in_pages_of_any_size() {
    let place = Place::new();
    let keys = ["a-b", "a-b-", "a/b", "a/b-c/d", "a/b.c", "a/c/d/e", "a.b/x", "a0", "a_/z", "A", "0/1/2", "ab/c", "z"];
    // `a/b` is a file beside the folder `a/b-c`.
    put_all(&place, keys);
    let sorted: BTreeSet<&str> = keys.into_iter().collect();
    for limit in [1, 2, 3, 5, 100, usize::MAX] {
        for prefix in ["", "a", "a/", "a/b", "a/b-c/", "a-", "a/b-", "z", "zz", "q/", "a/b/", "../", "/", "a//", "."] {
            let expected: Vec<&str> = sorted.iter().copied().filter(|key| key.starts_with(prefix)).collect();
            assert_eq!(pages(&place, prefix, limit).await, expected, "{prefix:?} by {limit}");
        }
    }
    assert!(place.disk.list("", None, 0).await.unwrap().is_empty());
}

#[tokio::test]
async fn after_need_not_be_a_key_that_is_there() {
    let place = Place::new();
    put_all(&place, ["a/b", "a/d", "b/a", "c"]);
    for (after, expected) in [
        ("a", vec!["a/b", "a/d", "b/a", "c"]),
        ("a/b", vec!["a/d", "b/a", "c"]),
        ("a/c", vec!["a/d", "b/a", "c"]),
        ("a/d/x", vec!["b/a", "c"]),
        ("a0", vec!["b/a", "c"]),
        ("zzz", vec![]),
    ] {
        let page = place.disk.list("", Some(&key_of(after)), 10).await.unwrap();
        assert_eq!(page.iter().map(ObjectKey::as_str).collect::<Vec<_>>(), expected, "{after}");
    }
}

#[tokio::test]
async fn random_trees_are_listed_like_a_sorted_set() {
    let alphabet = ["a", "b", "-", "0", "a-", "a.b", "_", "a0", "A", "ab"];
    for seed in 0..20 {
        let place = Place::new();
        let mut keys = BTreeSet::new();
        for (n, random) in bytes_of(seed, 40 * 4).chunks(4).enumerate() {
            let depth = 1 + random[0] as usize % 3;
            let folders = random[1..=depth].iter().map(|byte| alphabet[*byte as usize % alphabet.len()]);
            // The number keeps files and folders apart; the rest brings them near.
            let path: Vec<&str> = folders.collect();
            keys.insert(format!("{}.{n}", path.join("/")));
        }
        put_all(&place, keys.iter().map(String::as_str));
        let keys: Vec<String> = keys.into_iter().collect();
        for limit in [1, 7, 1000] {
            assert_eq!(pages(&place, "", limit).await, keys, "seed {seed}, limit {limit}");
        }
    }
}

#[tokio::test]
async fn a_folder_with_more_names_than_are_held_at_a_time_is_listed_whole() {
    let place = Place::new();
    // Empty folders sort first and fill whole rounds.
    for n in 0..2100 {
        fs::create_dir_all(place.store(&format!("mvp/0-{n:04}"))).unwrap();
    }
    let keys: Vec<String> = (0..2500).map(|n| format!("mvp/clip-{n:04}.mp4")).collect();
    put_all(&place, keys.iter().map(String::as_str));
    assert_eq!(pages(&place, "mvp/", usize::MAX).await, keys);
    assert_eq!(pages(&place, "", 999).await, keys);
}

#[tokio::test]
async fn only_objects_are_listed() {
    let place = Place::new();
    put_all(&place, ["clip.mp4", ".hidden", ".stage-00", ".folder/clip.mp4", "a b.mp4", "é.mp4", "c/.stage-11", "c/d"]);
    fs::write(place.store("").join(std::ffi::OsStr::from_bytes(b"\xff.mp4")), b"").unwrap();
    std::os::unix::fs::symlink("clip.mp4", place.store("link.mp4")).unwrap();
    std::os::unix::fs::symlink("c", place.store("linked")).unwrap();
    std::os::unix::net::UnixListener::bind(place.store("socket")).unwrap();
    assert_eq!(pages(&place, "", 10).await, ["c/d", "clip.mp4"]);
    assert!(pages(&place, "linked/", 10).await.is_empty());
    assert!(pages(&place, ".folder/", 10).await.is_empty());
}
