//! Legal holds of the stores: what is held on record, the stores that can keep as well, and nothing else.

use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{
    AlertKind, ArchiveMode, AuditLogId, Builder, ErrorKind, HoldOn, LeftOver, LeftOverOutcome, LegalHold,
    MetadataStore, Publisher, Reason, Replication, Spared, TargetName,
};
use distribution_testkit::{Fault, Op, World};
use futures::executor::block_on;

use crate::replicas::name;
use crate::versions::{concept, edit, stage};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn builder(world: &World) -> Builder {
    let (second, cold, own) = (name("second"), name("cold"), TargetName::default());
    let (at_second, at_cold) = (world.parts(&second), world.parts(&cold));
    let builder = world.builder("a").target(second.clone(), at_second.storage, at_second.signer);
    let builder = builder.target(cold.clone(), at_cold.storage, at_cold.signer).archive(own.clone(), cold);
    builder.replicate(own, Replication { targets: vec![second], quorum: 2 })
}

/// A publisher with a target of its own, another for copies, and one for the archive; of which these have legal holds.
fn with_locks(targets: &[&str]) -> (World, Publisher) {
    let world = World::new();
    targets.iter().for_each(|target| world.give_legal_holds(&name(target)));
    let publisher = builder(&world).build().unwrap();
    (world, publisher)
}

/// Publishes the n-th edit of the work.
fn publish(world: &World, publisher: &Publisher, n: u8) -> AuditLogId {
    stage(world, n);
    world.advance(Duration::from_secs(1));
    block_on(publisher.publish(edit(n))).unwrap().audit_log_id
}

fn why() -> Reason {
    Reason::parse("a court asks for it").unwrap()
}

fn hold(publisher: &Publisher, on: &HoldOn) {
    block_on(publisher.hold(on, &why())).unwrap();
}

fn release(publisher: &Publisher, on: &HoldOn) {
    block_on(publisher.release(on, &why())).unwrap();
}

fn on(id: &AuditLogId) -> HoldOn {
    HoldOn::Publication(id.clone())
}

/// The objects that their stores keep, each as its target and the first byte, which is the number of the edit.
fn kept(world: &World) -> Vec<String> {
    let objects = world.objects().into_iter().filter(|(_, object)| object.legal_hold == LegalHold::On);
    objects.map(|((target, _), object)| format!("{target} {}", object.bytes[0])).collect()
}

fn tidy(publisher: &Publisher) -> Vec<LeftOver> {
    let mut pass = publisher.tidy(TimeDelta::days(1));
    std::iter::from_fn(|| block_on(pass.next()).unwrap()).collect()
}

#[test]
fn stores_keep_what_is_held_until_it_is_released() {
    let (world, publisher) = with_locks(&["default", "second"]);
    let [one, two] = [1, 2].map(|n| publish(&world, &publisher, n));
    for _ in 0..2 {
        hold(&publisher, &on(&one));
        hold(&publisher, &on(&one));
        assert_eq!(kept(&world), ["default 1", "second 1"]);
        hold(&publisher, &on(&two));
        release(&publisher, &on(&one));
        assert_eq!(kept(&world), ["default 2", "second 2"]);
        release(&publisher, &on(&two));
        release(&publisher, &on(&two));
        assert_eq!(kept(&world), [""; 0]);
    }
    world.keeps_promises().unwrap();
}

#[test]
fn only_stores_that_have_legal_holds_are_asked() {
    let asked = |targets: &[&str]| {
        let (world, publisher) = with_locks(targets);
        let id = publish(&world, &publisher, 1);
        hold(&publisher, &on(&id));
        hold(&publisher, &HoldOn::Concept(concept()));
        let _ = block_on(publisher.scrub(None, u64::MAX)).unwrap();
        let holds = world.effects().into_iter().filter(|effect| effect.op == Op::StorageHold);
        let asked = holds.map(|effect| effect.subject.split_once('/').unwrap().0.to_owned()).collect::<Vec<_>>();
        (asked, kept(&world))
    };
    assert_eq!(asked(&[]), (Vec::new(), Vec::new()));
    let (asked, kept) = asked(&["second"]);
    assert!(!asked.is_empty() && asked.iter().all(|target| target == "second"), "{asked:?}");
    assert_eq!(kept, ["second 1"]);
}

