//! What a sweep has come to.

use distribution_core::{Decision, Error, Kept, LeftOver, LeftOverOutcome, Spared, Verdict};
use serde_json::{Value, json};

use crate::exit;
use crate::output::{Output, fields, table};
use crate::shell::{complain, say};

#[derive(Default)]
pub(super) struct Tally {
    removable: u64,
    pub(super) removed: u64,
    pub(super) kept: u64,
    /// Files that nobody publishes, or whose copies are not sound, or of which something is not known; left-overs that
    /// only a person can remove.
    needing_care: u64,
    damaged: u64,
    unknown: u64,
    /// Left-overs that were to be removed and are still there.
    left: u64,
    told: Vec<Value>,
    rows: Vec<[String; 2]>,
}

/// Why a sweep ended before there was nothing more to do.
pub(super) enum Stopped {
    Interrupted,
    Failed(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Tally {
    /// `rejected` is why the publication that keeps the file was rejected.
    pub(super) fn take(&mut self, decision: &Decision, rejected: Option<String>, all: bool) -> Result<(), Error> {
        let is_of_interest = match &decision.verdict {
            Verdict::Remove { .. } => bump(&mut self.removable),
            Verdict::Removed { .. } => bump(&mut self.removed),
            Verdict::Keep(kept) => {
                self.kept += 1;
                self.damaged += u64::from(matches!(kept, Kept::Unproven { .. }));
                self.unknown += u64::from(matches!(kept, Kept::Unknown { .. }));
                let is_in_order = matches!(kept, Kept::Retained { .. } | Kept::Unpublished | Kept::InUse { .. });
                let as_it_should_be = is_in_order && rejected.is_none();
                self.needing_care += u64::from(!as_it_should_be);
                !as_it_should_be
            }
        };
        if is_of_interest || all {
            let mut told = crate::json::value(decision)?;
            if let (Some(why), Some(told)) = (&rejected, told.as_object_mut()) {
                told.insert("to_do".to_owned(), json!(why));
            }
            self.told.push(told);
            let why = rejected.map_or_else(|| decision.verdict.to_string(), |why| format!("keep: {why}"));
            self.rows.push([decision.file.url.to_string(), why]);
        }
        Ok(())
    }

    pub(super) fn take_left_over(&mut self, left_over: &LeftOver, removes: bool) -> Result<(), Error> {
        match &left_over.outcome {
            LeftOverOutcome::Remove => self.removable += 1,
            LeftOverOutcome::Removed => self.removed += 1,
            LeftOverOutcome::Keep(spared) => {
                self.kept += 1;
                match spared {
                    // As it should be.
                    Spared::Owned { .. } | Spared::Held { .. } | Spared::Recent { .. } | Spared::UnderWay { .. } => {}
                    Spared::Timeless | Spared::Locked => self.needing_care += 1,
                    _ => self.left += u64::from(removes),
                }
            }
        }
        self.told.push(crate::json::value(left_over)?);
        self.rows.push([format!("{}: {}", left_over.target, left_over.name), left_over.to_string()]);
        Ok(())
    }

    pub(super) fn give(self, stopped: Option<Stopped>, output: Output) -> Result<u8, Error> {
        let code = match &stopped {
            _ if self.damaged > 0 => exit::DAMAGED,
            Some(Stopped::Failed(error)) => exit::code_of(error),
            Some(Stopped::Interrupted) => exit::INTERRUPTED,
            None if self.unknown + self.left > 0 => exit::AGAIN,
            None => 0,
        };
        let error = match &stopped {
            Some(Stopped::Failed(error)) => {
                complain(error);
                Some(json!({ "kind": error.kind(), "message": error.to_string() }))
            }
            Some(Stopped::Interrupted) => {
                say("interrupted: the same command again goes on");
                None
            }
            None => None,
        };
        let Self { removable, removed, kept, needing_care, left, .. } = self;
        let answer = json!({
            "removable": removable, "removed": removed, "kept": kept, "needing_care": needing_care,
            "not_removed": left, "complete": stopped.is_none(), "error": error, "items": self.told,
        });
        output.give(&answer, || {
            let counts = [
                ("would be removed", removable.to_string()),
                ("removed", removed.to_string()),
                ("kept", kept.to_string()),
                ("of these to be looked at", needing_care.to_string()),
                ("left over, could not be removed", left.to_string()),
            ];
            let items = if self.rows.is_empty() { String::new() } else { table(["WHAT", "WHY"], self.rows) };
            format!("{items}{}", fields(counts))
        })?;
        Ok(code)
    }
}

fn bump(count: &mut u64) -> bool {
    *count += 1;
    true
}

#[cfg(test)]
mod tests {
    use distribution_core::{AuditLogId, LeftOverKind, SourcePin, StagedFile, TargetName, VideoUrl};

    use super::*;

    fn id() -> AuditLogId {
        AuditLogId::parse("dist_00000000000000000000000000").unwrap()
    }

    fn kept(kept: Kept) -> Decision {
        let (url, pin) = (VideoUrl::parse("edit.mp4").unwrap(), SourcePin { size: 1, tag: "1".to_owned() });
        let modified = "2026-01-01T00:00:00Z".parse().unwrap();
        Decision { file: StagedFile { url, pin, modified }, verdict: Verdict::Keep(kept) }
    }

    fn left_over(kind: LeftOverKind, outcome: LeftOverOutcome) -> LeftOver {
        let since = Some("2026-01-01T00:00:00Z".parse().unwrap());
        LeftOver { target: TargetName::default(), name: "a.mp4".to_owned(), since, kind, outcome }
    }

    fn give(tally: Tally, stopped: Option<Stopped>) -> u8 {
        tally.give(stopped, Output { json: true }).unwrap()
    }

    #[test]
    fn a_file_that_a_rejected_publication_keeps_is_to_be_looked_at() {
        let in_use = || kept(Kept::InUse { audit_log_id: id() });
        let mut tally = Tally::default();
        tally.take(&in_use(), None, false).unwrap();
        assert!(tally.needing_care == 0 && tally.rows.is_empty(), "work under way goes on by itself");
        tally.take(&in_use(), Some("was rejected".to_owned()), false).unwrap();
        assert_eq!((tally.needing_care, tally.kept), (1, 2));
        assert_eq!(tally.rows, [["edit.mp4".to_owned(), "keep: was rejected".to_owned()]]);
        assert_eq!(tally.told[0]["to_do"], "was rejected");
    }

    #[test]
    fn what_was_to_be_removed_and_is_still_there_is_no_success() {
        let failed = || LeftOverOutcome::Keep(Spared::Failed { message: "access denied: grant it".to_owned() });
        let owned = || LeftOverOutcome::Keep(Spared::Owned { by: id() });
        let held = || LeftOverOutcome::Keep(Spared::Held { by: id() });
        let timeless = || LeftOverOutcome::Keep(Spared::Timeless);
        let attempt = || LeftOverKind::Attempt { audit_log_id: id() };
        for (kind, outcome, removes, code) in [
            (LeftOverKind::Trial, failed(), true, exit::AGAIN),
            (attempt(), failed(), true, exit::AGAIN),
            (attempt(), owned(), true, 0),
            (attempt(), owned(), false, 0),
            (LeftOverKind::Released { audit_log_id: id() }, held(), true, 0),
            (LeftOverKind::Trial, timeless(), true, 0),
            (LeftOverKind::Unfinished, LeftOverOutcome::Removed, true, 0),
        ] {
            let mut tally = Tally::default();
            let needs_care = u64::from(outcome == timeless());
            tally.take_left_over(&left_over(kind, outcome), removes).unwrap();
            assert_eq!(tally.needing_care, needs_care, "nothing but a person can remove what is timeless");
            assert_eq!(give(tally, None), code);
        }
    }

    #[test]
    fn what_was_done_is_told_however_a_sweep_ends() {
        let removed = || {
            let mut decision = kept(Kept::Unpublished);
            decision.verdict = Verdict::Removed { audit_log_id: id() };
            let mut tally = Tally::default();
            tally.take(&decision, None, false).unwrap();
            assert_eq!((tally.removed, tally.told.len()), (1, 1));
            tally
        };
        assert_eq!(give(removed(), None), 0);
        assert_eq!(give(removed(), Some(Stopped::Interrupted)), exit::INTERRUPTED);
        assert_eq!(give(removed(), Some(Stopped::Failed(Error::unavailable("cannot list: repeat")))), exit::AGAIN);
        let mut damaged = removed();
        damaged.take(&kept(Kept::Unproven { audit_log_id: id() }), None, false).unwrap();
        assert_eq!(give(damaged, Some(Stopped::Interrupted)), exit::DAMAGED, "what is damaged comes first");
    }
}
