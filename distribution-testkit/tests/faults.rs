//! Faults happen where the plan says, and nowhere else.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use distribution_core::{
    Body, Checksum, Clock as _, Content, ContentHeaders, CreateOutcome, Error, ErrorKind, IdempotencyKey, LinkRequest,
    MetadataStore as _, Meter, ObjectKey, Source as _, Storage as _, TargetName, UrlSigner as _, Verification,
    VideoUrl,
};
use distribution_testkit::{Ended, Fault, MemoryStorage, Op, Parts, Plant, TestSigner, World};
use futures::executor::block_on;
use futures::{StreamExt as _, TryStreamExt as _, stream};

const BYTES: &[u8] = b"the approved bytes";

fn parts(world: &World) -> Parts {
    world.parts(&TargetName::parse("main").unwrap())
}

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

fn content(bytes: &'static [u8]) -> Content {
    Content {
        size: bytes.len() as u64,
        expected: Checksum::of(bytes),
        headers: ContentHeaders {
            content_type: "video/mp4".into(),
            content_disposition: "attachment".into(),
            cache_control: "private".into(),
            user_metadata: BTreeMap::new(),
        },
        body: Body::Stream(stream::iter([Ok(Bytes::from_static(bytes))]).boxed()),
        meter: Meter::default(),
    }
}

async fn create(world: &World) -> Result<CreateOutcome, Error> {
    parts(world).storage.create(&key("a.mp4"), content(BYTES)).await
}

#[test]
fn a_lost_request_does_nothing_and_a_lost_answer_hides_what_was_done() {
    for (fault, there) in [(Fault::LostRequest, false), (Fault::LostAnswer, true)] {
        let world = World::new();
        world.inject(0, fault);
        let error = block_on(create(&world)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("0 storage.create main/a.mp4"), "{error}");
        assert_eq!(world.object("main", "a.mp4").is_some(), there, "{fault:?}");
        // A fault is for one effect: the repeat finds the world as it is.
        let repeat = block_on(create(&world)).unwrap();
        assert_eq!(repeat == CreateOutcome::AlreadyExists, there);
    }
}

#[test]
fn damage_is_stored_and_not_told() {
    for (fault, size) in [(Fault::Corrupt, BYTES.len()), (Fault::Truncate, BYTES.len() / 2)] {
        let world = World::new();
        world.fail(move |effect| (effect.op == Op::StorageCreate).then_some(fault));
        assert_eq!(block_on(create(&world)).unwrap(), CreateOutcome::Created { proof: None });
        let stored = world.object("main", "a.mp4").unwrap().bytes;
        assert!(stored != BYTES && stored.len() == size, "{fault:?}");

        let digest = block_on(parts(&world).storage.digest(&key("a.mp4"), &Meter::default())).unwrap().unwrap();
        assert_eq!(digest.checksum, Checksum::of(&stored), "reading back shows it");
    }
}

#[test]
fn a_proof_tells_the_damage() {
    let world = World::new();
    world.inject(0, Fault::Corrupt);
    let storage = MemoryStorage::new(&world, &TargetName::parse("main").unwrap()).with_proof(Verification::ReadBack);
    let outcome = block_on(storage.create(&key("a.mp4"), content(BYTES))).unwrap();
    let CreateOutcome::Created { proof: Some(proof) } = outcome else { panic!("{outcome:?}") };
    assert_ne!(proof.digest.checksum, Checksum::of(BYTES));
}

#[test]
fn the_log_names_every_effect_and_its_fault() {
    let world = World::new();
    world.stage("edits/a.mp4", BYTES);
    world.inject(2, Fault::LostAnswer);
    world.inject(3, Fault::Corrupt);
    block_on(async {
        let parts = parts(&world);
        parts.source.open(&VideoUrl::parse("edits/a.mp4").unwrap()).await.unwrap();
        create(&world).await.unwrap();
        parts.storage.stat(&key("a.mp4")).await.unwrap_err();
        parts.storage.list("a", None, 1).await.unwrap();
    });
    let log: Vec<_> = world.effects().iter().map(ToString::to_string).collect();
    let expected = [
        "0 source.open edits/a.mp4",
        "1 storage.create main/a.mp4",
        "2 storage.stat main/a.mp4 (LostAnswer)",
        // A list cannot corrupt anything, so the plan is not followed.
        "3 storage.list main/a",
    ];
    assert_eq!(log, expected);
}

#[test]
fn a_healed_world_has_no_faults() {
    let world = World::new();
    world.inject(1, Fault::LostRequest);
    world.fail(|_| Some(Fault::LostRequest));
    assert!(block_on(create(&world)).is_err());
    world.heal();
    assert!(block_on(create(&world)).is_ok());
}

#[test]
fn a_plan_may_look_at_the_world() {
    let world = World::new();
    let seen = world.clone();
    world.fail(move |effect| (effect.number == 1 && !seen.objects().is_empty()).then_some(Fault::LostRequest));
    assert!(block_on(create(&world)).is_ok());
    assert!(block_on(create(&world)).is_err());
}

