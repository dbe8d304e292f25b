//! The checks of one create at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use distribution_core::{ByteStream, Content, ContentHeaders, CreateOutcome, Error, Meter, Unfit};

use super::{
    StorageHarness, assert_absent, assert_holds, content, create, digest_of, good, key, large, pieces, pieces_of,
};
use crate::conformance::{pattern, run};

pub(super) fn never_changes_what_is_there(harness: &dyn StorageHarness) {
    run(harness, async {
        let (storage, key) = (harness.open().await, key("mvp/clip.mp4"));
        create(&*storage, &key, b"first").await;
        for other in [b"second and longer".as_slice(), b"other", b"", b"first"] {
            let outcome = storage.create(&key, good(other)).await;
            assert_eq!(outcome.expect("a create"), CreateOutcome::AlreadyExists);
            assert_holds(&*storage, &key, b"first").await;
        }
        let unfit = storage.create(&key, content(b"other", pieces(b"OTHER", None))).await;
        assert!(!matches!(unfit, Ok(CreateOutcome::Created { .. })), "unfit content was created");
        assert_holds(&*storage, &key, b"first").await;
    });
}

pub(super) fn a_large_create_never_changes_what_is_there(harness: &dyn StorageHarness) {
    let (first, second) = (large(harness, 0), large(harness, 1));
    run(harness, async {
        let storage = harness.open().await;
        for (name, present) in [("mvp/large.mp4", &first[..]), ("mvp/small.mp4", b"small")] {
            let key = key(name);
            create(&*storage, &key, present).await;
            for other in [&second, &first] {
                let outcome = storage.create(&key, content(other, pieces_of(other, None))).await;
                assert_eq!(outcome.expect("a create"), CreateOutcome::AlreadyExists);
                assert_holds(&*storage, &key, present).await;
            }
        }
        let large = key("mvp/large.mp4");
        assert_eq!(storage.create(&large, good(b"small")).await.expect("a create"), CreateOutcome::AlreadyExists);
        assert_holds(&*storage, &large, &first).await;
    });
}

pub(super) fn refuses_other_bytes(harness: &dyn StorageHarness) {
    let (expected, actual) = (pattern(100_000, 0), pattern(100_000, 1));
    run(harness, async {
        let (storage, key) = (harness.open().await, key("mvp/clip.mp4"));
        let outcome = storage.create(&key, content(&expected, pieces(&actual, None))).await;
        let found = digest_of(&actual);
        assert_eq!(outcome.expect("an answer"), CreateOutcome::Unfit(Unfit::OtherBytes { found }));
        assert_absent(&*storage, &key).await;
        create(&*storage, &key, &expected).await;
        assert_holds(&*storage, &key, &expected).await;
    });
}

pub(super) fn refuses_content_that_ends_early(harness: &dyn StorageHarness) {
    let expected = pattern(100_000, 0);
    leaves_nothing(harness, &expected, || pieces(&expected[..99_999], None));
    leaves_nothing(harness, &expected, || pieces(&[], None));
}

pub(super) fn refuses_content_that_goes_on(harness: &dyn StorageHarness) {
    let expected = pattern(100_000, 0);
    let more = [&expected[..], b"+"].concat();
    leaves_nothing(harness, &expected, || pieces(&more, None));
    leaves_nothing(harness, &[], || pieces(b"+", None));
}

pub(super) fn refuses_content_that_fails(harness: &dyn StorageHarness) {
    let expected = pattern(100_000, 0);
    // At the start, in the middle, and after the last byte: that too is no whole file.
    for read in [0, 50_000, 100_000] {
        leaves_nothing(harness, &expected, || pieces(&expected[..read], Some(Error::unavailable("broken source"))));
    }
}