#[test]
fn all_versions_of_a_held_work_are_kept_and_all_copies_that_come() {
    let (world, publisher) = with_locks(&["default", "second", "cold"]);
    let (work, one) = (HoldOn::Concept(concept()), publish(&world, &publisher, 1));
    publish(&world, &publisher, 2);
    hold(&publisher, &work);
    assert_eq!(kept(&world), ["default 1", "default 2", "second 1", "second 2"]);
    publish(&world, &publisher, 3);
    assert_eq!(kept(&world).len(), 6, "a version that comes is kept from then on");
    block_on(publisher.archive(&one, ArchiveMode::KeepHot)).unwrap();
    assert_eq!(kept(&world)[0], "cold 1", "a copy for the archive");

    let (target, key) = world.objects().into_keys().find(|(target, _)| target == "second").unwrap();
    world.lose(&target, &key);
    let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!(
        (scrub.lost, scrub.repaired, scrub.locked, kept(&world).len()),
        (1, 1, 0, 7),
        "a copy that is made anew"
    );

    // What one of its versions has of its own goes on, and so does the other way round.
    hold(&publisher, &on(&one));
    release(&publisher, &work);
    assert_eq!(kept(&world), ["cold 1", "default 1", "second 1"]);
    hold(&publisher, &work);
    release(&publisher, &on(&one));
    assert_eq!(kept(&world).len(), 7);
    release(&publisher, &work);
    assert_eq!(kept(&world), [""; 0]);
    world.keeps_promises().unwrap();
}

#[test]
fn what_another_publication_keeps_is_not_let_go() {
    let (world, publisher) = with_locks(&["default"]);
    let one = publish(&world, &publisher, 1);
    let mut other = edit(1);
    other.distribution_settings.metadata.concept_id = Some("concept-8".parse().unwrap());
    let other = block_on(publisher.publish(other)).unwrap().audit_log_id;
    assert_eq!(world.objects().len(), 2, "the same object, and its copy");
    for (first, last) in [(on(&one), on(&other)), (on(&one), HoldOn::Concept("concept-8".parse().unwrap()))] {
        hold(&publisher, &first);
        hold(&publisher, &last);
        release(&publisher, &first);
        assert_eq!(kept(&world), ["default 1"], "{last:?}");
        release(&publisher, &last);
        assert_eq!(kept(&world), [""; 0]);
    }
}

#[test]
fn what_was_taken_back_is_kept_while_it_is_held() {
    let (world, publisher) = with_locks(&["default", "second"]);
    let id = publish(&world, &publisher, 1);
    block_on(publisher.retract(&id, &why())).unwrap();
    hold(&publisher, &on(&id));
    assert_eq!(kept(&world), ["default 1", "second 1"]);
    world.advance(DAY * 2);
    let held = LeftOverOutcome::Keep(Spared::Held { by: id.clone() });
    assert!(tidy(&publisher).iter().all(|left_over| left_over.outcome == held));
    release(&publisher, &on(&id));
    assert_eq!(tidy(&publisher).len(), 2);
    assert_eq!(world.objects().len(), 0);
    world.keeps_promises().unwrap();
}

#[test]
fn what_somebody_else_has_the_store_keep_is_not_tidied_away() {
    let (world, publisher) = with_locks(&[]);
    let id = publish(&world, &publisher, 1);
    block_on(publisher.retract(&id, &why())).unwrap();
    world.advance(DAY * 2);
    let (target, key) = world.objects().into_keys().next().unwrap();
    world.set_legal_hold(&target, &key, LegalHold::On);
    let outcomes = |left_overs: Vec<LeftOver>| left_overs.into_iter().map(|one| one.outcome).collect::<Vec<_>>();
    let kept = LeftOverOutcome::Keep(Spared::Locked);
    let mut plan = publisher.plan_tidy(TimeDelta::days(1));
    let planned = std::iter::from_fn(|| block_on(plan.next()).unwrap()).collect();
    assert_eq!(outcomes(planned), [kept.clone(), LeftOverOutcome::Remove]);
    // Also where it comes between the look and the removal.
    let mut pass = publisher.tidy(TimeDelta::days(1));
    assert_eq!(block_on(pass.next()).unwrap().unwrap().outcome, kept);
    let (second, copy) = world.objects().into_keys().find(|(at, _)| *at == "second").unwrap();
    world.set_legal_hold(&second, &copy, LegalHold::On);
    assert_eq!(block_on(pass.next()).unwrap().unwrap().outcome, kept);
    let told = |entry: &distribution_core::AuditEntry| format!("{:?}", entry.event).starts_with("CopyReleased");
    assert!(!world.audit().iter().any(told), "nothing is said to be let go");
    set_all(&world, LegalHold::Off);
    assert_eq!(outcomes(tidy(&publisher)), [LeftOverOutcome::Removed, LeftOverOutcome::Removed]);
}

