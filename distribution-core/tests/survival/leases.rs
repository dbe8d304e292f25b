//! Who is at work, and whom the others leave alone.

use std::task::{Context, Poll, Waker};
use std::time::Duration;

use distribution_core::{AuditEvent, DistributionRecord, Error, ErrorKind, Publisher};
use distribution_testkit::{Fault, Op, World, request};
use futures::executor::block_on;
use futures::future::BoxFuture;

use crate::support::{VIDEO, check, crash, persist, staged, video};

pub(crate) type Call = BoxFuture<'static, Result<DistributionRecord, Error>>;

fn call(publisher: &Publisher, url: &str) -> Call {
    let publisher = publisher.clone();
    let request = request(url, VIDEO);
    Box::pin(async move { publisher.publish(request).await })
}

/// Polls the call until so many effects of this kind have begun in the world.
pub(crate) fn poll_until(world: &World, call: &mut Call, op: Op, begun: usize) {
    while world.effects().iter().filter(|effect| effect.op == op).count() < begun {
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending(), "{:?}", world.effects());
    }
}

pub(crate) fn poll_to_its_end(mut call: Call) -> Result<DistributionRecord, Error> {
    loop {
        if let Poll::Ready(outcome) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return outcome;
        }
    }
}

#[test]
fn who_is_told_to_wait_leaves_the_lease_as_it_is() {
    let world = staged();
    crash(&world, 2);
    for _ in 0..3 {
        assert_eq!(block_on(world.publisher("b").publish(video())).unwrap_err().kind(), ErrorKind::Busy);
    }
    world.advance(Duration::from_secs(60));
    check(&world, &persist(&world.publisher("b")).unwrap(), "after the lease");
}

#[test]
fn who_takes_over_has_its_own_metadata_shown() {
    let world = staged();
    crash(&world, 2);
    world.advance(Duration::from_secs(60));
    let mut request = video();
    request.distribution_settings.metadata.title = Some("the second".into());
    let record = block_on(world.publisher("b").publish(request)).unwrap();
    assert_eq!(record.metadata.title.as_deref(), Some("the second"));
}

#[test]
fn who_was_overtaken_leaves_the_work_to_the_other() {
    for (op, overtaken_at) in [(Op::StorageCreate, 1), (Op::StorageDigest, 1)] {
        let world = staged();
        let mut zombie = call(&world.publisher("a"), "clip.mp4");
        poll_until(&world, &mut zombie, op, overtaken_at);
        world.advance(Duration::from_secs(60));
        let (mut other, advances) = (call(&world.publisher("b"), "clip.mp4"), world.effects().len());
        // Until its take-up is recorded and it goes on to its first effect after that.
        while world.effects().len() < advances + 3 {
            assert!(other.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        assert_eq!(poll_to_its_end(zombie).unwrap_err().kind(), ErrorKind::Busy, "{op}");
        check(&world, &poll_to_its_end(other).unwrap(), op.as_str());
    }
}

#[test]
fn a_call_from_another_copy_of_the_file_waits_for_the_one_at_work() {
    for pause in [Duration::ZERO, Duration::from_secs(60)] {
        let world = staged();
        world.stage("copy/clip.mp4", VIDEO);
        let publisher = world.publisher("a");
        let mut first = call(&publisher, "copy/clip.mp4");
        poll_until(&world, &mut first, Op::StorageCreate, 1);
        let mut second = call(&publisher, "clip.mp4");
        poll_until(&world, &mut second, Op::SourceOpen, 2);
        world.advance(pause);
        let outcome = poll_to_its_end(first);
        if pause.is_zero() {
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Busy, "the second is at work");
        } else {
            check(&world, &outcome.unwrap(), "the second stands still, so the first goes on");
        }
    }
}

#[test]
fn the_trail_names_the_report_that_let_the_file_pass() {
    let world = staged();
    let mut request = video();
    request.qc_report.report_id = Some("report-7".into());
    block_on(world.publisher("a").publish(request)).unwrap();
    let AuditEvent::Claimed { qc_report_id, holder } = &world.audit()[0].event else { panic!() };
    assert_eq!((qc_report_id.as_deref(), holder.as_str()), (Some("report-7"), "a"));
}

#[test]
fn who_finds_a_full_outbox_delivers_it_and_still_has_its_own_metadata_shown() {
    let world = staged();
    world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostRequest));
    block_on(world.publisher("a").publish(video())).unwrap_err();
    world.heal();
    let mut request = video();
    request.distribution_settings.metadata.title = Some("the second".into());
    let record = block_on(world.publisher("b").publish(request)).unwrap();
    assert_eq!(record.metadata.title.as_deref(), Some("the second"));
}
