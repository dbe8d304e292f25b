//! Copies on other targets: how many must be proven, what one that is down, slow or rotten costs, and how what is lost
//! comes back.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use distribution_core::{
    AlertKind, AssetRecord, AuditLogId, BaseUrl, Builder, ByteStream, Content, CreateOutcome, Digest,
    DistributionRecord, Error, ErrorKind, LeftOverOutcome, Location, Meter, ObjectKey, ObjectStat, Publisher, Reason,
    Recovery, Replication, Scrub, State, Storage, SweepPolicy, TargetName, Verdict,
};
use distribution_testkit::checker::violations;
use distribution_testkit::{Fault, MemoryStaging, MemoryStorage, Op, World, request};
use futures::executor::block_on;

use crate::support::{VIDEO, staged};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const SLOW: Duration = Duration::from_secs(30);

pub(crate) fn name(target: &str) -> TargetName {
    TargetName::parse(target).unwrap()
}

/// `default`, with copies on `eu` and `us`.
fn builder(world: &World, holder: &str, quorum: u32) -> Builder {
    let mut builder = world.builder(holder);
    for target in ["eu", "us"] {
        let parts = world.parts(&name(target));
        builder = builder.target(name(target), parts.storage, parts.signer);
    }
    builder.replicate(name("default"), Replication { targets: vec![name("eu"), name("us")], quorum })
}

fn publisher(world: &World, quorum: u32) -> Publisher {
    builder(world, "a", quorum).build().unwrap()
}

fn publish(world: &World, publisher: &Publisher) -> Result<DistributionRecord, Error> {
    world.run(publisher.publish(request("clip.mp4", VIDEO))).returned().unwrap()
}

fn asset(world: &World, id: &AuditLogId) -> AssetRecord {
    block_on(world.publisher("ui").record(id)).unwrap().unwrap()
}

/// No promise is broken, though copies beyond the quorum may be missing.
fn is_sound(world: &World) {
    assert_eq!(violations(&world.evidence()), []);
}

fn alerts(world: &World) -> Vec<(AlertKind, Option<String>)> {
    world.alerts().iter().map(|alert| (alert.kind, alert.target.as_ref().map(ToString::to_string))).collect()
}

/// Nothing is created on this target while it is down.
fn down(world: &World, target: &'static str) {
    world.fail(move |effect| {
        let is_there = effect.subject.starts_with(target) && effect.subject[target.len()..].starts_with('/');
        (is_there && matches!(effect.op, Op::StorageCreate | Op::StorageStat | Op::StorageDigest))
            .then_some(Fault::LostRequest)
    });
}

/// A target that takes 30 seconds for each object.
struct Slow(World, Arc<MemoryStorage>);

#[async_trait]
impl Storage for Slow {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        self.0.sleep(SLOW).await;
        self.1.create(key, content).await
    }
    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        self.1.digest(key, meter).await
    }
    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.1.stat(key).await
    }
    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.1.open(key, range).await
    }
    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.1.remove(key).await
    }
    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        self.1.list(prefix, after, limit).await
    }
    fn location(&self, key: &ObjectKey) -> Location {
        self.1.location(key)
    }
}

#[test]
fn what_is_published_is_on_as_many_targets_as_the_quorum_says() {
    for quorum in 1..=3 {
        let world = staged();
        let answer = publish(&world, &publisher(&world, quorum)).unwrap();
        assert!(answer.replica_count >= quorum, "{quorum}: {}", answer.replica_count);
        let (objects, proven) = (world.objects().len(), asset(&world, &answer.audit_log_id).published.unwrap());
        assert_eq!(proven.replica_count, answer.replica_count);
        assert!(objects >= quorum as usize);
        is_sound(&world);

        let recovery = block_on(publisher(&world, quorum).recover()).unwrap();
        assert_eq!(recovery.failed, 0);
        assert_eq!(world.objects().len(), 3, "the rest is copied by a recovery");
        let headers: Vec<_> = world.objects().into_values().map(|object| object.headers).collect();
        assert!(headers.iter().all(|others| *others == headers[0]), "the content headers are the same everywhere");
        assert_eq!(asset(&world, &answer.audit_log_id).published.unwrap().replica_count, 3);
        assert_eq!(publish(&world, &publisher(&world, quorum)).unwrap().replica_count, 3);
        assert_eq!(alerts(&world), []);
        world.keeps_promises().unwrap();
    }
}

