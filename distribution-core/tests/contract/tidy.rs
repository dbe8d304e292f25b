//! Left-overs: what is found and removed, and what is never touched.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use distribution_core::{
    Body, ByteStream, Checksum, Content, ContentHeaders, CreateOutcome, Digest, Error, ErrorKind, HoldOn, LeftOver,
    LeftOverKind, LeftOverOutcome, Location, Meter, ObjectKey, ObjectStat, Publisher, Reason, Spared, Storage,
    Timestamp, Unfinished,
};
use distribution_testkit::{Fault, MemoryStorage, Op, World, request};
use futures::executor::block_on;
use futures::{StreamExt as _, stream};

use crate::support::{VIDEO, publish, staged};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn tidy(publisher: &Publisher, removes: bool) -> Vec<LeftOver> {
    let grace = TimeDelta::days(1);
    let mut pass = if removes { publisher.tidy(grace) } else { publisher.plan_tidy(grace) };
    block_on(async {
        let mut all = Vec::new();
        while let Some(left_over) = pass.next().await.unwrap() {
            all.push(left_over);
        }
        all
    })
}

fn put(world: &World, key: &str) {
    let headers = ContentHeaders {
        content_type: "video/mp4".into(),
        content_disposition: "inline".into(),
        cache_control: "no-store".into(),
        user_metadata: Default::default(),
    };
    let (expected, body) =
        (Checksum::of(b"trial"), Body::Stream(stream::iter([Ok(Bytes::from_static(b"trial"))]).boxed()));
    let content = Content { size: 5, expected, headers, body, meter: Meter::default() };
    let storage = world.parts(&Default::default()).storage;
    block_on(storage.create(&ObjectKey::parse(key).unwrap(), content)).unwrap();
}

/// A world in which the first attempt's object had other bytes.
fn with_a_failed_attempt() -> World {
    let world = staged();
    let spoilt = std::sync::atomic::AtomicBool::new(false);
    world.fail(move |effect| {
        let first = effect.op == Op::StorageCreate && !spoilt.swap(true, std::sync::atomic::Ordering::Relaxed);
        first.then_some(Fault::Corrupt)
    });
    publish(&world, &request("clip.mp4", VIDEO)).unwrap();
    world.heal();
    assert_eq!(world.objects().len(), 2);
    world
}

#[test]
fn what_was_left_goes_after_the_grace_time_and_nothing_else() {
    let world = with_a_failed_attempt();
    put(&world, "distribution-doctor/1/small.mp4");
    put(&world, "somebody-elses.mp4");
    let publisher = world.publisher("tidier");
    assert_eq!(tidy(&publisher, true), [], "it may still be in use");

    world.advance(DAY);
    let planned = tidy(&publisher, false);
    assert!(planned.iter().all(|left_over| left_over.outcome == LeftOverOutcome::Remove));
    assert_eq!(world.objects().len(), 4);
    let done = tidy(&publisher, true);
    let kinds: Vec<_> = done.iter().map(|left_over| &left_over.kind).collect();
    assert!(matches!(kinds[..], [LeftOverKind::Attempt { .. }, LeftOverKind::Trial]), "{kinds:?}");
    assert!(done.iter().all(|left_over| left_over.outcome == LeftOverOutcome::Removed), "{done:?}");

    let keys: Vec<String> = world.objects().into_keys().map(|(_, key)| key).collect();
    assert!(keys.iter().any(|key| key.ends_with("-r1.mp4")) && keys.contains(&"somebody-elses.mp4".to_owned()));
    assert_eq!(keys.len(), 2);
    publish(&world, &request("clip.mp4", VIDEO)).expect("what is published is as it was");
    assert_eq!(tidy(&publisher, true), []);
}

