//! What the tests share: a caller who repeats, a process that dies, and what must then hold.

use std::pin::pin;
use std::task::{Context, Waker};

use distribution_core::{AuditEvent, DistributionRecord, Error, PublishRequest, Publisher, Record, Trail};
use distribution_testkit::{TestSigner, World, request};
use futures::executor::block_on;

pub(crate) const VIDEO: &[u8] = b"approved bytes of a video";

/// How often a caller repeats before it gives up. Every fault here is used up by one call.
pub(crate) const REPEATS_MAX: usize = 4;

pub(crate) fn staged() -> World {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    world
}

pub(crate) fn video() -> PublishRequest {
    request("clip.mp4", VIDEO)
}

/// Repeats as a caller does, for as long as the error says that it may help.
pub(crate) fn persist(publisher: &Publisher) -> Result<DistributionRecord, Error> {
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
pub(crate) fn crash(world: &World, number: usize) {
    let publisher = world.publisher("a");
    let mut call = pin!(publisher.publish(video()));
    let mut context = Context::from_waker(Waker::noop());
    while world.effects().len() <= number {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
}

/// What must hold once a call has succeeded, whatever happened before.
pub(crate) fn check(world: &World, record: &DistributionRecord, case: &str) {
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
