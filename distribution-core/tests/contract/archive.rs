//! The archive: what is copied there, when the other copies go, what is answered meanwhile, and how it comes back.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{
    AlertKind, ArchiveMode, ArchivePolicy, AssetRecord, AuditEvent, AuditLogId, BaseUrl, Builder, ConceptId, ErrorKind,
    HoldOn, LeftOver, LeftOverKind, LeftOverOutcome, Publisher, Reason, Replication, Spared, SweepPolicy, TargetName,
    Tier, Verdict,
};
use distribution_testkit::checker::violations;
use distribution_testkit::{Fault, MemoryStaging, Op, World, request};
use futures::executor::block_on;

use crate::replicas::name;
use crate::support::{VIDEO, staged};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// `default`, whose archive is `cold`.
fn builder(world: &World) -> Builder {
    let parts = world.parts(&name("cold"));
    world.builder("a").target(name("cold"), parts.storage, parts.signer).archive(TargetName::default(), name("cold"))
}

fn publisher(world: &World) -> Publisher {
    builder(world).build().unwrap()
}

/// A world in which a file is published.
fn published() -> (World, Publisher, AuditLogId) {
    let world = staged();
    let publisher = publisher(&world);
    let id = publish(&publisher).unwrap();
    (world, publisher, id)
}

fn publish(publisher: &Publisher) -> Result<AuditLogId, distribution_core::Error> {
    block_on(publisher.publish(request("clip.mp4", VIDEO))).map(|answer| answer.audit_log_id)
}

fn archive(publisher: &Publisher, id: &AuditLogId, mode: ArchiveMode) -> Result<AssetRecord, distribution_core::Error> {
    block_on(publisher.archive(id, mode))
}

fn tier(world: &World, id: &AuditLogId) -> (Tier, u32) {
    let asset = block_on(world.publisher("ui").record(id)).unwrap().unwrap().published.unwrap();
    (asset.tier, asset.replica_count)
}

fn tidy(publisher: &Publisher) -> Vec<LeftOver> {
    let mut pass = publisher.tidy(TimeDelta::days(1));
    std::iter::from_fn(|| block_on(pass.next()).unwrap()).collect()
}

/// On which targets objects are.
fn objects(world: &World) -> Vec<String> {
    world.objects().into_keys().map(|(target, _)| target).collect()
}

fn key(world: &World, target: &str) -> String {
    world.objects().into_keys().find(|(at, _)| at == target).unwrap().1
}

/// Whether a publish and a link are answered that it is in the archive, and how.
fn told_archived(publisher: &Publisher, id: &AuditLogId) -> String {
    let link = block_on(publisher.link(id, HOUR)).unwrap_err();
    let again = publish(publisher).unwrap_err();
    let plan = block_on(publisher.plan(request("clip.mp4", VIDEO))).unwrap_err();
    for error in [&link, &again, &plan] {
        assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Archived, false), "{error}");
    }
    link.to_string()
}

fn why() -> Reason {
    Reason::parse("a court asks for it").unwrap()
}

