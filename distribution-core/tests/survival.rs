//! What survives: faults at every effect, crashes at every wait, and company.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use distribution_core::{
    AlertKind, AuditEvent, DistributionRecord, Error, ErrorKind, Phase, Policy, Progress, PublishRequest, Publisher,
    Record, Stage, State, Trail,
};
use distribution_testkit::{Fault, Op, TestSigner, World, request};
use futures::executor::block_on;
use futures::future::join_all;

const VIDEO: &[u8] = b"approved bytes of a video";
/// How often a caller repeats before it gives up. Every fault here is used up by one call.
const REPEATS_MAX: usize = 4;

fn staged() -> World {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    world
}

fn video() -> PublishRequest {
    request("clip.mp4", VIDEO)
}

/// Repeats as a caller does, for as long as the error says that it may help.
fn persist(publisher: &Publisher) -> Result<DistributionRecord, Error> {
    let mut outcome = block_on(publisher.publish(video()));
    for _ in 1..REPEATS_MAX {
        if !outcome.as_ref().is_err_and(Error::is_retryable) {
            break;
        }
        outcome = block_on(publisher.publish(video()));
    }
    outcome
}

/// A process that dies when effect `number` has begun.
fn crash(world: &World, number: usize) {
    let publisher = world.publisher("a");
    let mut call = pin!(publisher.publish(video()));
    let mut context = Context::from_waker(Waker::noop());
    while world.effects().len() <= number {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
}

/// What must hold once a call has succeeded, whatever happened before.
fn check(world: &World, record: &DistributionRecord, case: &str) {
    let [row] = &world.rows()[..] else { panic!("{case}: one row") };
    assert!(row.index.settled, "{case}: nothing is left to do");
    let stored = Record::decode(row).expect(case);
    let object = world.object("default", stored.object_key().as_str()).expect(case);
    assert_eq!(object.bytes, VIDEO, "{case}: the approved bytes are at the place on record");
    assert!(record.storage_location.as_str().ends_with(stored.object_key().as_str()), "{case}");
    assert_eq!(TestSigner::open(&record.public_url, world.now()), Some(stored.object_key()), "{case}: the link works");

    let trail: Vec<u64> =
        world.audit().iter().filter(|e| e.id.trail == Trail::Publication).map(|e| e.id.sequence).collect();
    assert_eq!(trail, (0..stored.trail.next).collect::<Vec<_>>(), "{case}: the trail is gapless and in order");
    let published = world.audit().iter().filter(|e| matches!(e.event, AuditEvent::Published { .. })).count();
    assert_eq!(published, 1, "{case}: published once");
    assert_eq!(world.staged("clip.mp4").unwrap(), VIDEO, "{case}: staging is untouched");
}

#[test]
fn every_fault_at_every_effect_is_survived_by_repeating_the_call() {
    let clean = staged();
    persist(&clean.publisher("a")).unwrap();
    let effects = clean.effects();
    assert!(effects.len() >= 7, "{effects:?}");

    let mut runs = 0;
    for effect in &effects {
        for fault in effect.op.faults() {
            for restarted in [false, true] {
                let case = format!("{effect} {fault:?}, restarted: {restarted}");
                let world = staged();
                world.inject(effect.number, fault);
                let record = if restarted {
                    // The process dies of it; another one comes back after the lease.
                    let first = block_on(world.publisher("a").publish(video()));
                    world.advance(Duration::from_secs(61));
                    assert!(first.is_ok() || first.is_err_and(|error| error.is_retryable()), "{case}");
                    persist(&world.publisher("b"))
                } else {
                    persist(&world.publisher("a"))
                };
                check(&world, &record.expect(&case), &case);
                runs += 1;
            }
        }
    }
    println!("{runs} single-fault runs over {} effects", effects.len());
}

#[test]
fn every_pair_of_faults_is_survived_by_repeating_the_call() {
    let mut runs = 0;
    for first in 0..12 {
        for second in first + 1..16 {
            for faults in [
                (Fault::LostRequest, Fault::LostRequest),
                (Fault::LostRequest, Fault::LostAnswer),
                (Fault::LostAnswer, Fault::LostRequest),
                (Fault::LostAnswer, Fault::LostAnswer),
                (Fault::Corrupt, Fault::LostAnswer),
                (Fault::LostAnswer, Fault::Corrupt),
            ] {
                let case = format!("{first}, {second}: {faults:?}");
                let world = staged();
                world.inject(first, faults.0);
                world.inject(second, faults.1);
                check(&world, &persist(&world.publisher("a")).expect(&case), &case);
                runs += 1;
            }
        }
    }
    println!("{runs} two-fault runs");
}

#[test]
fn a_call_dropped_at_any_wait_is_finished_by_the_next() {
    let mut dropped = 0;
    for polls in 0.. {
        let world = staged();
        let publisher = world.publisher("a");
        let finished = {
            let mut call = pin!(publisher.publish(video()));
            let mut context = Context::from_waker(Waker::noop());
            (0..polls).any(|_| call.as_mut().poll(&mut context).is_ready())
        };
        let case = format!("dropped after {polls} polls");
        check(&world, &persist(&publisher).expect(&case), &case);
        if finished {
            break;
        }
        dropped += 1;
    }
    assert!(dropped > 10, "only {dropped} places to drop");
}

#[test]
fn equal_requests_in_one_process_join_one_flight() {
    let world = staged();
    let publisher = world.publisher("a");
    let records = block_on(join_all((0..16).map(|_| publisher.publish(video()))));
    let first = records[0].as_ref().unwrap();
    assert!(records.iter().all(|record| record.as_ref().unwrap() == first));
    let writes = |op| world.effects().iter().filter(|effect| effect.op == op).count();
    assert_eq!((writes(Op::StorageCreate), writes(Op::MetadataClaim)), (1, 1));
    check(&world, first, "joined");
}

#[test]
fn who_leaves_a_joined_flight_does_not_stop_it() {
    let world = staged();
    let publisher = world.publisher("a");
    let mut leaver = Box::pin(publisher.publish(video()));
    let stayer = publisher.publish(video());
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..5 {
        assert!(leaver.as_mut().poll(&mut context).is_pending());
    }
    let stayer = async {
        drop(leaver);
        stayer.await
    };
    check(&world, &block_on(stayer).unwrap(), "left");
}

#[test]
fn two_publishers_leave_each_other_alone_until_the_lease_is_over() {
    let world = staged();
    crash(&world, 2);

    let second = block_on(world.publisher("b").publish(video())).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Busy);
    assert_eq!(second.retry_after(), Some(Duration::from_secs(60)));
    world.advance(second.retry_after().unwrap());
    check(&world, &persist(&world.publisher("b")).unwrap(), "taken over");
}

