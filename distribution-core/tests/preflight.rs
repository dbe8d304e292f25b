//! What follows from what an inspector finds: nothing, a warning, or an end before anything is stored.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use distribution_core::{
    AuditEvent, DistributionRecord, Error, ErrorKind, Inspector, MediaFacts, MediaTrack, Phase, Policy, Preflight,
    PreflightCheck, PreflightPolicy, Publisher, Ranges, Record, Rejection, Source, SourceFault, Staged, State,
    TargetName, VideoUrl,
};
use distribution_testkit::{Fault, Op, World, request};
use futures::executor::block_on;

const VIDEO: &[u8] = b"approved bytes";

/// Says what it was told to say, and counts how often it is asked.
struct Says {
    answer: Mutex<Result<MediaFacts, Error>>,
    asked: AtomicUsize,
}

#[async_trait]
impl Inspector for Says {
    async fn inspect(&self, file: &dyn Ranges, size: u64) -> Result<MediaFacts, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(file.read(0..size).await?, VIDEO, "it sees the staged file");
        assert_eq!(file.read(3..5).await?, VIDEO[3..5]);
        self.answer.lock().unwrap().clone()
    }
}

fn says(answer: Result<MediaFacts, Error>) -> Arc<Says> {
    Arc::new(Says { answer: Mutex::new(answer), asked: AtomicUsize::new(0) })
}

/// A file that passes every check: the request says 9.7 seconds.
fn sound() -> MediaFacts {
    let video = MediaTrack { kind: "video".into(), codec: Some("avc1".into()), width: Some(1920), height: Some(1080) };
    MediaFacts { duration_seconds: Some(9.72), faststart: Some(true), tracks: vec![video], ..MediaFacts::default() }
}

fn all(check: PreflightCheck) -> PreflightPolicy {
    PreflightPolicy { mp4: check, complete: check, duration: check, faststart: check, duration_tolerance_ms: 500 }
}

struct Site {
    world: World,
    publisher: Publisher,
}

fn site(inspector: &Arc<Says>, preflight: PreflightPolicy) -> Site {
    let world = World::new();
    let source = world.parts(&TargetName::default()).source;
    on(world, source, inspector, preflight)
}

fn on(world: World, source: Arc<dyn Source>, inspector: &Arc<Says>, preflight: PreflightPolicy) -> Site {
    world.stage("clip.mp4", VIDEO);
    let builder = world.builder("host-1").source(source).inspector(inspector.clone());
    let publisher = builder.policy(Policy { preflight, ..Policy::default() }).build().unwrap();
    Site { world, publisher }
}

impl Site {
    fn publish(&self) -> Result<DistributionRecord, Error> {
        block_on(self.publisher.publish(request("clip.mp4", VIDEO)))
    }

    fn record(&self) -> Record {
        Record::decode(self.world.rows().first().unwrap()).unwrap()
    }

    fn on_record(&self) -> Option<Preflight> {
        match self.record().phase {
            Phase::Published(published) => published.preflight.map(|preflight| *preflight),
            _ => None,
        }
    }

    fn is_untouched(&self) -> bool {
        self.world.objects().is_empty() && self.record().state() == State::Rejected
    }
}

#[test]
fn what_is_found_is_on_record_and_shown() {
    let inspector = says(Ok(sound()));
    let site = site(&inspector, PreflightPolicy::default());
    let answer = site.publish().unwrap();
    assert_eq!(site.on_record(), Some(Preflight { facts: sound(), warnings: vec![] }));

    let asset = block_on(site.publisher.record(&answer.audit_log_id)).unwrap().unwrap();
    let shown = serde_json::to_value(&asset).unwrap();
    let expected = serde_json::json!({
        "duration_seconds": 9.72, "faststart": true, "fragmented": false,
        "tracks": [{ "kind": "video", "codec": "avc1", "width": 1920, "height": 1080 }],
    });
    assert_eq!(shown["preflight"], expected);
    assert_eq!(serde_json::from_value::<distribution_core::AssetRecord>(shown).unwrap(), asset);
    // The answer on the wire is as it was.
    assert!(serde_json::to_value(&answer).unwrap().get("preflight").is_none());

    assert_eq!(site.publish().unwrap(), answer);
    assert_eq!(inspector.asked.load(Ordering::SeqCst), 1, "a repeat looks at nothing");
}

