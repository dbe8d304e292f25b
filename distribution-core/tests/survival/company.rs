//! Other publishers, other calls, and the lease between them.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use distribution_core::{AuditEvent, ErrorKind, Policy, Progress, Publisher, Stage};
use distribution_testkit::{Fault, Op, Schedule, World, request};
use futures::executor::block_on;
use futures::future::join_all;

use crate::support::{VIDEO, check, crash, persist, staged, video};

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
fn a_lease_from_a_clock_that_is_years_ahead_holds_nobody_up() {
    let world = staged();
    let ahead = World::new_at(world.now() + chrono::TimeDelta::days(3650));
    world.inject(2, Fault::LostRequest);
    let publisher = world.builder("ahead").clock(ahead.parts(&Default::default()).clock).build().unwrap();
    block_on(publisher.publish(video())).unwrap_err();
    check(&world, &persist(&world.publisher("b")).unwrap(), "taken over");
}

#[test]
fn a_link_granted_by_a_clock_that_is_ahead_is_shortened_and_says_so() {
    let (world, mut request) = (staged(), video());
    request.distribution_settings.url_expiry_hours = Some(168);
    let ahead = world.parts(&Default::default()).clock.ahead(chrono::TimeDelta::hours(2));
    let granted = block_on(world.builder("ahead").clock(ahead).build().unwrap().publish(request.clone())).unwrap();
    assert_eq!(granted.expiry_limited_by, None);
    let shortened = block_on(world.publisher("b").publish(request)).unwrap();
    assert_eq!(granted.expires_at.unwrap() - shortened.expires_at.unwrap(), chrono::TimeDelta::hours(2));
    assert!(shortened.expiry_limited_by.unwrap().contains("clock"));
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
fn a_call_that_fails_lets_go_of_its_lease() {
    let world = staged();
    world.inject(2, Fault::LostRequest);
    assert_eq!(block_on(world.publisher("a").publish(video())).unwrap_err().kind(), ErrorKind::Unavailable);
    check(&world, &block_on(world.publisher("b").publish(video())).unwrap(), "at once");
}

#[test]
fn two_callers_with_other_metadata_amend_once_each() {
    // Found by the model: in some orders each saw the other's amendment and amended again.
    let titled = |title: &str| {
        let mut request = video();
        request.distribution_settings.metadata.title = Some(title.into());
        request
    };
    for seed in 1..300_u64 {
        let world = staged();
        let (a, b) = (world.publisher("a"), world.publisher("b"));
        block_on(a.publish(video())).unwrap();
        let mut calls = [(a.publish(titled("x"))), (b.publish(titled("y")))].map(|call| Some(Box::pin(call)));
        let (mut context, schedule) = (Context::from_waker(Waker::noop()), Schedule::seeded(seed));
        while calls.iter().any(Option::is_some) {
            let turn = &mut calls[schedule.pick(2)];
            let Some(call) = turn else { continue };
            if let std::task::Poll::Ready(outcome) = call.as_mut().poll(&mut context) {
                outcome.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                *turn = None;
            }
        }
        let amendments = world.audit().iter().filter(|e| matches!(e.event, AuditEvent::Amended { .. })).count();
        assert!(amendments <= 2, "seed {seed}: {amendments} amendments");
    }
}

#[test]
fn a_bad_copy_of_the_file_is_not_held_against_the_call_with_a_good_one() {
    // Found by the model: the call with the bad copy rejected what the other had taken up since, and the
    // other was told that its own copy was bad.
    let from = |url| request(url, VIDEO);
    for seed in 1..500_u64 {
        let world = World::new();
        world.stage("good/clip.mp4", VIDEO);
        world.stage("bad/clip.mp4", "other bytes");
        let publisher = world.publisher("a");
        let calls = [publisher.publish(from("bad/clip.mp4")), publisher.publish(from("good/clip.mp4"))];
        let mut calls = calls.map(|call| Some(Box::pin(call)));
        let (mut context, schedule) = (Context::from_waker(Waker::noop()), Schedule::seeded(seed));
        while calls.iter().any(Option::is_some) {
            let number = schedule.pick(2);
            let Some(call) = &mut calls[number] else { continue };
            if let std::task::Poll::Ready(outcome) = call.as_mut().poll(&mut context) {
                let refused = outcome.is_err_and(|error| error.kind() == ErrorKind::Rejected);
                assert!(number == 0 || !refused, "seed {seed}: the good copy is blamed");
                calls[number] = None;
            }
        }
        block_on(publisher.publish(from("good/clip.mp4"))).unwrap();
    }
}
