//! A lease is kept alive by the bytes that move, as long as time passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use distribution_core::{DistributionRecord, Error, ErrorKind, Progress, Stage};
use distribution_testkit::{Fault, Op, World, request};
use futures::executor::block_on;

use crate::leases::{Call, poll_to_its_end, poll_until};
use crate::support::VIDEO;

/// How often a publish changes its record besides renewals: for the object, its proof, and the trail
/// that has arrived.
const CHANGES: usize = 3;

/// Half of a lease that nobody has asked to be of another length.
const HALF_SECS: u64 = 30;

/// At least 16 pieces of 64 KiB.
fn big() -> Vec<u8> {
    VIDEO.repeat((1 << 20) / VIDEO.len() + 1)
}

fn staged() -> World {
    let world = World::new();
    world.stage("clip.mp4", big());
    world
}

/// Time passes with each piece that moves: so many seconds with the first, the second …
struct Slow<F> {
    world: World,
    moved: AtomicUsize,
    secs: F,
}

impl<F: Fn(usize) -> u64 + Send + Sync + 'static> Progress for Slow<F> {
    fn stage(&self, _: Stage) {}
    fn advance(&self, _: u64) {
        let piece = self.moved.fetch_add(1, Ordering::Relaxed);
        self.world.advance(Duration::from_secs((self.secs)(piece)));
    }
}

fn publish(world: &World, secs: impl Fn(usize) -> u64 + Send + Sync + 'static) -> Result<DistributionRecord, Error> {
    let progress = Slow { world: world.clone(), moved: AtomicUsize::new(0), secs };
    block_on(world.publisher("a").publish_watched(request("clip.mp4", &big()), Arc::new(progress)))
}

fn count(world: &World, op: Op) -> usize {
    world.effects().iter().filter(|effect| effect.op == op).count()
}

fn revision(world: &World) -> usize {
    usize::try_from(world.rows()[0].revision).unwrap()
}

#[test]
fn bytes_that_move_keep_the_lease_alive() {
    let world = staged();
    let begun = world.now();
    publish(&world, |_| 25).unwrap();
    assert!(world.now() - begun > chrono::TimeDelta::seconds(100), "it took longer than a lease");
    assert!(revision(&world) > CHANGES + 1, "{:?}", world.effects());
}

#[test]
fn a_lease_is_renewed_when_half_of_it_is_over_and_not_before() {
    for (secs, renewals) in [(0, 0), (1, 0), (HALF_SECS - 1, 0), (HALF_SECS, 1), (2 * HALF_SECS - 1, 1)] {
        let world = staged();
        publish(&world, move |piece| if piece == 0 { secs } else { 0 }).unwrap();
        assert_eq!(count(&world, Op::MetadataAdvance), CHANGES + renewals, "{secs} s: {:?}", world.effects());
        assert_eq!(revision(&world), CHANGES + renewals, "{secs} s");
    }
}

#[test]
fn after_a_lost_answer_to_a_renewal_the_next_ones_succeed_and_nothing_is_uploaded_twice() {
    let (world, lost) = (staged(), AtomicBool::new(false));
    world.fail(move |effect| {
        let first = effect.op == Op::MetadataAdvance && !lost.swap(true, Ordering::Relaxed);
        first.then_some(Fault::LostAnswer)
    });
    publish(&world, |_| HALF_SECS + 5).unwrap();
    assert_eq!(count(&world, Op::StorageCreate), 1);
    // One finds what the lost answer was about; all others are on record.
    assert_eq!(revision(&world), count(&world, Op::MetadataAdvance) - 1, "{:?}", world.effects());
    assert!(revision(&world) > CHANGES + 2, "{:?}", world.effects());
}

#[test]
fn a_call_that_renewed_and_then_failed_lets_go_at_once() {
    let world = staged();
    world.fail(|effect| (effect.op == Op::StorageDigest).then_some(Fault::LostRequest));
    assert_eq!(publish(&world, |_| HALF_SECS + 5).unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(revision(&world) > 3, "the object, a renewal, and that the lease was let go: {:?}", world.effects());
    world.heal();
    block_on(world.publisher("b").publish(request("clip.mp4", &big()))).unwrap();
}

#[test]
fn a_call_that_renewed_the_lease_of_two_and_then_failed_keeps_it_for_the_other() {
    let world = staged();
    world.stage("copy/clip.mp4", big());
    let (first, from_copy) = (world.publisher("a"), request("copy/clip.mp4", &big()));
    let mut first: Call = Box::pin(async move { first.publish(from_copy).await });
    poll_until(&world, &mut first, Op::StorageCreate, 1);

    world.fail(|effect| (effect.op == Op::StorageDigest).then_some(Fault::LostRequest));
    assert_eq!(publish(&world, |_| HALF_SECS + 5).unwrap_err().kind(), ErrorKind::Unavailable);
    world.heal();
    let other = block_on(world.publisher("b").publish(request("clip.mp4", &big())));
    assert_eq!(other.unwrap_err().kind(), ErrorKind::Busy, "the first call may be at work");
    poll_to_its_end(first).unwrap();
}