#[test]
fn there_and_back() {
    let (world, publisher, id) = published();
    let link = block_on(publisher.link(&id, DAY * 2)).unwrap();
    let asset = archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
    assert_eq!(asset.published.as_ref().unwrap().tier, Tier::Archived);
    assert_eq!((tier(&world, &id), objects(&world)), ((Tier::Archived, 1), vec!["cold".into(), "default".into()]));
    assert!(
        told_archived(&publisher, &id)
            .ends_with("is in the archive since 2026-01-01 00:00:00 UTC: restore it, then repeat")
    );
    assert_eq!(world.alerts(), [], "nobody is woken for that");
    world.keeps_promises().unwrap();

    // Links that are out work until they end: the one of `publish` after 72 hours.
    assert_eq!(link.expires_at, Some(world.now() + DAY * 2));
    world.advance(HOUR * 71);
    assert_eq!(tidy(&publisher), []);
    world.advance(HOUR);
    let [gone] = tidy(&publisher).try_into().unwrap();
    let kind = LeftOverKind::Released { audit_log_id: id.clone() };
    assert_eq!((&gone.kind, &gone.outcome), (&kind, &LeftOverOutcome::Removed), "{gone}");
    assert_eq!(objects(&world), ["cold"]);
    assert!(world.audit().iter().any(|entry| matches!(entry.event, AuditEvent::CopyReleased { .. })));
    assert_eq!(tidy(&publisher), []);
    world.unstage("clip.mp4");
    told_archived(&publisher, &id);
    world.keeps_promises().unwrap();

    let asset = block_on(publisher.restore(&id)).unwrap();
    assert_eq!(asset.published.unwrap().tier, Tier::Hot);
    assert_eq!((tier(&world, &id), objects(&world)), ((Tier::Hot, 2), vec!["cold".into(), "default".into()]));
    assert_eq!(publish(&publisher).unwrap(), id);
    block_on(publisher.link(&id, HOUR)).unwrap();
    let bytes: Vec<_> = world.objects().into_values().map(|object| object.bytes).collect();
    assert_eq!(bytes, [VIDEO, VIDEO]);
    world.keeps_promises().unwrap();

    // And once more, with the copy that is there.
    archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
    block_on(publisher.restore(&id)).unwrap();
    world.keeps_promises().unwrap();
}

#[test]
fn what_is_kept_hot_is_copied_and_served() {
    let (world, publisher, id) = published();
    for _ in 0..2 {
        archive(&publisher, &id, ArchiveMode::KeepHot).unwrap();
        assert_eq!((tier(&world, &id), objects(&world).len()), ((Tier::Hot, 2), 2));
    }
    publish(&publisher).unwrap();
    world.advance(DAY * 30);
    assert_eq!(tidy(&publisher), []);
    // No link leads to the archive, not even where there is nothing else.
    world.lose("default", &key(&world, "default"));
    assert_eq!(block_on(publisher.link(&id, HOUR)).unwrap_err().kind(), ErrorKind::Corrupt);
    let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!((scrub.sound, scrub.lost, scrub.repaired), (1, 1, 1), "it is a copy to mend from");
    block_on(publisher.link(&id, HOUR)).unwrap();
    world.keeps_promises().unwrap();
}

#[test]
fn an_archive_that_is_down_takes_nothing_away_and_recovery_goes_on() {
    let (world, publisher, id) = published();
    world.fail(|effect| effect.subject.starts_with("cold/").then_some(Fault::LostRequest));
    let error = archive(&publisher, &id, ArchiveMode::FreeHot).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(world.alerts().iter().map(|alert| alert.kind).collect::<Vec<_>>(), [AlertKind::ReplicaLost]);
    assert_eq!(tier(&world, &id), (Tier::Archiving, 1));
    publish(&publisher).unwrap();
    block_on(publisher.link(&id, HOUR)).unwrap();
    world.heal();
    let recovery = block_on(publisher.recover()).unwrap();
    assert_eq!((recovery.settled, recovery.failed), (1, 0));
    assert_eq!(tier(&world, &id), (Tier::Archived, 1));
    world.keeps_promises().unwrap();
}

