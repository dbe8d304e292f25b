//! The dry run: it tells what a publish would do, and does nothing.

use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{
    Checksum, ConceptId, Error, ErrorKind, IdempotencyKey, Plan, PlannedAction, PublishRequest, QcReport, TargetName,
    VideoUrl,
};
use distribution_testkit::{Fault, Op, World, request};
use futures::executor::block_on;

use crate::support::{VIDEO, publish, staged};

/// The plan, having looked that nothing has changed by it.
fn plan(world: &World, request: &PublishRequest) -> Result<Plan, Error> {
    let (rows, audit, objects, alerts) = (world.rows(), world.audit(), world.objects(), world.alerts());
    let before = world.effects().len();
    let plan = block_on(world.publisher("a").plan(request.clone()));
    let written: Vec<_> = world.effects()[before..].iter().map(|e| e.op).filter(|op| op.writes()).collect();
    assert_eq!(written, [], "a plan writes nothing");
    assert_eq!((world.rows(), world.audit(), world.objects(), world.alerts()), (rows, audit, objects, alerts));
    plan
}

/// All that a caller sees of an error.
fn told(error: &Error) -> (ErrorKind, Option<&str>, String) {
    (error.kind(), error.field(), error.to_string())
}

/// Publishing ends as the plan does.
fn check_fails(world: &World, request: &PublishRequest) {
    let planned = plan(world, request).unwrap_err();
    assert_eq!(told(&planned), told(&publish(world, request).unwrap_err()));
}

fn clip() -> PublishRequest {
    request("clip.mp4", VIDEO)
}

#[test]
fn what_is_planned_is_what_is_done() {
    let world = staged();
    let planned = plan(&world, &clip()).unwrap();
    assert_eq!((planned.action, planned.amends), (PlannedAction::Copy, false));
    assert_eq!(planned.size_bytes, VIDEO.len() as u64);

    let done = publish(&world, &clip()).unwrap();
    assert_eq!((&planned.audit_log_id, &planned.storage_location), (&done.audit_log_id, &done.storage_location));
    assert_eq!(planned.expires_at, done.expires_at);

    world.advance(Duration::from_secs(3_600));
    let again = plan(&world, &clip()).unwrap();
    assert_eq!(again, Plan { action: PlannedAction::Answer, ..planned });
    let mut renamed = clip();
    renamed.distribution_settings.metadata.title = Some("Another title".to_owned());
    assert!(plan(&world, &renamed).unwrap().amends);

    world.advance(Duration::from_secs(72 * 3_600));
    let fresh = plan(&world, &clip()).unwrap();
    assert_eq!(fresh.expires_at, done.expires_at.map(|end| end + TimeDelta::hours(73)), "a new link would be granted");
}

#[test]
fn what_an_earlier_call_has_begun_is_seen() {
    let world = staged();
    world.fail(|effect| (effect.op == Op::MetadataAdvance).then_some(Fault::LostRequest));
    publish(&world, &clip()).unwrap_err();
    world.heal();
    let planned = plan(&world, &clip()).unwrap();
    assert_eq!((planned.action, planned.size_bytes), (PlannedAction::Prove, VIDEO.len() as u64));
    let busy = block_on(world.publisher("b").plan(clip())).unwrap_err();
    let error = block_on(world.publisher("b").publish(clip())).unwrap_err();
    assert_eq!(told(&busy), told(&error), "another is at work");
    world.unstage("clip.mp4");
    assert_eq!(plan(&world, &clip()).unwrap().action, PlannedAction::Prove, "the staged file is not needed any more");
}

#[test]
fn what_would_fail_fails_with_the_same_error() {
    let mut missing = clip();
    missing.final_edit.video_url = VideoUrl::parse("missing.mp4").unwrap();
    let mut outside = clip();
    outside.final_edit.video_url = VideoUrl::parse("../clip.mp4").unwrap();
    let mut failed = clip();
    failed.qc_report = QcReport::default();
    let mut other_qc = clip();
    other_qc.qc_report.checksum = Some(Checksum::of(b"other"));
    let mut nowhere = clip();
    nowhere.distribution_settings.storage_target = Some(TargetName::parse("nowhere").unwrap());
    let mut for_ever = clip();
    for_ever.distribution_settings.url_expiry_hours = Some(u32::MAX);
    for request in [missing, outside, failed, other_qc, nowhere, for_ever] {
        let world = staged();
        check_fails(&world, &request);
    }
    let world = staged();
    let mut named = clip();
    named.idempotency_key = Some(IdempotencyKey::parse("order-66").unwrap());
    assert_eq!(plan(&world, &named).unwrap().action, PlannedAction::Copy, "a key that names nothing yet");
    publish(&world, &named).unwrap();
    assert_eq!(plan(&world, &named).unwrap().action, PlannedAction::Answer);
    named.distribution_settings.metadata.concept_id = Some(ConceptId::parse("another-work").unwrap());
    check_fails(&world, &named);
    let mut longer = clip();
    longer.final_edit.duration_seconds = distribution_core::DurationSeconds::new(99.0).unwrap();
    check_fails(&world, &longer);
    let (target, key) = world.objects().into_keys().next().unwrap();
    assert!(world.lose(&target, &key));
    check_fails(&world, &clip());
}
