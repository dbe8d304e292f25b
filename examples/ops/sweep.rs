//! Clearing away what is needed no more.

use std::time::Duration;

use clap::Args;
use distribution_backends::Opened;
use distribution_core::{Decision, Error, Kept, LeftOver, LeftOverOutcome, Verdict};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::output::{Output, fields, table};
use crate::recover::spinner;
use crate::{duration, exit};

#[derive(Args)]
pub(crate) struct Sweep {
    /// Remove it, too
    #[arg(long)]
    pub(crate) run: bool,
    /// Tell of every staged file, also of those that are kept as they should be
    #[arg(long)]
    all: bool,
    /// How long to wait after each removal, such as 1s: a bound on what the stores have to do
    #[arg(long, value_name = "TIME", value_parser = duration::duration)]
    pause: Option<Duration>,
}

#[derive(Default)]
struct Tally {
    removable: u64,
    removed: u64,
    kept: u64,
    /// Files that nobody publishes, or whose copies are not sound, or of which something is not known.
    needing_care: u64,
    damaged: u64,
    unknown: u64,
    told: Vec<Value>,
    rows: Vec<[String; 2]>,
}

impl Sweep {
    pub(crate) async fn run(&self, opened: &Opened, output: Output) -> Result<u8, Error> {
        let at_work = spinner("sweeping");
        let mut tally = Tally::default();
        for staging in &opened.sweep.staging {
            let (staging, policy) = (staging.clone(), opened.sweep.policy.clone());
            let publisher = &opened.publisher;
            let mut sweep =
                if self.run { publisher.sweep(staging, policy) } else { publisher.plan_sweep(staging, policy) };
            while let Some(decision) = sweep.next().await? {
                tally.take(&decision, self.all)?;
                at_work.set_message(format!("{} kept, {} removed", tally.kept, tally.removed));
                self.rest(matches!(decision.verdict, Verdict::Removed { .. })).await;
            }
        }
        let grace = opened.sweep.grace;
        let mut tidy = if self.run { opened.publisher.tidy(grace) } else { opened.publisher.plan_tidy(grace) };
        while let Some(left_over) = tidy.next().await? {
            tally.take_left_over(&left_over)?;
            self.rest(left_over.outcome == LeftOverOutcome::Removed).await;
        }
        at_work.finish_and_clear();
        tally.give(output)
    }

    async fn rest(&self, removed: bool) {
        if let Some(pause) = self.pause.filter(|_| removed) {
            sleep(pause).await;
        }
    }
}

impl Tally {
    fn take(&mut self, decision: &Decision, all: bool) -> Result<(), Error> {
        let is_of_interest = match &decision.verdict {
            Verdict::Remove { .. } => bump(&mut self.removable),
            Verdict::Removed { .. } => bump(&mut self.removed),
            Verdict::Keep(kept) => {
                self.kept += 1;
                self.damaged += u64::from(matches!(kept, Kept::Unproven { .. }));
                self.unknown += u64::from(matches!(kept, Kept::Unknown { .. }));
                let as_it_should_be = matches!(kept, Kept::Retained { .. } | Kept::Unpublished | Kept::InUse { .. });
                self.needing_care += u64::from(!as_it_should_be);
                !as_it_should_be
            }
        };
        if is_of_interest || all {
            self.told.push(crate::json::value(decision)?);
            self.rows.push([decision.file.url.to_string(), decision.verdict.to_string()]);
        }
        Ok(())
    }

    fn take_left_over(&mut self, left_over: &LeftOver) -> Result<(), Error> {
        match left_over.outcome {
            LeftOverOutcome::Remove => self.removable += 1,
            LeftOverOutcome::Removed => self.removed += 1,
            LeftOverOutcome::Keep { .. } => self.kept += 1,
        }
        self.told.push(crate::json::value(left_over)?);
        self.rows.push([format!("{}: {}", left_over.target, left_over.name), left_over.to_string()]);
        Ok(())
    }

    fn give(self, output: Output) -> Result<u8, Error> {
        let Self { removable, removed, kept, needing_care, .. } = self;
        let answer = json!({
            "removable": removable, "removed": removed, "kept": kept, "needing_care": needing_care, "items": self.told,
        });
        output.give(&answer, || {
            let counts = [
                ("would be removed", removable.to_string()),
                ("removed", removed.to_string()),
                ("kept", kept.to_string()),
                ("of these to be looked at", needing_care.to_string()),
            ];
            let items = if self.rows.is_empty() { String::new() } else { table(["WHAT", "WHY"], self.rows) };
            format!("{items}{}", fields(counts))
        })?;
        Ok(match (self.damaged, self.unknown) {
            (0, 0) => 0,
            (0, _) => exit::AGAIN,
            _ => exit::DAMAGED,
        })
    }
}

fn bump(count: &mut u64) -> bool {
    *count += 1;
    true
}
