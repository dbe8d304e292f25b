//! Archiving by policy: what is old enough, and not the latest version of its work.

use chrono::TimeDelta;
use tracing::{Instrument as _, info_span};

use super::ArchiveMode;
use crate::error::Error;
use crate::identity::AuditLogId;
use crate::metadata::{Cursor, Query, State};
use crate::publisher::Publisher;
use crate::record::{HotCopies, Record};

/// What is archived by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchivePolicy {
    /// How long ago it was published, or restored, at least.
    pub older_than: TimeDelta,
    /// Whether the latest version of a work stays hot, however old it is.
    pub keeps_latest: bool,
    /// What becomes of the other copies.
    pub mode: ArchiveMode,
}

/// What a [`Publisher::archive_due`] came to.
#[derive(Clone, Debug, Default)]
#[must_use = "what failed needs a look, and what is left another call"]
pub struct ArchivePass {
    /// How many publications were looked at.
    pub publications: u64,
    /// Which of them were archived.
    pub archived: Vec<AuditLogId>,
    /// How many could not be.
    pub failed: u64,
    /// The first [`ArchivePass::FAILURES_MAX`] of these, with what hindered them.
    pub failures: Vec<(AuditLogId, Error)>,
    /// Where to go on; `None` if all were looked at.
    pub next: Option<Cursor>,
}

impl ArchivePass {
    /// How many failures are told one by one.
    pub const FAILURES_MAX: usize = 100;

    fn fail(&mut self, id: AuditLogId, error: Error) {
        self.failed += 1;
        if self.failures.len() < Self::FAILURES_MAX {
            self.failures.push((id, error));
        }
    }
}

/// How many records are read at a time.
const PAGE_ROWS: usize = 100;

impl Publisher {
    /// [Archives](Self::archive) what the policy says, newest claim first, behind `after`, until `limit` publications were
    /// archived, one at a time. What is held, what is in the archive already, what is on a target that has none, and
    /// what is to be freed and has links that never end, is left alone. Safe at any time, on any number of hosts.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the records cannot be listed.
    pub async fn archive_due(
        &self,
        policy: &ArchivePolicy,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<ArchivePass, Error> {
        let published = Query { state: Some(State::Published), ..Query::default() };
        let mut pass = ArchivePass { next: after.cloned(), ..ArchivePass::default() };
        loop {
            let found = match self.parts().metadata.find(&published, pass.next.as_ref(), PAGE_ROWS).await {
                // What was done is told, and where to go on.
                Err(_) if pass.publications > 0 => return Ok(pass),
                found => found?,
            };
            let end = found.end().filter(|_| found.len() >= PAGE_ROWS);
            for (place, error) in found.damaged {
                self.alert(&place.id, &error);
                pass.fail(place.id, error);
            }
            for row in &found.rows {
                if pass.archived.len() >= limit {
                    return Ok(pass);
                }
                let span = info_span!("archive", audit_log_id = %row.id);
                let archived = async {
                    let is_due = self.is_due(&Record::decode(row)?, policy).await?;
                    if is_due {
                        self.archive(&row.id, policy.mode).await?;
                    }
                    Ok::<_, Error>(is_due)
                };
                match archived.instrument(span).await {
                    Ok(true) => pass.archived.push(row.id.clone()),
                    Ok(false) => {}
                    Err(error) => pass.fail(row.id.clone(), error),
                }
                pass.publications += 1;
                pass.next = Some(row.cursor());
            }
            pass.next = end;
            if pass.next.is_none() {
                return Ok(pass);
            }
        }
    }

    async fn is_due(&self, record: &Record, policy: &ArchivePolicy) -> Result<bool, Error> {
        let Some(published) = record.published() else { return Ok(false) };
        let since = published.restored_at.unwrap_or(published.at).max(published.at);
        let is_old = self.now().signed_duration_since(since) >= policy.older_than;
        let may_go = policy.mode == ArchiveMode::KeepHot || record.has_ending_links();
        let is_done =
            record.hot != HotCopies::Kept || (policy.mode == ArchiveMode::KeepHot && record.archive_copy().is_some());
        let has_archive = self.target(&record.publication).is_ok_and(|target| target.archive.is_some());
        if !is_old || !may_go || is_done || !has_archive || self.is_held(record).await? {
            return Ok(false);
        }
        let Some(concept_id) = record.publication.concept_id.as_ref().filter(|_| policy.keeps_latest) else {
            return Ok(true);
        };
        Ok(self.latest(concept_id).await?.is_none_or(|latest| latest.audit_log_id != *record.id()))
    }
}