#[test]
fn the_object_of_another_publication_stays() {
    let world = with_a_failed_attempt();
    // Restored behind everybody's back, and published for another concept, which has the same key.
    let key = world.objects().into_keys().map(|(_, key)| key).find(|key| !key.ends_with("-r1.mp4")).unwrap();
    world.corrupt("default", &key, |bytes| *bytes = VIDEO.to_vec());
    let mut another = request("clip.mp4", VIDEO);
    another.distribution_settings.metadata.concept_id = Some("another".parse().unwrap());
    publish(&world, &another).unwrap();
    world.advance(DAY);
    let [kept] = tidy(&world.publisher("tidier"), true).try_into().unwrap();
    assert!(matches!(kept.outcome, LeftOverOutcome::Keep(Spared::Owned { .. })), "{kept}");
    world.keeps_promises().unwrap();
}

#[test]
fn what_was_cleared_away_is_never_stored_to_again() {
    let world = with_a_failed_attempt();
    world.advance(DAY);
    world.fail(|effect| {
        (effect.op == Op::StorageRemove && !effect.subject.contains("sweep")).then_some(Fault::AppliedLate)
    });
    tidy(&world.publisher("tidier"), true);
    world.heal();
    let mut another = request("clip.mp4", VIDEO);
    another.distribution_settings.metadata.concept_id = Some("another".parse().unwrap());
    let record = publish(&world, &another).unwrap();
    assert!(record.storage_location.as_str().ends_with("-r1.mp4"), "{}", record.storage_location);
    world.keeps_promises().unwrap();
}

#[test]
fn nothing_is_published_where_trials_are_made() {
    let world = staged();
    let mut call = request("clip.mp4", VIDEO);
    call.distribution_settings.storage_prefix = Some("distribution-doctor/".parse().unwrap());
    let error = publish(&world, &call).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("distribution_settings.storage_prefix")));
}

/// A storage with an upload that nobody has finished, for this key; or one that does not tell since when objects are
/// there.
struct Strange {
    storage: Arc<MemoryStorage>,
    unfinished: Option<(ObjectKey, Timestamp)>,
    tells_time: bool,
}

#[async_trait::async_trait]
impl Storage for Strange {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        self.storage.create(key, content).await
    }
    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        self.storage.digest(key, meter).await
    }
    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        let stat = self.storage.stat(key).await?;
        Ok(stat.map(|stat| ObjectStat { modified: stat.modified.filter(|_| self.tells_time), ..stat }))
    }
    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.storage.open(key, range).await
    }
    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.storage.remove(key).await
    }
    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        self.storage.list(prefix, after, limit).await
    }
    async fn unfinished(&self, _: Timestamp, _: usize) -> Result<Vec<Unfinished>, Error> {
        let upload = |(key, begun_at): &(ObjectKey, Timestamp)| {
            let (name, token) = (key.to_string(), "upload-1".to_owned());
            Unfinished { name, begun_at: *begun_at, token }
        };
        Ok(self.unfinished.iter().map(upload).collect())
    }
    fn location(&self, key: &ObjectKey) -> Location {
        self.storage.location(key)
    }
}

fn tidier(world: &World, unfinished: Option<(ObjectKey, Timestamp)>, tells_time: bool) -> Publisher {
    let parts = world.parts(&Default::default());
    let storage = Arc::new(Strange { storage: parts.storage, unfinished, tells_time });
    world.builder("tidier").target(Default::default(), storage, parts.signer).build().unwrap()
}

#[test]
fn an_upload_that_may_be_under_way_is_left_alone() {
    let world = staged();
    let begun = world.now();
    world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::LostRequest));
    publish(&world, &request("clip.mp4", VIDEO)).unwrap_err();
    world.heal();
    let key = block_on(world.publisher("a").plan(request("clip.mp4", VIDEO))).unwrap().storage_location;
    let key = ObjectKey::parse(key.as_str().strip_prefix("memory://default/").unwrap()).unwrap();
    world.advance(DAY * 2);
    let publisher = tidier(&world, Some((key, begun)), true);
    let [kept] = tidy(&publisher, true).try_into().unwrap();
    assert!(matches!(&kept.outcome, LeftOverOutcome::Keep(Spared::UnderWay { .. })), "{kept}");
    publish(&world, &request("clip.mp4", VIDEO)).unwrap();
    let [gone] = tidy(&publisher, true).try_into().unwrap();
    assert_eq!(gone.outcome, LeftOverOutcome::Removed, "nobody is at work any more");
}

