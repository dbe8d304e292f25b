//! The versions of each work: numbered from 1, each number once, and none left out.

use std::collections::BTreeMap;

use super::body::{Phase, Published, Version};
use super::records::Records;
use super::{Findings, Promise};

pub(super) fn check(records: &Records<'_>, found: &mut Findings) {
    let mut works: BTreeMap<&str, Work<'_>> = BTreeMap::new();
    for record in records.sound() {
        let Some(concept) = &record.body.publication.concept_id else { continue };
        let work = works.entry(concept).or_default();
        match (&record.body.phase, record.body.was_published()) {
            (_, Some(Published { version: Some(Version::Number(number)), .. })) => {
                if let Some(other) = work.numbered.insert(*number, record.id()) {
                    let message = format!("is version {number} of {concept}, and so is {other}");
                    found.add(Promise::P3, record.id(), message);
                }
            }
            // It may have taken a number that is not on its record yet; one that was taken back before it was on
            // record keeps it.
            (Phase::Published(_) | Phase::Retracted(_), Some(_)) => work.on_their_way += 1,
            _ => {}
        }
    }
    // The number of a record that cannot be read is not known.
    for (concept, work) in works.iter().filter(|_| !records.any_broken()) {
        let last = work.numbered.keys().next_back().copied().unwrap_or_default();
        let missing = last.saturating_sub(work.numbered.len() as u64);
        found.expect(missing <= work.on_their_way, Promise::P3, concept, || {
            format!("{missing} of its {last} versions have no publication")
        });
    }
}

#[derive(Default)]
struct Work<'a> {
    numbered: BTreeMap<u64, &'a str>,
    on_their_way: u64,
}
