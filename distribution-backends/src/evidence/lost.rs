//! The positions that nothing was met at, until it turns up elsewhere.

use std::ops::Range;

#[derive(Debug, Default)]
pub(super) struct Lost(Vec<Range<u64>>);

impl Lost {
    /// Behind those that are noted.
    pub(super) fn add(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.0.push(range);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the position was lost. It is no more.
    pub(super) fn remove(&mut self, position: u64) -> bool {
        let Some(n) = self.0.iter().position(|range| range.contains(&position)) else { return false };
        let range = self.0.remove(n);
        for rest in [position + 1..range.end, range.start..position] {
            if !rest.is_empty() {
                self.0.insert(n, rest);
            }
        }
        true
    }

    pub(super) fn take(&mut self) -> Vec<Range<u64>> {
        std::mem::take(&mut self.0)
    }
}
