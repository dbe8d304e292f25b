//! Publishing a batch: so many at a time, each until its outcome is known.

use std::process::ExitCode;
use std::time::Duration;

use distribution_core::{DistributionRecord, Error, ErrorKind, Publisher};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::Limits;
use crate::batch::Edit;
use crate::desk::Desk;
use crate::exit::{AGAIN, DAMAGED, INTERRUPTED, NOT_PASSED};
use crate::patience;
use crate::shell::{interrupted, say};

/// Says when to begin nothing new.
pub(crate) type Stop = watch::Receiver<bool>;

/// The first Ctrl-C stops the batch, a second one ends the process at once: neither can do harm.
pub(crate) fn stop_when_interrupted() -> Stop {
    let (sender, stop) = watch::channel(false);
    tokio::spawn(async move {
        interrupted().await;
        sender.send_replace(true);
        interrupted().await;
        say("ended at once: run the same batch again to finish it");
        std::process::exit(i32::from(INTERRUPTED));
    });
    stop
}

/// How many edits came to what.
#[derive(Default)]
pub(crate) struct Tally {
    published: usize,
    /// Refused, rejected or wrong: somebody must correct them.
    not_published: usize,
    /// Not known, or out of reach.
    again: usize,
    corrupt: usize,
    /// Not begun, or let go of.
    interrupted: usize,
}

impl Tally {
    fn count(&mut self, outcome: &Result<DistributionRecord, Error>) {
        let count = match outcome.as_ref().map_err(Error::kind) {
            Ok(_) => &mut self.published,
            Err(ErrorKind::Busy | ErrorKind::Unavailable) => &mut self.again,
            Err(ErrorKind::Corrupt) => &mut self.corrupt,
            Err(_) => &mut self.not_published,
        };
        *count += 1;
    }

    fn done(&self) -> usize {
        self.published + self.not_published + self.again + self.corrupt
    }

    /// What is most urgent.
    pub(crate) fn exit_code(&self) -> ExitCode {
        let codes = [
            (self.corrupt, DAMAGED),
            (self.interrupted, INTERRUPTED),
            (self.again, AGAIN),
            (self.not_published, NOT_PASSED),
        ];
        let code = codes.into_iter().find(|(edits, _)| *edits > 0).map_or(0, |(_, code)| code);
        ExitCode::from(code)
    }

    fn summary(&self, took: Duration) -> String {
        let Self { published, not_published, again, corrupt, interrupted } = self;
        let parts = [
            (not_published, "refused or wrong"),
            (again, "to be run again"),
            (corrupt, "damaged"),
            (interrupted, "interrupted: run the same batch again"),
        ];
        let parts = parts.iter().filter(|(edits, _)| **edits > 0).map(|(edits, what)| format!(", {edits} {what}"));
        format!("{published} published{} in {:.1} s", parts.collect::<String>(), took.as_secs_f32())
    }
}

/// Publishes all edits, or those that are begun before it is told to stop.
///
/// # Errors
/// If nobody can be told what became of an edit.
pub(crate) async fn publish(
    publisher: &Publisher,
    edits: Vec<Edit>,
    limits: &Limits,
    mut stop: Stop,
) -> Result<Tally, Error> {
    let begun = Instant::now();
    let desk = Desk::new(edits.len(), limits.links);
    let (mut edits, mut running, mut tally) = (edits.into_iter().enumerate(), JoinSet::new(), Tally::default());
    let mut let_go: Option<Instant> = None;
    loop {
        while let_go.is_none() && running.len() < usize::from(limits.in_flight) {
            let Some((n, edit)) = edits.next() else { break };
            let (publisher, desk, stop, patience) = (publisher.clone(), desk.clone(), stop.clone(), limits.patience);
            running.spawn(async move { (n, publish_one(&publisher, edit, &desk, patience, stop).await) });
        }
        tokio::select! {
            joined = running.join_next() => match joined {
                None => break,
                Some(Ok((_, None))) | Some(Err(_)) => tally.interrupted += 1,
                Some(Ok((n, Some(outcome)))) => {
                    tally.count(&outcome);
                    desk.tell(tally.done(), n, &outcome)?;
                }
            },
            _ = stop.wait_for(|stop| *stop), if let_go.is_none() => {
                let under_way = running.len();
                desk.say(&format!("stopping: {under_way} under way may take {:?}, Ctrl-C ends it now", limits.grace));
                let_go = Some(Instant::now() + limits.grace);
            }
            () = sleep_until(let_go.unwrap_or(begun)), if let_go.is_some() => {
                tally.interrupted += running.len();
                running.shutdown().await;
                break;
            }
        }
    }
    tally.interrupted += edits.len();
    desk.say(&tally.summary(begun.elapsed()));
    Ok(tally)
}

/// Publishes one edit; `None` if told to stop in between.
async fn publish_one(
    publisher: &Publisher,
    edit: Edit,
    desk: &Desk,
    patience: Duration,
    mut stop: Stop,
) -> Option<Result<DistributionRecord, Error>> {
    let request = match edit {
        Ok(request) => request,
        Err(error) => return Some(Err(error)),
    };
    let stop = async { drop(stop.wait_for(|stop| *stop).await) };
    patience::publish(publisher, request, patience, || desk.bar(), |_| (), stop).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_what_to_do() {
        let code = |kinds: &[ErrorKind], interrupted| {
            let mut tally = Tally { interrupted, ..Tally::default() };
            for kind in kinds {
                tally.count(&Err(Error::new(*kind, "")));
            }
            tally.exit_code()
        };
        use ErrorKind::{Busy, Conflict, Corrupt, Invalid, Refused, Rejected, Unavailable};
        assert_eq!(code(&[], 0), ExitCode::SUCCESS);
        assert_eq!(code(&[Refused, Rejected, Invalid, Conflict], 0), ExitCode::from(3));
        assert_eq!(code(&[Refused, Busy], 0), ExitCode::from(5));
        assert_eq!(code(&[Unavailable], 0), ExitCode::from(5));
        assert_eq!(code(&[Unavailable], 1), ExitCode::from(130));
        assert_eq!(code(&[Refused, Corrupt, Busy], 1), ExitCode::from(1));
    }
}
