//! Recovery: finishing what crashed or cut-off calls left unfinished.

use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::lease::OwnLease;
use crate::metadata::{Query, Row};
use crate::publisher::{Call, Publisher};
use crate::record::Record;

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
}

/// How many records are read at a time.
const PAGE_ROWS: usize = 100;

impl Publisher {
    /// Finishes every publication that is not settled and that nobody is at work on, one after the
    /// other, going on after failures. Safe at any time, on any number of hosts. No link is given.
    ///
    /// After a crash, the lease of what was under way has to end first: call it again after
    /// [`lease_secs`](crate::Policy::lease_secs), or every few minutes.
    ///
    /// Where the staged file's URL held a secret, such as a signature, it is not on record: what is
    /// stored already is finished, the rest is a failure that only a repeat of the call can mend.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if the records cannot be listed.
    pub async fn recover(&self) -> Result<Recovery, Error> {
        let unsettled = Query { settled: Some(false), ..Query::default() };
        let (mut recovery, mut after) = (Recovery::default(), None);
        loop {
            let page = self.parts().metadata.find(&unsettled, after.as_ref(), PAGE_ROWS).await?;
            for row in &page {
                match self.settle(row).await {
                    Ok(()) => recovery.settled += 1,
                    Err(error) if error.kind() == ErrorKind::Busy => recovery.busy += 1,
                    Err(error) => {
                        recovery.failed += 1;
                        if recovery.failures.len() < Recovery::FAILURES_MAX {
                            recovery.failures.push((row.id.clone(), error));
                        }
                    }
                }
            }
            match page.last() {
                Some(last) if page.len() == PAGE_ROWS => after = Some(last.cursor()),
                Some(_) | None => return Ok(recovery),
            }
        }
    }

    async fn settle(&self, row: &Row) -> Result<(), Error> {
        let record = Record::decode(row)?;
        let call = Call {
            approval: record.approval.clone(),
            source: record.source.whole.then(|| record.source.url.clone()),
            progress: Arc::new(()),
            lease: OwnLease::default(),
        };
        let record = self.enter(record, None, &call).await?;
        self.drive(record, &call).await.map(drop)
    }
}
