//! What the records tell of many staged files at once.

use std::collections::VecDeque;

use super::{Decision, Kept, Sweeper, Verdict, kept_until};
use crate::error::Error;
use crate::metadata::Query;
use crate::record::{Phase, Published, Record};
use crate::staging::StagedFile;
use crate::time::Timestamp;

const PAGE_ROWS: usize = 1_000;

impl Sweeper {
    /// These files in the order of their URLs, with what the records tell of each.
    pub(super) async fn survey(&self, files: Vec<StagedFile>) -> Result<VecDeque<Decision>, Error> {
        if files.is_empty() {
            return Ok(VecDeque::new());
        }
        let now = self.publisher.now();
        let mut decisions: Vec<Decision> = files.into_iter().map(|file| self.unpublished(file, now)).collect();
        decisions.sort_unstable_by(|a, b| a.file.url.expose().cmp(b.file.url.expose()));

        let (all, mut after) = (Query::default(), None);
        loop {
            let found = self.publisher.parts().metadata.find(&all, after.as_ref(), PAGE_ROWS).await?;
            after = found.end().filter(|_| found.len() >= PAGE_ROWS);
            // A record that cannot be read is met again, by its checksum, before anything is removed.
            for record in found.rows.iter().filter_map(|row| Record::decode(row).ok()) {
                self.hear(&mut decisions, &record, now);
            }
            if after.is_none() {
                return Ok(decisions.into());
            }
        }
    }

    fn unpublished(&self, file: StagedFile, now: Timestamp) -> Decision {
        let is_old = now.signed_duration_since(file.modified) >= self.policy.stuck_after;
        Decision { file, verdict: Verdict::Keep(if is_old { Kept::Stuck } else { Kept::Unpublished }) }
    }

    /// What this record says of its staged file, if that is one of these.
    fn hear(&self, decisions: &mut [Decision], record: &Record, now: Timestamp) {
        let Some(url) = self.staging.resolve(&record.source.url) else { return };
        let at = decisions.binary_search_by(|decision| decision.file.url.expose().cmp(url.expose()));
        if let Some(decision) = at.ok().and_then(|at| decisions.get_mut(at)) {
            let verdict = self.verdict(&decision.file, record, now);
            if weight(&verdict) > weight(&decision.verdict) {
                decision.verdict = verdict;
            }
        }
    }

    fn verdict(&self, file: &StagedFile, record: &Record, now: Timestamp) -> Verdict {
        let audit_log_id = record.id().clone();
        let Some(Published { at, proof, pin, .. }) = record.published() else {
            return Verdict::Keep(Kept::InUse { audit_log_id });
        };
        // Of another pin, the bytes are compared before anything is removed.
        if pin.as_ref() != Some(&file.pin) && proof.digest.size != file.pin.size {
            return Verdict::Keep(Kept::Changed);
        }
        if matches!(record.phase, Phase::Retracted(_)) {
            return Verdict::Keep(Kept::Retracted { audit_log_id });
        }
        if record.hold.is_some() {
            return Verdict::Keep(Kept::Held { audit_log_id });
        }
        let until = kept_until(*at, self.policy.retention);
        if now < until {
            return Verdict::Keep(Kept::Retained { until });
        }
        Verdict::Remove { audit_log_id, published_at: *at }
    }
}

/// Of two records of one file, what the weightier says counts. One that is not published may be of other bytes that
/// were to be here, and does not hold up the file: those of the same bytes are asked for before it is removed.
fn weight(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Keep(Kept::Unpublished | Kept::Stuck) => 0,
        Verdict::Keep(Kept::Changed) => 1,
        Verdict::Keep(Kept::InUse { .. } | Kept::Retracted { .. } | Kept::Held { .. }) => 2,
        Verdict::Remove { .. } | Verdict::Removed { .. } => 3,
        Verdict::Keep(_) => 4,
    }
}