#[test]
fn publishers_in_any_order_give_one_publication_and_equal_answers() {
    // With leases of one second that are always over, everybody works on it at once.
    for late in 0..40 {
        let world = staged();
        let policy = Policy { lease_secs: 1, ..Policy::default() };
        let hurried: Vec<Publisher> =
            ["a", "b", "c"].map(|holder| world.builder(holder).policy(policy.clone()).build().unwrap()).into();
        let ticking = world.clone();
        world.fail(move |effect| {
            ticking.advance(Duration::from_secs(1 + u64::from(effect.number % 3 == late % 3)));
            None
        });
        let calls = hurried.iter().enumerate().map(|(n, publisher)| async move {
            for _ in 0..late * n {
                futures::pending!();
            }
            loop {
                match publisher.publish(video()).await {
                    Err(error) if error.is_retryable() => {}
                    outcome => return outcome,
                }
            }
        });
        let calls: Vec<_> = calls.map(Box::pin).collect();
        let records = block_on(join_all(calls.into_iter().map(waking)));
        let first = records[0].as_ref().unwrap();
        for record in &records {
            assert_eq!(record.as_ref().unwrap(), first, "late by {late}");
        }
        world.heal();
        check(&world, first, &format!("late by {late}"));
        assert_eq!(world.objects().len(), 1, "late by {late}");
    }
}