#[test]
fn what_is_held_is_copied_and_not_freed() {
    let concept = ConceptId::parse("concept-1").unwrap();
    for is_work in [false, true] {
        let world = staged();
        let publisher = publisher(&world);
        let mut call = request("clip.mp4", VIDEO);
        call.distribution_settings.metadata.concept_id = Some(concept.clone());
        let id = block_on(publisher.publish(call)).unwrap().audit_log_id;
        let on = if is_work { HoldOn::Concept(concept.clone()) } else { HoldOn::Publication(id.clone()) };
        block_on(publisher.hold(&on, &why())).unwrap();
        let error = archive(&publisher, &id, ArchiveMode::FreeHot).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().ends_with("is held: release it, or archive it and keep the hot copies"), "{error}");
        archive(&publisher, &id, ArchiveMode::KeepHot).unwrap();
        assert_eq!(tier(&world, &id), (Tier::Hot, 2));
        block_on(publisher.release(&on, &why())).unwrap();

        // A hold that comes while it is on its way there keeps all of it.
        world.lose("cold", &key(&world, "cold"));
        let _ = block_on(publisher.scrub(None, 0)).unwrap();
        archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
        block_on(publisher.restore(&id)).unwrap();
        world.lose("cold", &key(&world, "cold"));
        world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::LostRequest));
        let _ = block_on(publisher.scrub(None, 0)).unwrap();
        let _ = archive(&publisher, &id, ArchiveMode::FreeHot).unwrap_err();
        world.heal();
        block_on(publisher.hold(&on, &why())).unwrap();
        let _ = block_on(publisher.recover()).unwrap();
        assert_eq!(tier(&world, &id), (Tier::Hot, 2));
        block_on(publisher.release(&on, &why())).unwrap();

        // One that comes after it keeps what is left.
        archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
        block_on(publisher.hold(&on, &why())).unwrap();
        world.advance(DAY * 30);
        let kept = tidy(&publisher);
        assert!(!kept.is_empty());
        for left_over in kept {
            let is_held = matches!(&left_over.outcome, LeftOverOutcome::Keep(Spared::Held { by }) if *by == id);
            assert!(is_held, "{left_over}");
        }
        block_on(publisher.release(&on, &why())).unwrap();
        assert!(tidy(&publisher).iter().all(|left_over| left_over.outcome == LeftOverOutcome::Removed));
        assert_eq!(objects(&world), ["cold"]);
        world.keeps_promises().unwrap();
    }
}

#[test]
fn the_last_good_copy_is_not_removed() {
    for is_missing in [true, false] {
        let (world, publisher, id) = published();
        archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
        world.unstage("clip.mp4");
        world.advance(DAY * 30);
        match is_missing {
            true => assert!(world.lose("cold", &key(&world, "cold"))),
            false => assert!(world.corrupt("cold", &key(&world, "cold"), |bytes| bytes[0] ^= 1)),
        }
        let [kept] = tidy(&publisher).try_into().unwrap();
        assert_eq!(kept.outcome, LeftOverOutcome::Keep(Spared::Unproven { by: id.clone() }), "{kept}");
        assert_eq!(world.alerts().last().unwrap().kind, AlertKind::Corrupt);

        // What was freed is good enough to mend from.
        let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
        assert_eq!((scrub.lost, scrub.repaired, scrub.failed), (1, 1, 0), "{scrub:?}");
        assert_eq!(tier(&world, &id), (Tier::Archived, 1));
        assert!(tidy(&publisher).iter().any(|left_over| left_over.outcome == LeftOverOutcome::Removed));
        assert!(!objects(&world).contains(&"default".to_owned()));
        world.keeps_promises().unwrap();
        block_on(publisher.restore(&id)).unwrap();
        world.keeps_promises().unwrap();
    }
}

#[test]
fn its_replicas_are_freed_with_it_and_made_again_when_it_is_back() {
    let world = staged();
    let eu = world.parts(&name("eu"));
    let replication = Replication { targets: vec![name("eu")], quorum: 2 };
    let builder =
        builder(&world).target(name("eu"), eu.storage, eu.signer).replicate(TargetName::default(), replication);
    let publisher = builder.build().unwrap();
    let id = publish(&publisher).unwrap();
    archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
    assert_eq!((tier(&world, &id), objects(&world).len()), ((Tier::Archived, 1), 3));
    let recovery = block_on(publisher.recover()).unwrap();
    assert_eq!((recovery.settled, recovery.failed, objects(&world).len()), (0, 0, 3), "it is wanted nowhere else");
    world.advance(DAY * 30);
    assert_eq!((tidy(&publisher).len(), objects(&world)), (2, vec!["cold".to_owned()]));
    block_on(publisher.restore(&id)).unwrap();
    assert_eq!(tier(&world, &id), (Tier::Hot, 2));
    publish(&publisher).unwrap();
    let _ = block_on(publisher.recover()).unwrap();
    assert_eq!(tier(&world, &id), (Tier::Hot, 3));
    world.keeps_promises().unwrap();
}