#[test]
fn the_faults_of_an_effect_are_those_that_differ() {
    let faults = |op: Op| op.faults().collect::<Vec<_>>();
    let reads = [Fault::LostRequest, Fault::PermissionDenied, Fault::HangBefore, Fault::CrashBefore];
    assert_eq!(faults(Op::StorageStat), reads);
    assert_eq!(Fault::ALL.len(), 15);
    for op in [Op::StorageCreate, Op::MetadataAdvance, Op::AuditAppend] {
        for fault in
            reads.into_iter().chain([Fault::LostAnswer, Fault::AppliedLate, Fault::HangAfter, Fault::CrashAfter])
        {
            assert!(faults(op).contains(&fault), "{op} {fault:?}");
        }
    }
    assert!(
        faults(Op::StorageCreate).contains(&Fault::Truncate) && !faults(Op::AuditAppend).contains(&Fault::Truncate)
    );
}

#[test]
fn an_effect_can_be_dropped_before_and_after_it_happens() {
    for (polls, happened) in [(0, false), (1, false), (2, true)] {
        let world = World::new();
        let metadata = parts(&world).metadata;
        let id = "dist_00000000000000000000000000".parse().unwrap();
        let bind_key = IdempotencyKey::parse("order").unwrap();
        block_on(async {
            let mut bind = metadata.bind(&bind_key, &id);
            for _ in 0..polls {
                assert!(futures::poll!(&mut bind).is_pending());
            }
        });
        assert_eq!(world.names().len() == 1, happened, "after {polls} polls");
    }
}

#[test]
fn a_panic_of_the_caller_leaves_the_world_usable() {
    let world = World::new();
    block_on(create(&world)).unwrap();
    let shared = world.clone();
    let change = thread::spawn(move || shared.corrupt("main", "a.mp4", |_| panic!("on purpose")));
    assert!(change.join().is_err());
    world.fail(|_| panic!("on purpose"));
    let shared = world.clone();
    assert!(thread::spawn(move || block_on(create(&shared))).join().is_err());
    world.heal();
    assert_eq!(world.object("main", "a.mp4").unwrap().bytes, BYTES);
    assert_eq!(block_on(create(&world)).unwrap(), CreateOutcome::AlreadyExists);
}

#[test]
fn the_same_calls_make_the_same_world() {
    let play = || {
        let world = World::new();
        world.fail(|effect| effect.number.is_multiple_of(3).then_some(Fault::LostAnswer));
        let outcomes: Vec<_> = (0..7).map(|_| block_on(create(&world)).map_err(|error| error.to_string())).collect();
        (outcomes, world.effects(), world.objects())
    };
    assert_eq!(play(), play());
}

#[test]
fn planted_files_go_wrong_once() {
    let other = Bytes::from_static(b"OTHER BYTES, LONGER");
    let read = |world: &World| {
        block_on(async {
            let staged = parts(world).source.open(&VideoUrl::parse("a.mp4").unwrap()).await.unwrap().unwrap();
            let Body::Stream(pieces) = staged.body else { panic!("no stream") };
            (staged.pin.size, pieces.try_collect::<Vec<_>>().await.map(|pieces| pieces.concat()).ok())
        })
    };
    let torn = [&BYTES[..10], &other[10..]].concat();
    let plants = [
        (Plant::EndsEarly, Some(BYTES[..10].to_vec()), BYTES),
        (Plant::Fails, None, BYTES),
        (Plant::Changes(other.clone()), None, &other[..]),
        (Plant::Tears(other.clone()), Some(torn), &other[..]),
    ];
    for (plant, first, then) in plants {
        let world = World::new();
        assert!(!world.plant("a.mp4", plant.clone()), "no such file");
        world.stage("a.mp4", BYTES);
        assert!(world.plant("a.mp4", plant.clone()));
        assert_eq!(read(&world), (BYTES.len() as u64, first), "{plant:?}");
        assert_eq!(read(&world), (then.len() as u64, Some(then.to_vec())), "{plant:?}, the second time");
    }
}

#[test]
fn a_presigned_url_finds_its_staged_file() {
    let world = World::new();
    world.stage("https://staging.example/a.mp4", BYTES);
    let open = |url: &str| block_on(parts(&world).source.open(&VideoUrl::parse(url).unwrap())).unwrap();
    assert!(open("https://staging.example/a.mp4?X-Amz-Signature=one").is_some());
    assert!(open("https://staging.example/b.mp4").is_none());
    assert!(!world.effects().iter().any(|effect| effect.subject.contains("Signature")));
}

