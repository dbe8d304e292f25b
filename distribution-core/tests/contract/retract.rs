//! Taking back what was published, and holding what must not be removed.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{
    AuditEvent, AuditLogId, Error, ErrorKind, HoldOn, Kept, LeftOver, LeftOverKind, LeftOverOutcome, LinksLeft,
    ObjectKey, PublishRequest, Reason, Retraction, Spared, State, SweepPolicy, TargetName, Verdict,
};
use distribution_testkit::{Fault, MemoryStaging, Op, World, request};
use futures::executor::block_on;

use crate::support::{VIDEO, publish, staged};
use crate::versions::{concept, edit, stage, with_versions};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);

fn why() -> Reason {
    Reason::parse("a person was filmed who did not agree").unwrap()
}

fn retract(world: &World, id: &AuditLogId) -> Result<Retraction, Error> {
    block_on(world.publisher("ops").retract(id, &why()))
}

fn tidy(world: &World) -> Vec<LeftOver> {
    let mut pass = world.publisher("tidier").tidy(TimeDelta::days(1));
    block_on(async {
        let mut all = Vec::new();
        while let Some(left_over) = pass.next().await.unwrap() {
            all.push(left_over);
        }
        all
    })
}

/// The same bytes for another work: the same object.
fn shared() -> PublishRequest {
    let mut another = request("clip.mp4", VIDEO);
    another.distribution_settings.metadata.concept_id = Some(concept());
    another
}

fn key(world: &World, id: &AuditLogId) -> ObjectKey {
    let record = block_on(world.publisher("ui").record(id)).unwrap().unwrap();
    let location = record.published.unwrap().storage_location;
    ObjectKey::parse(location.as_str().strip_prefix("memory://default/").unwrap()).unwrap()
}

#[test]
fn what_was_taken_back_gets_no_link_and_says_why() {
    let world = staged();
    let call = request("clip.mp4", VIDEO);
    let id = publish(&world, &call).unwrap().audit_log_id;
    let retraction = retract(&world, &id).unwrap();
    assert_eq!((retraction.record.state, retraction.record.audit_log_id), (State::Retracted, id.clone()));
    // The fakes' signer cannot take single links back, and says so.
    assert_eq!(retraction.links_left, LinksLeft::Until(world.now() + TimeDelta::hours(168)));

    let publisher = world.publisher("a");
    let told = [
        publish(&world, &call).unwrap_err(),
        block_on(publisher.link(&id, HOUR)).unwrap_err(),
        block_on(publisher.revoke_links(&id)).unwrap_err(),
        block_on(publisher.plan(call.clone())).unwrap_err(),
    ];
    for error in told {
        assert_eq!(error.kind(), ErrorKind::Retracted);
        assert!(
            error
                .to_string()
                .ends_with("was taken back at 2026-01-01 00:00:00 UTC: a person was filmed who did not agree"),
            "{error}"
        );
        assert!(!error.is_retryable());
    }
    let mut amended = call.clone();
    amended.distribution_settings.metadata.title = Some("another title".into());
    assert_eq!(publish(&world, &amended).unwrap_err().kind(), ErrorKind::Retracted);
    assert_eq!(retract(&world, &id).unwrap().record.state, State::Retracted, "a repeat is as good");
    let told = world.audit().iter().filter(|entry| matches!(entry.event, AuditEvent::Retracted { .. })).count();
    assert_eq!(told, 1);
    world.keeps_promises().unwrap();
    assert_eq!(
        retract(&world, &AuditLogId::parse("dist_00000000000000000000000000").unwrap()).unwrap_err().kind(),
        ErrorKind::Invalid
    );
}

#[test]
fn its_object_goes_after_the_grace_time_and_no_other() {
    let world = staged();
    let id = publish(&world, &request("clip.mp4", VIDEO)).unwrap().audit_log_id;
    world.advance(DAY * 30);
    retract(&world, &id).unwrap();
    assert_eq!(tidy(&world), [], "the grace time begins when it is taken back");
    world.advance(DAY);
    let [gone] = tidy(&world).try_into().unwrap();
    assert_eq!((&gone.kind, &gone.outcome), (&LeftOverKind::Released { audit_log_id: id }, &LeftOverOutcome::Removed));
    assert!(world.objects().is_empty());
    assert!(world.audit().iter().any(|entry| matches!(entry.event, AuditEvent::CopyReleased { .. })));
    assert_eq!(tidy(&world), []);
    world.keeps_promises().unwrap();
}

