//! Reads a chain from its beginning, and names what is wrong with it.

use distribution_core::EntryId;

use super::event::{ChainHead, ChainedEvent, Hash};
use super::finding::{Finding, FindingKind, Verdict};
use super::lost::Lost;
use super::noted::Noted;
#[cfg(feature = "evidence")]
use super::{Checkpoint, PublicKey, key::Purpose};
use crate::audit::Kept;

/// Checks the entries of one sink, one after the other as they are kept, without the sink.
///
/// It finds every entry that was edited, removed, inserted, moved or doubled, and, with checkpoints, a chain that
/// was cut. Whoever may write everything and holds no key could write a whole chain anew: against that there
/// are signatures and checkpoints.
///
/// In memory it keeps about 100 bytes for each publication, and 20 for each refusal.
///
/// ```
/// use distribution_backends::Verifier;
///
/// let mut verifier = Verifier::new();
/// verifier.check("line 1", b"{\"not\":\"an audit entry\"}");
/// let verdict = verifier.finish();
/// assert_eq!(verdict.findings[0].to_string(), "edited: line 1: is not as it was written");
/// ```
#[derive(Debug, Default)]
pub struct Verifier {
    #[cfg(feature = "evidence")]
    keys: Vec<PublicKey>,
    noted: Noted,
    /// The chain's name: as it was given, or that of the first entry that reads.
    source: Option<String>,
    head: ChainHead,
    /// What did not fit: what it is follows from what comes behind it.
    odd: Option<Met>,
    /// How many entries that do not read have been met since the newest that does.
    damaged: u64,
    misplaced: Vec<Met>,
    lost: Lost,
    kept: Kept,
    verdict: Verdict,
}

/// An entry that was met.
#[derive(Debug)]
struct Met {
    place: String,
    position: u64,
    previous: Hash,
    hash: Hash,
    is_foreign: bool,
    id: EntryId,
}

impl Met {
    fn follows(&self, position: u64, hash: Hash) -> bool {
        position.checked_add(1) == Some(self.position) && self.previous == hash
    }

    fn finding(self, kind: FindingKind, message: &str) -> Finding {
        let (position, entry) = (Some(self.position), Some(self.id.to_string()));
        Finding { kind, place: self.place, position, entry, message: message.to_owned() }
    }
}

impl Verifier {
    /// A verifier that trusts no key, and knows no checkpoint.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, requiring that each entry is signed by this key, or another one that is given.
    #[cfg(feature = "evidence")]
    #[must_use]
    pub fn with_key(mut self, key: PublicKey) -> Self {
        self.keys.push(key);
        self
    }

    /// The same, requiring what this checkpoint has seen. One of another chain is told as such.
    #[cfg(feature = "evidence")]
    #[must_use]
    pub fn with_checkpoint(mut self, checkpoint: &Checkpoint) -> Self {
        self.noted.add(checkpoint.source(), checkpoint.position(), checkpoint.hash());
        self
    }