#[test]
fn links_stop_with_the_credentials_that_signed_them() {
    let world = World::new();
    let until = world.now() + Duration::from_secs(1_800);
    let signer = TestSigner::new(&world).with_credentials_until(until);
    let request = LinkRequest { key: key("a.mp4"), expires_at: world.now() + Duration::from_secs(3_600) };
    let signed = block_on(signer.sign(&request, world.now())).unwrap();
    assert!(signed.expires_at == until && signed.limited_by.is_some());
    assert_eq!(TestSigner::open(&signed.link, world.now()), Some(key("a.mp4")));
    assert_eq!(TestSigner::open(&signed.link, until), None);

    world.advance(Duration::from_secs(1_800));
    let error = block_on(signer.sign(&request, world.now())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[test]
fn the_clock_moves_for_everybody_and_never_past_the_calendar() {
    let world = World::new();
    let clock = parts(&world).clock;
    assert_eq!(clock.now().to_rfc3339(), "2026-01-01T00:00:00+00:00");
    clock.advance(Duration::from_micros(1));
    assert_eq!(world.now(), clock.now());
    world.advance(Duration::MAX);
    assert_eq!(Arc::clone(&clock).now(), distribution_core::Timestamp::MAX_UTC);
}

#[test]
fn what_comes_late_is_seen_late() {
    let world = World::new();
    world.inject(0, Fault::AppliedLate);
    assert_eq!(block_on(create(&world)).unwrap_err().kind(), ErrorKind::Unavailable);
    let there = || block_on(parts(&world).storage.stat(&key("a.mp4"))).unwrap().is_some();
    assert_eq!([there(), there(), there()], [false, false, true]);

    let world = World::new();
    world.inject(0, Fault::AppliedLate);
    block_on(create(&world)).unwrap_err();
    world.heal();
    assert!(world.object("main", "a.mp4").is_some(), "at the latest when the world is healed");
}

#[test]
fn a_layer_that_repeats_tells_the_winner_that_another_was_first() {
    let world = World::new();
    world.inject(0, Fault::RepeatedBelow);
    assert_eq!(block_on(create(&world)).unwrap(), CreateOutcome::AlreadyExists);
    assert_eq!(world.object("main", "a.mp4").unwrap().bytes, BYTES);
}

#[test]
fn a_rival_has_other_bytes() {
    let world = World::new();
    world.inject(0, Fault::Conflict);
    assert_eq!(block_on(create(&world)).unwrap(), CreateOutcome::AlreadyExists);
    assert_ne!(world.object("main", "a.mp4").unwrap().bytes, BYTES);
}

#[test]
fn nothing_is_stored_where_there_is_no_room_or_no_permission() {
    for (fault, says) in [(Fault::DiskFull, "no room"), (Fault::PermissionDenied, "denied")] {
        let world = World::new();
        world.inject(0, fault);
        let error = block_on(create(&world)).unwrap_err();
        assert!(error.kind() == ErrorKind::Unavailable && error.to_string().contains(says), "{error}");
        assert!(world.objects().is_empty());
    }
}

#[test]
fn short_and_flipped_reads_leave_the_store_as_it_is() {
    let world = World::new();
    block_on(create(&world)).unwrap();
    for fault in [Fault::ShortRead, Fault::Corrupt] {
        world.fail(move |_| Some(fault));
        let storage = parts(&world).storage;
        let digest = block_on(storage.digest(&key("a.mp4"), &Meter::default())).unwrap().unwrap();
        assert_ne!(digest.checksum, Checksum::of(BYTES), "{fault:?}");
        let read = block_on(storage.open(&key("a.mp4"), 0..100)).unwrap().unwrap();
        let read = block_on(read.try_collect::<Vec<_>>());
        assert!(
            read.is_err() == (fault == Fault::ShortRead)
                && read.is_ok_and(|read| read.concat() != BYTES) == (fault == Fault::Corrupt)
        );
    }
    assert_eq!(world.object("main", "a.mp4").unwrap().bytes, BYTES);
}

#[test]
fn a_hang_is_given_up_and_a_crash_is_told() {
    for (fault, ended, there) in [
        (Fault::HangBefore, Ended::Hung, false),
        (Fault::HangAfter, Ended::Hung, true),
        (Fault::CrashBefore, Ended::Crashed, false),
        (Fault::CrashAfter, Ended::Crashed, true),
    ] {
        let world = World::new();
        world.inject(0, fault);
        assert_eq!(world.run(async { create(&world).await.is_ok() }), ended, "{fault:?}");
        assert_eq!(world.object("main", "a.mp4").is_some(), there, "{fault:?}");
        let within = world.timeout(Duration::from_secs(5), create(&world));
        world.inject(1, fault);
        let after = world.run(async { within.await.is_none() });
        let crashes = ended == Ended::Crashed;
        assert_eq!(after, if crashes { Ended::Crashed } else { Ended::Returned(true) }, "{fault:?}");
    }
}

#[test]
fn half_a_batch_of_entries_may_arrive() {
    let world = World::new();
    world.stage("clip.mp4", BYTES);
    world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::Torn));
    let publisher = world.publisher("a");
    let publish = || block_on(publisher.publish(distribution_testkit::request("clip.mp4", BYTES)));
    assert_eq!(publish().unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(world.audit().len(), 1, "of three");
    world.heal();
    publish().unwrap();
    assert_eq!(world.audit().len(), 3);
}

#[test]
fn who_sleeps_is_woken_by_the_clock_and_by_nothing_else() {
    let world = World::new();
    let before = world.now();
    assert_eq!(world.run(world.sleep(Duration::from_secs(90))), Ended::Returned(()));
    assert_eq!((world.now() - before).num_seconds(), 90);
    assert_eq!(world.run(std::future::pending::<()>()), Ended::Hung);
}
