//! A world with a bit of everything, and hands to damage what is seen of it.

use std::time::Duration;

use distribution_core::{
    AuditEntry, AuditEvent, ConceptId, DistributionRecord, PublishRequest, QcReport, State, Timestamp,
};
use distribution_testkit::checker::{Evidence, ObjectSeen, Promise};
use distribution_testkit::{Fault, Op, World, request};
use futures::executor::block_on;
use serde_json::{Value, json};

/// What is done to the evidence, and the promises that it breaks.
pub(crate) type Damage = (&'static str, &'static [Promise], fn(&mut Evidence));

pub(crate) const VIDEO: &[u8] = b"approved bytes of a video";
pub(crate) const SECRET: &str = "hunter2\"key";

pub(crate) fn video(title: &str) -> PublishRequest {
    let mut request = request("clip.mp4", VIDEO);
    request.distribution_settings.metadata.title = Some(title.into());
    request.distribution_settings.metadata.concept_id = Some(ConceptId::parse("spring").unwrap());
    request
}

/// A world with a bit of everything: a publication whose first object rotted, amended and linked
/// anew; another one; one that is rejected; one that was refused; one whose trail has not arrived.
pub(crate) fn world() -> (World, Vec<(DistributionRecord, Timestamp)>) {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    world.stage("other.mp4", "other bytes");
    let publisher = world.publisher("a");
    let mut told = Vec::new();
    let mut publish = |request: PublishRequest| {
        let answer = block_on(publisher.publish(request));
        told.extend(answer.iter().map(|record| (record.clone(), world.now())));
        answer
    };
    world.inject(create_effect(), Fault::Corrupt);
    publish(video("first")).unwrap();
    publish(video("second")).unwrap();
    world.advance(Duration::from_hours(73));
    publish(video("second")).unwrap();
    publish(request("other.mp4", b"other bytes")).unwrap();
    assert!(publish(request("missing.mp4", b"missing")).is_err());
    assert!(publish(PublishRequest { qc_report: QcReport::default(), ..request("clip.mp4", b"no") }).is_err());
    world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostRequest));
    world.stage("waiting.mp4", "waiting bytes");
    assert!(publish(request("waiting.mp4", b"waiting bytes")).is_err());
    world.heal();
    (world, told)
}

/// The number of the effect that stores the first object.
pub(crate) fn create_effect() -> usize {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    block_on(world.publisher("a").publish(video("first"))).unwrap();
    world.effects().iter().find(|effect| effect.op == Op::StorageCreate).unwrap().number
}

pub(crate) fn healthy() -> Evidence {
    let (world, told) = world();
    let evidence = told.into_iter().fold(world.evidence(), |evidence, (record, at)| evidence.with_answer(record, at));
    evidence.with_secret(SECRET)
}

/// The place of a row: the publication that was told first, second; the rejected; the waiting.
pub(crate) fn row(evidence: &Evidence, which: &str) -> usize {
    let id = |n: usize| &evidence.answers[n].record.audit_log_id;
    let place = evidence.rows.iter().position(|row| match which {
        "first" => row.id == *id(0),
        "second" => row.id == *id(3),
        "rejected" => row.index.state == State::Rejected,
        _ => !row.index.settled,
    });
    place.unwrap_or_else(|| panic!("no row is {which}"))
}

/// Changes what a row's record says.
pub(crate) fn edit(evidence: &mut Evidence, which: &str, change: impl FnOnce(&mut Value)) {
    let place = row(evidence, which);
    let row = &mut evidence.rows[place];
    let mut body: Value = serde_json::from_slice(&row.body).unwrap();
    change(&mut body["record"]);
    row.body = body.to_string().into();
}

/// The first entry of the first publication that is so.
pub(crate) fn entry(evidence: &mut Evidence, is: impl Fn(&AuditEntry) -> bool) -> &mut AuditEntry {
    let id = evidence.answers[0].record.audit_log_id.clone();
    evidence.audit.iter_mut().find(|entry| entry.id.audit_log_id == id && is(entry)).unwrap()
}

pub(crate) fn published(entry: &AuditEntry) -> bool {
    matches!(entry.event, AuditEvent::Published { .. })
}

pub(crate) fn granted(entry: &AuditEntry) -> bool {
    matches!(entry.event, AuditEvent::LinkGranted { .. })
}

pub(crate) fn location(evidence: &Evidence) -> String {
    evidence.answers[0].record.storage_location.to_string()
}

pub(crate) fn object(key: &str, like: &ObjectSeen) -> ObjectSeen {
    ObjectSeen { key: key.into(), ..like.clone() }
}

/// Makes the rejected publication one that is being worked on, with other work.
pub(crate) fn unfinish(evidence: &mut Evidence, change: impl FnOnce(&mut Value)) {
    let place = row(evidence, "rejected");
    let id = evidence.rows[place].id.clone();
    evidence.audit.retain(|entry| entry.id.audit_log_id != id || entry.id.sequence == 0);
    edit(evidence, "rejected", |r| {
        let mut work = json!({"lease": {"holder": "a", "until": "2026-01-01T00:00:00Z"}, "attempts_left": 1});
        change(&mut work);
        r["phase"] = json!({"phase": "claimed", "work": work});
        r["trail"] = json!({"next": 1, "waiting": []});
    });
    (evidence.rows[place].index.state, evidence.rows[place].index.settled) = (State::InProgress, false);
}

/// One revision later, the first record says something else.
pub(crate) fn advance(evidence: &mut Evidence, change: impl FnOnce(&mut Value)) {
    edit(evidence, "first", change);
    let place = row(evidence, "first");
    evidence.rows[place].revision += 1;
}
