//! The checks of what is read, removed and told of objects.

use std::collections::HashSet;

use distribution_core::CreateOutcome;

use super::{StorageHarness, assert_absent, assert_holds, create, digest, digest_of, good, key, read};
use crate::conformance::{pattern, run};

pub(super) fn reads_back_what_was_created(harness: &dyn StorageHarness) {
    run(harness, async {
        let (storage, key) = (harness.open().await, key("mvp/clip-0123456789ab.mp4"));
        create(&*storage, &key, b"approved bytes").await;
        assert_holds(&*storage, &key, b"approved bytes").await;
    });
}

pub(super) fn keeps_objects_of_any_size(harness: &dyn StorageHarness) {
    run(harness, async {
        let storage = harness.open().await;
        for size in [0, 1, 4096, (1 << 20) + 7] {
            let (key, bytes) = (key(&format!("size/{size}.mp4")), pattern(size, 0));
            create(&*storage, &key, &bytes).await;
            assert_holds(&*storage, &key, &bytes).await;
        }
    });
}

pub(super) fn takes_keys_of_any_shape(harness: &dyn StorageHarness) {
    let (segment, deep) = ("s".repeat(255), "d/".repeat(449) + "e");
    let full = ["u".repeat(255), "v".repeat(255), "w".repeat(255), "x".repeat(900 - 768)].join("/");
    let shapes = [
        "a.b",
        "a/b",
        "a-b",
        "a_b",
        "-",
        "_",
        "--help",
        "a..b",
        "b/a.",
        "x.mp4",
        "x.mp4.tmp",
        "0",
        &segment,
        &deep,
        &full,
    ];
    run(harness, async {
        let storage = harness.open().await;
        for shape in shapes {
            create(&*storage, &key(shape), shape.as_bytes()).await;
        }
        for shape in shapes {
            assert_holds(&*storage, &key(shape), shape.as_bytes()).await;
        }
    });
}

pub(super) fn tells_upper_and_lower_case_apart(harness: &dyn StorageHarness) {
    run(harness, async {
        let storage = harness.open().await;
        for name in ["mvp/clip.mp4", "mvp/Clip.mp4", "MVP/clip.mp4"] {
            create(&*storage, &key(name), name.as_bytes()).await;
        }
        for name in ["mvp/clip.mp4", "mvp/Clip.mp4", "MVP/clip.mp4"] {
            assert_holds(&*storage, &key(name), name.as_bytes()).await;
        }
    });
}

pub(super) fn finds_nothing_where_nothing_is(harness: &dyn StorageHarness) {
    run(harness, async {
        let storage = harness.open().await;
        assert_absent(&*storage, &key("a.mp4")).await;
        create(&*storage, &key("mvp/a.mp4"), b"a").await;
        for absent in ["a.mp4", "mvp/a.mp", "mvp/a.mp44", "mvp/b.mp4", "mvp", "m", "mvp/sub/a.mp4", "mvp/a.mp4/b.mp4"] {
            assert_absent(&*storage, &key(absent)).await;
        }
    });
}

pub(super) fn survives_reopening(harness: &dyn StorageHarness) {
    let key = key("mvp/clip.mp4");
    run(harness, async { create(&*harness.open().await, &key, b"approved bytes").await });
    run(harness, async {
        let storage = harness.open().await;
        assert_holds(&*storage, &key, b"approved bytes").await;
        let outcome = storage.create(&key, good(b"other")).await.expect("a create");
        assert_eq!(outcome, CreateOutcome::AlreadyExists);
    });
}

pub(super) fn digest_reads_what_is_really_stored(harness: &dyn StorageHarness) {
    let (bytes, decayed) = (pattern(100_000, 0), pattern(100_000, 1));
    run(harness, async {
        let (storage, key) = (harness.open().await, key("mvp/clip.mp4"));
        create(&*storage, &key, &bytes).await;
        assert_eq!(digest(&*storage, &key).await, Some(digest_of(&bytes)));
        assert!(harness.replace(&key, &decayed).await, "this harness cannot replace an object: waive this check");
        assert_eq!(digest(&*storage, &key).await, Some(digest_of(&decayed)));
    });
}

pub(super) fn stat_tells_size_and_etag(harness: &dyn StorageHarness) {
    run(harness, async {
        let storage = harness.open().await;
        let mut etags = HashSet::new();
        for (name, bytes) in [("a.mp4", b"12345".as_slice()), ("b.mp4", b"54321"), ("c.mp4", b"")] {
            let key = key(name);
            create(&*storage, &key, bytes).await;
            let stat = storage.stat(&key).await.expect("a stat").expect("the object is there");
            assert_eq!(storage.stat(&key).await.expect("a stat"), Some(stat.clone()), "the same on every look");
            assert_eq!(stat.size, bytes.len() as u64);
            if let Some(etag) = stat.etag {
                assert!(!etag.is_empty() && !etag.contains('"') && !etag.starts_with("W/"), "the etag {etag}");
                assert!(etags.insert(etag), "different bytes have the same etag");
            }
        }
    });
}

pub(super) fn opens_any_range(harness: &dyn StorageHarness) {
    let bytes = pattern(100_003, 0);
    let len = bytes.len() as u64;
    run(harness, async {
        let storage = harness.open().await;
        let (key, empty) = (key("mvp/clip.mp4"), key("mvp/empty.mp4"));
        create(&*storage, &key, &bytes).await;
        create(&*storage, &empty, b"").await;
        let edges = [0, 1, 2, 65_535, 65_536, 65_537, len - 1, len, len + 1, u64::MAX - 1, u64::MAX];
        for (start, end) in edges.into_iter().flat_map(|start| edges.map(|end| (start, end))) {
            let cut = |at: u64| at.min(len) as usize;
            let expected = bytes.get(cut(start)..cut(end)).unwrap_or_default();
            let found = read(&*storage, &key, start..end).await;
            assert!(found.as_deref() == Some(expected), "the range {start}..{end} of {len} bytes");
            assert_eq!(read(&*storage, &empty, start..end).await.as_deref(), Some(b"".as_slice()));
        }
    });
}

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

pub(super) fn locations_differ_and_hold_no_credentials(harness: &dyn StorageHarness) {
    let storage = run(harness, harness.open());
    let mut locations = HashSet::new();
    for name in ["a.mp4", "a/b.mp4", "a.b", "a-b", "a_b", "A.mp4", "b.mp4", "b/a.mp4"] {
        let location = storage.location(&key(name));
        assert_eq!(location, storage.location(&key(name)), "the same on every look");
        let (_, rest) = location.as_str().split_once("://").expect("a scheme");
        assert!(rest.ends_with(name), "{location} does not name {name}");
        assert!(!rest.contains(['@', '?', '#']), "{location} may hold credentials");
        assert!(locations.insert(location), "two keys have one location");
    }
}
