//! Flaws of sources.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use distribution_core::{Body, Checksum, Error, Ranges, Source, SourcePin, Staged, VideoUrl};
use distribution_testkit::conformance::{Harness, SourceHarness, source::CHECKS};
use distribution_testkit::{Fault, MemorySource, World, let_others_go_first};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::{Caught, pass, prove};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    Nothing,
    CallsAbsentFilesEmpty,
    ChecksWhatIsThere,
    LosesTheEnd,
    PinsTheName,
    ReadsWhatIsThereNow,
    GivesPartsOfWhatIsThereNow,
    CallsRefusalsUnavailable,
    SharesOneReader,
    TakesAnyUrl,
    TakesErrorsForNothing,
}

use Flaw::*;

const CAUGHT: Caught<'_, Flaw> = &[
    (LosesTheEnd, &["reads_what_is_staged"]),
    (CallsAbsentFilesEmpty, &["finds_nothing_where_nothing_is_staged"]),
    (ChecksWhatIsThere, &["checks_by_the_text_alone"]),
    (TakesAnyUrl, &["refuses_what_is_outside"]),
    (CallsRefusalsUnavailable, &["refuses_what_is_outside"]),
    (PinsTheName, &["a_pin_stays_while_the_file_does"]),
    (
        ReadsWhatIsThereNow,
        &["never_mixes_two_states_of_a_file", "never_takes_a_file_that_is_cut_or_grows_for_the_whole"],
    ),
    (GivesPartsOfWhatIsThereNow, &["parts_are_of_the_state_that_was_opened"]),
    (SharesOneReader, &["many_read_one_file_at_once"]),
    (TakesErrorsForNothing, &["out_of_reach_is_unavailable"]),
];

#[test]
fn proof_that_the_source_suite_can_fail() {
    prove("source", CHECKS, CAUGHT, |flaw, check| check(&Broken::new(flaw)));
}

#[test]
fn a_source_without_a_flaw_passes() {
    pass(CHECKS, Flaw::Nothing, |flaw, check| check(&Broken::new(flaw)));
}

struct Broken {
    flaw: Flaw,
    world: World,
    reader: Arc<AtomicUsize>,
}

impl Broken {
    fn new(flaw: Flaw) -> Self {
        Self { flaw, world: World::new(), reader: Arc::default() }
    }
}

impl Harness for Broken {}

#[async_trait::async_trait]
impl SourceHarness for Broken {
    async fn open(&self) -> Arc<dyn Source> {
        let (flaw, world, reader) = (self.flaw, self.world.clone(), Arc::clone(&self.reader));
        Arc::new(BrokenSource { flaw, inner: MemorySource::new(&world), world, reader })
    }

    fn url(&self, name: &str) -> VideoUrl {
        VideoUrl::parse(name).unwrap()
    }

    async fn stage(&self, name: &str, bytes: &[u8]) {
        self.world.stage(name, bytes.to_vec());
    }

    async fn cut_off(&self, cut_off: bool) -> bool {
        if cut_off {
            self.world.fail(|_| Some(Fault::LostRequest));
        } else {
            self.world.heal();
        }
        true
    }

    fn refused(&self) -> Vec<VideoUrl> {
        vec![VideoUrl::parse("../clip.mp4").unwrap(), VideoUrl::parse("ftp://host/clip.mp4").unwrap()]
    }
}

struct BrokenSource {
    flaw: Flaw,
    world: World,
    inner: MemorySource,
    /// Where the one reader of all is.
    reader: Arc<AtomicUsize>,
}

impl BrokenSource {
    fn with_flaw(&self, name: String, staged: Staged) -> Staged {
        let (world, pin) = (self.world.clone(), staged.pin.clone());
        let ranges: Option<Box<dyn Ranges>> = match self.flaw {
            GivesPartsOfWhatIsThereNow => Some(Box::new(PartsOfNow(world.clone(), name.clone()))),
            _ => staged.ranges,
        };
        let Body::Stream(pieces) = staged.body else { panic!("not a stream") };
        let body = match self.flaw {
            LosesTheEnd => pieces.take(3).boxed(),
            ReadsWhatIsThereNow => {
                let mut at = 0;
                let now = pieces.map_ok(move |piece| {
                    let bytes = world.staged(&name).unwrap_or_default();
                    let from = at.min(bytes.len());
                    at += piece.len();
                    bytes.slice(from..at.min(bytes.len()))
                });
                now.boxed()
            }
            SharesOneReader => {
                self.reader.store(0, Ordering::SeqCst);
                shared(world.staged(&name).unwrap_or_default(), Arc::clone(&self.reader))
            }
            _ => pieces,
        };
        let tag = if self.flaw == PinsTheName { "pin".to_owned() } else { pin.tag };
        Staged { pin: SourcePin { size: pin.size, tag }, body: Body::Stream(body), ranges }
    }
}

struct PartsOfNow(World, String);

#[async_trait::async_trait]
impl Ranges for PartsOfNow {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let bytes = self.0.staged(&self.1).unwrap_or_default();
        let range = range.start as usize..range.end as usize;
        if range.end > bytes.len() { Err(Error::unavailable("no such bytes")) } else { Ok(bytes.slice(range)) }
    }
}

fn shared(bytes: Bytes, reader: Arc<AtomicUsize>) -> distribution_core::ByteStream {
    let pieces = stream::try_unfold((), move |()| {
        let (bytes, reader) = (bytes.clone(), Arc::clone(&reader));
        async move {
            let_others_go_first().await;
            let at = reader.fetch_add(10_000, Ordering::SeqCst).min(bytes.len());
            let piece = bytes.slice(at..(at + 10_000).min(bytes.len()));
            Ok((!piece.is_empty()).then_some((piece, ())))
        }
    });
    pieces.boxed()
}

#[async_trait::async_trait]
impl Source for BrokenSource {
    fn check(&self, url: &VideoUrl) -> Result<(), Error> {
        match self.flaw {
            TakesAnyUrl => Ok(()),
            ChecksWhatIsThere if self.world.staged(url.expose()).is_none() => {
                Err(Error::invalid("final_edit.video_url", "is not there"))
            }
            _ => self.inner.check(url),
        }
    }

    async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error> {
        let name = url.expose().to_owned();
        match (self.flaw, self.inner.open(url).await) {
            (TakesErrorsForNothing, Err(_)) => Ok(None),
            (CallsRefusalsUnavailable, Err(_)) => Err(Error::unavailable("cannot open it: repeat")),
            (CallsAbsentFilesEmpty, Ok(None)) => Ok(Some(Staged {
                pin: SourcePin { size: 0, tag: Checksum::of(b"").hex() },
                body: Body::Stream(stream::empty().boxed()),
                ranges: None,
            })),
            (_, opened) => Ok(opened?.map(|staged| self.with_flaw(name, staged))),
        }
    }
}
