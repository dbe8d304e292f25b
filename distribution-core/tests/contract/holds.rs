//! Holds: what they are on, whether they are in force, and what comes in between while they are placed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{
    AuditEvent, AuditLogId, DistributionRecord, ErrorKind, HoldOn, Kept, LeftOverOutcome, Reason, Spared, SweepPolicy,
    Verdict,
};
use distribution_testkit::{MemoryStaging, Op, World};
use futures::executor::block_on;

use crate::support::publish;
use crate::versions::{concept, edit, stage, with_versions};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn why() -> Reason {
    Reason::parse("a court asks for it").unwrap()
}

fn hold(world: &World, on: &HoldOn) {
    block_on(world.publisher("ops").hold(on, &why())).unwrap();
}

fn release(world: &World, on: &HoldOn) {
    block_on(world.publisher("ops").release(on, &why())).unwrap();
}

fn holds(world: &World, on: &HoldOn) -> Option<AuditLogId> {
    let before = world.effects().len();
    let holds = block_on(world.publisher("ui").holds(on)).unwrap();
    assert!(world.effects()[before..].iter().all(|effect| !effect.op.writes()));
    holds
}

fn ids<const N: usize>(records: &[DistributionRecord]) -> [AuditLogId; N] {
    let ids: Vec<_> = records.iter().map(|record| record.audit_log_id.clone()).collect();
    ids.try_into().unwrap()
}

#[test]
fn whether_something_is_held_can_be_asked() {
    let (world, records) = with_versions(2);
    let [first, second] = ids(&records);
    let work = HoldOn::Concept(concept());
    let publication = HoldOn::Publication(first.clone());
    for _ in 0..2 {
        assert_eq!((holds(&world, &work), holds(&world, &publication)), (None, None));
        hold(&world, &work);
        hold(&world, &work);
        assert_eq!((holds(&world, &work), holds(&world, &publication)), (Some(second.clone()), None));
        hold(&world, &publication);
        release(&world, &work);
        assert_eq!((holds(&world, &work), holds(&world, &publication)), (None, Some(first.clone())));
        release(&world, &publication);
    }
    // The trail that it names is the one that was told, also after a new version has come.
    hold(&world, &work);
    stage(&world, 3);
    publish(&world, &edit(3)).unwrap();
    assert_eq!(holds(&world, &work), Some(second.clone()));
    let told = |event: &AuditEvent| matches!(event, AuditEvent::HoldPlaced { concept_id: Some(_), .. });
    assert!(world.audit().iter().any(|entry| entry.id.audit_log_id == second && told(&entry.event)));

    assert_eq!(holds(&world, &HoldOn::Concept("concept-8".parse().unwrap())), None, "nothing of it is published");
    let nothing = HoldOn::Publication(AuditLogId::parse("dist_00000000000000000000000000").unwrap());
    assert_eq!(block_on(world.publisher("ui").holds(&nothing)).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn a_plan_of_a_sweep_shows_what_is_held() {
    let (world, records) = with_versions(1);
    let [id] = ids(&records);
    let planned = || {
        let before = world.effects().len();
        let mut plan = world.publisher("ui").plan_sweep(Arc::new(MemoryStaging::new(&world)), SweepPolicy::default());
        let verdict = block_on(plan.next()).unwrap().unwrap().verdict;
        assert!(world.effects()[before..].iter().all(|effect| !effect.op.writes()), "nothing is written");
        verdict
    };
    world.advance(DAY * 8);
    let to_go = planned();
    assert!(matches!(to_go, Verdict::Remove { .. }), "{to_go}");
    for on in [HoldOn::Concept(concept()), HoldOn::Publication(id.clone())] {
        hold(&world, &on);
        assert_eq!(planned(), Verdict::Keep(Kept::Held { audit_log_id: id.clone() }), "{on:?}");
        release(&world, &on);
        assert_eq!(planned(), to_go);
    }
    // Another publication of the same bytes, held by its own work, keeps the file as well.
    let mut other = edit(1);
    other.distribution_settings.metadata.concept_id = Some("concept-8".parse().unwrap());
    let other = publish(&world, &other).unwrap().audit_log_id;
    world.advance(DAY * 8);
    hold(&world, &HoldOn::Concept("concept-8".parse().unwrap()));
    assert_eq!(planned(), Verdict::Keep(Kept::Held { audit_log_id: other }));
}

#[test]
fn a_plan_of_left_overs_shows_what_is_held() {
    let (world, records) = with_versions(1);
    let [id] = ids(&records);
    block_on(world.publisher("ops").retract(&id, &why())).unwrap();
    world.advance(DAY * 2);
    hold(&world, &HoldOn::Concept(concept()));
    let mut plan = world.publisher("ui").plan_tidy(TimeDelta::days(1));
    let planned = block_on(plan.next()).unwrap().unwrap();
    assert_eq!(planned.outcome, LeftOverOutcome::Keep(Spared::Held { by: id }));
}

/// A hold of a work and another change of its latest version's record, which comes in between at any moment.
#[test]
fn a_hold_on_a_work_is_on_record_once_whatever_comes_in_between() {
    let work = HoldOn::Concept(concept());
    let clean = {
        let (world, _) = with_versions(1);
        let before = world.effects().len();
        hold(&world, &work);
        before..world.effects().len()
    };
    let mut raced = 0;
    for at in clean {
        let (world, records) = with_versions(1);
        let [id] = ids(&records);
        let own = HoldOn::Publication(id.clone());
        let (other, of, begun) = (world.clone(), own.clone(), AtomicBool::new(false));
        world.fail(move |effect| {
            if effect.number == at && !begun.swap(true, Ordering::Relaxed) {
                // On a thread of its own: this one is in the middle of a call.
                std::thread::scope(|scope| drop(scope.spawn(|| hold(&other, &of))));
            }
            None
        });
        let overtaken = |op| world.effects()[at..].iter().filter(|effect| effect.op == op).count();
        hold(&world, &work);
        raced += usize::from(overtaken(Op::MetadataAdvance) > 4);
        world.heal();
        let told: Vec<_> = world
            .audit()
            .into_iter()
            .filter_map(|entry| match entry.event {
                AuditEvent::HoldPlaced { concept_id, .. } => Some((entry.id.audit_log_id, concept_id.is_some())),
                _ => None,
            })
            .collect();
        let of_work = told.iter().filter(|(_, of_work)| *of_work).count();
        assert_eq!((told.len(), of_work), (2, 1), "at effect {at}: {told:?}");
        assert_eq!((holds(&world, &work), holds(&world, &own)), (Some(id.clone()), Some(id)), "at effect {at}");
        world.keeps_promises().unwrap();
    }
    assert!(raced > 0, "nobody was overtaken");
}
