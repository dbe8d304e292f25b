//! Damage that only two looks show.

use chrono::TimeDelta;
use distribution_core::Checksum;
use distribution_testkit::checker::Promise::{P3, P4, P5, P6};
use serde_json::json;

use crate::support::{Damage, advance, edit, entry, location, published};

pub(crate) const HISTORY: &[Damage] = &[
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
    ("a publication was proven anew", &[P3], |e| advance(e, |r| r["phase"]["at"] = "2027-01-01T00:00:00Z".into())),
    ("a version was given another number", &[P3], |e| advance(e, |r| r["phase"]["version"] = json!({"number": 9}))),
    ("what is published was changed", &[P3], |e| advance(e, |r| r["publication"]["duration_seconds"] = 2.into())),
    ("an attempt came back", &[P4], |e| advance(e, |r| r["attempt"] = 0.into())),
    ("the trail became shorter", &[P5], |e| advance(e, |r| r["trail"]["next"] = 1.into())),
    ("an entry has vanished", &[P5], |e| drop(e.audit.remove(1))),
    ("an entry was changed", &[P5], |e| entry(e, published).at += TimeDelta::seconds(1)),
    ("a staged file was changed", &[P6], |e| {
        e.staged.as_mut().unwrap().get_mut("clip.mp4").unwrap().size += 1;
    }),
    ("a staged file was removed", &[P6], |e| e.staged.as_mut().unwrap().retain(|name, _| name != "clip.mp4")),
];