/// `pending!` does not wake, so the future wakes itself.
async fn waking<F: Future + Unpin>(mut future: F) -> F::Output {
    std::future::poll_fn(|cx| {
        cx.waker().wake_by_ref();
        std::pin::Pin::new(&mut future).poll(cx)
    })
    .await
}

#[test]
fn a_corrupted_copy_is_never_published_and_the_next_one_has_a_new_key() {
    let world = staged();
    world.inject(2, Fault::Corrupt);
    let record = block_on(world.publisher("a").publish(video())).unwrap();
    assert!(record.storage_location.as_str().ends_with("-r1.mp4"), "{}", record.storage_location);
    assert_eq!(world.objects().len(), 2, "publishing removes nothing");
    assert_eq!(world.alerts()[0].kind, AlertKind::Corrupt);
    check(&world, &record, "corrupted once");
}

#[test]
fn a_store_that_keeps_nothing_right_is_given_up_on() {
    let world = staged();
    world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::Corrupt));
    let error = block_on(world.publisher("a").publish(video())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(world.objects().len(), 3, "three attempts");
    world.heal();
    check(&world, &persist(&world.publisher("a")).unwrap(), "the store was mended");
}

#[test]
fn no_link_before_the_trail_has_arrived() {
    let world = staged();
    world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostRequest));
    for _ in 0..3 {
        let error = block_on(world.publisher("a").publish(video())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    assert!(!world.effects().iter().any(|effect| effect.op == Op::SignerSign));
    assert!(matches!(Record::decode(&world.rows()[0]).unwrap().phase, Phase::Published(_)), "the asset is safe");
    world.heal();
    check(&world, &persist(&world.publisher("a")).unwrap(), "the sink came back");
}

#[test]
fn an_approval_that_lapses_on_the_way_does_not_publish() {
    for op in [Op::SourceOpen, Op::StorageCreate, Op::StorageDigest] {
        let world = staged();
        let mut request = video();
        request.qc_report.expires_at = Some(world.now() + chrono::TimeDelta::hours(1));
        let slow = world.clone();
        world.fail(move |effect| {
            if effect.op == op {
                slow.advance(Duration::from_secs(3600));
            }
            None
        });
        let error = block_on(world.publisher("a").publish(request.clone())).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Refused, Some("qc_report.expires_at")), "{op}");
        assert!(!world.audit().iter().any(|entry| matches!(entry.event, AuditEvent::Published { .. })));

        world.heal();
        request.qc_report.expires_at = None;
        block_on(world.publisher("a").publish(request)).expect("a new verdict opens it again");
    }
}

#[test]
fn bytes_that_move_keep_the_lease_alive() {
    struct Slow(World);
    impl Progress for Slow {
        fn stage(&self, _: Stage) {}
        fn advance(&self, _: u64) {
            self.0.advance(Duration::from_secs(25));
        }
    }
    let world = World::new();
    world.stage("clip.mp4", VIDEO.repeat(1000));
    let request = request("clip.mp4", &VIDEO.repeat(1000));
    block_on(world.publisher("a").publish_watched(request, Arc::new(Slow(world.clone())))).unwrap();
    let effects = world.effects();
    let renewals =
        effects.windows(2).filter(|pair| pair[0].op == Op::StorageCreate && pair[1].op == Op::MetadataAdvance);
    assert!(world.now() - chrono::TimeDelta::seconds(100) >= World::new().now(), "it took longer than a lease");
    assert!(renewals.count() >= 1, "{effects:?}");
}

