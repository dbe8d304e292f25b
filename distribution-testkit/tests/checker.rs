//! The checker finds nothing in healthy worlds, and every damage that is planted, by the right promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{
    AuditEntry, AuditEvent, Checksum, ConceptId, DistributionRecord, PublishRequest, QcReport, State, Trail,
};
use distribution_testkit::checker::Promise::{P1, P2, P3, P4, P5, P6, P7, P8, P9, P10};
use distribution_testkit::checker::{Evidence, Promise, unsettled, violations, violations_since};
use distribution_testkit::{Fault, Op, World, request};
use futures::executor::block_on;
use serde_json::{Value, json};

const VIDEO: &[u8] = b"approved bytes of a video";
const SECRET: &str = "hunter2\"key";

fn video(title: &str) -> PublishRequest {
    let mut request = request("clip.mp4", VIDEO);
    request.distribution_settings.metadata.title = Some(title.into());
    request.distribution_settings.metadata.concept_id = Some(ConceptId::parse("spring").unwrap());
    request
}

/// A world with a bit of everything: a publication whose first object rotted, amended and linked
/// anew; another one; one that is rejected; one that was refused; one whose trail has not arrived.
fn world() -> (World, Vec<(DistributionRecord, distribution_core::Timestamp)>) {
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
fn create_effect() -> usize {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    block_on(world.publisher("a").publish(video("first"))).unwrap();
    world.effects().iter().find(|effect| effect.op == Op::StorageCreate).unwrap().number
}

fn healthy() -> Evidence {
    let (world, told) = world();
    let evidence = told.into_iter().fold(world.evidence(), |evidence, (record, at)| evidence.with_answer(record, at));
    evidence.with_secret(SECRET)
}

/// The place of a row: the publication that was told first, second; the rejected; the waiting.
fn row(evidence: &Evidence, which: &str) -> usize {
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
fn edit(evidence: &mut Evidence, which: &str, change: impl FnOnce(&mut Value)) {
    let place = row(evidence, which);
    let row = &mut evidence.rows[place];
    let mut body: Value = serde_json::from_slice(&row.body).unwrap();
    change(&mut body["record"]);
    row.body = body.to_string().into();
}

/// The first entry of the first publication that is so.
fn entry<'e>(evidence: &'e mut Evidence, is: impl Fn(&AuditEntry) -> bool) -> &'e mut AuditEntry {
    let id = evidence.answers[0].record.audit_log_id.clone();
    evidence.audit.iter_mut().find(|entry| entry.id.audit_log_id == id && is(entry)).unwrap()
}

fn published(entry: &AuditEntry) -> bool {
    matches!(entry.event, AuditEvent::Published { .. })
}

fn granted(entry: &AuditEntry) -> bool {
    matches!(entry.event, AuditEvent::LinkGranted { .. })
}

fn location(evidence: &Evidence) -> String {
    evidence.answers[0].record.storage_location.to_string()
}

type Damage = (&'static str, &'static [Promise], fn(&mut Evidence));

const OBJECTS: &[Damage] = &[
    ("an object's byte flips", &[P1], |e| {
        let at = location(e);
        e.objects.get_mut(&at).unwrap().digest.checksum = Checksum::of(b"rotten");
    }),
    ("an object is cut", &[P1], |e| {
        let at = location(e);
        e.objects.get_mut(&at).unwrap().digest.size -= 1;
    }),
    ("an object is lost", &[P1], |e| {
        let at = location(e);
        e.objects.remove(&at).unwrap();
    }),
    ("an object has two keys", &[P1, P2], |e| {
        let at = location(e);
        e.objects.get_mut(&at).unwrap().key = "elsewhere.mp4".into();
    }),
    ("an object that nobody asked for", &[P2], |e| {
        let stray = e.objects.values().next().unwrap().clone();
        e.objects.insert("memory://default/stray.mp4".into(), checker_object("stray.mp4", &stray));
    }),
    ("an object of an attempt that has not begun", &[P2], |e| {
        let next = e.objects[&location(e)].clone();
        let key = next.key.replace("-r1.", "-r2.");
        e.objects.insert(format!("memory://default/{key}"), checker_object(&key, &next));
    }),
    ("an object of a refused request", &[P2], |e| {
        e.rows.remove(row(e, "rejected"));
        e.audit.retain(|entry| !matches!(entry.event, AuditEvent::Rejected { .. }));
        let id = e.rows[0].id.clone();
        let known: BTreeSet<_> = e.rows.iter().map(|row| row.id.clone()).collect();
        e.audit.retain(|entry| known.contains(&entry.id.audit_log_id) || entry.id.trail == Trail::Refusals);
        assert!(known.contains(&id));
        let object = e.objects.values().next().unwrap().clone();
        e.objects.insert("memory://default/refused.mp4".into(), checker_object("refused.mp4", &object));
    }),
];

