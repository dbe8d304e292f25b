//! Damage to the trail and to what callers were told.

use chrono::TimeDelta;
use distribution_core::{AuditEntry, AuditEvent, Checksum, Trail};
use distribution_testkit::checker::Promise::{P3, P5, P8, P9};
use serde_json::{Value, json};

use crate::support::{Damage, SECRET, edit, entry, granted, published, row};

pub(crate) const TRAIL: &[Damage] = &[
    ("an entry is dropped", &[P5], |e| {
        let id = entry(e, published).id.clone();
        e.audit.retain(|entry| entry.id != id);
    }),
    ("the last entry is dropped", &[P5], |e| {
        let last = e.audit.iter().rposition(granted).unwrap();
        e.audit.remove(last);
        e.answers.clear();
    }),
    ("an entry is kept twice", &[P5], |e| {
        let twice = entry(e, published).clone();
        e.audit.push(twice);
    }),
    ("an entry is kept in two versions", &[P5], |e| {
        let mut twice = entry(e, published).clone();
        twice.at += TimeDelta::seconds(1);
        e.audit.push(twice);
    }),
    ("two entries swap their places", &[P5], |e| {
        let (a, b) = (entry(e, published).id.sequence, entry(e, granted).id.sequence);
        entry(e, published).id.sequence = b;
        entry(e, granted).id.sequence = a;
        e.answers.clear();
    }),
    ("an entry moves to another trail", &[P5], |e| entry(e, published).id.trail = Trail::Refusals),
    ("an entry of which the record knows nothing", &[P5], |e| {
        let mut more = entry(e, granted).clone();
        more.id.sequence = 99;
        e.audit.push(more);
    }),
    ("a waiting entry was delivered in another version", &[P5], |e| {
        let place = row(e, "waiting");
        let body: Value = serde_json::from_slice(&e.rows[place].body).unwrap();
        let mut delivered: AuditEntry = serde_json::from_value(body["record"]["trail"]["waiting"][0].clone()).unwrap();
        delivered.at += TimeDelta::seconds(1);
        e.audit.push(delivered);
    }),
    ("a waiting entry is lost", &[P5], |e| {
        edit(e, "waiting", |r| drop(r["trail"]["waiting"].as_array_mut().unwrap().remove(1)));
    }),
    ("the oldest waiting entry is lost", &[P5], |e| {
        edit(e, "waiting", |r| drop(r["trail"]["waiting"].as_array_mut().unwrap().remove(0)));
    }),
    ("published a second time", &[P3], |e| {
        let again = entry(e, published).event.clone();
        let place = e.audit.iter().rposition(granted).unwrap();
        let id = e.answers[0].record.audit_log_id.clone();
        let last = e.audit.iter_mut().rev().find(|entry| entry.id.audit_log_id == id).unwrap();
        assert!(granted(last) && place > 0);
        last.event = again;
        e.answers.clear();
    }),
    ("other bytes were told to be published", &[P5], |e| {
        let AuditEvent::Published { proof, .. } = &mut entry(e, published).event else { panic!() };
        proof.digest.checksum = Checksum::of(b"x");
    }),
    ("an attempt failed before its turn", &[P5], |e| {
        let failed = entry(e, |entry| matches!(entry.event, AuditEvent::AttemptFailed { .. }));
        let AuditEvent::AttemptFailed { attempt, .. } = &mut failed.event else { panic!() };
        *attempt = 7;
    }),
    ("a second link within the life of the first", &[P3], |e| {
        let id = e.answers[0].record.audit_log_id.clone();
        let last = e.audit.iter_mut().rev().find(|entry| entry.id.audit_log_id == id).unwrap();
        last.at -= TimeDelta::hours(3);
    }),
    ("a link was granted for a moment past", &[P8], |e| {
        let first = entry(e, granted);
        first.event = AuditEvent::LinkGranted { expires_at: first.at - TimeDelta::hours(1) };
        e.answers.clear();
    }),
    ("a secret in an entry", &[P9], |e| {
        let claimed = entry(e, |entry| entry.id.sequence == 0);
        claimed.event = AuditEvent::Claimed { holder: SECRET.into(), qc_report_id: None };
    }),
    ("a refusal in a publication's trail", &[P5], |e| {
        entry(e, published).event = AuditEvent::Refused { reason: "no".into() };
    }),
];

pub(crate) const ANSWERS: &[Damage] = &[
    ("an answer of what is not on record", &[P3], |e| {
        let unknown = e.rows[row(e, "waiting")].id.clone();
        e.answers[0].record.audit_log_id = unknown;
    }),
    ("an answer of what is in progress", &[P3], |e| {
        let rejected = e.rows[row(e, "rejected")].id.clone();
        e.answers[0].record.audit_log_id = rejected;
    }),
    ("an answer with another location", &[P3], |e| {
        e.answers[0].record.storage_location = e.answers[3].record.storage_location.clone();
    }),
    ("an answer with another checksum", &[P3], |e| e.answers[0].record.metadata.checksum = Checksum::of(b"x")),
    ("an answer with another size", &[P3], |e| e.answers[0].record.size_bytes += 1),
    ("an answer with another time", &[P3], |e| e.answers[0].record.published_at += TimeDelta::seconds(1)),
    ("an answer whose link ends later", &[P8], |e| {
        let end = &mut e.answers[2].record.expires_at;
        *end = end.map(|end| end + TimeDelta::seconds(1));
    }),
    ("an answer whose limited link ends later", &[P8], |e| {
        let answer = &mut e.answers[2].record;
        answer.expires_at = answer.expires_at.map(|end| end + TimeDelta::seconds(1));
        answer.expiry_limited_by = Some("credentials".into());
    }),
    ("an answer whose link never ends", &[P8], |e| e.answers[0].record.expires_at = None),
    ("an answer whose link ends earlier for no reason", &[P3], |e| {
        let end = &mut e.answers[0].record.expires_at;
        *end = end.map(|end| end - TimeDelta::seconds(1));
    }),
    ("an answer before the trail had arrived", &[P5], |e| {
        // The last two entries of the second publication wait again.
        let id = e.answers[3].record.audit_log_id.clone();
        let of = |entry: &AuditEntry| entry.id.audit_log_id == id;
        let waiting: Vec<AuditEntry> = e.audit.iter().filter(|entry| of(entry)).skip(1).cloned().collect();
        e.audit.retain(|entry| !of(entry) || entry.id.sequence == 0);
        edit(e, "second", |r| r["trail"]["waiting"] = json!(waiting));
        let place = row(e, "second");
        e.rows[place].index.settled = false;
    }),
    ("a secret in an answer's title", &[P9], |e| e.answers[0].record.metadata.title = Some(SECRET.into())),
];
