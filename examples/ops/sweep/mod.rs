//! Clearing away what is needed no more.

mod tally;

use std::time::Duration;

use clap::Args;
use distribution_backends::Opened;
use distribution_core::{Decision, Error, Kept, LeftOverOutcome, Phase, Record, Verdict};
use indicatif::ProgressBar;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::duration;
use crate::output::Output;
use crate::recover::spinner;
use crate::shell::{interrupted, say};

use self::tally::{Stopped, Tally};

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

impl Sweep {
    /// What was done by then is told, however it ends.
    pub(crate) async fn run(&self, opened: &Opened, output: Output) -> Result<u8, Error> {
        let at_work = spinner("sweeping");
        let (mut tally, (stop, stopping)) = (Tally::default(), watch::channel(false));
        let stopped = {
            let sweeping = self.sweep(opened, &mut tally, stopping, &at_work);
            tokio::pin!(sweeping);
            tokio::select! {
                swept = &mut sweeping => swept.err(),
                () = interrupted() => {
                    stop.send_replace(true);
                    say("stopping after this file: Ctrl-C again stops at once");
                    tokio::select! {
                        swept = &mut sweeping => swept.err(),
                        () = interrupted() => Some(Stopped::Interrupted),
                    }
                }
            }
        };
        at_work.finish_and_clear();
        tally.give(stopped, output)
    }

    async fn sweep(
        &self,
        opened: &Opened,
        tally: &mut Tally,
        mut stopping: watch::Receiver<bool>,
        at_work: &ProgressBar,
    ) -> Result<(), Stopped> {
        for staging in &opened.sweep.staging {
            let (staging, policy) = (staging.clone(), opened.sweep.policy.clone());
            let publisher = &opened.publisher;
            let mut sweep =
                if self.run { publisher.sweep(staging, policy) } else { publisher.plan_sweep(staging, policy) };
            while let Some(decision) = sweep.next().await? {
                tally.take(&decision, rejected(&decision, opened).await, self.all)?;
                at_work.set_message(format!("{} kept, {} removed", tally.kept, tally.removed));
                self.rest(matches!(decision.verdict, Verdict::Removed { .. }), &mut stopping).await?;
            }
        }
        let grace = opened.sweep.grace;
        let mut tidy = if self.run { opened.publisher.tidy(grace) } else { opened.publisher.plan_tidy(grace) };
        while let Some(left_over) = tidy.next().await? {
            tally.take_left_over(&left_over, self.run)?;
            self.rest(left_over.outcome == LeftOverOutcome::Removed, &mut stopping).await?;
        }
        Ok(())
    }

    /// Waits after a removal, but not for somebody who wants to stop.
    async fn rest(&self, removed: bool, stopping: &mut watch::Receiver<bool>) -> Result<(), Stopped> {
        if let Some(pause) = self.pause.filter(|_| removed) {
            let _ = timeout(pause, stopping.wait_for(|stop| *stop)).await;
        }
        if *stopping.borrow() { Err(Stopped::Interrupted) } else { Ok(()) }
    }
}

/// Why the publication that keeps a file was rejected, if it was: that is not over by itself, as work under way is.
async fn rejected(decision: &Decision, opened: &Opened) -> Option<String> {
    let Verdict::Keep(Kept::InUse { audit_log_id }) = &decision.verdict else { return None };
    let row = opened.stores.metadata.load(audit_log_id).await.ok()??;
    match Record::decode(&row).ok()?.phase {
        Phase::Rejected { .. } => Some(format!(
            "{audit_log_id} of the same bytes was rejected: `ops show` tells why; publish it again, or remove the file \
             by hand"
        )),
        _ => None,
    }
}