#[test]
fn its_staged_file_goes_when_the_copy_in_the_archive_was_read_again() {
    for is_sound in [true, false] {
        let (world, publisher, id) = published();
        archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
        if !is_sound {
            world.corrupt("cold", &key(&world, "cold"), |bytes| bytes[0] ^= 1);
        }
        world.advance(DAY * 8);
        let mut sweep = publisher.sweep(Arc::new(MemoryStaging::new(&world)), SweepPolicy::default());
        let decision = block_on(sweep.next()).unwrap().unwrap();
        assert_eq!(matches!(decision.verdict, Verdict::Removed { .. }), is_sound, "{}", decision.verdict);
    }
}

#[test]
fn what_the_store_itself_has_moved_away_is_recognised() {
    let (world, publisher, id) = published();
    assert!(world.set_archived("default", &key(&world, "default"), true));
    let error = block_on(publisher.link(&id, HOUR)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Archived);
    assert!(error.to_string().ends_with("have it restored there, then repeat"), "{error}");
    told_archived(&publisher, &id);
    let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!((scrub.archived, scrub.lost, scrub.failed), (1, 0, 0), "it is not lost");
    assert_eq!(world.alerts(), []);
    world.set_archived("default", &key(&world, "default"), false);
    publish(&publisher).unwrap();

    // The archive's own store may do so, too.
    archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
    world.set_archived("cold", &key(&world, "cold"), true);
    world.advance(DAY * 30);
    let [kept] = tidy(&publisher).try_into().unwrap();
    assert!(matches!(kept.outcome, LeftOverOutcome::Keep(Spared::Failed { .. })), "it cannot be read again: {kept}");
    assert!(world.lose("default", &key(&world, "default")));
    world.unstage("clip.mp4");
    let error = block_on(publisher.restore(&id)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Archived, "{error}");
    assert_eq!(tier(&world, &id).0, Tier::Restoring);
    world.set_archived("cold", &key(&world, "cold"), false);
    block_on(publisher.restore(&id)).unwrap();
    publish(&publisher).unwrap();
    world.keeps_promises().unwrap();
}

#[test]
fn links_lead_to_a_replica_where_the_store_has_moved_the_object_away() {
    let world = staged();
    let eu = world.parts(&name("eu"));
    let replication = Replication { targets: vec![name("eu")], quorum: 2 };
    let builder =
        builder(&world).target(name("eu"), eu.storage, eu.signer).replicate(TargetName::default(), replication);
    let publisher = builder.build().unwrap();
    let id = publish(&publisher).unwrap();
    world.set_archived("default", &key(&world, "default"), true);
    block_on(publisher.link(&id, HOUR)).unwrap();
    world.set_archived("eu", &key(&world, "eu"), true);
    assert_eq!(block_on(publisher.link(&id, HOUR)).unwrap_err().kind(), ErrorKind::Archived);
}

#[test]
fn another_publication_of_the_same_object_keeps_it() {
    let (world, publisher, id) = published();
    let mut other = request("clip.mp4", VIDEO);
    other.distribution_settings.metadata.concept_id = Some("concept-2".parse().unwrap());
    let other = block_on(publisher.publish(other)).unwrap().audit_log_id;
    assert_eq!(objects(&world).len(), 1, "they share the object");
    archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
    world.advance(DAY * 30);
    let [kept] = tidy(&publisher).try_into().unwrap();
    assert_eq!(kept.outcome, LeftOverOutcome::Keep(Spared::Owned { by: other.clone() }), "{kept}");
    block_on(publisher.link(&other, HOUR)).unwrap();
    archive(&publisher, &other, ArchiveMode::FreeHot).unwrap();
    world.advance(DAY * 30);
    assert_eq!((tidy(&publisher).len(), objects(&world)), (1, vec!["cold".to_owned()]));
    block_on(publisher.restore(&other)).unwrap();
    told_archived(&publisher, &id);
    world.keeps_promises().unwrap();
}

