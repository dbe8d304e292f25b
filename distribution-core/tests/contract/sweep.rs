//! The sweep: what it removes, what it keeps and why, and what it tells.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{
    AlertKind, AuditEvent, AuditLogId, Checksum, ConceptId, ErrorKind, IdempotencyKey, Kept, PublishRequest, Publisher,
    SweepPolicy, Verdict,
};
use distribution_testkit::{Fault, MemoryStaging, Op, World, request};
use futures::executor::block_on;

use crate::support::{VIDEO, publish, staged};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn clip() -> PublishRequest {
    request("clip.mp4", VIDEO)
}

/// A world in which the clip was published eight days ago.
fn published_long_ago() -> (World, AuditLogId) {
    let world = staged();
    let id = publish(&world, &clip()).unwrap().audit_log_id;
    world.advance(DAY * 8);
    (world, id)
}

fn verdicts(world: &World, publisher: &Publisher, removes: bool) -> Vec<(String, Verdict)> {
    let (staging, policy) = (Arc::new(MemoryStaging::new(world)), SweepPolicy::default());
    let mut sweep = if removes { publisher.sweep(staging, policy) } else { publisher.plan_sweep(staging, policy) };
    block_on(async {
        let mut all = Vec::new();
        while let Some(decision) = sweep.next().await.unwrap() {
            all.push((decision.file.url.expose().to_owned(), decision.verdict));
        }
        all
    })
}

/// What becomes of the only staged file.
fn swept(world: &World) -> Verdict {
    let [(_, verdict)] = verdicts(world, &world.publisher("sweeper"), true).try_into().unwrap();
    verdict
}

fn kept(world: &World) -> Kept {
    let Verdict::Keep(kept) = swept(world) else { panic!("it was not kept") };
    kept
}

#[test]
fn a_file_goes_when_it_was_published_long_enough_ago() {
    let world = staged();
    let id = publish(&world, &clip()).unwrap().audit_log_id;
    let until = world.now() + TimeDelta::days(7);
    world.advance(DAY * 7 - Duration::from_micros(1));
    assert_eq!(kept(&world), Kept::Retained { until });
    world.advance(Duration::from_micros(1));
    assert_eq!(swept(&world), Verdict::Removed { audit_log_id: id.clone() });

    assert!(world.staged("clip.mp4").is_none());
    let told = world.audit().pop().unwrap();
    assert_eq!((told.id.audit_log_id, told.at), (id, until));
    assert!(matches!(told.event, AuditEvent::StagedFileReleased { url } if url.expose() == "clip.mp4"));
    assert_eq!(world.objects().len(), 1, "the copy stays, and nothing else does");
    world.keeps_promises().unwrap();

    // Who repeats the call needs no staged file, and who stages it anew is let in.
    publish(&world, &clip()).unwrap();
    world.stage("clip.mp4", VIDEO);
    let mut another = clip();
    another.distribution_settings.metadata.concept_id = Some("another".parse().unwrap());
    publish(&world, &another).unwrap();
}

#[test]
fn a_plan_tells_and_writes_nothing() {
    let (world, id) = published_long_ago();
    world.stage("new.mp4", &b"unpublished"[..]);
    let (before, published_at) = (world.effects().len(), world.now() - TimeDelta::days(8));
    let planned = verdicts(&world, &world.publisher("sweeper"), false);
    assert_eq!(
        planned,
        [
            ("clip.mp4".to_owned(), Verdict::Remove { audit_log_id: id, published_at }),
            ("new.mp4".to_owned(), Verdict::Keep(Kept::Unpublished)),
        ]
    );
    assert!(world.effects()[before..].iter().all(|effect| !effect.op.writes()));
}

#[test]
fn what_nobody_published_stays_and_is_told_when_it_is_old() {
    let world = staged();
    assert_eq!(kept(&world), Kept::Unpublished);
    world.advance(DAY * 7);
    assert_eq!(kept(&world), Kept::Stuck);
    let [alert] = &world.alerts()[..] else { panic!("one alert for all of them") };
    assert_eq!((alert.kind, alert.dedup_key().as_str()), (AlertKind::StagingStuck, "staging_stuck"));
    assert!(world.staged("clip.mp4").is_some());
}

#[test]
fn a_file_with_other_bytes_stays_and_one_that_was_only_touched_goes() {
    let (world, _) = published_long_ago();
    world.stage("clip.mp4", "other bytes of another length");
    assert_eq!(kept(&world), Kept::Changed);
    let other: Vec<u8> = VIDEO.iter().map(|byte| byte ^ 1).collect();
    world.stage("clip.mp4", other);
    assert_eq!(kept(&world), Kept::Changed, "as many bytes, but others");
    world.stage("clip.mp4", VIDEO);
    assert!(matches!(swept(&world), Verdict::Removed { .. }));
}

