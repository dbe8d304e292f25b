//! What is wrong with one call is not told to another, and what one call does is not undone by another.

use std::task::{Context, Waker};
use std::time::Duration;

use distribution_core::{AlertKind, ErrorKind, PublishRequest, Publisher, Recovery};
use distribution_testkit::{Fault, Op, World};
use futures::FutureExt;
use futures::executor::block_on;
use futures::future::BoxFuture;

use crate::leases::{Call, poll_to_its_end, poll_until};
use crate::support::{check, crash, staged, video};

fn published(publisher: &Publisher, request: PublishRequest) -> Call {
    let publisher = publisher.clone();
    Box::pin(async move { publisher.publish(request).await })
}

/// The same request with a QC report that expires in half a minute.
fn expiring(world: &World) -> PublishRequest {
    let mut request = video();
    request.qc_report.expires_at = Some(world.now() + chrono::TimeDelta::seconds(30));
    request
}

fn titled(title: &str) -> PublishRequest {
    let mut request = video();
    request.distribution_settings.metadata.title = Some(title.into());
    request
}

fn writes(world: &World, op: Op) -> usize {
    world.effects().iter().filter(|effect| effect.op == op).count()
}

#[test]
fn a_report_that_lapsed_is_held_against_its_own_call_only() {
    for (holder, pause) in [("b", Duration::ZERO), ("a", Duration::from_secs(60))] {
        let world = staged();
        let mut good = published(&world.publisher("b"), video());
        poll_until(&world, &mut good, Op::StorageCreate, 1);
        world.advance(pause);
        let mut lapsing = published(&world.publisher(holder), expiring(&world));
        poll_until(&world, &mut lapsing, Op::MetadataAdvance, 1);
        world.advance(Duration::from_secs(31));
        assert_eq!(poll_to_its_end(lapsing).unwrap_err().kind(), ErrorKind::Refused, "its own report lapsed");
        check(&world, &poll_to_its_end(good).unwrap(), holder);
    }
}

#[test]
fn a_lapse_that_was_overtaken_by_a_good_report_alarms_nobody() {
    for polls in 0.. {
        let world = staged();
        let publisher = world.publisher("a");
        let mut lapsing = published(&publisher, expiring(&world));
        poll_until(&world, &mut lapsing, Op::MetadataClaim, 1);
        world.advance(Duration::from_secs(31));
        for _ in 0..polls {
            assert!(lapsing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        if writes(&world, Op::MetadataAdvance) > 0 {
            assert!(polls > 1, "there was a place to overtake at");
            break;
        }
        let mut good = published(&publisher, video());
        poll_until(&world, &mut good, Op::StorageCreate, 1);
        poll_to_its_end(lapsing).unwrap();
        check(&world, &poll_to_its_end(good).unwrap(), "the good report");
        assert!(world.alerts().iter().all(|alert| alert.kind != AlertKind::Corrupt), "{:?}", world.alerts());
    }
}

#[test]
fn a_recovery_that_was_overtaken_by_its_own_process_leaves_the_work_to_it() {
    for polls in 0.. {
        let world = staged();
        crash(&world, 2);
        world.advance(Duration::from_secs(60));
        let publisher = world.publisher("a");
        let (creates, advances) = (writes(&world, Op::StorageCreate), writes(&world, Op::MetadataAdvance));
        let recoverer = publisher.clone();
        let mut recovery: BoxFuture<'_, Recovery> = async move { recoverer.recover().await.unwrap() }.boxed();
        for _ in 0..polls {
            assert!(recovery.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        if writes(&world, Op::MetadataAdvance) > advances {
            assert!(polls > 1, "there was a place to overtake at");
            break;
        }
        let mut call = published(&publisher, video());
        poll_until(&world, &mut call, Op::StorageCreate, creates + 1);
        let recovery = block_on(recovery);
        assert_eq!((recovery.settled, recovery.busy), (0, 1), "after {polls} polls");
        check(&world, &poll_to_its_end(call).unwrap(), "the call");
        assert_eq!(writes(&world, Op::StorageCreate), creates + 1, "one process copies once");
    }
}

#[test]
fn a_call_that_fails_leaves_the_lease_to_another_call_of_its_process() {
    let world = staged();
    let publisher = world.publisher("a");
    let mut first = published(&publisher, video());
    poll_until(&world, &mut first, Op::StorageCreate, 1);
    world.advance(Duration::from_secs(1));
    let mut second = published(&publisher, titled("other"));
    poll_until(&world, &mut second, Op::SourceOpen, 2);
    world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::LostRequest));
    assert_eq!(poll_to_its_end(second).unwrap_err().kind(), ErrorKind::Unavailable);
    world.heal();
    let third = block_on(world.publisher("c").publish(video())).unwrap_err();
    assert_eq!(third.kind(), ErrorKind::Busy, "the first call is at work");
    check(&world, &poll_to_its_end(first).unwrap(), "the first call");
}
