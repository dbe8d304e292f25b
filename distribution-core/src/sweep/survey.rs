//! What the records tell of many staged files at once.

use std::collections::{BTreeMap, HashMap, VecDeque};

use super::{Decision, Kept, Sweeper, User, Verdict, kept_until, may_remove};
use crate::error::Error;
use crate::key::ConceptId;
use crate::metadata::Query;
use crate::object::Checksum;
use crate::record::{Phase, Published, Record};
use crate::staging::StagedFile;
use crate::time::Timestamp;

const PAGE_ROWS: usize = 1_000;

/// Of what is published in a file: what others that have it too are found by.
struct Content {
    checksum: Checksum,
    concept_id: Option<ConceptId>,
}

/// A file, what is known of it so far, and which content that is about.
type Known = (Decision, Option<Content>);

impl Sweeper {
    /// These files in the order of their URLs, with what the records tell of each. A `plan` is told as well what speaks
    /// against a removal elsewhere; before one, that is asked once more for each file.
    pub(super) async fn survey(&self, files: Vec<StagedFile>, plan: bool) -> Result<VecDeque<Decision>, Error> {
        if files.is_empty() {
            return Ok(VecDeque::new());
        }
        let now = self.publisher.now();
        let mut known: Vec<Known> = files.into_iter().map(|file| (self.unpublished(file, now), None)).collect();
        known.sort_unstable_by(|(a, _), (b, _)| a.file.url.expose().cmp(b.file.url.expose()));

        let (all, mut after, mut against) = (Query::default(), None, BTreeMap::new());
        loop {
            let found = self.publisher.parts().metadata.find(&all, after.as_ref(), PAGE_ROWS).await?;
            after = found.end().filter(|_| found.len() >= PAGE_ROWS);
            // A record that cannot be read is met again, by its checksum, before anything is removed.
            for record in found.rows.iter().filter_map(|row| Record::decode(row).ok()) {
                self.hear(&mut known, &record, now);
                if plan && let Err(kept) = may_remove(&[User::believed(&record)], now, self.policy.retention) {
                    against.entry(record.publication.checksum).or_insert(kept);
                }
            }
            if after.is_none() {
                break;
            }
        }
        let mut held = HashMap::new();
        for (decision, content) in known.iter_mut().filter(|_| plan) {
            let (Verdict::Remove { audit_log_id, .. }, Some(content)) = (&decision.verdict, content) else { continue };
            let kept = match (against.get(&content.checksum), &content.concept_id) {
                (Some(kept), _) => Some(kept.clone()),
                (None, Some(concept_id)) => self
                    .held_by_work(concept_id, &mut held)
                    .await?
                    .then(|| Kept::Held { audit_log_id: audit_log_id.clone() }),
                (None, None) => None,
            };
            if let Some(kept) = kept {
                decision.verdict = Verdict::Keep(kept);
            }
        }
        Ok(known.into_iter().map(|(decision, _)| decision).collect())
    }

    /// Whether the work is held; each is asked for once.
    async fn held_by_work(&self, concept: &ConceptId, known: &mut HashMap<ConceptId, bool>) -> Result<bool, Error> {
        if let Some(is_held) = known.get(concept) {
            return Ok(*is_held);
        }
        let is_held = self.publisher.is_work_held(concept).await?;
        known.insert(concept.clone(), is_held);
        Ok(is_held)
    }

    fn unpublished(&self, file: StagedFile, now: Timestamp) -> Decision {
        let is_old = now.signed_duration_since(file.modified) >= self.policy.stuck_after;
        Decision { file, verdict: Verdict::Keep(if is_old { Kept::Stuck } else { Kept::Unpublished }) }
    }

    /// What this record says of its staged file, if that is one of these.
    fn hear(&self, known: &mut [Known], record: &Record, now: Timestamp) {
        let Some(url) = self.staging.resolve(&record.source.url) else { return };
        let at = known.binary_search_by(|(decision, _)| decision.file.url.expose().cmp(url.expose()));
        if let Some((decision, content)) = at.ok().and_then(|at| known.get_mut(at)) {
            let verdict = self.verdict(&decision.file, record, now);
            if weight(&verdict) > weight(&decision.verdict) {
                decision.verdict = verdict;
                let concept_id = record.publication.concept_id.clone();
                *content = Some(Content { checksum: record.publication.checksum, concept_id });
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
