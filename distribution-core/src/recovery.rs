//! Recovery: finishing what crashed or cut-off calls left unfinished.

use futures::StreamExt as _;
use futures::stream;
use tracing::{Instrument as _, info_span};

use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::metadata::{Query, Row};
use crate::publisher::{Call, Publisher};
use crate::record::{Phase, Record};

/// What a [`Publisher::recover`] came to.
#[derive(Clone, Debug, Default)]
#[must_use = "what is busy or failed needs another call"]
pub struct Recovery {
    /// How many publications are settled that were not.
    pub settled: u64,
    /// How many were left to another publisher that is at work on them.
    pub busy: u64,
    /// How many could not be settled.
    pub failed: u64,
    /// The first [`Recovery::FAILURES_MAX`] of these, with what hindered them.
    pub failures: Vec<(AuditLogId, Error)>,
}

impl Recovery {
    /// How many failures are told one by one.
    pub const FAILURES_MAX: usize = 100;

    fn count(&mut self, id: AuditLogId, outcome: Result<(), Error>) {
        match outcome {
            Ok(()) => self.settled += 1,
            Err(error) if error.kind() == ErrorKind::Busy => self.busy += 1,
            Err(error) => {
                self.failed += 1;
                if self.failures.len() < Self::FAILURES_MAX {
                    self.failures.push((id, error));
                }
            }
        }
    }
}

/// How far a recovery has brought a publication.
enum Settled {
    Whole,
    /// All is done but copies on other targets.
    ButForCopies,
}

/// How many records are read at a time.
const PAGE_ROWS: usize = 100;

impl Publisher {
    /// Finishes every publication that is not settled and that nobody is at work on,
    /// [`recoveries_max`](crate::Policy::recoveries_max) at a time, going on after failures; last, what lacks nothing but
    /// copies on other [targets](crate::Builder::replicate), one try each. Safe at any
    /// time, on any number of hosts. No link is given.
    ///
    /// Run it when a host starts and every few minutes from then on, at moments that differ between hosts:
    /// after a crash, the lease of what was under way has to end first
    /// ([`lease_secs`](crate::Policy::lease_secs)). Where two hosts meet, the record goes to one of them, and
    /// the other counts it as busy.
    ///
    /// Where the staged file's URL held a secret, such as a signature, it is not on record: what is
    /// stored already is finished, the rest is a failure that only a repeat of the call can mend.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if the records cannot be listed.
    pub async fn recover(&self) -> Result<Recovery, Error> {
        let mut recovery = Recovery::default();
        // What lacks nothing but copies elsewhere comes last: a target that is slow holds up nothing else.
        if self.recover_those(&mut recovery, false).await? {
            self.recover_those(&mut recovery, true).await?;
        }
        Ok(recovery)
    }

    /// Finishes what lacks nothing but copies on other targets, or all else; and says whether there is some of the first.
    async fn recover_those(&self, recovery: &mut Recovery, copies: bool) -> Result<bool, Error> {
        let unsettled = Query { settled: Some(false), ..Query::default() };
        let (mut after, mut lacks_copies) = (None, false);
        loop {
            let found = self.parts().metadata.find(&unsettled, after.as_ref(), PAGE_ROWS).await?;
            let next = found.end().filter(|_| found.len() >= PAGE_ROWS);
            for (place, error) in found.damaged.into_iter().filter(|_| !copies) {
                self.alert(&place.id, &error);
                recovery.count(place.id, Err(error));
            }
            let is_told = |row: &Row| Record::decode(row).is_ok_and(|record| record.is_told());
            let (told, others): (Vec<Row>, Vec<Row>) = found.rows.into_iter().partition(is_told);
            lacks_copies |= !told.is_empty();
            let rows = if copies { told } else { others };
            let settling = rows.into_iter().map(|row| self.settle(row, copies));
            let mut outcomes = stream::iter(settling).buffer_unordered(self.parts().policy.recoveries_max as usize);
            while let Some((id, outcome)) = outcomes.next().await {
                match outcome {
                    // It is counted when it is copied.
                    Ok(Settled::ButForCopies) => lacks_copies = true,
                    Ok(Settled::Whole) => recovery.count(id, Ok(())),
                    Err(error) => recovery.count(id, Err(error)),
                }
            }
            if next.is_none() {
                return Ok(lacks_copies);
            }
            after = next;
        }
    }

    async fn settle(&self, row: Row, copies: bool) -> (AuditLogId, Result<Settled, Error>) {
        let span = info_span!("recover", audit_log_id = %row.id);
        let outcome = self.finish_row(&row, copies).instrument(span).await;
        let outcome = outcome.inspect_err(|error| self.alert(&row.id, error));
        (row.id, outcome)
    }

    async fn finish_row(&self, row: &Row, copies: bool) -> Result<Settled, Error> {
        let record = Record::decode(row)?;
        let call = Call::of(&record, copies);
        let record = self.enter(record, None, &call).await?;
        let record = self.drive(record, &call).await?;
        if let Phase::Rejected { reason } = &record.phase {
            // Its caller is gone: nobody else is told.
            let (approved, key) = (&record.publication.checksum, record.object_key());
            self.alert(record.id(), &reason.error(approved, &key, &record.source.url));
        }
        Ok(if record.is_settled() { Settled::Whole } else { Settled::ButForCopies })
    }
}