#[test]
fn one_down_one_slow_and_one_rotten_are_an_ordinary_day() {
    // `default` takes 30 seconds, `eu` is down, and `us` changes what it is given first.
    let day = |world: &World, quorum: u32| {
        let parts = world.parts(&name("default"));
        let slow = Arc::new(Slow(world.clone(), parts.storage));
        builder(world, "a", quorum).target(name("default"), slow, parts.signer).build().unwrap()
    };
    let ordinary = |world: &World| {
        let rots = std::sync::atomic::AtomicBool::new(true);
        world.fail(move |effect| match effect.op {
            Op::StorageCreate if effect.subject.starts_with("us/") => {
                rots.swap(false, std::sync::atomic::Ordering::SeqCst).then_some(Fault::Corrupt)
            }
            _ if effect.subject.starts_with("eu/") => Some(Fault::LostRequest),
            _ => None,
        });
    };

    let world = staged();
    ordinary(&world);
    let answer = publish(&world, &day(&world, 2)).unwrap();
    assert_eq!(answer.replica_count, 2);
    assert!(alerts(&world).contains(&(AlertKind::ReplicaLost, Some("eu".into()))), "{:?}", alerts(&world));
    assert!(alerts(&world).contains(&(AlertKind::ReplicaLost, None)), "{:?}", alerts(&world));
    is_sound(&world);
    world.heal();
    let recovery = world.run(day(&world, 2).recover()).returned().unwrap().unwrap();
    assert_eq!((recovery.settled, recovery.failed), (1, 0));
    let copies = asset(&world, &answer.audit_log_id).published.unwrap();
    assert_eq!(copies.replica_count, 3);
    assert!(copies.replicas.iter().all(|replica| replica.storage_location.is_some()), "{copies:?}");
    world.keeps_promises().unwrap();

    let world = staged();
    ordinary(&world);
    let error = publish(&world, &day(&world, 3)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("2 of 3 copies are proven, and 3 must be"), "{error}");
    let [row] = &world.rows()[..] else { panic!() };
    let asset = asset(&world, &row.id);
    assert_eq!((asset.state, asset.published), (State::InProgress, None), "nobody gets a link");
    let error = block_on(day(&world, 3).link(&row.id, DAY)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    world.heal();
    assert_eq!(publish(&world, &day(&world, 3)).unwrap().replica_count, 3, "the same call finishes the job");
    world.keeps_promises().unwrap();
}

#[test]
fn a_slow_target_holds_up_nobody_where_the_others_are_enough() {
    let world = staged();
    let parts = world.parts(&name("eu"));
    let slow = Arc::new(Slow(world.clone(), parts.storage));
    let publisher = builder(&world, "a", 2).target(name("eu"), slow, parts.signer).build().unwrap();
    let began = world.now();
    assert_eq!(publish(&world, &publisher).unwrap().replica_count, 2);
    assert_eq!(world.now(), began, "it did not wait");
}

#[test]
fn a_recovery_that_reaches_no_target_says_so_and_the_asset_stays_published() {
    let world = staged();
    let answer = publish(&world, &publisher(&world, 1)).unwrap();
    down(&world, "eu");
    let Recovery { settled, failed, failures, .. } = block_on(publisher(&world, 1).recover()).unwrap();
    assert_eq!((settled, failed), (0, 1));
    assert!(failures[0].1.to_string().contains("2 of 3 copies are proven"), "{:?}", failures[0].1);
    assert_eq!(alerts(&world), [(AlertKind::ReplicaLost, Some("eu".into()))], "{:#?}", world.alerts());
    assert_eq!(asset(&world, &answer.audit_log_id).published.unwrap().replica_count, 2);
    publish(&world, &publisher(&world, 1)).unwrap();
    is_sound(&world);
}

#[test]
fn links_lead_to_the_first_copy_that_is_there() {
    let world = staged();
    let publisher = publisher(&world, 3);
    let answer = publish(&world, &publisher).unwrap();
    let key = answer.storage_location.as_str().strip_prefix("memory://default/").unwrap();
    let link = |expected: &str| {
        let link = block_on(publisher.link(&answer.audit_log_id, DAY)).unwrap();
        link.link.expose().to_owned().contains(expected)
    };
    let before = alerts(&world).len();
    assert!(link(key));
    assert_eq!(alerts(&world).len(), before);
    assert!(world.lose("default", key));
    assert!(link(key), "the copy on `eu`");
    assert_eq!(alerts(&world).last(), Some(&(AlertKind::Corrupt, None)), "that it is missing is told");
    assert!(world.lose("eu", key) && world.lose("us", key));
    let error = block_on(publisher.link(&answer.audit_log_id, DAY)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

fn scrub(publisher: &Publisher) -> Scrub {
    block_on(publisher.scrub(None, u64::MAX)).unwrap()
}

#[test]
fn a_scrub_finds_what_is_lost_and_copies_it_anew() {
    for (target, is_own) in [("default", true), ("eu", false), ("us", false)] {
        for is_missing in [true, false] {
            let world = staged();
            let publisher = publisher(&world, 3);
            let answer = publish(&world, &publisher).unwrap();
            let key = answer.storage_location.as_str().strip_prefix("memory://default/").unwrap();
            world.unstage("clip.mp4");
            assert_eq!((scrub(&publisher).sound, scrub(&publisher).lost), (3, 0));
            match is_missing {
                true => assert!(world.lose(target, key)),
                false => assert!(world.corrupt(target, key, |bytes| bytes[0] ^= 1)),
            }
            let told = scrub(&publisher);
            assert_eq!((told.sound, told.lost, told.repaired, told.failed), (2, 1, 1, 0), "{target} {told:?}");
            assert!(!alerts(&world).is_empty());
            let again = scrub(&publisher);
            assert_eq!((again.sound, again.lost, again.repaired), (3, 0, 0));
            world.keeps_promises().unwrap();
            let place = asset(&world, &answer.audit_log_id).published.unwrap().storage_location;
            assert_eq!(place != answer.storage_location, is_own, "a key that was lost is never used again");
            assert_eq!(publish(&world, &publisher).unwrap().storage_location, place);
            let headers: Vec<_> = world.objects().into_values().map(|object| object.headers).collect();
            assert!(headers.iter().all(|others| *others == headers[0]), "the content headers are the same everywhere");
        }
    }
}

#[test]
fn the_staged_file_mends_what_no_copy_can() {
    let world = staged();
    let publisher = publisher(&world, 3);
    let answer = publish(&world, &publisher).unwrap();
    let key = answer.storage_location.as_str().strip_prefix("memory://default/").unwrap();
    for target in ["default", "eu", "us"] {
        assert!(world.lose(target, key));
    }
    let told = scrub(&publisher);
    assert_eq!((told.lost, told.repaired, told.failed), (3, 3, 0), "{told:?}");
    world.keeps_promises().unwrap();

    let now = asset(&world, &answer.audit_log_id).published.unwrap();
    world.unstage("clip.mp4");
    let places = [now.storage_location].into_iter().chain(now.replicas.into_iter().filter_map(|r| r.storage_location));
    for place in places {
        let (target, key) = place.as_str().strip_prefix("memory://").unwrap().split_once('/').unwrap();
        assert!(world.lose(target, key));
    }
    let told = scrub(&publisher);
    assert_eq!((told.repaired, told.failed), (0, 1), "{told:?}");
    assert_eq!(told.failures[0].1.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_scrub_goes_on_where_its_budget_ended_and_what_is_out_of_reach_is_not_lost() {
    let world = staged();
    let publisher = publisher(&world, 3);
    for (number, text) in ["one", "two", "three", "four", "five"].into_iter().enumerate() {
        let file = format!("{number}.mp4");
        world.stage(&file, text);
        block_on(publisher.publish(request(&file, text.as_bytes()))).unwrap();
    }
    let (mut after, mut calls, mut sound) = (None, 0, 0);
    loop {
        let told = block_on(publisher.scrub(after.as_ref(), 1)).unwrap();
        (calls, sound, after) = (calls + 1, sound + told.sound, told.next);
        if after.is_none() {
            break;
        }
    }
    assert_eq!((calls, sound), (5, 15), "each call looks at one publication at least");

    down(&world, "us");
    let told = scrub(&publisher);
    assert_eq!((told.sound, told.lost, told.failed), (10, 0, 5), "{told:?}");
    world.heal();
    assert_eq!(scrub(&publisher).sound, 15);
    world.keeps_promises().unwrap();
}

#[test]
fn what_was_taken_back_goes_from_every_target() {
    let world = staged();
    let publisher = publisher(&world, 3);
    let answer = publish(&world, &publisher).unwrap();
    let key = answer.storage_location.as_str().strip_prefix("memory://default/").unwrap().to_owned();
    world.corrupt("eu", &key, |bytes| bytes[0] ^= 1);
    assert_eq!(scrub(&publisher).repaired, 1);
    block_on(publisher.retract(&answer.audit_log_id, &Reason::parse("by mistake").unwrap())).unwrap();
    for target in ["default", "eu", "us"] {
        let key = ObjectKey::parse(&key).unwrap();
        let told = block_on(publisher.retracted_at(&name(target), &key)).unwrap();
        assert_eq!(told, Some(answer.audit_log_id.clone()), "{target}");
    }
    world.advance(DAY * 2);
    let mut pass = publisher.tidy(TimeDelta::days(1));
    let mut gone = 0;
    while let Some(left_over) = block_on(pass.next()).unwrap() {
        assert_eq!(left_over.outcome, LeftOverOutcome::Removed, "{left_over}");
        gone += 1;
    }
    assert_eq!(gone, 4, "three copies, and one that was lost");
    assert!(world.objects().is_empty());
    world.keeps_promises().unwrap();
}

#[test]
fn a_staged_file_goes_when_as_many_copies_as_the_quorum_were_read_again() {
    for (quorum, lost, goes) in [(2, 1, true), (2, 2, false), (3, 1, false)] {
        let world = staged();
        let publisher = publisher(&world, quorum);
        let answer = publish(&world, &publisher).unwrap();
        let _ = block_on(publisher.recover()).unwrap();
        let key = answer.storage_location.as_str().strip_prefix("memory://default/").unwrap();
        for target in ["eu", "us"].into_iter().take(lost) {
            assert!(world.corrupt(target, key, |bytes| bytes[0] ^= 1));
        }
        world.advance(DAY * 8);
        let mut sweep = publisher.sweep(Arc::new(MemoryStaging::new(&world)), SweepPolicy::default());
        let decision = block_on(sweep.next()).unwrap().unwrap();
        assert_eq!(matches!(decision.verdict, Verdict::Removed { .. }), goes, "{quorum} {lost} {}", decision.verdict);
        assert_eq!(world.staged("clip.mp4").is_none(), goes);
    }
}

#[test]
fn what_is_missing_is_copied_from_whichever_copy_is_in_reach() {
    let world = staged();
    world.fail(|effect| effect.subject.starts_with("us/").then_some(Fault::LostRequest));
    let publisher = publisher(&world, 2);
    let answer = publish(&world, &publisher).unwrap();
    world.unstage("clip.mp4");
    // `us` is back, and `default` cannot be read any more: first not at all, then in the middle.
    world.fail(|effect| effect.subject.starts_with("default/").then_some(Fault::LostRequest));
    let _ = block_on(publisher.recover()).unwrap();
    assert_eq!(asset(&world, &answer.audit_log_id).published.unwrap().replica_count, 3);
    let key = answer.storage_location.as_str().strip_prefix("memory://default/").unwrap();
    assert!(world.lose("us", key));
    world.fail(|effect| {
        let is_cut = effect.op == Op::StorageOpen && effect.subject.starts_with("default/");
        is_cut.then_some(Fault::ShortRead)
    });
    assert_eq!(scrub(&publisher).repaired, 1);
    world.heal();
    world.keeps_promises().unwrap();
}

#[test]
fn a_target_that_spoils_whatever_it_is_given_gets_one_object_of_each_recovery_and_they_are_cleared_away() {
    let world = staged();
    let publisher = publisher(&world, 1);
    let answer = publish(&world, &publisher).unwrap();
    world
        .fail(|effect| (effect.op == Op::StorageCreate && effect.subject.starts_with("us/")).then_some(Fault::Corrupt));
    for round in 1..=4 {
        let recovery = block_on(publisher.recover()).unwrap();
        assert_eq!((recovery.settled, recovery.failed), (0, 1));
        assert_eq!(world.objects().keys().filter(|(target, _)| target == "us").count(), round);
        assert_eq!(asset(&world, &answer.audit_log_id).published.unwrap().replica_count, 2);
    }
    world.advance(DAY * 2);
    let mut pass = publisher.tidy(TimeDelta::days(1));
    let mut gone = 0;
    while let Some(left_over) = block_on(pass.next()).unwrap() {
        assert_eq!(left_over.outcome, LeftOverOutcome::Removed, "{left_over}");
        gone += 1;
    }
    assert_eq!(gone, 4);
    world.heal();
    let _ = block_on(publisher.recover()).unwrap();
    world.keeps_promises().unwrap();
}

#[test]
fn one_target_that_is_gone_keeps_nothing_else_from_being_taken_back_and_cleared_away() {
    let world = staged();
    let answer = publish(&world, &publisher(&world, 3)).unwrap();
    // `eu` is configured no more.
    let parts = world.parts(&name("us"));
    let rest = world.builder("a").target(name("us"), parts.storage, parts.signer).build().unwrap();
    let told = scrub(&rest);
    assert_eq!((told.sound, told.lost, told.failed), (2, 0, 1));
    let error = block_on(rest.retract(&answer.audit_log_id, &Reason::parse("by mistake").unwrap())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let key = ObjectKey::parse(answer.storage_location.as_str().strip_prefix("memory://default/").unwrap()).unwrap();
    for target in ["default", "us"] {
        let told = block_on(rest.retracted_at(&name(target), &key)).unwrap();
        assert_eq!(told, Some(answer.audit_log_id.clone()), "{target}");
    }
}

#[test]
fn replicas_that_cannot_work_are_refused_when_the_publisher_is_built() {
    let world = World::new();
    let build = |from: &str, targets: &[&str], quorum: u32| {
        let targets = targets.iter().map(|target| name(target)).collect();
        let replication = Replication { targets, quorum };
        let parts = world.parts(&name("open"));
        let base = BaseUrl::parse("https://cdn.example.com/").unwrap();
        let double = world.parts(&name("eu"));
        let builder = builder(&world, "a", 1).public_target(name("open"), parts.storage, base);
        let builder = builder.target(name("double"), double.storage, double.signer);
        builder.replicate(name(from), replication).build().map(drop)
    };
    build("default", &["us", "eu"], 3).unwrap();
    for (from, targets, quorum, expected) in [
        ("default", &["eu"][..], 3, "it must be 1 to 2"),
        ("default", &["eu"], 0, "it must be 1 to 2"),
        ("default", &["eu", "eu"], 1, "twice"),
        ("default", &["default"], 1, "twice"),
        ("default", &["moon"], 1, "`moon` is no configured target"),
        ("moon", &["eu"], 1, "`moon` is no configured target"),
        ("default", &["moon", "mars"], 1, "`moon` is no configured target"),
        ("default", &["open"], 1, "one is public and the other is not"),
        ("default", &["eu", "double"], 1, "`eu` and `double` are one place"),
    ] {
        let error = build(from, targets, quorum).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains(expected), "{error}");
    }
}
