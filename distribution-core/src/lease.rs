//! The lease on a publication's work: taken with the work, kept alive by the bytes that move, let go of
//! after a failure. Advisory: whatever goes wrong with it costs time and nothing else.

use std::sync::{Mutex, PoisonError};

use tracing::debug;

use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::machine::{Event, step};
use crate::metadata::Advance;
use crate::publisher::{Call, Publisher, Swap};
use crate::record::{Lease, Record, Work};
use crate::time::{Timestamp, plus_secs};

/// The lease that one call may let go of: it wrote it, and found no other call under it. The calls of
/// one process are one holder.
#[derive(Debug, Default)]
pub(crate) struct OwnLease(Mutex<Option<Lease>>);

impl OwnLease {
    pub(crate) fn set(&self, lease: Option<Lease>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }

    fn is(&self, lease: &Lease) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(lease)
    }
}

impl Publisher {
    pub(crate) fn lease(&self, now: Timestamp) -> Lease {
        Lease { holder: self.parts().holder.clone(), until: plus_secs(now, self.parts().policy.lease_secs) }
    }

    /// Takes the work up with this call's approval and staged file. Returns what is on record then, and
    /// whether that is this call's doing: if another was faster, it may be at work.
    pub(crate) async fn take_up(&self, record: &Record, call: &Call) -> Result<(Record, bool), Error> {
        let now = self.now();
        let (lease, approval, source) = (self.lease(now), call.approval.clone(), call.source.clone());
        let is_alone = !record.work().is_some_and(|work| work.lease.is_live(now));
        call.lease.set(is_alone.then(|| lease.clone()));
        let event = Event::TakenUp { lease, approval, source, attempts: self.parts().policy.attempts_max };
        match self.swap(record, event).await? {
            Swap::Done(next) => Ok((next, true)),
            Swap::Superseded(newer) => {
                call.lease.set(None);
                Ok((newer, false))
            }
        }
    }

    /// Renews the lease when half of it is over. Whatever goes wrong here is left to the next renewal, or
    /// to the compare-and-swap that ends the work.
    pub(crate) async fn keep_alive(&self, record: &mut Record, call: &Call) {
        let now = self.now();
        let lease = self.lease(now);
        let half_over = |work: &Work| lease.until - work.lease.until >= work.lease.until - now;
        let Some(work) = record.work().filter(|work| work.lease.holder == lease.holder && half_over(work)) else {
            return;
        };
        let is_own = call.lease.is(&work.lease);
        let Ok(next) = step(record, Event::KeptAlive { until: lease.until }, now) else { return };
        let Ok(row) = next.encode() else { return };
        match self.parts().metadata.advance(&row).await {
            Ok(Advance::Advanced) => *record = next,
            Ok(Advance::Superseded(row)) => match Record::decode(&row) {
                // Our own renewal, whose answer was lost.
                Ok(newer) if newer.is_same_work(record) => *record = newer,
                Ok(_) => debug!("the lease was taken over"),
                Err(error) => debug!(%error, "the lease could not be renewed"),
            },
            Err(error) => debug!(%error, "the lease could not be renewed"),
        }
        if is_own && record.work().is_some_and(|work| work.lease == lease) {
            call.lease.set(Some(lease));
        }
    }

    /// Ends the lease of a call that failed, so that others need not wait for its end. If that fails too,
    /// they wait; and so they do where another call of this process may be under it.
    pub(crate) async fn let_go(&self, id: &AuditLogId, call: &Call) {
        let Ok(Some(row)) = self.parts().metadata.load(id).await else { return };
        let (Ok(record), now) = (Record::decode(&row), self.now()) else { return };
        if record.work().is_some_and(|work| work.lease.is_live(now) && call.lease.is(&work.lease)) {
            let _ = self.swap(&record, Event::KeptAlive { until: now }).await;
        }
    }

    /// # Errors
    /// [`ErrorKind::Busy`] while another holder has the lease.
    pub(crate) fn check_lease(&self, record: &Record) -> Result<(), Error> {
        let is_ours = record.work().is_some_and(|work| work.lease.holder == self.parts().holder);
        if is_ours { Ok(()) } else { self.check_nobody_at(record) }
    }

    /// # Errors
    /// [`ErrorKind::Busy`] while anybody holds the lease, another call of this process included.
    pub(crate) fn check_nobody_at(&self, record: &Record) -> Result<(), Error> {
        let now = self.now();
        match record.work() {
            Some(work) if work.lease.is_live(now) => Err(busy(record, work.lease.until, now)),
            Some(_) | None => Ok(()),
        }
    }
}

pub(crate) fn busy(record: &Record, until: Timestamp, now: Timestamp) -> Error {
    let message = format!("another call is at work on {}: repeat later", record.id());
    Error::new(ErrorKind::Busy, message).after((until - now).to_std().unwrap_or_default())
}
