//! The checks of one create at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use distribution_core::{ByteStream, Content, CreateOutcome, Error, Meter, Unfit};

use super::{StorageHarness, assert_absent, assert_holds, content, create, digest_of, good, key, pieces};
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
    let more = [expected.as_slice(), b"+"].concat();
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
    let (bytes, total) = (pattern(300_000, 0), Arc::new(AtomicU64::new(0)));
    run(harness, async {
        let counted = Arc::clone(&total);
        let meter = Meter::new(move |bytes| _ = counted.fetch_add(bytes, Ordering::Relaxed));
        let content = Content { meter, ..good(&bytes) };
        harness.open().await.create(&key("mvp/clip.mp4"), content).await.expect("a create");
    });
    assert_eq!(total.load(Ordering::Relaxed), 300_000);
}