/// Each way to fail, and what is said of it.
fn failing() -> [(MediaFacts, &'static str); 7] {
    let not_mp4 = Some("it does not begin with a `ftyp` box".to_owned());
    let incomplete = Some("its `mdat` box says that it goes on for 9 bytes behind its end".to_owned());
    let way_out = "stage what QC saw, or correct final_edit.duration_seconds";
    let leak = |text: String| -> &'static str { Box::leak(text.into_boxed_str()) };
    [
        (
            MediaFacts { not_mp4, ..MediaFacts::default() },
            "it is no MP4, it does not begin with a `ftyp` box: stage the finished MP4",
        ),
        (
            MediaFacts { incomplete, ..sound() },
            "it is not all there, its `mdat` box says that it goes on for 9 bytes behind its end: stage the whole file",
        ),
        (
            MediaFacts { duration_seconds: Some(9.1), ..sound() },
            leak(format!("it plays 9.100 seconds and not 9.700: {way_out}")),
        ),
        (
            MediaFacts { duration_seconds: Some(10.3), ..sound() },
            leak(format!("it plays 10.300 seconds and not 9.700: {way_out}")),
        ),
        (MediaFacts { duration_seconds: None, ..sound() }, "it does not tell how long it plays"),
        (MediaFacts { duration_seconds: Some(f64::NAN), ..sound() }, "it does not tell how long it plays"),
        (
            MediaFacts { faststart: Some(false), ..sound() },
            "its moov box comes after the media: have it made with faststart, and approved anew",
        ),
    ]
}

#[test]
fn refused_is_rejected_before_anything_is_stored_and_opens_again_when_it_is_mended() {
    for (facts, message) in failing() {
        let inspector = says(Ok(facts));
        let site = site(&inspector, all(PreflightCheck::Refuse));
        for _ in 0..2 {
            let error = site.publish().unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::Rejected, Some("final_edit.video_url")));
            assert_eq!(error.message(), format!("the staged file fails preflight: {message}"));
            assert!(site.is_untouched());
        }
        let reason = Rejection::Source { fault: SourceFault::FailedPreflight { message: message.to_owned() } };
        let told = site
            .world
            .audit()
            .into_iter()
            .filter(|entry| matches!(&entry.event, AuditEvent::Rejected { reason: told } if *told == reason));
        assert_eq!(told.count(), 2, "it is on the trail");
        *inspector.answer.lock().unwrap() = Ok(sound());
        site.publish().unwrap();
    }
}

#[test]
fn warned_is_published_and_off_says_nothing() {
    for (facts, message) in failing() {
        let warned = site(&says(Ok(facts.clone())), all(PreflightCheck::Warn));
        warned.publish().unwrap();
        assert_eq!(warned.on_record().unwrap().warnings, [message]);
        let off = site(&says(Ok(facts)), all(PreflightCheck::Off));
        off.publish().unwrap();
        assert_eq!(off.on_record().unwrap().warnings, [""; 0]);
    }
}

#[test]
fn by_default_only_what_is_no_mp4_is_refused() {
    let outcomes = failing().map(|(facts, _)| site(&says(Ok(facts)), PreflightPolicy::default()).publish().is_ok());
    assert_eq!(outcomes, [false, true, true, true, true, true, true]);
}

#[test]
fn the_tolerance_is_met_to_the_millisecond() {
    for (found, tolerance_ms, passes) in [(10.2, 500, true), (9.2, 500, true), (10.201, 500, false), (9.7, 0, true)] {
        let policy = PreflightPolicy { duration_tolerance_ms: tolerance_ms, ..all(PreflightCheck::Refuse) };
        let facts = MediaFacts { duration_seconds: Some(found), ..sound() };
        assert_eq!(site(&says(Ok(facts)), policy).publish().is_ok(), passes, "{found} ± {tolerance_ms} ms");
    }
}

#[test]
fn several_refusals_are_told_together() {
    let facts = MediaFacts { duration_seconds: None, faststart: Some(false), ..sound() };
    let error = site(&says(Ok(facts)), all(PreflightCheck::Refuse)).publish().unwrap_err();
    assert!(error.message().contains("how long it plays; its moov box"), "{error}");
}

/// A source that reads files from their start only.
struct OnePiece(Arc<dyn Source>);

#[async_trait]
impl Source for OnePiece {
    fn check(&self, url: &VideoUrl) -> Result<(), Error> {
        self.0.check(url)
    }

    async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error> {
        Ok(self.0.open(url).await?.map(|staged| Staged { ranges: None, ..staged }))
    }
}

