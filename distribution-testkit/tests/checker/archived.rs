//! Damage to what is in the archive only.

use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{ArchiveMode, AuditEvent, TargetName};
use distribution_testkit::checker::Evidence;
use distribution_testkit::checker::Promise::{P1, P5, P6, P8};
use distribution_testkit::{World, request};
use futures::executor::block_on;
use serde_json::{Value, json};

use crate::support::{Damage, VIDEO};

/// A publication that is in the archive only, and what was freed removed.
pub(crate) fn archived() -> Evidence {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    let cold = TargetName::parse("cold").unwrap();
    let parts = world.parts(&cold);
    let builder = world.builder("a").target(cold.clone(), parts.storage, parts.signer);
    let publisher = builder.archive(TargetName::default(), cold).build().unwrap();
    let answer = block_on(publisher.publish(request("clip.mp4", VIDEO))).unwrap();
    let told = world.now();
    block_on(publisher.archive(&answer.audit_log_id, ArchiveMode::FreeHot)).unwrap();
    world.advance(Duration::from_hours(72));
    let mut tidy = publisher.tidy(TimeDelta::hours(1));
    while block_on(tidy.next()).unwrap().is_some() {}
    assert_eq!(world.objects().len(), 1);
    world.evidence().with_answer(answer, told)
}

fn place(evidence: &Evidence, is: fn(&AuditEvent) -> bool) -> usize {
    evidence.audit.iter().position(|entry| is(&entry.event)).unwrap()
}

fn freed(event: &AuditEvent) -> bool {
    matches!(event, AuditEvent::HotFreed { .. })
}

fn replicated(event: &AuditEvent) -> bool {
    matches!(event, AuditEvent::Replicated { .. })
}

fn released(event: &AuditEvent) -> bool {
    matches!(event, AuditEvent::CopyReleased { .. })
}

fn edit(evidence: &mut Evidence, change: impl FnOnce(&mut Value)) {
    let mut body: Value = serde_json::from_slice(&evidence.rows[0].body).unwrap();
    change(&mut body["record"]);
    evidence.rows[0].body = body.to_string().into();
}

pub(crate) const ARCHIVED: &[Damage] = &[
    ("the copy in the archive is missing", &[P1], |e| e.objects.clear()),
    ("the copy in the archive has other bytes", &[P1], |e| {
        e.objects.values_mut().next().unwrap().digest.size += 1;
    }),
    ("freed before the copy in the archive was proven", &[P1], |e| {
        let (one, other) = (place(e, replicated), place(e, freed));
        let event = e.audit[one].event.clone();
        e.audit[one].event = std::mem::replace(&mut e.audit[other].event, event);
    }),
    ("freed while links are said to have ended that have not", &[P8], |e| {
        let (at, place) = (e.audit[0].at, place(e, freed));
        e.audit[place].event = AuditEvent::HotFreed { links_end: at + TimeDelta::hours(1) };
    }),
    ("freed, and nobody has asked for an archive", &[P6], |e| {
        let wanted = place(e, |event| matches!(event, AuditEvent::ArchiveWanted { .. }));
        let AuditEvent::ArchiveWanted { frees, .. } = &mut e.audit[wanted].event else { panic!() };
        *frees = false;
    }),
    ("removed before the links have ended", &[P8], |e| {
        let place = place(e, released);
        e.audit[place].at -= TimeDelta::hours(1);
    }),
    ("the last good copy is let go", &[P6], |e| {
        let cold = distribution_core::Location::parse(e.objects.keys().next().unwrap()).unwrap();
        let place = place(e, released);
        e.audit[place].event = AuditEvent::CopyReleased { location: cold };
    }),
    ("a link to what is in the archive only", &[P8], |e| {
        let place = place(e, released);
        let at = e.audit[place].at;
        e.audit[place].event = AuditEvent::LinkIssued { expires_at: at + TimeDelta::hours(1) };
    }),
    ("the record says that it is hot", &[P1, P5], |e| edit(e, |r| r["hot"] = json!({ "copies": "kept" }))),
    ("the record says that links end earlier", &[P5], |e| {
        edit(e, |r| r["spared_until"] = json!("2026-01-01T00:00:00Z"));
    }),
];
