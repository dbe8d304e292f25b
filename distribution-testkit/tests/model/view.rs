//! What a process can see from where it is. Looking is free; effects are [`Turn`](crate::process::Turn)'s.

use std::time::Duration;

use distribution_core::machine::{Caller, Entry, entry};
use distribution_core::{Rejection, Timestamp};

use crate::bugs::Bug;
use crate::ledger::{Ledger, Rec};
use crate::process::{Entered, Pc, Proc};
use crate::scenario::{Actor, Content, LEASE_SECS};
use crate::world::{File, Object, State};

#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) state: &'a State,
    pub(crate) actor: u8,
    pub(crate) proc: Proc,
}

impl<'a> View<'a> {
    pub(crate) fn actor(self) -> &'a Actor {
        self.ledger.scenario.actor(self.actor)
    }

    pub(crate) fn now(self) -> Timestamp {
        self.ledger.now(self.state.world.clock)
    }

    /// The row of the process's publication.
    pub(crate) fn row(self) -> Option<Rec> {
        self.state.world.rows[usize::from(self.actor().publication)]
    }

    pub(crate) fn object(self, key: u8) -> Option<Object> {
        self.state.world.objects[usize::from(key)]
    }

    /// The file that this call reads: its own, or that of the record which a recovery found.
    pub(crate) fn file_number(self) -> u8 {
        let order = self.actor().order();
        order.map_or_else(|| self.proc.listed.expect("a recovery found it").file, |order| order.file)
    }

    pub(crate) fn file(self) -> File {
        self.state.world.files[usize::from(self.file_number())]
    }

    pub(crate) fn approved(self) -> Content {
        self.ledger.scenario.approved[usize::from(self.actor().publication)]
    }

    /// `machine::entry`
    pub(crate) fn entry(self, record: Rec, entered: Entered) -> Entry {
        let Entered { taken_up, amended } = entered;
        let details = self.actor().order().map(|order| &order.details);
        entry(&record.record, Caller { holder: self.actor().holder, details, taken_up, amended }, self.now())
    }

    /// Whether the record shows what this call wants it to show.
    pub(crate) fn is_as_wanted(self, record: Rec) -> bool {
        self.actor().order().is_some_and(|order| order.details == record.record.details)
    }

    /// Whether the process, were it to call now, would only hear that another is at work.
    pub(crate) fn would_be_busy(self) -> bool {
        self.row().is_some_and(|row| matches!(self.entry(row, Entered::default()), Entry::Busy { .. }))
    }

    /// Whether the work on the record is this process's own.
    pub(crate) fn is_own(self, record: Rec) -> bool {
        record.record.work().is_some_and(|work| work.lease.holder == self.actor().holder)
    }

    /// `check_lease`
    pub(crate) fn is_anothers(self, record: Rec) -> bool {
        !self.is_own(record) && record.record.work().is_some_and(|work| work.lease.is_live(self.now()))
    }

    /// `Call::is_from_elsewhere`
    pub(crate) fn is_from_elsewhere(self, record: Rec) -> bool {
        record.file != self.file_number() && !self.ledger.scenario.has(Bug::OthersFileBlamed)
    }

    /// Whether this caller's own QC report counts now.
    pub(crate) fn report_counts(self) -> bool {
        self.actor().order().is_some_and(|order| order.passes(self.approved(), self.now()))
    }

    /// `Call::is_free_of`
    pub(crate) fn is_free_of(self, reason: &Rejection, record: Rec) -> bool {
        match reason {
            Rejection::Source { .. } => self.is_from_elsewhere(record),
            Rejection::QcLapsed => self.report_counts() && !self.ledger.scenario.has(Bug::OthersReportBlamed),
            Rejection::KeyTaken { .. } | Rejection::AttemptsUsedUp => false,
        }
    }

    /// Whether the record, or one that followed on it, was written.
    pub(crate) fn is_on_record(self, record: Rec) -> bool {
        self.row().is_some_and(|row| row.record.revision >= record.record.revision)
    }

    /// Whether bytes are moving under a lease that is half over.
    pub(crate) fn wants_keep_alive(self) -> bool {
        let (Pc::Create { record, .. } | Pc::Prove { record }) = self.proc.pc else { return false };
        let (now, secs) = (self.now(), Duration::from_secs(LEASE_SECS as u64));
        let half_over = |until: Timestamp| now + secs - until >= until - now;
        self.is_own(record) && record.record.work().is_some_and(|work| half_over(work.lease.until))
    }
}
