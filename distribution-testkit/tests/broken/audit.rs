//! Flaws of audit sinks.

use std::sync::{Arc, Mutex};

use distribution_core::{AuditEntry, AuditEvent, AuditSink, Error, Trail};
use distribution_testkit::conformance::{AuditHarness, Harness, audit::CHECKS};
use distribution_testkit::let_others_go_first;

use crate::{Caught, pass, prove};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    Nothing,
    CutsTexts,
    ForgetsOnReopening,
    IgnoresBatchesKnownInPart,
    KeepsAThousandOfABatch,
    KeepsAllRepeats,
    KeepsCallsWithoutEntries,
    KeepsTheLast,
    KnowsBeforeItKeeps,
    LosesWhatIsWrittenMeanwhile,
    LooksThenKeeps,
    MixesTrails,
    RoundsTimes,
}

use Flaw::*;

const CAUGHT: Caught<'_, Flaw> = &[
    (RoundsTimes, &["keeps_every_kind_of_event"]),
    (MixesTrails, &["keeps_trails_apart"]),
    (KeepsAllRepeats, &["ignores_what_is_kept_already", "keeps_the_rest_of_a_batch_that_is_kept_in_part"]),
    (
        IgnoresBatchesKnownInPart,
        &["keeps_the_rest_of_a_batch_that_is_kept_in_part", "keeps_each_entry_of_overlapping_batches"],
    ),
    (KeepsTheLast, &["keeps_the_first_of_an_id"]),
    (KeepsCallsWithoutEntries, &["takes_nothing"]),
    (CutsTexts, &["keeps_a_huge_entry"]),
    (KeepsAThousandOfABatch, &["keeps_a_long_batch"]),
    (ForgetsOnReopening, &["survives_reopening"]),
    (LosesWhatIsWrittenMeanwhile, &["keeps_each_entry_of_many_publishers", "keeps_each_entry_of_overlapping_batches"]),
    (LooksThenKeeps, &["keeps_once_what_many_deliver", "keeps_each_entry_of_overlapping_batches"]),
    (KnowsBeforeItKeeps, &["a_dropped_append_can_be_repeated"]),
];

#[test]
fn proof_that_the_audit_suite_can_fail() {
    prove("audit", CHECKS, CAUGHT, |flaw, check| check(&Broken::new(flaw)));
}

#[test]
fn a_sink_without_a_flaw_passes() {
    pass(CHECKS, Flaw::Nothing, |flaw, check| check(&Broken::new(flaw)));
}

type Entries = Arc<Mutex<Vec<AuditEntry>>>;

struct Broken {
    flaw: Flaw,
    kept: Entries,
    known: Entries,
}

impl Broken {
    fn new(flaw: Flaw) -> Self {
        Self { flaw, kept: Arc::default(), known: Arc::default() }
    }
}

impl Harness for Broken {}

#[async_trait::async_trait]
impl AuditHarness for Broken {
    async fn open(&self) -> Arc<dyn AuditSink> {
        if self.flaw == ForgetsOnReopening {
            self.kept.lock().unwrap().clear();
        }
        Arc::new(BrokenAudit { flaw: self.flaw, kept: Arc::clone(&self.kept), known: Arc::clone(&self.known) })
    }

    async fn kept(&self) -> Vec<AuditEntry> {
        self.kept.lock().unwrap().clone()
    }
}

struct BrokenAudit {
    flaw: Flaw,
    kept: Entries,
    /// What is said to be kept, by a store that writes this down first.
    known: Entries,
}

impl BrokenAudit {
    fn is_same(&self, one: &AuditEntry, other: &AuditEntry) -> bool {
        match self.flaw {
            MixesTrails => one.id.audit_log_id == other.id.audit_log_id && one.id.sequence == other.id.sequence,
            KeepsAllRepeats => false,
            _ => one.id == other.id,
        }
    }

    /// The entry as this sink keeps it.
    fn kept(&self, entry: &AuditEntry) -> AuditEntry {
        let mut entry = entry.clone();
        match (self.flaw, &mut entry.event) {
            (CutsTexts, AuditEvent::Refused { reason }) => *reason = reason.chars().take(65_536).collect(),
            (RoundsTimes, AuditEvent::LinkGranted { expires_at }) => {
                *expires_at = chrono::SubsecRound::trunc_subsecs(*expires_at, 3);
            }
            _ => {}
        }
        entry
    }

    fn unknown(&self, entries: &[AuditEntry], known: &[AuditEntry]) -> Vec<AuditEntry> {
        let mut new: Vec<AuditEntry> = Vec::new();
        for entry in entries {
            if !known.iter().chain(&new).any(|known| self.is_same(known, entry)) {
                new.push(self.kept(entry));
            }
        }
        if self.flaw == IgnoresBatchesKnownInPart && new.len() < entries.len() {
            new.clear();
        }
        new
    }
}

#[async_trait::async_trait]
impl AuditSink for BrokenAudit {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        let_others_go_first().await;
        match self.flaw {
            KeepsTheLast => self.kept.lock().unwrap().retain(|kept| !entries.iter().any(|entry| entry.id == kept.id)),
            KnowsBeforeItKeeps => {
                let new = {
                    let mut known = self.known.lock().unwrap();
                    let new = self.unknown(entries, &known);
                    known.extend_from_slice(&new);
                    new
                };
                let_others_go_first().await;
                self.kept.lock().unwrap().extend(new);
                return Ok(());
            }
            LosesWhatIsWrittenMeanwhile | LooksThenKeeps => {
                let mut all = self.kept.lock().unwrap().clone();
                let new = self.unknown(entries, &all);
                let_others_go_first().await;
                if self.flaw == LooksThenKeeps {
                    self.kept.lock().unwrap().extend(new);
                } else {
                    all.extend(new);
                    *self.kept.lock().unwrap() = all;
                }
                return Ok(());
            }
            _ => {}
        }
        let mut kept = self.kept.lock().unwrap();
        let mut new = self.unknown(entries, &kept);
        if self.flaw == KeepsAThousandOfABatch {
            new.truncate(1_000);
        }
        if self.flaw == KeepsCallsWithoutEntries && new.is_empty() {
            new.push(no_entry());
        }
        kept.extend(new);
        Ok(())
    }
}

fn no_entry() -> AuditEntry {
    use distribution_core::{AuditLogId, EntryId, Timestamp};
    let audit_log_id = AuditLogId::parse("dist_00000000000000000000000000").unwrap();
    let id = EntryId { audit_log_id, trail: Trail::Publication, sequence: 0 };
    AuditEntry { id, at: Timestamp::MIN_UTC, event: AuditEvent::Refused { reason: String::new() } }
}