#[test]
fn recovery_settles_what_was_left_and_respects_leases() {
    for number in 0..8 {
        let world = staged();
        crash(&world, number);
        let unsettled = world.rows().iter().any(|row| !row.index.settled);
        let in_progress = world.rows().iter().any(|row| Record::decode(row).unwrap().work().is_some());

        let other = world.publisher("b");
        let early = block_on(other.recover()).unwrap();
        assert_eq!((early.busy, early.failed), (u64::from(in_progress), 0), "effect {number}");
        world.advance(Duration::from_secs(60));
        let late = block_on(other.recover()).unwrap();
        assert_eq!(early.settled + late.settled, u64::from(unsettled), "effect {number}: {late:?}");
        assert!(world.rows().iter().all(|row| row.index.settled), "effect {number}");
        check(&world, &persist(&other).unwrap(), &format!("recovered after effect {number}"));
    }
}

#[test]
fn recovery_goes_on_after_a_failure_and_tells_it() {
    let world = World::new();
    for name in ["one.mp4", "two.mp4", "three.mp4"] {
        world.stage(name, VIDEO.repeat(name.len()));
        world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::LostRequest));
        let request = request(name, &VIDEO.repeat(name.len()));
        assert!(block_on(world.publisher("a").publish(request)).is_err());
    }
    world.fail(|effect| {
        (effect.op == Op::StorageCreate && effect.subject.contains("two")).then_some(Fault::LostRequest)
    });
    world.advance(Duration::from_secs(60));
    let recovery = block_on(world.publisher("b").recover()).unwrap();
    assert_eq!((recovery.settled, recovery.failed, recovery.failures.len()), (2, 1, 1));
}

#[test]
fn recovery_leaves_a_call_of_its_own_process_alone() {
    let world = staged();
    let publisher = world.publisher("a");
    let mut call = Box::pin(publisher.publish(video()));
    let mut context = Context::from_waker(Waker::noop());
    while !world.effects().iter().any(|effect| effect.op == Op::StorageCreate) {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    let recovery = block_on(publisher.recover()).unwrap();
    assert_eq!((recovery.settled, recovery.busy), (0, 1));
    check(&world, &block_on(call).unwrap(), "recovered meanwhile");
    assert_eq!(world.effects().iter().filter(|effect| effect.op == Op::StorageCreate).count(), 1);
}

#[test]
fn recovery_without_the_secret_of_a_url_finishes_what_is_stored_and_rejects_nothing() {
    let url = "https://staging.example/clip.mp4";
    let presigned = request(&format!("{url}?X-Signature=secret"), VIDEO);
    for (fault, settled) in [(Fault::LostAnswer, 1), (Fault::LostRequest, 0)] {
        let world = World::new();
        world.stage(url, VIDEO);
        world.fail(move |effect| (effect.op == Op::StorageCreate).then_some(fault));
        assert!(block_on(world.publisher("a").publish(presigned.clone())).is_err());
        world.heal();
        world.advance(Duration::from_secs(60));
        world.unstage(url);
        let recovery = block_on(world.publisher("b").recover()).unwrap();
        assert_eq!((recovery.settled, recovery.failed), (settled, 1 - settled), "{fault:?}");
        let state = world.rows()[0].index.state;
        assert_eq!(state == State::Published, settled == 1, "{fault:?}: {state:?}");
        assert_ne!(state, State::Rejected, "{fault:?}");
        assert!(!format!("{:?} {:?} {:?}", world.rows(), world.audit(), world.alerts()).contains("secret"));

        world.stage(url, VIDEO);
        world.advance(Duration::from_secs(60));
        block_on(world.publisher("c").publish(presigned.clone())).expect("the caller knows the secret");
    }
}

#[test]
fn a_file_that_was_not_copied_is_not_put_on_record_as_the_one_that_was() {
    let world = staged();
    world.inject(2, Fault::LostAnswer);
    block_on(world.publisher("a").publish(video())).unwrap_err();
    world.stage("clip.mp4", &b"the next edit"[..]);
    block_on(world.publisher("a").publish(video())).expect("the approved bytes are stored already");
    let Phase::Published(published) = Record::decode(&world.rows()[0]).unwrap().phase else { panic!() };
    assert_eq!(published.pin, None, "the sweep must not take the next edit for what was published");
}

#[test]
fn amendments_while_the_store_is_down_never_fill_the_record() {
    let world = staged();
    world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::LostRequest));
    let amended = |n: usize| {
        let mut request = video();
        request.distribution_settings.metadata.title = Some(format!("try {n}"));
        request.distribution_settings.metadata.extra.insert("log".into(), "x".repeat(30_000).into());
        request
    };
    for n in 0..50 {
        let error = block_on(world.publisher("a").publish(amended(n))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{n}: {error}");
    }
    world.heal();
    let record = block_on(world.publisher("a").publish(amended(50))).unwrap();
    check(&world, &record, "amended 50 times");
}