pub(super) fn refuses_large_content_that_is_unfit(harness: &dyn StorageHarness) {
    let (expected, mut flipped) = (large(harness, 0), large(harness, 0).to_vec());
    // In the last piece, when most of it is stored somewhere already.
    *flipped.last_mut().expect("a byte") ^= 1;
    let flipped = Bytes::from(flipped);
    let more = Bytes::from([&expected[..], b"+"].concat());
    let broken = || Some(Error::unavailable("broken source"));
    leaves_nothing(harness, &expected, || pieces_of(&flipped, None));
    leaves_nothing(harness, &expected, || pieces_of(&more, None));
    leaves_nothing(harness, &expected, || pieces_of(&expected.slice(..expected.len() - 1), None));
    leaves_nothing(harness, &expected, || pieces_of(&expected, broken()));
}

/// Content with this body is not created, leaves nothing, and does not stand in the way.
fn leaves_nothing(harness: &dyn StorageHarness, expected: &[u8], body: impl Fn() -> ByteStream + Sync) {
    run(harness, async {
        let (storage, key) = (harness.open().await, key("mvp/clip.mp4"));
        let outcome = storage.create(&key, content(expected, body())).await;
        assert!(matches!(outcome, Err(_) | Ok(CreateOutcome::Unfit(_))), "unfit content, but {outcome:?}");
        assert_absent(&*storage, &key).await;
        create(&*storage, &key, expected).await;
        assert_holds(&*storage, &key, expected).await;
        storage.remove(&key).await.expect("a remove");
    });
}

pub(super) fn a_proof_is_true(harness: &dyn StorageHarness) {
    let bytes = pattern(70_001, 0);
    run(harness, async {
        let (storage, key) = (harness.open().await, key("mvp/clip.mp4"));
        let outcome = storage.create(&key, good(&bytes)).await.expect("a create");
        let CreateOutcome::Created { proof } = outcome else { panic!("nothing is there, but {outcome:?}") };
        assert!(proof.is_none_or(|proof| proof.digest == digest_of(&bytes)), "{proof:?}");
    });
}

pub(super) fn meters_what_it_stores(harness: &dyn StorageHarness) {
    run(harness, async {
        let storage = harness.open().await;
        for (name, bytes) in [("a.mp4", pattern(300_000, 0)), ("b.mp4", large(harness, 0))] {
            let (meter, total) = counting();
            storage.create(&key(name), Content { meter, ..good(&bytes) }).await.expect("a create");
            assert_eq!(total.load(Ordering::SeqCst), bytes.len() as u64, "what the meter was told of {name}");
        }
    });
}

/// A meter, and what it was told in all.
pub(super) fn counting() -> (Meter, Arc<AtomicU64>) {
    let total = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&total);
    (Meter::new(move |bytes| _ = counted.fetch_add(bytes, Ordering::SeqCst)), total)
}

pub(super) fn keeps_headers_where_it_can(harness: &dyn StorageHarness) {
    let of = |name: &str| ContentHeaders {
        content_type: "video/mp4".into(),
        content_disposition: format!("inline; filename=\"{name}\"; filename*=UTF-8''caf%C3%A9.mp4"),
        cache_control: format!("private, max-age={}", name.len()),
        user_metadata: [("audit-log-id".into(), name.into())].into(),
    };
    run(harness, async {
        let storage = harness.open().await;
        for name in ["a.mp4", "mvp/clip.mp4"] {
            let (key, headers) = (key(name), of(name));
            storage.create(&key, Content { headers: headers.clone(), ..good(b"bytes") }).await.expect("a create");
            // Other headers do not change what is there either.
            storage.create(&key, good(b"bytes")).await.expect("a create");
            let kept = harness.headers(&key).await;
            assert!(kept.is_none_or(|kept| kept == headers), "the headers of {name}");
        }
        let large_key = key("large.mp4");
        storage
            .create(&large_key, Content { headers: of("large"), ..good(&large(harness, 0)) })
            .await
            .expect("a create");
        let kept = harness.headers(&large_key).await;
        assert!(kept.is_none_or(|kept| kept == of("large")), "the headers of a large object");
    });
}
