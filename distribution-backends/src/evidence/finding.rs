//! What a verifier finds.

use std::fmt;

use serde::Serialize;

/// What is wrong with an audit chain, named after what was done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FindingKind {
    /// Its bytes are not those that were written.
    Edited,
    /// It was there and is not.
    Removed,
    /// It is not where it was written.
    Reordered,
    /// It is there twice.
    Doubled,
    /// It was never written to this chain.
    Foreign,
    /// The chain is shorter than a checkpoint has seen it.
    Truncated,
    /// The chain goes on, and its bytes do not end with a line: what a crash left, or was cut.
    Unfinished,
    /// A checkpoint has seen another entry at this position.
    Rewritten,
    /// Checkpoints of one position tell of two entries: who has the key has noted two chains.
    ContradictoryCheckpoints,
    /// Checkpoints are of another chain, and tell nothing of this one.
    ForeignCheckpoints,
    /// It has no signature of a key that is trusted.
    BadSignature,
    /// A publication's own count, 0, 1, 2 …, leaves one out.
    Gap,
}

/// One thing that is wrong, and with which entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What.
    pub kind: FindingKind,
    /// Where it was met, such as `line 3`; empty for what is not there.
    pub place: String,
    /// The position in the chain, counted from 0, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// The entry, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// In words.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = serde_json::to_value(self.kind).unwrap_or_default();
        write!(f, "{}: ", kind.as_str().unwrap_or_default())?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        match &self.entry {
            Some(entry) => write!(f, "{entry} {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// What a chain holds, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verdict {
    /// How many entries stand in the chain as they were written.
    pub entries: u64,
    /// How many of them have a signature that was checked and is good.
    pub signed: u64,
    /// How many publications begin in an earlier chain. That is no fault where a sink was begun anew.
    pub continued: u64,
    /// How many checkpoints were met.
    pub checkpoints: u64,
    /// What is wrong; at most [`FINDINGS_MAX`](Self::FINDINGS_MAX).
    pub findings: Vec<Finding>,
    /// How many findings more there are.
    pub more: u64,
}

impl Verdict {
    /// How many findings are told.
    pub const FINDINGS_MAX: usize = 1000;

    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty() && self.more == 0
    }

    pub(crate) fn add(&mut self, finding: Finding) {
        if self.findings.len() < Self::FINDINGS_MAX {
            self.findings.push(finding);
        } else {
            self.more += 1;
        }
    }
}
