//! Damage to objects and rows.

use distribution_core::{Checksum, State, Trail};
use distribution_testkit::checker::Promise::{P1, P2, P3, P5, P6, P7, P8, P9, P10};
use serde_json::json;

use crate::support::{Damage, SECRET, edit, location, object, row, unfinish};

pub(crate) const OBJECTS: &[Damage] = &[
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
        e.objects.insert("memory://default/stray.mp4".into(), object("stray.mp4", &stray));
    }),
    ("an object of an attempt that has not begun", &[P2], |e| {
        let next = e.objects[&location(e)].clone();
        let key = next.key.replace("-r1.", "-r2.");
        e.objects.insert(format!("memory://default/{key}"), object(&key, &next));
    }),
    ("an object of a refused request", &[P2], |e| {
        let refused = e.audit.iter().find(|entry| entry.id.trail == Trail::Refusals).unwrap();
        let key = format!("{}.mp4", refused.id.audit_log_id);
        let like = e.objects.values().next().unwrap();
        e.objects.insert(format!("memory://default/{key}"), object(&key, like));
    }),
];

pub(crate) const ROWS: &[Damage] = &[
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
        e.rows[place].body = body.replacen(r#""format":2"#, r#""format":3"#, 1).into();
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
        edit(e, "first", |r| r["phase"]["proof"]["size"] = 1.into());
        e.answers.clear();
    }),
    ("other bytes were approved", &[P2], |e| {
        edit(e, "first", |r| r["approval"]["checksum"] = json!(Checksum::of(b"x")));
    }),
    ("the approval had expired", &[P2], |e| {
        edit(e, "first", |r| r["approval"]["expires_at"] = r["claimed_at"].clone());
    }),
    ("the staged file was another", &[P6], |e| edit(e, "first", |r| r["phase"]["pin"]["size"] = 1.into())),
    ("no trace of an amendment", &[P5], |e| edit(e, "first", |r| r["details"]["url_expiry_hours"] = 1.into())),
    ("no trace of a grant", &[P5], |e| edit(e, "second", |r| r["details"]["access"] = "public".into())),
    ("published at another time", &[P5], |e| {
        edit(e, "first", |r| r["phase"]["at"] = r["claimed_at"].as_str().unwrap().replace("2026", "2025").into());
        e.answers.clear();
    }),
    ("published elsewhere", &[P1, P5], |e| {
        edit(e, "first", |r| r["phase"]["location"] = "memory://default/elsewhere.mp4".into());
        e.answers.clear();
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
