//! What checkpoints have seen, chain by chain.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;

use super::event::Hash;

/// What was seen of each chain, by its name, and at each position. There should be one hash; all are kept, because
/// two that differ are the trace of somebody who had the key.
#[derive(Debug, Default)]
pub(super) struct Noted(BTreeMap<String, BTreeMap<u64, BTreeSet<Hash>>>);

impl Noted {
    #[cfg(feature = "evidence")]
    pub(super) fn add(&mut self, source: &str, position: u64, hash: Hash) {
        self.0.entry(source.to_owned()).or_default().entry(position).or_default().insert(hash);
    }

    /// What was seen at this position of the chain.
    pub(super) fn at(&self, source: &str, position: u64) -> Option<&BTreeSet<Hash>> {
        self.0.get(source)?.get(&position)
    }

    /// The last position that was seen, at `next` or behind it. Of a chain without a name, in which nothing reads,
    /// any may have been seen.
    pub(super) fn newest_from(&self, source: Option<&str>, next: u64) -> Option<u64> {
        self.of(source).filter_map(|seen| seen.range(next..).next_back().map(|(position, _)| *position)).max()
    }

    /// The positions of which checkpoints contradict each other, with what each says.
    pub(super) fn contradictions(&self, source: Option<&str>) -> Vec<(u64, String)> {
        let told = self.of(source).flatten().filter(|(_, hashes)| hashes.len() > 1).map(|(position, hashes)| {
            let hashes: Vec<String> = hashes.iter().map(|hash| HEXLOWER.encode(hash)).collect();
            (*position, hashes.join(" and "))
        });
        told.collect()
    }

    /// The other chains of which there are checkpoints, and how many.
    pub(super) fn foreign(&self, source: Option<&str>) -> Vec<(&str, usize)> {
        let others = self.0.iter().filter(|(name, _)| source.is_some_and(|source| source != name.as_str()));
        others.map(|(name, seen)| (name.as_str(), seen.values().map(BTreeSet::len).sum())).collect()
    }

    fn of(&self, source: Option<&str>) -> impl Iterator<Item = &BTreeMap<u64, BTreeSet<Hash>>> {
        self.0.iter().filter(move |(name, _)| source.is_none_or(|source| source == name.as_str())).map(|(_, seen)| seen)
    }
}
