//! The checks of what is read and told of objects.

use std::collections::HashSet;
use std::sync::atomic::Ordering;

use distribution_core::{CreateOutcome, ErrorKind, Meter};
use futures::TryStreamExt as _;

use super::create::counting;
use super::{StorageHarness, assert_absent, assert_holds, create, digest, digest_of, good, key, large, read};
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
        let large = harness.large_bytes();
        for size in [0, 1, 4096, (1 << 20) + 7, large - 1, large, large + 1] {
            let (key, bytes) = (key(&format!("size/{size}.mp4")), pattern(size, 0));
            // Where a size is twice in the list.
            storage.remove(&key).await.expect("a remove");
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
        "x.mp4-r1",
        "x.mp4.lock/x.mp4",
        "tmp/x.mp4",
        "CON",
        "nul.mp4",
        "z....",
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

pub(super) fn keeps_a_key_beside_its_folder_or_refuses_it(harness: &dyn StorageHarness) {
    run(harness, async {
        let storage = harness.open().await;
        for (first, second) in
            [("a", "a/b"), ("c/d", "c"), ("x.mp4", "x.mp4/y/z.mp4"), ("m/n/o", "m"), ("p/q/r", "p/q")]
        {
            let (first, second) = (key(first), key(second));
            create(&*storage, &first, b"first").await;
            match storage.create(&second, good(b"second")).await {
                Ok(CreateOutcome::Created { .. }) => assert_holds(&*storage, &second, b"second").await,
                Ok(outcome) => panic!("{second}: nothing is there, but {outcome:?}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Conflict, "{second} beside {first}: {error}");
                    assert_absent(&*storage, &second).await;
                }
            }
            assert_holds(&*storage, &first, b"first").await;
            storage.remove(&second).await.expect("a remove");
            assert_absent(&*storage, &second).await;
            assert_holds(&*storage, &first, b"first").await;
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

pub(super) fn out_of_reach_is_an_error(harness: &dyn StorageHarness) {
    run(harness, async {
        let (storage, present, absent) = (harness.open().await, key("mvp/a.mp4"), key("mvp/b.mp4"));
        create(&*storage, &present, b"bytes").await;
        assert!(harness.cut_off(true).await, "this harness cannot cut the store off: waive this check");
        for key in [&present, &absent] {
            assert!(storage.digest(key, &Meter::default()).await.is_err(), "a digest of {key}, out of reach");
            assert!(storage.stat(key).await.is_err(), "a stat of {key}, out of reach");
            assert!(storage.open(key, 0..u64::MAX).await.is_err(), "an open of {key}, out of reach");
            assert!(storage.create(key, good(b"other")).await.is_err(), "a create at {key}, out of reach");
        }
        assert!(storage.list("mvp/", None, 10).await.is_err(), "a list, out of reach");
        assert!(storage.remove(&present).await.is_err(), "a remove, out of reach");
        assert!(harness.cut_off(false).await, "back into reach");
        // Nothing was answered, so nothing is known; but what is there is whole, and goes on.
        for (key, bytes) in [(&present, b"bytes"), (&absent, b"other")] {
            let seen = digest(&*storage, key).await;
            assert!(seen.is_none_or(|seen| seen == digest_of(bytes)), "{key} holds {seen:?}");
        }
        create(&*storage, &key("mvp/c.mp4"), b"next").await;
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

pub(super) fn digest_meters_what_it_reads(harness: &dyn StorageHarness) {
    run(harness, async {
        let (storage, bytes) = (harness.open().await, large(harness, 0));
        create(&*storage, &key("mvp/clip.mp4"), &bytes).await;
        for (name, expected) in [("mvp/clip.mp4", bytes.len() as u64), ("mvp/absent.mp4", 0)] {
            let (meter, total) = counting();
            storage.digest(&key(name), &meter).await.expect("a digest");
            assert_eq!(total.load(Ordering::SeqCst), expected, "what the meter was told of {name}");
        }
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

pub(super) fn opens_the_edges_of_a_large_object(harness: &dyn StorageHarness) {
    let bytes = large(harness, 0);
    let (len, large_bytes) = (bytes.len(), harness.large_bytes());
    let edges = [0, 1, 1 << 12, 1 << 16, 1 << 18, 1 << 20, 5 << 20, 8 << 20, large_bytes, len / 2, len - 2, len];
    run(harness, async {
        let (storage, key) = (harness.open().await, key("mvp/clip.mp4"));
        create(&*storage, &key, &bytes).await;
        for edge in edges.into_iter().filter(|edge| *edge <= len) {
            let (before, behind) = (edge.saturating_sub(1), (edge + 1).min(len));
            for cut in [before..edge, before..behind, edge..behind, edge..edge, edge..(edge + 5_000).min(len)] {
                let found = read(&*storage, &key, cut.start as u64..cut.end as u64).await;
                assert!(found.as_deref() == Some(&bytes[cut.clone()]), "the range {cut:?} of {len} bytes");
            }
        }
        let end = read(&*storage, &key, len as u64 - 5_000..u64::MAX).await;
        assert!(end.as_deref() == Some(&bytes[len - 5_000..]), "the end of {len} bytes");
        let all = read(&*storage, &key, 0..len as u64).await;
        assert!(all.as_deref() == Some(&bytes[..]), "all of {len} bytes");
    });
}

pub(super) fn an_object_cut_short_ends_in_an_error(harness: &dyn StorageHarness) {
    let bytes = large(harness, 0);
    run(harness, async {
        let storage = harness.open().await;
        for left in [0, 1, 10_000, bytes.len() - 1] {
            let key = key(&format!("mvp/{left}.mp4"));
            create(&*storage, &key, &bytes).await;
            let mut stream = storage.open(&key, 0..u64::MAX).await.expect("an open").expect("the object is there");
            let start = stream.try_next().await.expect("a piece").expect("a piece");
            assert!(
                harness.replace(&key, &bytes[..left]).await,
                "this harness cannot replace an object: waive this check"
            );
            // What was buffered may come whole.
            let Ok(rest) = stream.try_collect::<Vec<_>>().await else { continue };
            assert!([&start[..], &rest.concat()].concat() == bytes, "a stream of a part, without an error");
        }
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
