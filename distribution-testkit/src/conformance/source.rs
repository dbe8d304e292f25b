//! What [`Source`] guarantees, a check for each sentence.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Body, Error, ErrorKind, Source, SourcePin, VideoUrl};
use futures::TryStreamExt as _;

use super::{Check, Harness, Waivers, pattern, race, run, trials};

/// A source under test. Every check has a harness of its own, and so an empty staging area.
#[async_trait]
pub trait SourceHarness: Harness {
    /// Opens the source.
    async fn open(&self) -> Arc<dyn Source>;

    /// The URL of the staged file of this name, such as `edits/clip.mp4`.
    fn url(&self, name: &str) -> VideoUrl;

    /// Stages a file, or replaces the one that is there, as the pipeline would.
    async fn stage(&self, name: &str, bytes: &[u8]);

    /// Puts the staging area out of reach of those who have it open, or back into it. False if that
    /// cannot be done; then waive `out_of_reach_is_unavailable`.
    async fn cut_off(&self, cut_off: bool) -> bool {
        let _ = cut_off;
        false
    }

    /// URLs that `check` refuses.
    fn refused(&self) -> Vec<VideoUrl>;

    /// The checks that this backend cannot pass, and why.
    fn waived(&self) -> Waivers {
        &[]
    }
}

