//! What [`Source`] guarantees, a check for each sentence.

use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Body, Error, ErrorKind, Source, SourcePin, VideoUrl};
use futures::TryStreamExt as _;

use super::{Check, Harness, Waivers, pattern, run};

/// A source under test. Every check has a harness of its own, and so an empty staging area.
#[async_trait]
pub trait SourceHarness: Harness {
    /// Opens the source.
    async fn open(&self) -> Arc<dyn Source>;

    /// The URL of the staged file of this name, such as `edits/clip.mp4`.
    fn url(&self, name: &str) -> VideoUrl;

    /// Stages a file, or replaces the one that is there, as the pipeline would.
    async fn stage(&self, name: &str, bytes: &[u8]);

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
    let (first, second) = (pattern(400_000, 0), pattern(400_000, 1));
    run(harness, async {
        let (source, url) = (harness.open().await, harness.url("edits/clip.mp4"));
        harness.stage("edits/clip.mp4", &first).await;
        let staged = source.open(&url).await.expect("an open").expect("it is there");
        let (pin, mut body) = (staged.pin, staged.body);
        let (start, is_file) = match &mut body {
            Body::Stream(pieces) => (pieces.try_next().await.expect("a piece").expect("a piece").to_vec(), false),
            Body::File { file, .. } => (read_some(file, 1000), true),
            _ => panic!("a body that this check does not know"),
        };
        harness.stage("edits/clip.mp4", &second).await;
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

async fn open(source: &dyn Source, url: &VideoUrl) -> Option<(SourcePin, Result<Vec<u8>, Error>)> {
    let staged = source.open(url).await.expect("an open")?;
    if let Body::File { pin, .. } = &staged.body {
        assert_eq!(*pin, staged.pin, "the body's pin is the file's");
    }
    Some((staged.pin, drain(staged.body).await))
}

async fn drain(body: Body) -> Result<Vec<u8>, Error> {
    match body {
        Body::Stream(pieces) => Ok(pieces.try_collect::<Vec<_>>().await?.concat()),
        Body::File { mut file, .. } => Ok(read_some(&mut file, u64::MAX)),
        _ => panic!("a body that this check does not know"),
    }
}

fn read_some(file: &mut File, bytes_max: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.take(bytes_max).read_to_end(&mut bytes).expect("a staged file that can be read");
    bytes
}