#[test]
fn another_publication_keeps_its_bytes_and_its_links() {
    let world = staged();
    let id = publish(&world, &request("clip.mp4", VIDEO)).unwrap().audit_log_id;
    let other = publish(&world, &shared()).unwrap();
    assert_eq!(world.objects().len(), 1, "they share the object");
    let retracted_at = |world: &World| {
        block_on(world.publisher("route").retracted_at(&TargetName::default(), &key(world, &other.audit_log_id)))
            .unwrap()
    };
    assert_eq!(retracted_at(&world), None);
    retract(&world, &id).unwrap();
    assert_eq!(retracted_at(&world), None, "it is still the other's");
    world.advance(DAY * 2);
    let [kept] = tidy(&world).try_into().unwrap();
    assert!(
        matches!(&kept.outcome, LeftOverOutcome::Keep(Spared::Owned { by }) if *by == other.audit_log_id),
        "{kept}"
    );
    block_on(world.publisher("a").link(&other.audit_log_id, HOUR)).unwrap();
    publish(&world, &shared()).unwrap();

    retract(&world, &other.audit_log_id).unwrap();
    assert!(retracted_at(&world).is_some());
    world.advance(DAY * 2);
    assert_eq!(tidy(&world).len(), 1, "two publications, one object");
    assert!(world.objects().is_empty());
    world.keeps_promises().unwrap();
}

#[test]
fn a_hold_on_one_of_two_that_had_the_object_keeps_it() {
    for held_first in [true, false] {
        let world = staged();
        let first = publish(&world, &request("clip.mp4", VIDEO)).unwrap().audit_log_id;
        world.advance(Duration::from_secs(1));
        let second = publish(&world, &shared()).unwrap().audit_log_id;
        retract(&world, &first).unwrap();
        world.advance(DAY / 2);
        retract(&world, &second).unwrap();
        world.advance(DAY / 2);
        let [kept] = tidy(&world).try_into().unwrap();
        assert_eq!(kept.outcome, LeftOverOutcome::Keep(Spared::Recent { by: second.clone() }));
        world.advance(DAY);
        let by = if held_first { first } else { second };
        let on = HoldOn::Publication(by.clone());
        block_on(world.publisher("ops").hold(&on, &why())).unwrap();
        let [kept] = tidy(&world).try_into().unwrap();
        assert_eq!(kept.outcome, LeftOverOutcome::Keep(Spared::Held { by }));
        block_on(world.publisher("ops").release(&on, &why())).unwrap();
        assert!(matches!(tidy(&world)[..], [LeftOver { outcome: LeftOverOutcome::Removed, .. }]));
        let told = world.audit().iter().filter(|entry| matches!(entry.event, AuditEvent::CopyReleased { .. })).count();
        assert_eq!(told, 2, "each tells of it");
        world.keeps_promises().unwrap();
    }
}

#[test]
fn a_retraction_survives_every_fault_and_every_crash() {
    let clean = {
        let world = staged();
        let id = publish(&world, &request("clip.mp4", VIDEO)).unwrap().audit_log_id;
        let before = world.effects().len();
        retract(&world, &id).unwrap();
        before..world.effects().len()
    };
    for number in clean {
        for fault in [Fault::LostRequest, Fault::LostAnswer, Fault::CrashBefore, Fault::CrashAfter, Fault::HangAfter] {
            let world = staged();
            let id = publish(&world, &request("clip.mp4", VIDEO)).unwrap().audit_log_id;
            world.inject(number, fault);
            let (publisher, of) = (world.publisher("ops"), id.clone());
            let _ = world.run(async move { publisher.retract(&of, &why()).await });
            let _ = block_on(world.publisher("later").recover()).unwrap();
            world.keeps_promises().unwrap_or_else(|broken| panic!("{fault:?} at {number}: {broken}"));
            if world.rows()[0].index.state == State::Retracted {
                let route = world.publisher("route");
                let retracted = block_on(route.retracted_at(&TargetName::default(), &key(&world, &id)));
                assert_eq!(retracted.unwrap(), Some(id), "{fault:?} at {number}: a recovery finishes it");
            }
        }
    }
}

