//! Recovery of what a crash left.

use std::future::Future as _;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use distribution_core::{
    Advance, AuditLogId, Claim, Cursor, Error, Found, IdempotencyKey, MetadataStore, Policy, Query, Record, Row, State,
    TargetName,
};
use distribution_testkit::{Fault, Op, World, request};
use futures::executor::block_on;

use crate::support::{VIDEO, check, crash, persist, staged, video};

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

/// A store with rows that cannot be read.
struct Damaged {
    inner: Arc<dyn MetadataStore>,
    rows: Vec<AuditLogId>,
}

#[async_trait]
impl MetadataStore for Damaged {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        self.inner.claim(first).await
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        self.inner.load(id).await
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        self.inner.advance(next).await
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        self.inner.bind(key, id).await
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        self.inner.bound(key).await
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        let mut found = Found::default();
        for row in self.inner.find(query, after, limit).await?.rows {
            let place = row.cursor();
            let damaged = self.rows.contains(&row.id);
            found.push(|| Some(place), if damaged { Err(Error::corrupt("edited by hand")) } else { Ok(row) })?;
        }
        Ok(found)
    }
}

#[test]
fn a_row_that_cannot_be_read_hides_no_other() {
    let world = World::new();
    world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::LostRequest));
    // More than recovery asks for at a time.
    for n in 0..300_u16 {
        let (name, bytes) = (format!("{n}.mp4"), n.to_be_bytes());
        world.stage(&name, bytes.to_vec());
        assert!(block_on(world.publisher("a").publish(request(&name, &bytes))).is_err());
    }
    world.heal();
    world.advance(Duration::from_secs(60));
    let rows: Vec<_> = world.rows().into_iter().map(|row| row.id).step_by(2).collect();
    let inner = world.parts(&TargetName::default()).metadata;
    let publisher = world.builder("b").metadata(Arc::new(Damaged { inner, rows: rows.clone() })).build().unwrap();

    let recovery = block_on(publisher.recover()).unwrap();
    assert_eq!((recovery.settled, recovery.failed), (150, 150));
    let published = world.rows().into_iter().filter(|row| row.index.state == State::Published);
    assert!(published.clone().count() == 150 && published.clone().all(|row| !rows.contains(&row.id)));

    let (mut read, mut unreadable, mut after) = (0, 0, None);
    loop {
        let page = block_on(publisher.records(&Query::default(), after.as_ref(), 1)).unwrap();
        read += page.records.len();
        unreadable += page.unreadable.len();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((read, unreadable), (150, 150));
}

#[test]
fn recovery_works_on_as_many_at_a_time_as_the_policy_says() {
    for recoveries_max in [1, 3] {
        let world = World::new();
        world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::LostRequest));
        for n in 0..5_u8 {
            world.stage(format!("{n}.mp4"), vec![n]);
            assert!(block_on(world.publisher("a").publish(request(&format!("{n}.mp4"), &[n]))).is_err());
        }
        world.heal();
        world.advance(Duration::from_secs(60));
        let policy = Policy { recoveries_max, ..Policy::default() };
        let publisher = world.builder("b").policy(policy).build().unwrap();
        let (mut recovery, before) = (Box::pin(publisher.recover()), world.effects().len());
        let mut at_once = 0;
        let recovered = loop {
            if let Poll::Ready(recovered) = recovery.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                break recovered.unwrap();
            }
            let begun = |op| world.effects()[before..].iter().filter(|effect| effect.op == op).count();
            at_once = at_once.max(begun(Op::SourceOpen) - begun(Op::AuditAppend).min(begun(Op::SourceOpen)));
        };
        assert_eq!((recovered.settled, at_once), (5, recoveries_max as usize));
    }
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
    let presigned = request(&format!("{url}?X-Signature=canary"), VIDEO);
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
        assert!(!format!("{:?} {:?} {:?}", world.rows(), world.audit(), world.alerts()).contains("canary"));

        world.stage(url, VIDEO);
        world.advance(Duration::from_secs(60));
        block_on(world.publisher("c").publish(presigned.clone())).expect("the caller knows the secret");
    }
}