#[test]
fn a_store_that_does_not_keep_it_is_told_of_and_asked_again() {
    let (world, publisher) = with_locks(&["default", "second"]);
    let (work, id) = (HoldOn::Concept(concept()), publish(&world, &publisher, 1));
    let refuse = || {
        let is_refused = |op, subject: &str| op == Op::StorageHold && subject.starts_with("default/");
        world.fail(move |effect| is_refused(effect.op, &effect.subject).then_some(Fault::PermissionDenied));
    };
    for on in [on(&id), work.clone()] {
        refuse();
        let error = block_on(publisher.hold(&on, &why())).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains("is held on record, but not by its store: "), "{error}");
        assert_eq!(block_on(publisher.holds(&on)).unwrap(), Some(id.clone()), "it is in force");
        assert_eq!(kept(&world), ["second 1"], "the other store keeps it");
        world.heal();
        hold(&publisher, &on);
        assert_eq!(kept(&world), ["default 1", "second 1"]);

        refuse();
        let error = block_on(publisher.release(&on, &why())).unwrap_err();
        assert!(error.message().contains("is released, but its store may keep it: "), "{error}");
        assert_eq!((block_on(publisher.holds(&on)).unwrap(), kept(&world)), (None, vec!["default 1".into()]));
        world.heal();
        release(&publisher, &on);
        assert_eq!(kept(&world), [""; 0]);
    }

    // A publish goes on all the same, and the operators are told.
    hold(&publisher, &work);
    refuse();
    assert_eq!(world.alerts(), []);
    publish(&world, &publisher, 2);
    let [alert] = world.alerts().try_into().unwrap();
    assert!(alert.kind == AlertKind::Unavailable && alert.message.contains("held on record, but not by"), "{alert:?}");
    assert_eq!(kept(&world), ["default 1", "second 1", "second 2"]);
    world.heal();
    let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!((scrub.locked, scrub.failed, kept(&world).len()), (1, 0, 4));
    let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!(scrub.locked, 0);
}

#[test]
fn a_scrub_finds_what_is_not_kept_any_more() {
    let (world, publisher) = with_locks(&["default"]);
    let [one, _] = [1, 2].map(|n| publish(&world, &publisher, n));
    hold(&publisher, &on(&one));
    set_all(&world, LegalHold::Off);
    let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!((scrub.publications, scrub.locked, scrub.failed), (2, 1, 0));
    assert_eq!(kept(&world), ["default 1"]);
}

/// Whoever has placed the hold does not have the store that has one: it is in force, and that is told.
#[test]
fn a_target_that_is_not_configured_is_told_of() {
    let (world, publisher) = with_locks(&["default", "second"]);
    let id = publish(&world, &publisher, 1);
    let elsewhere = world.publisher("ops");
    let error = block_on(elsewhere.hold(&on(&id), &why())).unwrap_err();
    assert!(
        error
            .message()
            .contains("but not by its store: v1-4bf5122f3445.mp4 on `second`: `second` is not configured here"),
        "{error}"
    );
    assert_eq!((block_on(elsewhere.holds(&on(&id))).unwrap(), kept(&world)), (Some(id), vec!["default 1".into()]));
}

/// Sets the stores' holds of all objects, as somebody else may.
fn set_all(world: &World, hold: LegalHold) {
    for (target, key) in world.objects().into_keys() {
        world.set_legal_hold(&target, &key, hold);
    }
}

#[test]
fn nobody_elses_legal_hold_is_lifted_by_a_release_of_what_was_never_held() {
    let (world, publisher) = with_locks(&["default", "second"]);
    let id = publish(&world, &publisher, 1);
    set_all(&world, LegalHold::On);
    for on in [on(&id), HoldOn::Concept(concept())] {
        release(&publisher, &on);
        assert_eq!(kept(&world), ["default 1", "second 1"], "{on:?}");
    }
    // A scrub lifts none, either.
    let _ = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!(kept(&world).len(), 2);
}