#[test]
fn what_is_in_the_archive_can_be_taken_back_and_is_no_version_to_roll_back_to() {
    let world = staged();
    let publisher = publisher(&world);
    let concept = ConceptId::parse("concept-1").unwrap();
    let publish = |file: &str, bytes: &'static [u8]| {
        world.stage(file, bytes);
        let mut call = request(file, bytes);
        call.distribution_settings.metadata.concept_id = Some(concept.clone());
        block_on(publisher.publish(call)).unwrap().audit_log_id
    };
    let (first, second) = (publish("clip.mp4", VIDEO), publish("next.mp4", b"an edit"));
    archive(&publisher, &first, ArchiveMode::FreeHot).unwrap();
    assert_eq!(block_on(publisher.rollback(&concept, 1)).unwrap_err().kind(), ErrorKind::Archived);
    assert_eq!(block_on(publisher.latest(&concept)).unwrap().unwrap().audit_log_id, second);
    block_on(publisher.restore(&first)).unwrap();
    block_on(publisher.rollback(&concept, 1)).unwrap();

    archive(&publisher, &first, ArchiveMode::FreeHot).unwrap();
    block_on(publisher.revoke_links(&first)).unwrap_err(); // this signer cannot
    block_on(publisher.retract(&first, &why())).unwrap();
    for error in [archive(&publisher, &first, ArchiveMode::KeepHot), block_on(publisher.restore(&first))] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Retracted);
    }
    world.advance(DAY * 30);
    assert!(tidy(&publisher).iter().all(|left_over| left_over.outcome == LeftOverOutcome::Removed));
    assert_eq!(objects(&world), ["default"], "the other version's");
    world.keeps_promises().unwrap();
}

