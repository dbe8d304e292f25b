//! Which entries a sink keeps, in little memory.

use std::collections::{BTreeSet, HashMap};

use distribution_core::{EntryId, Trail};

/// A set of entry ids. A trail without a gap costs the same however long it is.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    trails: HashMap<TrailName, Places>,
}

impl Kept {
    pub(crate) fn contains(&self, id: &EntryId) -> bool {
        self.trails.get(&TrailName::of(id)).is_some_and(|places| places.contains(id.sequence))
    }

    pub(crate) fn insert(&mut self, id: &EntryId) {
        self.trails.entry(TrailName::of(id)).or_default().insert(id.sequence);
    }

    /// How many publications begin later than with their first entry, and those that leave one out: the end
    /// of their name, and which. Refusals are not counted, so they leave out none.
    pub(crate) fn gaps(&self) -> (u64, Vec<(String, u64)>) {
        let counted = self.trails.iter().filter(|(name, _)| name.trail == Trail::Publication);
        let (mut continued, mut gaps) = (0, Vec::new());
        for (name, places) in counted {
            continued += u64::from(places.next == 0);
            if let Some(gap) = places.gap() {
                gaps.push((String::from_utf8_lossy(&name.id).into_owned(), gap));
            }
        }
        gaps.sort_unstable();
        (continued, gaps)
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TrailName {
    /// What tells ids apart: all of one but its prefix.
    id: [u8; Self::BYTES],
    trail: Trail,
}

impl TrailName {
    const BYTES: usize = 26;

    fn of(entry: &EntryId) -> Self {
        let id = entry.audit_log_id.as_str().as_bytes().last_chunk().copied().unwrap_or_default();
        Self { id, trail: entry.trail }
    }
}

/// The places of one trail that are taken: all below `next`, and those of `ahead`.
#[derive(Debug, Default)]
struct Places {
    next: u64,
    #[expect(clippy::box_collection, reason = "a third of the size, and almost every trail has none")]
    ahead: Option<Box<BTreeSet<u64>>>,
}

impl Places {
    fn contains(&self, place: u64) -> bool {
        place < self.next || self.ahead.as_ref().is_some_and(|ahead| ahead.contains(&place))
    }

    /// The first place that is free between two that are taken.
    fn gap(&self) -> Option<u64> {
        let ahead = self.ahead.as_ref()?;
        if self.next > 0 {
            return Some(self.next);
        }
        let (mut places, mut expected) = (ahead.iter(), *ahead.first()?);
        places.any(|place| {
            let is_gap = *place != expected;
            expected = if is_gap { expected } else { place.saturating_add(1) };
            is_gap
        });
        (expected <= *ahead.last()?).then_some(expected)
    }

    fn insert(&mut self, place: u64) {
        if self.contains(place) {
            return;
        }
        self.ahead.get_or_insert_default().insert(place);
        let Some(ahead) = &mut self.ahead else { return };
        // `u64::MAX` stays ahead: nothing comes after it.
        while self.next < u64::MAX && ahead.remove(&self.next) {
            self.next += 1;
        }
        if ahead.is_empty() {
            self.ahead = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn places_are_a_set_in_any_order() {
        let orders = [[0, 1, 2, 5, u64::MAX], [5, 2, 1, 0, u64::MAX], [u64::MAX, 2, 0, 5, 1]];
        for order in orders {
            let mut places = Places::default();
            for (n, place) in order.into_iter().enumerate() {
                assert!(!places.contains(place));
                places.insert(place);
                places.insert(place);
                assert!(order[..=n].iter().all(|place| places.contains(*place)));
            }
            assert_eq!(places.next, 3);
            assert!(!places.contains(3) && !places.contains(4) && !places.contains(u64::MAX - 1));
        }
    }

    #[test]
    fn a_trail_without_a_gap_keeps_no_set() {
        let mut places = Places::default();
        (0..1000).rev().for_each(|place| places.insert(place));
        assert!(places.ahead.is_none());
    }
}
