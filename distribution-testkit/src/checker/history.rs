//! What only two looks show: what was changed, lost or taken back in between.

use std::collections::BTreeMap;

use distribution_core::{AuditEntry, EntryId, Row};

use super::body::{self, Body, Phase};
use super::evidence::Evidence;
use super::{Findings, Promise, Violation};

/// Every promise that was broken between two looks; empty if none was. It does not repeat what
/// [`violations`](super::violations) finds in either.
///
/// Objects and staged files that a test itself has changed, lost or removed in between count too:
/// look again after such a change. Without [`staged`](Evidence::staged) files on both sides, they are
/// not compared.
pub fn violations_since(before: &Evidence, after: &Evidence) -> Vec<Violation> {
    let mut found = Findings::default();
    check_objects(before, after, &mut found);
    check_rows(before, after, &mut found);
    check_audit(before, after, &mut found);
    check_staged(before, after, &mut found);
    found.0
}

fn check_objects(before: &Evidence, after: &Evidence, found: &mut Findings) {
    for (location, was) in &before.objects {
        match after.objects.get(location) {
            None => found.add(Promise::P4, location, "was deleted"),
            Some(is) if is != was => {
                let message = format!("was overwritten: {} became {}", was.digest.checksum, is.digest.checksum);
                found.add(Promise::P4, location, message);
            }
            Some(_) => {}
        }
    }
}

fn check_rows(before: &Evidence, after: &Evidence, found: &mut Findings) {
    let now: BTreeMap<&str, &Row> = after.rows.iter().map(|row| (row.id.as_str(), row)).collect();
    for was in &before.rows {
        let Some(is) = now.get(was.id.as_str()) else {
            found.add(Promise::P3, &was.id, "the row has vanished");
            continue;
        };
        if is.revision < was.revision {
            let message = format!("the row went back from revision {} to {}", was.revision, is.revision);
            found.add(Promise::P3, &was.id, message);
        } else if is.revision == was.revision {
            let same = is.body == was.body && is.index == was.index;
            found.expect(same, Promise::P3, &was.id, || format!("revision {} has two versions", was.revision));
        } else if let (Ok(was_said), Ok(says)) = (body::read(was), body::read(is)) {
            check_record(&was.id, &was_said, &says, found);
        }
    }
}

fn check_record(id: impl std::fmt::Display, was: &Body, is: &Body, found: &mut Findings) {
    let same = is.publication == was.publication && is.claimed_at == was.claimed_at;
    found.expect(same, Promise::P3, &id, || "what is published was changed".to_owned());
    found.expect(is.attempt >= was.attempt, Promise::P4, &id, || {
        format!("attempt {} came after {}: a used key may be written again", is.attempt, was.attempt)
    });
    found.expect(is.trail.next >= was.trail.next, Promise::P5, &id, || {
        format!("the trail was {} entries long and is {}", was.trail.next, is.trail.next)
    });
    if let Phase::Retracted(_) = was.phase {
        let same = matches!(is.phase, Phase::Retracted(_));
        found.expect(same, Promise::P3, &id, || "was taken back, and the record does not say so any more".to_owned());
    }
    check_published(id, was, is, found);
}

fn check_published(id: impl std::fmt::Display, was_body: &Body, is_body: &Body, found: &mut Findings) {
    let Some(was) = was_body.was_published() else { return };
    let Some(is) = is_body.was_published() else {
        return found.add(Promise::P3, &id, "was published, and the record does not say so any more");
    };
    // What was lost is copied anew, to the key of a later attempt.
    let same_place = (&is.location, &is.proof) == (&was.location, &was.proof) || is_body.attempt > was_body.attempt;
    let same = same_place && (is.at, &is.pin) == (was.at, &was.pin);
    found.expect(same, Promise::P3, &id, || "was published a second time".to_owned());
    let Some(number) = was_body.number() else { return };
    found.expect(is_body.number() == Some(number), Promise::P3, &id, || {
        format!("was version {number} of its work, and is {:?}", is_body.number())
    });
}

fn check_audit(before: &Evidence, after: &Evidence, found: &mut Findings) {
    let now: BTreeMap<&EntryId, &AuditEntry> = after.audit.iter().map(|entry| (&entry.id, entry)).collect();
    for was in &before.audit {
        match now.get(&was.id) {
            None => found.add(Promise::P5, &was.id, "the entry has vanished"),
            Some(is) => found.expect(*is == was, Promise::P5, &was.id, || "the entry was changed".to_owned()),
        }
    }
}

fn check_staged(before: &Evidence, after: &Evidence, found: &mut Findings) {
    let (Some(before), Some(after)) = (&before.staged, &after.staged) else { return };
    for (name, was) in before {
        match after.get(name) {
            None => found.add(Promise::P6, name, "the staged file has vanished"),
            Some(is) => found.expect(is == was, Promise::P6, name, || "the staged file was changed".to_owned()),
        }
    }
}