    /// The same, requiring that the chain has this name. Otherwise that of its first entry is believed.
    #[must_use]
    pub fn of_chain(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Checks the next entry, as it is kept, without a newline. `place` names it in what is found.
    pub fn check(&mut self, place: &str, bytes: &[u8]) {
        match self.read(place, bytes) {
            Some(met) => self.next(met),
            None => {
                self.settle();
                self.damaged += 1;
                self.tell(FindingKind::Edited, place, "is not as it was written");
            }
        }
    }

    /// Tells that what follows the entries so far is no whole entry.
    pub fn unfinished(&mut self, place: &str) {
        self.tell(FindingKind::Unfinished, place, "has no end: what a crash left of an entry, or somebody of a line");
    }

    /// What was found. Without a checkpoint the end of a chain is wherever it ends.
    pub fn finish(mut self) -> Verdict {
        self.settle();
        for met in std::mem::take(&mut self.misplaced) {
            let finding = self.judge(met);
            self.verdict.add(finding);
        }
        for range in self.lost.take() {
            let count = range.end - range.start;
            let message = format!("{count} entries from position {} on are gone", range.start);
            self.add(FindingKind::Removed, "", Some(range.start), message);
        }
        self.judge_checkpoints();
        let (continued, gaps) = self.kept.gaps();
        self.verdict.continued = continued;
        for (publication, sequence) in gaps {
            let message = format!("the trail of dist_{publication} leaves out {sequence}");
            self.add(FindingKind::Gap, "", None, message);
        }
        self.verdict
    }

    fn judge_checkpoints(&mut self) {
        let source = self.source.as_deref();
        let newest = self.noted.newest_from(source, self.head.next);
        let contradictions = self.noted.contradictions(source);
        let foreign: Vec<String> = self
            .noted
            .foreign(source)
            .into_iter()
            .map(|(name, count)| format!("{count} checkpoints are of the chain {name}, and tell nothing of this one"))
            .collect();
        if let Some(position) = newest {
            let message =
                format!("a checkpoint has seen position {position}, and the chain ends before {}", self.head.next);
            self.add(FindingKind::Truncated, "", Some(self.head.next), message);
        }
        for (position, hashes) in contradictions {
            let message = format!("checkpoints of position {position} contradict each other: {hashes}");
            self.add(FindingKind::ContradictoryCheckpoints, "", Some(position), message);
        }
        for message in foreign {
            self.add(FindingKind::ForeignCheckpoints, "", None, message);
        }
    }

    fn read(&mut self, place: &str, bytes: &[u8]) -> Option<Met> {
        let event = ChainedEvent::parse(bytes)?;
        let (position, previous, hash, id) = (event.position()?, event.previous()?, event.hash()?, event.entry_id()?);
        let is_foreign = *self.source.get_or_insert_with(|| event.source.clone()) != event.source;
        let met = Met { place: place.to_owned(), position, previous, hash, is_foreign, id };
        self.check_signature(&met, &event);
        Some(met)
    }

    #[cfg(feature = "evidence")]
    fn check_signature(&mut self, met: &Met, event: &ChainedEvent) {
        if self.keys.is_empty() {
            return;
        }
        let key = self.keys.iter().find(|key| Some(key.id()) == event.signedby.as_deref());
        let message = match (key, &event.chainsignature) {
            (_, None) => "is not signed",
            (None, Some(_)) => "is signed by a key that is not trusted",
            (Some(key), Some(signature)) if key.has_signed(Purpose::Entry, &event.chainhash, signature) => {
                self.verdict.signed += 1;
                return;
            }
            (Some(_), Some(_)) => "has a signature that is not that of its key",
        };
        let (position, entry) = (Some(met.position), Some(met.id.to_string()));
        let (kind, place) = (FindingKind::BadSignature, met.place.clone());
        self.verdict.add(Finding { kind, place, position, entry, message: message.to_owned() });
    }

    #[cfg(not(feature = "evidence"))]
    fn check_signature(&mut self, _: &Met, _: &ChainedEvent) {}

    fn next(&mut self, met: Met) {
        if met.is_foreign {
            return self.misplace(met);
        }
        if let Some(odd) = self.odd.take() {
            if met.follows(odd.position, odd.hash) && odd.position >= self.head.next {
                self.jump_to(odd);
                return self.accept(met);
            }
            let replaced = self.head.next.checked_add(1) == Some(met.position);
            self.misplace(odd);
            if replaced {
                self.lose_until(met.position);
                return self.accept(met);
            }
        }
        if self.fits(&met) {
            self.accept(met);
        } else if self.damaged > 0 && met.position > self.head.next {
            self.lose_until(met.position);
            self.accept(met);
        } else {
            self.odd = Some(met);
        }
    }

    fn fits(&self, met: &Met) -> bool {
        met.position == self.head.next && met.previous == self.head.hash
    }

    /// Nothing comes behind what did not fit that could tell more of it.
    fn settle(&mut self) {
        if let Some(odd) = self.odd.take() {
            match odd.position >= self.head.next {
                true => self.jump_to(odd),
                false => self.misplace(odd),
            }
        }
    }

    /// Goes on at an entry that others follow, although it does not follow those before.
    fn jump_to(&mut self, odd: Met) {
        if odd.position == self.head.next {
            let message = "follows another entry than the one before it, which was written anew";
            let (position, entry) = (odd.position.checked_sub(1), Some(odd.id.to_string()));
            let (kind, place) = (FindingKind::Edited, odd.place.clone());
            self.verdict.add(Finding { kind, place, position, entry, message: message.to_owned() });
        }
        self.lose_until(odd.position);
        self.accept(odd);
    }

    /// Notes as lost what should be before `position`, but for what was met there and does not read.
    fn lose_until(&mut self, position: u64) {
        let start = self.head.next.saturating_add(self.damaged).min(position);
        match self.lost.len() < Verdict::FINDINGS_MAX {
            true => self.lost.add(start..position),
            false => self.verdict.more += 1,
        }
    }

    /// Notes what stands where it does not belong, to be judged at the end.
    fn misplace(&mut self, met: Met) {
        match self.misplaced.len() < Verdict::FINDINGS_MAX {
            true => self.misplaced.push(met),
            false => self.verdict.more += 1,
        }
    }

    fn accept(&mut self, met: Met) {
        self.head = ChainHead { next: met.position.saturating_add(1), hash: met.hash };
        self.damaged = 0;
        self.verdict.entries += 1;
        if let Some(seen) = self.noted.at(self.source.as_deref().unwrap_or_default(), met.position) {
            self.verdict.checkpoints += seen.len() as u64;
            if !seen.contains(&met.hash) {
                let (position, entry) = (Some(met.position), Some(met.id.to_string()));
                let (kind, place) = (FindingKind::Rewritten, met.place.clone());
                let message = "is not the entry that a checkpoint has seen there".to_owned();
                self.verdict.add(Finding { kind, place, position, entry, message });
            }
        }
        if self.kept.contains(&met.id) {
            return self.verdict.add(met.finding(FindingKind::Doubled, "was there before"));
        }
        self.kept.insert(&met.id);
    }

    /// What an entry is that does not stand where it belongs.
    fn judge(&mut self, met: Met) -> Finding {
        if met.is_foreign {
            return met.finding(FindingKind::Foreign, "was written to another chain");
        }
        let is_next = met.position == self.head.next && met.previous == self.head.hash;
        if self.lost.remove(met.position) || is_next {
            let message = format!("belongs to position {}", met.position);
            return met.finding(FindingKind::Reordered, &message);
        }
        if self.kept.contains(&met.id) {
            return met.finding(FindingKind::Doubled, "is there twice");
        }
        met.finding(FindingKind::Foreign, "does not belong to this chain")
    }

    fn tell(&mut self, kind: FindingKind, place: &str, message: &str) {
        self.add(kind, place, None, message.to_owned());
    }

    fn add(&mut self, kind: FindingKind, place: &str, position: Option<u64>, message: String) {
        self.verdict.add(Finding { kind, place: place.to_owned(), position, entry: None, message });
    }
}
