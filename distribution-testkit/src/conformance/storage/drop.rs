//! The checks of creates that are dropped, as by a timeout or a crash of the caller.

use distribution_core::CreateOutcome;
use futures::channel::oneshot;
use futures::future::{self, Either};
use futures::{StreamExt as _, stream};

use super::{
    StorageHarness, assert_absent, assert_holds, content, create, digest, digest_of, good, key, pieces, slowly,
};
use crate::conformance::{drop_after, pattern, polls, run};

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
    for polls in polls() {
        let key = &key(&format!("dropped/{polls}.mp4"));
        let ended = run(harness, async {
            let storage = harness.open().await;
            let ended = drop_after(polls, storage.create(key, content(&first, slowly(&first)))).await;
            let seen = digest(&*storage, key).await;
            assert!(seen.is_none_or(|seen| seen == digest_of(&first)), "{key} after {polls} polls: {seen:?}");

            // Whoever is first now, it stays so: what was dropped can come late, but only whole.
            let outcome = storage.create(key, good(&second)).await.expect("a create");
            let holds = if outcome == CreateOutcome::AlreadyExists { &first[..] } else { &second };
            assert!(seen.is_none() || holds == first, "{key} was there, but {outcome:?}");
            assert_holds(&*storage, key, holds).await;
            ended
        });
        if ended.is_some() {
            return;
        }
    }
}

pub(super) fn a_create_whose_answer_is_lost_is_found_by_the_next(harness: &dyn StorageHarness) {
    let bytes = pattern(200_000, 0);
    let good = || content(&bytes, slowly(&bytes));
    for polls in polls() {
        let key = &key(&format!("lost/{polls}.mp4"));
        let ended = run(harness, async {
            let storage = harness.open().await;
            let ended = drop_after(polls, storage.create(key, good())).await;
            let was_there = digest(&*storage, key).await.is_some();
            assert!(was_there || ended.is_none(), "{key} was created and is not there");

            // By another process, for which the first one is lost for good.
            let storage = harness.open().await;
            let outcome = storage.create(key, good()).await.expect("a create");
            let found = outcome == CreateOutcome::AlreadyExists;
            assert!(found || matches!(outcome, CreateOutcome::Created { .. }) && !was_there, "{key}: {outcome:?}");
            assert_holds(&*storage, key, &bytes).await;
            assert_eq!(storage.create(key, good()).await.expect("a create"), CreateOutcome::AlreadyExists);
            ended
        });
        if ended.is_some() {
            return;
        }
    }
    let key = &key("kept.mp4");
    run(harness, async {
        create(&*harness.open().await, key, &bytes).await;
        assert_eq!(harness.open().await.create(key, good()).await.expect("a create"), CreateOutcome::AlreadyExists);
    });
}