#[test]
fn what_nobody_can_look_into_passes_no_check() {
    let unsupported = || says(Err(Error::new(ErrorKind::Unsupported, "no ranges here")));
    for in_one_piece in [true, false] {
        let made = |policy| {
            let world = World::new();
            let source = world.parts(&TargetName::default()).source;
            let source: Arc<dyn Source> = if in_one_piece { Arc::new(OnePiece(source)) } else { source };
            on(world, source, &unsupported(), policy)
        };
        let refused = made(all(PreflightCheck::Refuse));
        assert!(refused.publish().unwrap_err().message().contains("only in one piece"));
        assert!(refused.is_untouched());
        let warned = made(all(PreflightCheck::Warn));
        warned.publish().unwrap();
        assert_eq!(warned.on_record().unwrap().warnings.len(), 1);
        let off = made(all(PreflightCheck::Off));
        off.publish().unwrap();
        assert!(off.on_record().unwrap().warnings.is_empty());
    }
}

#[test]
fn a_file_that_cannot_be_read_is_no_finding() {
    let inspector = says(Err(Error::unavailable("the staged file cannot be read: repeat")));
    let site = site(&inspector, PreflightPolicy::default());
    assert_eq!(site.publish().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(site.world.objects().is_empty());
    *inspector.answer.lock().unwrap() = Ok(sound());
    site.publish().unwrap();
}

#[test]
fn of_an_object_that_was_found_nobody_knows_the_staged_file() {
    let site = site(&says(Ok(sound())), PreflightPolicy::default());
    site.world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::LostAnswer));
    assert_eq!(site.publish().unwrap_err().kind(), ErrorKind::Unavailable);
    site.world.heal();
    site.publish().unwrap();
    assert_eq!(site.on_record(), None);
}

#[test]
fn what_an_earlier_call_has_stored_of_a_refused_file_is_not_published() {
    let inspector = says(Ok(sound()));
    let site = site(&inspector, PreflightPolicy::default());
    site.world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::LostAnswer));
    assert_eq!(site.publish().unwrap_err().kind(), ErrorKind::Unavailable);
    site.world.heal();
    let not_mp4 = Some("nobody can play it".to_owned());
    *inspector.answer.lock().unwrap() = Ok(MediaFacts { not_mp4, ..MediaFacts::default() });
    assert_eq!(site.publish().unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!((site.world.objects().len(), site.record().state()), (1, State::Rejected));
}

#[test]
fn without_an_inspector_nobody_looks() {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    block_on(world.publisher("host-1").publish(request("clip.mp4", VIDEO))).unwrap();
    let row = world.rows().pop().unwrap();
    assert!(!String::from_utf8_lossy(&row.body).contains("preflight"), "a record is as it was");
}

#[test]
fn findings_fit_a_record_whatever_an_inspector_says() {
    let track = MediaTrack { kind: "x".repeat(1_000), codec: Some("\n".repeat(1_000)), ..MediaTrack::default() };
    let facts = MediaFacts { tracks: vec![track; 10_000], incomplete: Some("é\n".repeat(100_000)), ..sound() };
    let site = site(&says(Ok(facts)), PreflightPolicy::default());
    site.publish().unwrap();
    let kept = site.on_record().unwrap().facts;
    assert_eq!(kept.tracks.len(), MediaFacts::TRACKS_MAX);
    assert_eq!((kept.tracks[0].kind.len(), kept.tracks[0].codec.as_deref()), (16, Some("?".repeat(16).as_str())));
    assert_eq!(kept.incomplete.unwrap().chars().count(), 200);
}

#[test]
fn parts_beyond_the_end_are_no_parts() {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    let source = world.parts(&TargetName::default()).source;
    let staged = block_on(source.open(&VideoUrl::parse("clip.mp4").unwrap())).unwrap().unwrap();
    let read = |range: Range<u64>| block_on(staged.ranges.as_ref().unwrap().read(range));
    assert_eq!(read(0..3).unwrap(), VIDEO[..3]);
    assert_eq!(read(0..1_000).unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn a_plan_looks_into_the_file_too() {
    let plan = |site: &Site| block_on(site.publisher.plan(request("clip.mp4", VIDEO)));
    let slow = MediaFacts { faststart: Some(false), ..sound() };
    let warned = site(&says(Ok(slow.clone())), PreflightPolicy::default());
    let planned = plan(&warned).unwrap().preflight.unwrap();
    assert_eq!((&planned.facts, planned.warnings.len()), (&slow, 1));
    warned.publish().unwrap();
    assert_eq!(plan(&warned).unwrap().preflight, Some(planned), "what is on record");

    let refused = site(&says(Ok(slow)), all(PreflightCheck::Refuse));
    let planned = plan(&refused).unwrap_err();
    assert!(refused.world.rows().is_empty(), "a plan writes nothing");
    assert_eq!(planned.to_string(), refused.publish().unwrap_err().to_string());
}