#[test]
fn a_record_that_cannot_be_read_keeps_no_other_from_being_kept() {
    let (world, publisher) = with_locks(&["default", "second"]);
    let work = HoldOn::Concept(concept());
    let [one, two] = [1, 2].map(|n| publish(&world, &publisher, n));
    let mut damaged = world.rows().into_iter().find(|row| row.id == one).unwrap();
    damaged.id = AuditLogId::parse("dist_00000000000000000000000000").unwrap();
    (damaged.revision, damaged.body) = (0, bytes::Bytes::from_static(b"{"));
    block_on(MetadataStore::claim(&*world.parts(&TargetName::default()).metadata, &damaged)).unwrap();

    hold(&publisher, &on(&one));
    assert_eq!(kept(&world), ["default 1", "second 1"], "of the same bytes");
    let error = block_on(publisher.hold(&work, &why())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "it is told of: {error}");
    assert_eq!(kept(&world).len(), 4);
    block_on(publisher.release(&work, &why())).unwrap_err();
    assert_eq!(kept(&world), ["default 1", "second 1"], "{two} is let go");
    // What that one keeps of the same object, nobody knows.
    block_on(publisher.release(&on(&one), &why())).unwrap_err();
    assert_eq!(kept(&world), ["default 1", "second 1"]);
}

#[test]
fn a_copy_that_is_lost_is_let_go_with_the_others() {
    let (world, publisher) = with_locks(&["default", "second"]);
    let id = publish(&world, &publisher, 1);
    hold(&publisher, &on(&id));
    let (_, key) = world.objects().into_keys().next().unwrap();
    world.corrupt("second", &key, |bytes| bytes[0] = 9);
    let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!(
        (scrub.lost, scrub.repaired, kept(&world)),
        (1, 1, vec!["default 1".into(), "second 1".into(), "second 9".into()])
    );
    release(&publisher, &on(&id));
    assert_eq!(kept(&world), [""; 0]);
    world.advance(DAY * 2);
    assert_eq!(tidy(&publisher).len(), 1);
}

#[test]
fn what_is_not_there_is_not_said_to_be_kept() {
    let (world, publisher) = with_locks(&["default", "second"]);
    let id = publish(&world, &publisher, 1);
    let (_, key) = world.objects().into_keys().next().unwrap();
    world.lose("second", &key);
    let error = block_on(publisher.hold(&on(&id), &why())).unwrap_err();
    assert!(error.message().contains("on `second`: nothing is there: scrub it"), "{error}");
    assert_eq!(kept(&world), ["default 1"]);
    let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!((scrub.repaired, kept(&world).len()), (1, 2));
    hold(&publisher, &on(&id));

    // What was taken back may be gone, and can be held all the same.
    release(&publisher, &on(&id));
    block_on(publisher.retract(&id, &why())).unwrap();
    world.advance(DAY * 2);
    assert!(tidy(&publisher).len() > 1 && world.objects().is_empty());
    hold(&publisher, &on(&id));
}

/// A target has another name on another host, and that one is not configured here.
#[test]
fn what_may_be_held_under_a_name_that_is_not_known_here_is_not_let_go() {
    let world = World::new();
    let name = name("media");
    world.give_legal_holds(&name);
    let host = |target: &TargetName| {
        let parts = world.parts(&name);
        world.builder("a").target(target.clone(), parts.storage, parts.signer).build().unwrap()
    };
    let (here, there) = (host(&name), host(&super::replicas::name("main")));
    stage(&world, 1);
    let publish = |publisher: &Publisher, target: &str, concept: &str| {
        let mut request = edit(1);
        request.distribution_settings.storage_target = Some(target.parse().unwrap());
        request.distribution_settings.metadata.concept_id = Some(concept.parse().unwrap());
        block_on(publisher.publish(request)).unwrap().audit_log_id
    };
    let (ours, theirs) = (publish(&here, "media", "concept-7"), publish(&there, "main", "concept-8"));
    assert_eq!(world.objects().len(), 1);
    hold(&there, &on(&theirs));
    hold(&here, &on(&ours));
    release(&here, &on(&ours));
    assert_eq!(kept(&world), ["media 1"]);
    release(&there, &on(&theirs));
    assert_eq!(kept(&world), [""; 0]);
}

#[test]
fn a_scrub_asks_stores_whatever_else_fails() {
    let (world, publisher) = with_locks(&["default"]);
    let id = publish(&world, &publisher, 1);
    hold(&publisher, &on(&id));
    set_all(&world, LegalHold::Off);
    world.fail(|effect| effect.subject.starts_with("second/").then_some(Fault::LostRequest));
    let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!((scrub.failed, scrub.locked, kept(&world)), (1, 1, vec!["default 1".into()]));
}