#[test]
fn nothing_to_archive_and_nowhere_to() {
    let (world, publisher, id) = published();
    let error = archive(&world.publisher("b"), &id, ArchiveMode::FreeHot).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("has no archive"), "{error}");
    let nobody = AuditLogId::parse("dist_00000000000000000000000000").unwrap();
    assert_eq!(archive(&publisher, &nobody, ArchiveMode::FreeHot).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(block_on(publisher.restore(&nobody)).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(block_on(publisher.restore(&id)).unwrap().published.unwrap().tier, Tier::Hot, "it is hot already");
    assert_eq!(violations(&world.evidence()), []);

    let build = |archive: &str, is_public: bool| {
        let parts = world.parts(&name("cold"));
        let base = BaseUrl::parse("https://cdn.example.com/").unwrap();
        let builder = match is_public {
            true => world.builder("a").public_target(name("cold"), parts.storage, base),
            false => world.builder("a").target(name("cold"), parts.storage, parts.signer),
        };
        let same = world.parts(&TargetName::default());
        let builder = builder.target(name("same"), same.storage, same.signer);
        let replication = Replication { targets: vec![name("eu")], quorum: 1 };
        let eu = world.parts(&name("eu"));
        let builder = builder.target(name("eu"), eu.storage, eu.signer).replicate(TargetName::default(), replication);
        builder.archive(TargetName::default(), name(archive)).build().map(drop)
    };
    build("cold", false).unwrap();
    for (archive, is_public, message) in [
        ("nowhere", false, "`nowhere` is no configured target"),
        ("default", false, "`default` has a copy of what is on `default` already"),
        ("eu", false, "`eu` has a copy of what is on `default` already"),
        ("same", false, "`default` and `same` are one place"),
        ("cold", true, "`cold` is public, and `default` is not"),
    ] {
        let error = build(archive, is_public).unwrap_err();
        assert_eq!(error.field(), Some("archive"));
        assert!(error.to_string().contains(message), "{error}");
    }
}

#[test]
fn a_policy_archives_what_is_old_and_leaves_the_latest_and_what_is_held() {
    let world = staged();
    let publisher = publisher(&world);
    let publish = |n: u8, concept: Option<&str>| {
        let (file, bytes) = (format!("{n}.mp4"), [n; 8]);
        world.stage(&file, bytes.to_vec());
        let mut call = request(&file, &bytes);
        call.distribution_settings.metadata.concept_id = concept.map(|concept| concept.parse().unwrap());
        block_on(publisher.publish(call)).unwrap().audit_log_id
    };
    let (single, held) = (publish(0, None), publish(1, None));
    let (first, second) = (publish(2, Some("concept-1")), publish(3, Some("concept-1")));
    block_on(publisher.hold(&HoldOn::Publication(held.clone()), &why())).unwrap();
    world.advance(DAY * 90);
    let young = publish(4, None);
    let policy = ArchivePolicy { older_than: TimeDelta::days(90), keeps_latest: true, mode: ArchiveMode::FreeHot };

    let pass = block_on(publisher.archive_due(&policy, None, 1)).unwrap();
    assert_eq!((pass.archived.len(), pass.failed), (1, 0));
    let rest = block_on(publisher.archive_due(&policy, pass.next.as_ref(), 100)).unwrap();
    assert_eq!((rest.archived.len(), rest.next.is_none()), (1, true));
    let tiers = [&single, &held, &first, &second, &young].map(|id| tier(&world, id).0);
    assert_eq!(tiers, [Tier::Archived, Tier::Hot, Tier::Archived, Tier::Hot, Tier::Hot]);
    let again = block_on(publisher.archive_due(&policy, None, 100)).unwrap();
    assert_eq!((again.publications, again.archived.len()), (5, 0));

    // What was restored is left where it is as long as if it had been published then.
    block_on(publisher.restore(&first)).unwrap();
    assert_eq!(block_on(publisher.archive_due(&policy, None, 100)).unwrap().archived, []);
    world.advance(DAY * 90);
    assert_eq!(block_on(publisher.archive_due(&policy, None, 100)).unwrap().archived, [young, first]);

    world.fail(|effect| effect.subject.starts_with("cold/").then_some(Fault::LostRequest));
    let all = ArchivePolicy { keeps_latest: false, ..policy };
    let pass = block_on(publisher.archive_due(&all, None, 100)).unwrap();
    assert_eq!((pass.archived.len(), pass.failed), (0, 1), "{pass:?}");
    assert_eq!(pass.failures[0].0, second);
    world.heal();
    world.keeps_promises().unwrap_err(); // it goes on, and is not settled
    let _ = block_on(publisher.recover()).unwrap();
    assert_eq!(tier(&world, &second).0, Tier::Archived);
    world.keeps_promises().unwrap();
}

#[test]
fn a_replica_that_is_down_does_not_keep_it_from_the_archive() {
    for mode in [ArchiveMode::KeepHot, ArchiveMode::FreeHot] {
        let world = staged();
        let eu = world.parts(&name("eu"));
        let replication = Replication { targets: vec![name("eu")], quorum: 1 };
        let builder = builder(&world).target(name("eu"), eu.storage, eu.signer);
        let publisher = builder.replicate(TargetName::default(), replication).build().unwrap();
        let id = publish(&publisher).unwrap();
        world.fail(|effect| effect.subject.starts_with("eu/").then_some(Fault::LostRequest));
        archive(&publisher, &id, mode).unwrap();
        world.heal();
        let _ = block_on(publisher.recover()).unwrap();
        let expected = if mode == ArchiveMode::KeepHot { (Tier::Hot, 3) } else { (Tier::Archived, 1) };
        assert_eq!(tier(&world, &id), expected);
        world.keeps_promises().unwrap();
    }
}

#[test]
fn a_staged_file_stays_while_the_copy_in_the_archive_is_known_to_be_lost() {
    let (world, publisher, id) = published();
    archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
    world.lose("cold", &key(&world, "cold"));
    world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::LostRequest));
    let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
    assert_eq!((scrub.lost, scrub.repaired), (1, 0));
    world.heal();
    world.advance(DAY * 8);
    let mut sweep = publisher.sweep(Arc::new(MemoryStaging::new(&world)), SweepPolicy::default());
    let decision = block_on(sweep.next()).unwrap().unwrap();
    assert!(!matches!(decision.verdict, Verdict::Removed { .. }), "{}", decision.verdict);
}

