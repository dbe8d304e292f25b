//! Faults at every effect, drops at every wait, and what a store, a sink or a verdict can do meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use distribution_core::{AlertKind, AuditEvent, ErrorKind, Phase, Record};
use distribution_testkit::{Effect, Fault, Op, Scenario};
use futures::executor::block_on;

use crate::leases::{Call, poll_until};
use crate::support::{VIDEO, check, persist, staged, video};

/// A plan that makes only the first of these effects go wrong.
fn the_first(op: Op, fault: Fault) -> impl Fn(&Effect) -> Option<Fault> + Send + Sync + 'static {
    let done = AtomicBool::new(false);
    move |effect| (effect.op == op && !done.swap(true, Ordering::Relaxed)).then_some(fault)
}

#[test]
fn every_fault_and_every_drop_is_survived_by_repeating_the_call() {
    // Every pair of faults, and every order of several callers: the proofs of distribution-testkit.
    let scenario = Scenario::publish(|world| world.stage("clip.mp4", VIDEO), video());
    assert!(scenario.every_fault().unwrap().runs > 100);
    assert!(scenario.every_drop().unwrap().runs > 15);
}

#[test]
fn a_corrupted_copy_is_never_published_and_the_next_one_has_a_new_key() {
    let world = staged();
    world.fail(the_first(Op::StorageCreate, Fault::Corrupt));
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

/// The attempts of a call that died are not held against the next one, when the store is well again.
#[test]
fn a_call_that_takes_work_up_has_its_own_attempts() {
    for holder in ["a", "b"] {
        let world = staged();
        world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::Truncate));
        let publisher = world.publisher("a");
        let mut doomed: Call = Box::pin(async move { publisher.publish(video()).await });
        // All three have been read back, and the verdict is not on record.
        poll_until(&world, &mut doomed, Op::StorageDigest, 3);
        drop(doomed);
        world.heal();
        world.advance(Duration::from_secs(3_600));
        let record = block_on(world.publisher(holder).publish(video()));
        check(&world, &record.expect("the store is well"), "taken up after the last attempt");
    }
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
fn a_file_that_was_not_copied_is_not_put_on_record_as_the_one_that_was() {
    let world = staged();
    world.fail(the_first(Op::StorageCreate, Fault::LostAnswer));
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
