//! How a call enters the work on a record: what it does before it works on what is left. Pure.

use crate::machine::{Action, next_action};
use crate::metadata::State;
use crate::publication::Details;
use crate::record::Record;
use crate::time::Timestamp;

/// Who comes to a record, and what for.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The publisher.
    pub holder: &'a str,
    /// What the asset is to be shown as; `None` for a recovery, which only finishes what was begun.
    pub details: Option<&'a Details>,
    /// Whether this call has taken the work up already.
    pub taken_up: bool,
    /// Whether its details have been on record during this call. What another records after them stands:
    /// otherwise two callers could amend each other's without end.
    pub amended: bool,
}

/// What a call does before it works on what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry {
    /// Deliver the outbox, so that it cannot grow from call to call.
    Deliver,
    /// Leave the work alone: somebody is at it, until then at most.
    Busy {
        /// When the lease ends.
        until: Timestamp,
    },
    /// Take the work up, or open it again.
    TakeUp,
    /// Record what the asset is to be shown as.
    Amend,
    /// Nothing: go on to [`next_action`].
    Drive,
}

/// How this caller enters the work on the record at `now`.
pub fn entry(record: &Record, caller: Caller<'_>, now: Timestamp) -> Entry {
    if next_action(record) == Some(Action::Deliver) {
        return Entry::Deliver;
    }
    let recovers = caller.details.is_none();
    match record.work().map(|work| &work.lease) {
        Some(lease) => {
            let mine = lease.holder == caller.holder;
            // A recovery leaves its own process alone too: a call may be under the lease.
            if lease.is_live(now) && !(mine && (caller.taken_up || !recovers)) {
                return Entry::Busy { until: lease.until };
            }
            // Once taken up, a lease that is over again does not matter: taking it up anew would only
            // undo the work of another who is as slow.
            if !(mine && caller.taken_up) {
                return Entry::TakeUp;
            }
        }
        None if record.state() == State::Rejected && !recovers => return Entry::TakeUp,
        None if record.state() == State::Retracted => return Entry::Drive,
        None => {}
    }
    match caller.details {
        Some(details) if !caller.amended && *details != record.details => Entry::Amend,
        Some(_) | None => Entry::Drive,
    }
}