#[test]
fn what_comes_later_with_the_same_bytes_has_a_place_of_its_own() {
    let world = staged();
    let id = publish(&world, &request("clip.mp4", VIDEO)).unwrap().audit_log_id;
    retract(&world, &id).unwrap();
    world.advance(DAY * 2);
    assert_eq!(tidy(&world).len(), 1);
    let other = publish(&world, &shared()).unwrap();
    assert!(other.storage_location.as_str().ends_with("-r1.mp4"), "{}", other.storage_location);
    world.advance(DAY * 2);
    assert_eq!(tidy(&world), []);
    world.keeps_promises().unwrap();
}

#[test]
fn what_is_not_finished_can_be_taken_back() {
    for op in [Op::StorageCreate, Op::StorageDigest, Op::MetadataAdvance, Op::AuditAppend] {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let world = staged();
            world.fail(move |effect| (effect.op == op).then_some(fault));
            let (call, publisher) = (request("clip.mp4", VIDEO), world.publisher("crashes"));
            let _ = world.run({
                let call = call.clone();
                async move { publisher.publish(call).await }
            });
            world.heal();
            let id = world.rows()[0].id.clone();
            retract(&world, &id).unwrap();
            world.advance(DAY * 2);
            let _ = block_on(world.publisher("recoverer").recover()).unwrap();
            assert_eq!(publish(&world, &call).unwrap_err().kind(), ErrorKind::Retracted, "{op:?} {fault:?}");
            tidy(&world);
            assert!(world.objects().is_empty(), "{op:?} {fault:?}");
            world.keeps_promises().unwrap();
        }
    }
}

#[test]
fn a_link_is_not_handed_out_where_a_retraction_comes_in_between() {
    let clean = {
        let world = staged();
        publish(&world, &request("clip.mp4", VIDEO)).unwrap();
        world.effects().len()
    };
    let mut refused = 0;
    for at in 0..clean {
        let (world, call) = (staged(), request("clip.mp4", VIDEO));
        let (other, begun) = (world.clone(), std::sync::atomic::AtomicBool::new(false));
        world.fail(move |effect| {
            if effect.number == at && !begun.swap(true, std::sync::atomic::Ordering::Relaxed) {
                let row = other.rows().first().map(|row| row.id.clone());
                // On a thread of its own: this one is in the middle of a call.
                std::thread::scope(|scope| drop(scope.spawn(|| row.map(|id| retract(&other, &id).unwrap()))));
            }
            None
        });
        let answer = publish(&world, &call);
        let is_retracted = world.rows()[0].index.state == State::Retracted;
        assert_eq!(answer.is_err(), is_retracted, "at effect {at}");
        refused += usize::from(is_retracted);
        if let Err(error) = answer {
            assert_eq!(error.kind(), ErrorKind::Retracted, "at effect {at}: {error}");
        }
        world.heal();
        world.keeps_promises().unwrap();
    }
    assert!(refused > 5, "{refused}");
}

#[test]
fn a_retraction_is_in_force_before_its_trail_arrives() {
    let world = staged();
    let call = request("clip.mp4", VIDEO);
    let id = publish(&world, &call).unwrap().audit_log_id;
    world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostRequest));
    assert_eq!(retract(&world, &id).unwrap_err().kind(), ErrorKind::Unavailable);
    world.heal();
    assert_eq!(publish(&world, &call).unwrap_err().kind(), ErrorKind::Retracted);
    retract(&world, &id).unwrap();
    world.keeps_promises().unwrap();
}