fn checker_object(
    key: &str,
    like: &distribution_testkit::checker::ObjectSeen,
) -> distribution_testkit::checker::ObjectSeen {
    distribution_testkit::checker::ObjectSeen { key: key.into(), ..like.clone() }
}

const ROWS: &[Damage] = &[
    ("a row twice", &[P3], |e| e.rows.push(e.rows[0].clone())),
    ("a row is lost", &[P2, P3], |e| {
        e.rows.remove(row(e, "first"));
    }),
    ("a rejected row is lost", &[P3], |e| {
        e.rows.remove(row(e, "rejected"));
    }),
    ("two rows swap their ids", &[P3], |e| {
        let (a, b) = (row(e, "first"), row(e, "second"));
        let id = e.rows[a].id.clone();
        e.rows[a].id = std::mem::replace(&mut e.rows[b].id, id);
    }),
    ("a row says it is another", &[P3], |e| {
        let other = e.rows[row(e, "second")].id.to_string();
        edit(e, "first", |r| r["publication"]["audit_log_id"] = other.into());
    }),
    ("a row's key is changed", &[P3], |e| edit(e, "first", |r| r["publication"]["key"] = "b.mp4".into())),
    ("a row's target is changed", &[P3], |e| edit(e, "first", |r| r["publication"]["target"] = "b".into())),
    ("a row's concept is changed", &[P3], |e| edit(e, "first", |r| r["publication"]["concept_id"] = "b".into())),
    ("a row is cut", &[P7], |e| {
        let row = row(e, "first");
        e.rows[row].body.truncate(100);
    }),
    ("a row of another format", &[P7], |e| {
        let place = row(e, "first");
        let body = String::from_utf8(e.rows[place].body.to_vec()).unwrap();
        e.rows[place].body = body.replacen(r#""format":1"#, r#""format":2"#, 1).into();
    }),
    ("a row is hidden from recovery", &[P7], |e| {
        let row = row(e, "waiting");
        e.rows[row].index.settled = true;
    }),
    ("a row's column is wrong", &[P7], |e| {
        let row = row(e, "first");
        e.rows[row].index.state = State::InProgress;
    }),
    ("other bytes were proven", &[P1], |e| {
        edit(e, "first", |r| r["phase"]["proof"]["checksum"] = json!(Checksum::of(b"x")));
    }),
    ("another size was proven", &[P1, P5, P6], |e| {
        e.answers.clear();
        edit(e, "first", |r| r["phase"]["proof"]["size"] = 1.into());
    }),
    ("other bytes were approved", &[P2], |e| {
        edit(e, "first", |r| r["approval"]["checksum"] = json!(Checksum::of(b"x")));
    }),
    ("the approval had expired", &[P2], |e| {
        edit(e, "first", |r| r["approval"]["expires_at"] = r["claimed_at"].clone());
    }),
    ("the staged file was another", &[P6], |e| edit(e, "first", |r| r["phase"]["pin"]["size"] = 1.into())),
    ("no trace of an amendment", &[P5], |e| edit(e, "first", |r| r["details"]["url_expiry_hours"] = 1.into())),
    ("published at another time", &[P5], |e| {
        e.answers.clear();
        edit(e, "first", |r| r["phase"]["at"] = r["claimed_at"].as_str().unwrap().replace("2026", "2025").into());
    }),
    ("published elsewhere", &[P1, P5], |e| {
        e.answers.clear();
        edit(e, "first", |r| r["phase"]["location"] = "memory://default/elsewhere.mp4".into());
    }),
    ("published is taken for rejected", &[P3, P5], |e| {
        edit(e, "first", |r| r["phase"] = json!({"phase": "rejected", "reason": {"why": "qc_lapsed"}}));
        let row = row(e, "first");
        e.rows[row].index.state = State::Rejected;
    }),
    ("an attempt is forgotten", &[P1, P2, P5], |e| edit(e, "first", |r| r["attempt"] = 0.into())),
    ("a link lives longer", &[P8], |e| {
        let later = "2027-01-01T00:00:00Z";
        edit(e, "first", |r| r["phase"]["link_expires_at"] = later.into());
    }),
    ("a link ends within a second", &[P8], |e| {
        let end = "2026-06-01T00:00:00.5Z";
        edit(e, "first", |r| r["phase"]["link_expires_at"] = end.into());
    }),
    ("a secret in a query", &[P9], |e| edit(e, "first", |r| r["source"]["url"] = "https://h/clip.mp4?s=1".into())),
    ("a password in a URL", &[P9], |e| edit(e, "first", |r| r["source"]["url"] = "https://u:p@h/clip.mp4".into())),
    ("a secret in a reviewer's name", &[P9], |e| edit(e, "first", |r| r["approval"]["reviewer"] = SECRET.into())),
    ("too long a URL", &[P10], |e| edit(e, "first", |r| r["source"]["url"] = "x".repeat(4097).into())),
    ("too long a row", &[P10], |e| edit(e, "first", |r| r["padding"] = "x".repeat(1 << 20).into())),
    ("too much metadata", &[P5, P10], |e| {
        edit(e, "first", |r| r["details"]["metadata"]["x"] = "x".repeat(33_000).into());
    }),
    ("too long a holder", &[P10], |e| unfinish(e, |work| work["lease"]["holder"] = "x".repeat(257).into())),
    ("too many attempts left", &[P10], |e| unfinish(e, |work| work["attempts_left"] = 100.into())),
    ("too many entries wait", &[P10], |e| {
        edit(e, "waiting", |r| {
            let mut entry = r["trail"]["waiting"][0].clone();
            entry["event"] = "amended".into();
            entry["details"] = r["details"].clone();
            for sequence in 3..=128 {
                entry["sequence"] = sequence.into();
                r["trail"]["waiting"].as_array_mut().unwrap().push(entry.clone());
            }
            r["trail"]["next"] = 129.into();
        });
    }),
];

/// Makes the rejected publication one that is being worked on, with other work.
fn unfinish(evidence: &mut Evidence, change: impl FnOnce(&mut Value)) {
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

const TRAIL: &[Damage] = &[
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

const ANSWERS: &[Damage] = &[
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

#[test]
fn proof_that_every_planted_damage_is_caught() {
    let mut caught = 0;
    for (name, expected, damage) in [OBJECTS, ROWS, TRAIL, ANSWERS].concat() {
        let mut evidence = healthy();
        damage(&mut evidence);
        let found = violations(&evidence);
        let promises: BTreeSet<Promise> = found.iter().map(|violation| violation.promise).collect();
        let expected: BTreeSet<Promise> = expected.iter().copied().collect();
        assert_eq!(promises, expected, "{name}: {found:#?}");
        assert!(found.iter().all(|violation| !violation.to_string().contains(['\n', '\u{1b}'])), "{name}: {found:?}");
        assert!(found.iter().all(|violation| !violation.to_string().contains("hunter2")), "{name}: {found:?}");
        caught += 1;
    }
    for (name, expected, damage) in HISTORY {
        let (before, mut after) = (healthy(), healthy());
        damage(&mut after);
        let found = violations_since(&before, &after);
        let promises: Vec<Promise> = found.iter().map(|violation| violation.promise).collect();
        assert_eq!(promises, *expected, "{name}: {found:#?}");
        caught += 1;
    }
    println!("checker: {caught} damages planted, all caught by the right promise");
}

const HISTORY: &[Damage] = &[
    ("an object was lost", &[P4], |e| drop(e.objects.pop_first())),
    ("an object was overwritten", &[P4], |e| {
        let at = location(e);
        e.objects.get_mut(&at).unwrap().digest.checksum = Checksum::of(b"new");
    }),
    ("a row was lost", &[P3], |e| drop(e.rows.pop())),
    ("a row went back", &[P3], |e| e.rows[0].revision -= 1),
    ("a row was changed in its place", &[P3], |e| edit(e, "first", |r| r["attempt"] = 2.into())),
    ("a publication was taken back", &[P3], |e| {
        advance(e, |r| r["phase"] = json!({"phase": "rejected", "reason": {"why": "qc_lapsed"}}));
    }),
    ("a publication was moved", &[P3], |e| advance(e, |r| r["phase"]["location"] = "s3://elsewhere/a.mp4".into())),
    ("a publication was proven anew", &[P3], |e| advance(e, |r| r["phase"]["at"] = r["claimed_at"].clone())),
    ("what is published was changed", &[P3], |e| advance(e, |r| r["publication"]["duration_seconds"] = 2.into())),
    ("an attempt came back", &[P4], |e| advance(e, |r| r["attempt"] = 0.into())),
    ("the trail became shorter", &[P5], |e| advance(e, |r| r["trail"]["next"] = 1.into())),
    ("an entry has vanished", &[P5], |e| drop(e.audit.remove(1))),
    ("an entry was changed", &[P5], |e| entry(e, published).at += TimeDelta::seconds(1)),
    ("a staged file was changed", &[P6], |e| {
        e.staged.as_mut().unwrap().get_mut("clip.mp4").unwrap().size += 1;
    }),
    ("a staged file was removed", &[P6], |e| drop(e.staged.as_mut().unwrap().remove("clip.mp4"))),
];

/// One revision later, the record says something else.
fn advance(evidence: &mut Evidence, change: impl FnOnce(&mut Value)) {
    // The first was published on its second attempt, so not at the time of its claim.
    edit(evidence, "first", |record| {
        record["claimed_at"] = record["claimed_at"].clone();
        change(record);
    });
    let place = row(evidence, "first");
    evidence.rows[place].revision += 1;
}

#[test]
fn a_healthy_world_breaks_no_promise_and_nothing_changes_by_looking() {
    let evidence = healthy();
    assert_eq!(violations(&evidence), []);
    assert_eq!(violations_since(&evidence, &healthy()), []);
    assert_eq!(evidence.answers.len(), 4);
}

#[test]
fn arrival_order_does_not_matter_and_foreign_objects_are_left_alone() {
    let mut evidence = healthy().with_foreign("logo.mp4");
    evidence.audit.reverse();
    evidence.rows.reverse();
    let logo = checker_object("logo.mp4", evidence.objects.values().next().unwrap());
    evidence.objects.insert("memory://default/logo.mp4".into(), logo);
    assert_eq!(violations(&evidence), []);
}

#[test]
fn what_is_unfinished_is_named_until_it_is_finished() {
    let (world, _) = world();
    let waiting = unsettled(&world.evidence());
    assert_eq!(waiting, [world.evidence().rows[row(&healthy(), "waiting")].id.clone()]);
    let before = world.evidence();
    let recovery = block_on(world.publisher("b").recover()).unwrap();
    assert_eq!((recovery.settled, recovery.failed), (1, 0));
    assert_eq!(unsettled(&world.evidence()), []);
    assert_eq!(violations(&world.evidence()), []);
    assert_eq!(violations_since(&before, &world.evidence()), []);
}

#[test]
fn evidence_of_stores_is_that_of_their_world() {
    let (world, _) = world();
    let parts = world.parts(&distribution_core::TargetName::default());
    let seen = block_on(Evidence::of(&*parts.storage, &*parts.metadata, world.audit())).unwrap();
    let known = world.evidence();
    assert_eq!((seen.objects, seen.audit), (known.objects, known.audit));
    assert_eq!(seen.rows.len(), known.rows.len());
    assert!(seen.rows.iter().all(|row| known.rows.contains(row)));
}