#[test]
fn left_overs_behind_many_that_have_gone_are_found() {
    let world = with_a_failed_attempt();
    world.advance(DAY);
    assert_eq!(tidy(&world.publisher("tidier"), true).len(), 1);
    let mut another = request("clip.mp4", VIDEO);
    another.distribution_settings.storage_prefix = Some("older/".parse().unwrap());
    let spoilt = std::sync::atomic::AtomicBool::new(false);
    world.fail(move |effect| {
        let first = effect.op == Op::StorageCreate && !spoilt.swap(true, std::sync::atomic::Ordering::Relaxed);
        first.then_some(Fault::Corrupt)
    });
    publish(&world, &another).unwrap();
    world.heal();
    world.advance(DAY);
    assert_eq!(tidy(&world.publisher("tidier"), true).len(), 1, "the one that is there, and not the one that has gone");
}

#[test]
fn what_the_store_tells_no_time_of_is_told_and_left_to_a_person() {
    let world = with_a_failed_attempt();
    put(&world, "distribution-doctor/1/small.mp4");
    world.advance(DAY);
    let publisher = tidier(&world, None, false);
    for removes in [false, true] {
        let told = tidy(&publisher, removes);
        assert!(
            matches!(
                told[..],
                [
                    LeftOver {
                        kind: LeftOverKind::Attempt { .. },
                        since: None,
                        outcome: LeftOverOutcome::Keep(Spared::Timeless),
                        ..
                    },
                    LeftOver {
                        kind: LeftOverKind::Trial,
                        since: None,
                        outcome: LeftOverOutcome::Keep(Spared::Timeless),
                        ..
                    },
                ]
            ),
            "{told:?}"
        );
        assert!(
            told[0].to_string().starts_with("keep (its store does not tell since when it is there: remove it by hand)")
        );
    }
    assert_eq!(world.objects().len(), 3);
    // Of what is somebody's, that is said.
    let key =
        world.objects().into_keys().map(|(_, key)| key).find(|key| !key.ends_with("-r1.mp4") && key.contains("clip"));
    world.corrupt("default", &key.unwrap(), |bytes| *bytes = VIDEO.to_vec());
    let mut another = request("clip.mp4", VIDEO);
    another.distribution_settings.metadata.concept_id = Some("another".parse().unwrap());
    publish(&world, &another).unwrap();
    let told = tidy(&publisher, true);
    assert!(matches!(told[0].outcome, LeftOverOutcome::Keep(Spared::Owned { .. })), "{told:?}");
}

#[test]
fn left_overs_behind_many_that_are_kept_are_found() {
    const KEPT: usize = 1_001;
    let (world, why) = (World::new(), Reason::parse("because").unwrap());
    let publisher = world.publisher("a");
    for n in 0..=KEPT {
        let (name, bytes) = (format!("v{n}.mp4"), n.to_be_bytes());
        world.stage(name.clone(), bytes.to_vec());
        let id = publish(&world, &request(&name, &bytes)).unwrap().audit_log_id;
        block_on(publisher.retract(&id, &why)).unwrap();
        // The oldest is not held: it is found last.
        if n > 0 {
            block_on(publisher.hold(&HoldOn::Publication(id), &why)).unwrap();
        }
        world.advance(Duration::from_secs(1));
    }
    world.advance(DAY);
    let mut told = tidy(&publisher, true);
    assert_eq!(told.len(), KEPT + 1);
    assert_eq!(told.pop().unwrap().outcome, LeftOverOutcome::Removed);
    assert!(told.iter().all(|left_over| matches!(left_over.outcome, LeftOverOutcome::Keep(Spared::Held { .. }))));
    assert_eq!(world.objects().len(), KEPT);
}