/// One test per guarantee of [`Source`](distribution_core::Source). Takes an expression that makes a
/// new [`SourceHarness`]; invoke it in a module of its own.
#[macro_export]
macro_rules! source_conformance {
    ($harness:expr) => {
        $crate::__source_checks! { __conformance_tests (source, SourceHarness, $harness) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __source_checks {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            reads_what_is_staged
            finds_nothing_where_nothing_is_staged
            checks_by_the_text_alone
            refuses_what_is_outside
            a_pin_stays_while_the_file_does
            never_mixes_two_states_of_a_file
            never_takes_a_file_that_is_cut_or_grows_for_the_whole
            parts_are_of_the_state_that_was_opened
            many_read_one_file_at_once
            out_of_reach_is_unavailable
        }
    };
}

/// The suite.
pub const CHECKS: &[Check<dyn SourceHarness>] = __source_checks! { __conformance_checks (dyn SourceHarness) };

fn reads_what_is_staged(harness: &dyn SourceHarness) {
    run(harness, async {
        let source = harness.open().await;
        for size in [0, 1, 4096, (1 << 20) + 7] {
            let (name, bytes) = (format!("edits/{size}.mp4"), pattern(size, 0));
            harness.stage(&name, &bytes).await;
            let (pin, read) = open(&*source, &harness.url(&name)).await.expect("it is there");
            assert_eq!(pin.size, size as u64);
            assert!(read.expect("a whole body") == bytes, "{name} reads as it was staged");
        }
    });
}

fn finds_nothing_where_nothing_is_staged(harness: &dyn SourceHarness) {
    run(harness, async {
        let source = harness.open().await;
        harness.stage("edits/clip.mp4", b"bytes").await;
        for name in ["clip.mp4", "edits/clip.mp", "edits/clip.mp44", "other/clip.mp4"] {
            assert!(open(&*source, &harness.url(name)).await.is_none(), "{name} is not staged");
        }
    });
}

fn checks_by_the_text_alone(harness: &dyn SourceHarness) {
    let source = run(harness, harness.open());
    // Outside of any runtime, and whether the file is there or not.
    source.check(&harness.url("edits/not-there.mp4")).expect("a URL within what is configured");
    run(harness, harness.stage("edits/clip.mp4", b"bytes"));
    source.check(&harness.url("edits/clip.mp4")).expect("a URL within what is configured");
}

fn refuses_what_is_outside(harness: &dyn SourceHarness) {
    let source = run(harness, harness.open());
    let refused = harness.refused();
    assert!(!refused.is_empty(), "the harness names no URL that is refused");
    for url in refused {
        for result in [source.check(&url), run(harness, source.open(&url)).map(|_| ())] {
            let error = result.expect_err("a URL outside of what is configured");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{url}: {error}");
            assert_eq!(error.field(), Some("final_edit.video_url"), "{url}: {error}");
        }
    }
}

fn a_pin_stays_while_the_file_does(harness: &dyn SourceHarness) {
    run(harness, async {
        let (source, url) = (harness.open().await, harness.url("edits/clip.mp4"));
        harness.stage("edits/clip.mp4", b"first").await;
        let (first, _) = open(&*source, &url).await.expect("it is there");
        let (again, _) = open(&*harness.open().await, &url).await.expect("it is there");
        assert_eq!(first, again, "one state of the file has one pin");
        harness.stage("edits/clip.mp4", b"other").await;
        let (other, read) = open(&*source, &url).await.expect("it is there");
        assert!(first != other, "another state of the file, of the same size, has the same pin {first:?}");
        assert_eq!(read.expect("a whole body"), b"other");
    });
}

fn never_mixes_two_states_of_a_file(harness: &dyn SourceHarness) {
    let first = pattern(LEN, 0);
    for when in [When::Before, When::AtTheFirstPiece] {
        changes_while_read(harness, when, &first, &pattern(LEN, 1));
    }
}

fn never_takes_a_file_that_is_cut_or_grows_for_the_whole(harness: &dyn SourceHarness) {
    let longer = pattern(LEN + 70_000, 0);
    let first = longer.slice(..LEN);
    for when in [When::Before, When::AtTheFirstPiece] {
        for other in [&longer.slice(..0), &longer.slice(..1_000), &longer.slice(..LEN - 1), &longer] {
            changes_while_read(harness, when, &first, other);
        }
    }
}

const LEN: usize = 400_000;

/// When a file changes that was opened.
#[derive(Clone, Copy)]
enum When {
    /// Before anything is read.
    Before,
    AtTheFirstPiece,
}

fn changes_while_read(harness: &dyn SourceHarness, when: When, first: &[u8], other: &[u8]) {
    run(harness, async {
        let (source, url) = (harness.open().await, harness.url("edits/clip.mp4"));
        harness.stage("edits/clip.mp4", first).await;
        let staged = source.open(&url).await.expect("an open").expect("it is there");
        let (pin, mut body) = (staged.pin, staged.body);
        assert_eq!(pin.size, first.len() as u64);
        let (start, is_file) = match (&mut body, when) {
            (Body::Stream(_) | Body::Object { .. }, When::Before) => (Vec::new(), false),
            (Body::Stream(pieces) | Body::Object { bytes: pieces, .. }, When::AtTheFirstPiece) => {
                (pieces.try_next().await.expect("a piece").expect("a piece").to_vec(), false)
            }
            (Body::File { .. }, When::Before) => (Vec::new(), true),
            (Body::File { file, .. }, When::AtTheFirstPiece) => (read_some(file, 1_000), true),
            _ => panic!("a body that this check does not know"),
        };
        harness.stage("edits/clip.mp4", other).await;
        // An error is an answer.
        let Ok(rest) = drain(body).await else { return };
        if [start, rest].concat() == first {
            return;
        }
        assert!(is_file, "bytes of another state than the pin names, without an error");
        // Of a file, it is the store that looks at the pin; it must be able to notice.
        let now = open(&*source, &url).await.expect("it is there").0;
        assert!(pin != now, "the file changed while it was read, and its pin did not");
    });
}

fn parts_are_of_the_state_that_was_opened(harness: &dyn SourceHarness) {
    run(harness, async {
        let (source, url) = (harness.open().await, harness.url("edits/clip.mp4"));
        let (first, other) = (pattern(LEN, 0), pattern(LEN, 1));
        harness.stage("edits/clip.mp4", &first).await;
        let staged = source.open(&url).await.expect("an open").expect("it is there");
        // A source may have none.
        let Some(ranges) = &staged.ranges else { return };
        let parts = [0..1, 0..0, 0..LEN, LEN - 1..LEN, LEN..LEN, 70_000..70_016, 5..300_005];
        let read = |range: &Range<usize>| ranges.read(range.start as u64..range.end as u64);
        for part in &parts {
            assert!(read(part).await.expect("a part") == first[part.clone()], "the bytes {part:?}");
        }
        read(&(LEN - 1..LEN + 1)).await.expect_err("a part that goes beyond the end");
        harness.stage("edits/clip.mp4", &other).await;
        for part in &parts {
            // An error is an answer.
            let Ok(bytes) = read(part).await else { continue };
            assert!(bytes == first[part.clone()], "the bytes {part:?} of another state than the pin names");
        }
    });
}

fn many_read_one_file_at_once(harness: &dyn SourceHarness) {
    let bytes = &pattern(LEN, 0);
    run(harness, harness.stage("edits/clip.mp4", bytes));
    let (source, url) = &(run(harness, harness.open()), harness.url("edits/clip.mp4"));
    let (pin, _) = &run(harness, open(&**source, url)).expect("it is there");
    for (_, course) in trials(harness) {
        race(harness, course, 8, |_| async move {
            let (now, read) = open(&**source, url).await.expect("it is there");
            assert!(now == *pin && read.expect("a whole body") == *bytes, "a reader of its own");
        });
    }
}

fn out_of_reach_is_unavailable(harness: &dyn SourceHarness) {
    run(harness, async {
        let source = harness.open().await;
        harness.stage("edits/clip.mp4", b"bytes").await;
        assert!(harness.cut_off(true).await, "this harness cannot cut the staging area off: waive this check");
        for name in ["edits/clip.mp4", "edits/absent.mp4"] {
            // Not `None`: that would be believed.
            let error = source.open(&harness.url(name)).await.map(|_| ()).expect_err("an open, out of reach");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{name}: {error}");
            source.check(&harness.url(name)).expect("a URL within what is configured");
        }
        assert!(harness.cut_off(false).await, "back into reach");
        let (_, read) = open(&*source, &harness.url("edits/clip.mp4")).await.expect("it is there");
        assert_eq!(read.expect("a whole body"), b"bytes");
    });
}

async fn open(source: &dyn Source, url: &VideoUrl) -> Option<(SourcePin, Result<Vec<u8>, Error>)> {
    let staged = source.open(url).await.expect("an open")?;
    if let Body::File { pin, .. } = &staged.body {
        assert_eq!(*pin, staged.pin, "the body's pin is the file's");
    }
    Some((staged.pin, drain(staged.body).await))
}

async fn drain(body: Body) -> Result<Vec<u8>, Error> {
    match body {
        Body::Stream(pieces) | Body::Object { bytes: pieces, .. } => Ok(pieces.try_collect::<Vec<_>>().await?.concat()),
        Body::File { mut file, .. } => Ok(read_some(&mut file, u64::MAX)),
        _ => panic!("a body that this check does not know"),
    }
}

fn read_some(file: &mut File, bytes_max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes).expect("a staged file that can be read");
    bytes
}