#[test]
fn links_from_before_an_earlier_journey_work_until_they_end() {
    let (world, publisher, id) = published();
    block_on(publisher.link(&id, DAY * 7)).unwrap();
    for _ in 0..2 {
        archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
        block_on(publisher.restore(&id)).unwrap();
    }
    archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
    world.advance(DAY * 6);
    assert_eq!(tidy(&publisher), []);
    world.advance(DAY);
    assert_eq!(tidy(&publisher).len(), 3);
    world.keeps_promises().unwrap();
}

#[test]
fn what_was_freed_is_held_and_shared_after_it_was_restored_too() {
    let (world, publisher, id) = published();
    let mut other = request("clip.mp4", VIDEO);
    other.distribution_settings.metadata.concept_id = Some("concept-2".parse().unwrap());
    let other = block_on(publisher.publish(other)).unwrap().audit_log_id;
    // The one is back and has links to the object that both had; the other's have ended.
    archive(&publisher, &other, ArchiveMode::FreeHot).unwrap();
    world.advance(DAY * 4);
    block_on(publisher.link(&id, DAY * 7)).unwrap();
    archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
    block_on(publisher.restore(&id)).unwrap();
    let kept = tidy(&publisher);
    let is_recent =
        |left_over: &LeftOver| left_over.outcome == LeftOverOutcome::Keep(Spared::Recent { by: id.clone() });
    assert!(kept.iter().all(is_recent) && kept.len() == 1, "{kept:?}");
    world.advance(DAY * 7);
    block_on(publisher.hold(&HoldOn::Publication(id.clone()), &why())).unwrap();
    let [kept] = tidy(&publisher).try_into().unwrap();
    assert_eq!(kept.outcome, LeftOverOutcome::Keep(Spared::Held { by: id.clone() }), "{kept}");
    block_on(publisher.release(&HoldOn::Publication(id), &why())).unwrap();
    let [gone] = tidy(&publisher).try_into().unwrap();
    assert_eq!(gone.outcome, LeftOverOutcome::Removed, "{gone}");
    world.keeps_promises().unwrap();
}

#[test]
fn what_has_links_that_never_end_is_copied_and_not_freed() {
    let world = staged();
    let (parts, cold) = (world.parts(&TargetName::default()), world.parts(&name("cold")));
    let base = BaseUrl::parse("https://cdn.example.com/").unwrap();
    let builder = world.builder("a").public_target(TargetName::default(), parts.storage, base);
    let builder = builder.target(name("cold"), cold.storage, cold.signer).archive(TargetName::default(), name("cold"));
    let publisher = builder.build().unwrap();
    let id = publish(&publisher).unwrap();
    let error = archive(&publisher, &id, ArchiveMode::FreeHot).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().ends_with("never end: archive it and keep the hot copies"), "{error}");
    let policy = ArchivePolicy { older_than: TimeDelta::zero(), keeps_latest: false, mode: ArchiveMode::FreeHot };
    assert_eq!(block_on(publisher.archive_due(&policy, None, 9)).unwrap().archived, []);
    archive(&publisher, &id, ArchiveMode::KeepHot).unwrap();
    assert_eq!(tier(&world, &id), (Tier::Hot, 2));
    world.keeps_promises().unwrap();
}