#[test]
fn a_copy_that_is_not_sound_keeps_the_file_and_raises_an_alert() {
    for lost in [false, true] {
        let (world, id) = published_long_ago();
        let (target, key) = world.objects().into_keys().next().unwrap();
        if lost {
            world.lose(&target, &key);
        } else {
            world.corrupt(&target, &key, |bytes| bytes[0] ^= 1);
        }
        assert_eq!(kept(&world), Kept::Unproven { audit_log_id: id.clone() });
        let alert = world.alerts().pop().unwrap();
        assert_eq!((alert.kind, alert.audit_log_id), (AlertKind::Corrupt, Some(id)));
        assert!(world.names().is_empty(), "nothing was buried: the file can still be used");
    }
}

#[test]
fn another_publication_of_the_same_bytes_keeps_the_file() {
    let (world, _) = published_long_ago();
    let mut another = clip();
    another.distribution_settings.metadata.concept_id = Some(ConceptId::parse("another").unwrap());
    // It comes no further than its claim.
    world.fail(|effect| (effect.op == Op::SourceOpen).then_some(Fault::LostRequest));
    publish(&world, &another).unwrap_err();
    world.heal();
    assert!(matches!(kept(&world), Kept::InUse { .. }));

    let id = publish(&world, &another).unwrap().audit_log_id;
    let until = world.now() + TimeDelta::days(7);
    assert_eq!(kept(&world), Kept::Retained { until }, "of {id}");
}

#[test]
fn a_publication_of_other_bytes_does_not_keep_the_file() {
    let (world, _) = published_long_ago();
    publish(&world, &request("clip.mp4", b"what was never staged")).unwrap_err();
    assert!(matches!(swept(&world), Verdict::Removed { .. }));
}

#[test]
fn clocks_that_disagree_stop_the_sweep() {
    for (minutes, agree) in [(4, true), (-4, true), (6, false), (-6, false), (5_256_000, false), (-5_256_000, false)] {
        let (world, _) = published_long_ago();
        let clock = world.parts(&Default::default()).clock.ahead(TimeDelta::minutes(minutes));
        let publisher = world.builder("sweeper").clock(clock).build().unwrap();
        let gone = verdicts(&world, &publisher, true).iter().any(|(_, v)| matches!(v, Verdict::Removed { .. }));
        assert_eq!(gone, agree, "{minutes} minutes");
        let told: Vec<String> = world.alerts().iter().map(distribution_core::Alert::dedup_key).collect();
        // Whose clock is years behind, for that the retention has not begun.
        let is_told = !agree && minutes > -10_000;
        assert_eq!(told, if is_told { vec!["unavailable/default".to_owned()] } else { vec![] }, "{minutes} minutes");
        assert_eq!(world.objects().len(), 1);
    }
}

#[test]
fn a_publisher_with_a_slow_clock_ends_no_retention() {
    let world = staged();
    let clock = world.parts(&Default::default()).clock.ahead(TimeDelta::days(-3_650));
    let publisher = world.builder("slow").clock(clock).build().unwrap();
    block_on(publisher.publish(clip())).unwrap();
    assert!(matches!(kept(&world), Kept::Retained { .. }), "the store knows how old the copy is");
    world.advance(DAY * 7);
    assert!(matches!(swept(&world), Verdict::Removed { .. }));
}

#[test]
fn who_comes_when_a_file_is_being_cleared_away_is_told_to_stage_it_anew() {
    let (world, _) = published_long_ago();
    world.fail(|effect| (effect.op == Op::StagingRemove).then_some(Fault::LostRequest));
    assert!(matches!(kept(&world), Kept::Unknown { .. }));
    world.heal();
    let mut another = clip();
    another.distribution_settings.storage_prefix = Some("another/".parse().unwrap());
    let error = publish(&world, &another).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().ends_with("stage it anew and repeat"), "{error}");
    world.stage("clip.mp4", VIDEO);
    publish(&world, &another).unwrap();
    world.keeps_promises().unwrap();
}

#[test]
fn no_caller_can_write_a_tombstone() {
    let name = format!("distribution/buried/{}", Checksum::of(b"").hex());
    let call = PublishRequest { idempotency_key: Some(IdempotencyKey::parse(name).unwrap()), ..clip() };
    let error = publish(&staged(), &call).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("idempotency_key")));
}