#[test]
fn what_is_held_stays_whatever_is_asked_for() {
    let world = staged();
    let id = publish(&world, &shared()).unwrap().audit_log_id;
    let publisher = world.publisher("ops");
    let sweep = |world: &World| {
        let mut pass = world.publisher("sweeper").sweep(Arc::new(MemoryStaging::new(world)), SweepPolicy::default());
        block_on(pass.next()).unwrap().unwrap().verdict
    };
    world.advance(DAY * 8);
    for on in [HoldOn::Publication(id.clone()), HoldOn::Concept(concept())] {
        block_on(publisher.hold(&on, &why())).unwrap();
        block_on(publisher.hold(&on, &why())).expect("it is held already");
        assert!(matches!(sweep(&world), Verdict::Keep(Kept::Held { .. })), "{on:?}");
        block_on(publisher.release(&on, &why())).unwrap();
        block_on(publisher.release(&on, &why())).expect("it is free already");
    }
    let told = |event: fn(&AuditEvent) -> bool| world.audit().iter().filter(|entry| event(&entry.event)).count();
    assert_eq!(told(|event| matches!(event, AuditEvent::HoldPlaced { .. })), 2);
    assert_eq!(told(|event| matches!(event, AuditEvent::HoldReleased { .. })), 2);

    retract(&world, &id).unwrap();
    world.advance(DAY * 2);
    for on in [HoldOn::Publication(id.clone()), HoldOn::Concept(concept())] {
        block_on(publisher.hold(&on, &why())).expect("what was taken back can be held");
        let [kept] = tidy(&world).try_into().unwrap();
        assert_eq!(kept.outcome, LeftOverOutcome::Keep(Spared::Held { by: id.clone() }));
        assert_eq!(world.objects().len(), 1);
        block_on(publisher.release(&on, &why())).unwrap();
    }
    assert!(matches!(tidy(&world)[..], [LeftOver { outcome: LeftOverOutcome::Removed, .. }]));
    assert!(matches!(sweep(&world), Verdict::Keep(Kept::Retracted { .. })), "a person says what becomes of it");
    world.keeps_promises().unwrap();
}

#[test]
fn a_hold_on_a_work_is_on_versions_to_come() {
    let (world, _) = with_versions(1);
    let on = HoldOn::Concept(concept());
    let held = block_on(world.publisher("ops").hold(&on, &why())).unwrap();
    assert_eq!(held.hold, None, "its own record is not held");
    stage(&world, 2);
    publish(&world, &edit(2)).unwrap();
    world.advance(DAY * 8);
    let mut pass = world.publisher("sweeper").sweep(Arc::new(MemoryStaging::new(&world)), SweepPolicy::default());
    for _ in 0..2 {
        let decision = block_on(pass.next()).unwrap().unwrap();
        assert!(matches!(decision.verdict, Verdict::Keep(Kept::Held { .. })), "{}", decision.verdict);
    }
    let nothing = HoldOn::Concept("concept-8".parse().unwrap());
    assert_eq!(block_on(world.publisher("ops").hold(&nothing, &why())).unwrap_err().field(), Some("concept_id"));
}

#[test]
fn a_hold_is_in_force_before_its_trail_arrives() {
    let world = staged();
    let id = publish(&world, &shared()).unwrap().audit_log_id;
    for on in [HoldOn::Publication(id), HoldOn::Concept(concept())] {
        world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostRequest));
        block_on(world.publisher("ops").hold(&on, &why())).unwrap_err();
        world.heal();
        world.advance(DAY * 8);
        let mut pass = world.publisher("sweeper").sweep(Arc::new(MemoryStaging::new(&world)), SweepPolicy::default());
        let verdict = block_on(pass.next()).unwrap().unwrap().verdict;
        let is_kept = matches!(verdict, Verdict::Keep(Kept::Held { .. } | Kept::InUse { .. }));
        assert!(is_kept, "{on:?}: {verdict}");
        block_on(world.publisher("ops").hold(&on, &why())).unwrap();
        block_on(world.publisher("ops").release(&on, &why())).unwrap();
    }
}

#[test]
fn a_reason_is_one_line() {
    for wrong in ["", " ", "two\nlines", &"x".repeat(501)] {
        assert_eq!(Reason::parse(wrong).unwrap_err().field(), Some("reason"));
    }
}

#[test]
fn a_version_that_was_taken_back_stays_a_version() {
    let (world, records) = with_versions(2);
    retract(&world, &records[1].audit_log_id).unwrap();
    let ui = world.publisher("ui");
    let latest = block_on(ui.latest(&concept())).unwrap().unwrap();
    assert_eq!(
        (latest.state, latest.published.unwrap().version),
        (State::Retracted, Some(2)),
        "nobody is moved in silence"
    );
    assert_eq!(block_on(ui.rollback(&concept(), 2)).unwrap_err().kind(), ErrorKind::Retracted);
    assert_eq!(block_on(ui.rollback(&concept(), 1)).unwrap().state, State::Published);
    assert_eq!(block_on(ui.latest(&concept())).unwrap().unwrap().audit_log_id, records[0].audit_log_id);
    stage(&world, 3);
    assert_eq!(publish(&world, &edit(3)).unwrap().version, Some(3));
    world.keeps_promises().unwrap();
}
