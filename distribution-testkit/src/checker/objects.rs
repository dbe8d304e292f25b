//! Objects: each is an attempt of a publication that QC has let through.

use std::collections::BTreeMap;

use super::derive::possible_attempts;
use super::evidence::Evidence;
use super::records::Records;
use super::{Findings, Promise};

pub(super) fn check(records: &Records<'_>, evidence: &Evidence, found: &mut Findings) {
    if records.any_broken() {
        return;
    }
    let mut attempts: BTreeMap<&str, u32> = BTreeMap::new();
    for record in records.sound() {
        let highest = attempts.entry(&record.body.publication.key).or_default();
        let replicas = record.body.replicas.wanted.iter().map(|replica| replica.attempt);
        *highest = replicas.fold(record.body.restoring.unwrap_or(record.body.attempt).max(*highest), u32::max);
    }
    for (location, object) in &evidence.objects {
        let mut possible = possible_attempts(&object.key);
        let belongs = possible.any(|(key, attempt)| attempts.get(&*key).is_some_and(|highest| attempt <= *highest));
        found.expect(belongs || evidence.foreign.contains(&object.key), Promise::P2, location, || {
            "no record of an approved publication has this object".to_owned()
        });
    }
}