#[test]
fn a_lease_from_a_clock_that_is_years_ahead_holds_nobody_up() {
    let world = staged();
    let ahead = World::new_at(world.now() + chrono::TimeDelta::days(3650));
    world.inject(2, Fault::LostRequest);
    let publisher = world.builder("ahead").clock(ahead.parts(&Default::default()).clock).build().unwrap();
    block_on(publisher.publish(video())).unwrap_err();
    check(&world, &persist(&world.publisher("b")).unwrap(), "taken over");
}

#[test]
fn a_part_that_panics_harms_nobody_else() {
    struct Bomb;
    impl Progress for Bomb {
        fn stage(&self, _: Stage) {
            panic!("a bug of the host");
        }
        fn advance(&self, _: u64) {}
    }
    let world = staged();
    let publisher = world.publisher("a");
    let calls = [Arc::new(Bomb) as Arc<dyn Progress>, Arc::new(())]
        .map(|progress| publisher.publish_watched(video(), progress));
    for outcome in block_on(join_all(calls)) {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    }
    check(&world, &persist(&publisher).unwrap(), "after the panic");
}

#[test]
fn a_lost_answer_to_a_renewal_costs_neither_the_lease_nor_the_upload() {
    struct Slow(World);
    impl Progress for Slow {
        fn stage(&self, _: Stage) {}
        fn advance(&self, _: u64) {
            self.0.advance(Duration::from_secs(35));
        }
    }
    let (world, bytes) = (World::new(), VIDEO.repeat(1000));
    world.stage("clip.mp4", bytes.clone());
    let lost = std::sync::atomic::AtomicBool::new(false);
    world.fail(move |effect| {
        let first = effect.op == Op::MetadataAdvance && !lost.swap(true, std::sync::atomic::Ordering::Relaxed);
        first.then_some(Fault::LostAnswer)
    });
    let request = request("clip.mp4", &bytes);
    block_on(world.publisher("a").publish_watched(request, Arc::new(Slow(world.clone())))).unwrap();
    assert_eq!(world.effects().iter().filter(|effect| effect.op == Op::StorageCreate).count(), 1);
}

#[test]
fn a_call_that_fails_lets_go_of_its_lease() {
    let world = staged();
    world.inject(2, Fault::LostRequest);
    assert_eq!(block_on(world.publisher("a").publish(video())).unwrap_err().kind(), ErrorKind::Unavailable);
    check(&world, &block_on(world.publisher("b").publish(video())).unwrap(), "at once");
}

#[test]
fn no_link_to_what_is_no_longer_there() {
    let world = staged();
    let publisher = world.publisher("a");
    block_on(publisher.publish(video())).unwrap();
    let key = Record::decode(&world.rows()[0]).unwrap().object_key();
    for harm in ["cut short", "lost"] {
        let done = match harm {
            "lost" => world.lose("default", key.as_str()),
            _ => world.corrupt("default", key.as_str(), |bytes| bytes.truncate(3)),
        };
        assert!(done);
        assert_eq!(block_on(publisher.publish(video())).unwrap_err().kind(), ErrorKind::Corrupt, "{harm}");
        assert_eq!(world.alerts().last().unwrap().kind, AlertKind::Corrupt);
    }
}