#[test]
fn who_asks_to_keep_the_hot_copies_takes_back_that_they_are_to_be_freed() {
    let (world, publisher, id) = published();
    world.fail(|effect| effect.subject.starts_with("cold/").then_some(Fault::LostRequest));
    archive(&publisher, &id, ArchiveMode::FreeHot).unwrap_err();
    world.heal();
    archive(&publisher, &id, ArchiveMode::KeepHot).unwrap();
    assert_eq!(tier(&world, &id), (Tier::Hot, 2));
    world.keeps_promises().unwrap();
}

#[test]
fn what_its_store_has_moved_away_or_lost_is_restored_from_another_copy() {
    for is_lost in [false, true] {
        let (world, publisher, id) = published();
        archive(&publisher, &id, ArchiveMode::KeepHot).unwrap();
        world.unstage("clip.mp4");
        let hot = key(&world, "default");
        if is_lost {
            world.lose("default", &hot);
        } else {
            world.set_archived("default", &hot, true);
        }
        let asset = block_on(publisher.restore(&id)).unwrap().published.unwrap();
        assert!(asset.storage_location.as_str().ends_with("-r1.mp4"));
        block_on(publisher.link(&id, HOUR)).unwrap();
        world.set_archived("default", &hot, false);
        world.keeps_promises().unwrap();
    }
    // Where there is none, the answer is what its store says.
    let (world, publisher, id) = published();
    world.unstage("clip.mp4");
    world.set_archived("default", &key(&world, "default"), true);
    assert_eq!(block_on(publisher.restore(&id)).unwrap_err().kind(), ErrorKind::Archived);
}

#[test]
fn what_is_held_keeps_the_object_that_its_store_has_moved_away_when_it_is_restored_elsewhere() {
    let (world, publisher, id) = published();
    archive(&publisher, &id, ArchiveMode::KeepHot).unwrap();
    let on = HoldOn::Publication(id.clone());
    block_on(publisher.hold(&on, &why())).unwrap();
    world.set_archived("default", &key(&world, "default"), true);
    block_on(publisher.restore(&id)).unwrap();
    world.advance(DAY * 30);
    let [kept] = tidy(&publisher).try_into().unwrap();
    assert_eq!(kept.outcome, LeftOverOutcome::Keep(Spared::Held { by: id.clone() }), "{kept}");
    block_on(publisher.release(&on, &why())).unwrap();
    let [gone] = tidy(&publisher).try_into().unwrap();
    assert_eq!(gone.outcome, LeftOverOutcome::Removed, "{gone}");
    assert!(world.audit().iter().any(|entry| matches!(entry.event, AuditEvent::CopyReleased { .. })));
    world.keeps_promises().unwrap();
}

#[test]
fn the_copy_in_the_archive_is_read_once_for_all_that_was_freed_with_it() {
    let world = staged();
    let eu = world.parts(&name("eu"));
    let replication = Replication { targets: vec![name("eu")], quorum: 2 };
    let builder = builder(&world).target(name("eu"), eu.storage, eu.signer);
    let publisher = builder.replicate(TargetName::default(), replication).build().unwrap();
    let id = publish(&publisher).unwrap();
    archive(&publisher, &id, ArchiveMode::FreeHot).unwrap();
    world.advance(DAY * 30);
    let read = |world: &World| {
        let is_read = |op: Op, subject: &str| op == Op::StorageDigest && subject.starts_with("cold/");
        world.effects().iter().filter(|effect| is_read(effect.op, &effect.subject)).count()
    };
    let before = read(&world);
    assert_eq!(tidy(&publisher).len(), 2);
    assert_eq!(read(&world) - before, 1, "some classes charge for each byte that is read");
    assert_eq!(objects(&world), ["cold"]);
}
