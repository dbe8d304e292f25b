//! What [`Staging`] guarantees, a check for each sentence.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use distribution_core::{Checksum, Digest, Removal, SourcePin, StagedFile, Staging};
use futures::TryStreamExt as _;

use super::{Check, SourceHarness, Waivers, pattern, race, run, trials};

/// A staging area under test: what a [`SourceHarness`] reads, as a whole.
#[async_trait]
pub trait StagingHarness: SourceHarness {
    /// Opens the staging area.
    async fn staging(&self) -> Arc<dyn Staging>;

    /// Whether the store itself may lose a write that it has acknowledged, if a removal came at the same moment.
    fn may_lose_writes(&self) -> bool {
        false
    }

    /// The checks that this backend cannot pass, and why.
    fn waived(&self) -> Waivers {
        &[]
    }
}

/// One test per guarantee of [`Staging`](distribution_core::Staging). Takes an expression that makes a
/// new [`StagingHarness`]; invoke it in a module of its own.
#[macro_export]
macro_rules! staging_conformance {
    ($harness:expr) => {
        $crate::__staging_checks! { __conformance_tests (staging, StagingHarness, $harness) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __staging_checks {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            lists_every_file_once
            agrees_with_the_source
            digests_only_that_state
            removes_only_that_state
            a_file_staged_anew_is_in_another_state
            of_many_that_remove_one_file_one_is_told_so
            never_removes_what_replaces_the_file
        }
    };
}

/// The suite.
pub const CHECKS: &[Check<dyn StagingHarness>] = __staging_checks! { __conformance_checks (dyn StagingHarness) };

const CLIP: &str = "edits/clip.mp4";

fn lists_every_file_once(harness: &dyn StagingHarness) {
    run(harness, async {
        // A staging area is there once it was opened.
        let _ = harness.open().await;
        let staging = harness.staging().await;
        assert_eq!(list(&*staging).await, []);
        let names: Vec<String> = (0..60).map(|n| format!("edits/{}/{n}.mp4", n % 3)).chain([CLIP.into()]).collect();
        for name in &names {
            harness.stage(name, name.as_bytes()).await;
        }
        let listed = list(&*staging).await;
        let sizes: BTreeMap<&str, u64> = listed.iter().map(|file| (file.url.expose(), file.pin.size)).collect();
        assert_eq!((listed.len(), sizes.len()), (names.len(), names.len()), "each file is told of once");
        for name in &names {
            let url = staging.resolve(&harness.url(name)).expect("one of these files");
            assert_eq!(sizes.get(url.expose()), Some(&(name.len() as u64)), "{name} is told of by its one URL");
            assert_eq!(staging.resolve(&url), Some(url), "which names itself");
        }
    });
}

fn agrees_with_the_source(harness: &dyn StagingHarness) {
    run(harness, async {
        let (source, staging) = (harness.open().await, harness.staging().await);
        for bytes in [pattern(1_000, 0), pattern(1_000, 1), pattern(0, 0)] {
            harness.stage(CLIP, &bytes).await;
            let file = the_one(&*staging).await;
            for url in [&file.url, &harness.url(CLIP)] {
                let staged = source.open(url).await.expect("an open").expect("it is there");
                assert_eq!(staged.pin, file.pin, "one state has one pin");
            }
        }
        for url in harness.refused() {
            assert_eq!(staging.resolve(&url), None, "{url} is none of these");
        }
    });
}

fn digests_only_that_state(harness: &dyn StagingHarness) {
    run(harness, async {
        let _ = harness.open().await;
        let staging = harness.staging().await;
        let bytes = pattern(300_000, 0);
        harness.stage(CLIP, &bytes).await;
        let file = the_one(&*staging).await;
        let digest = Digest { checksum: Checksum::of(&bytes), size: bytes.len() as u64 };
        assert_eq!(staging.digest(&file).await.expect("a digest"), Some(digest));
        harness.stage(CLIP, &pattern(300_000, 1)).await;
        assert_eq!(staging.digest(&file).await.expect("an answer"), None, "it is in another state");
    });
}

fn removes_only_that_state(harness: &dyn StagingHarness) {
    run(harness, async {
        let source = harness.open().await;
        let staging = harness.staging().await;
        harness.stage(CLIP, b"first").await;
        harness.stage("edits/other.mp4", b"other").await;
        let first = named(&*staging, CLIP, harness).await;
        harness.stage(CLIP, b"again").await;
        assert_eq!(staging.remove(&first).await.expect("an answer"), Removal::Changed);
        let again = named(&*staging, CLIP, harness).await;
        assert!(first.pin != again.pin, "two states have two pins");
        assert_eq!(staging.remove(&again).await.expect("an answer"), Removal::Removed);
        assert!(source.open(&again.url).await.expect("a look").is_none(), "it is gone");
        for file in [&first, &again] {
            assert_eq!(staging.remove(file).await.expect("an answer"), Removal::Gone);
        }
        assert_eq!(the_one(&*staging).await.pin.size, 5, "the other file is as it was");
    });
}

fn a_file_staged_anew_is_in_another_state(harness: &dyn StagingHarness) {
    run(harness, async {
        let _ = harness.open().await;
        let staging = harness.staging().await;
        let mut pins: Vec<SourcePin> = Vec::new();
        for _ in 0..2 {
            harness.stage(CLIP, b"the same bytes").await;
            let file = the_one(&*staging).await;
            assert!(!pins.contains(&file.pin), "the same bytes, staged anew, have the same pin");
            pins.push(file.pin.clone());
            assert_eq!(staging.remove(&file).await.expect("an answer"), Removal::Removed);
            // Some stores tell times in whole seconds.
            thread::sleep(Duration::from_millis(1_100));
        }
    });
}

fn of_many_that_remove_one_file_one_is_told_so(harness: &dyn StagingHarness) {
    run(harness, async { drop(harness.open().await) });
    let staging = &run(harness, harness.staging());
    for (_, course) in trials(harness).take(10) {
        run(harness, harness.stage(CLIP, b"bytes"));
        let file = &run(harness, the_one(&**staging));
        let told = race(harness, course, 4, |_| async move { staging.remove(file).await.expect("an answer") });
        let removed = told.iter().filter(|told| **told == Removal::Removed).count();
        assert!(removed >= 1 && !told.contains(&Removal::Changed), "{told:?}");
        assert_eq!(run(harness, list(&**staging)), []);
    }
}

fn never_removes_what_replaces_the_file(harness: &dyn StagingHarness) {
    run(harness, async { drop(harness.open().await) });
    let staging = &run(harness, harness.staging());
    for (_, course) in trials(harness).take(100) {
        run(harness, harness.stage(CLIP, b"first"));
        let first = &run(harness, the_one(&**staging));
        race(harness, course, 2, |n| async move {
            match n {
                0 => drop(staging.remove(first).await),
                _ => harness.stage(CLIP, b"a longer second").await,
            }
        });
        let sizes: Vec<u64> = run(harness, list(&**staging)).iter().map(|file| file.pin.size).collect();
        let lost = sizes.is_empty() && harness.may_lose_writes();
        assert!(lost || sizes == [15], "what was staged last is there: {sizes:?}");
    }
}

async fn list(staging: &dyn Staging) -> Vec<StagedFile> {
    staging.list().try_collect().await.expect("a listing")
}

async fn the_one(staging: &dyn Staging) -> StagedFile {
    let [file] = list(staging).await.try_into().expect("one file");
    file
}

async fn named(staging: &dyn Staging, name: &str, harness: &dyn StagingHarness) -> StagedFile {
    let url = staging.resolve(&harness.url(name)).expect("one of these files");
    list(staging).await.into_iter().find(|file| file.url == url).expect("it is listed")
}
