//! Who is at work: `lease.rs`, and `Record::is_same_work`, which is not public.

use crate::bugs::Bug;
use crate::ledger::{Fact, Rec};
use crate::process::{Outcome, Pc, Proc, Then, Turn};
use crate::scenario::secs;
use crate::world::{Lost, Reply, Write};

impl Turn<'_> {
    pub(crate) fn take_up(&mut self, record: Rec, then: Then) -> Pc {
        let is_alone = !record.record.work().is_some_and(|work| work.lease.is_live(self.now()));
        let pc = self.advance(record, Fact::TakenUp { listed: self.proc.listed }, then);
        if let Pc::Advance { next, .. } = pc {
            self.proc.own_lease = lease_end(next).filter(|_| is_alone);
        }
        pc
    }

    /// `keep_alive`: the lease is renewed while bytes move. Whatever goes wrong is left to the next write.
    pub(crate) fn keep_alive(mut self) -> Proc {
        let (Pc::Create { record: from, .. } | Pc::Prove { record: from }) = self.proc.pc else { return self.proc };
        let Some(next) = self.ledger.step(from, self.actor, Fact::KeptAlive, self.state.world.clock) else {
            return self.proc;
        };
        let newer = match self.state.write(self.ledger, Write::Advance(next), self.fate) {
            Ok(Reply::Row(newer)) if self.is_same_work(newer, from) => newer,
            Ok(Reply::Done) => next,
            Ok(_) | Err(Lost) => return self.proc,
        };
        if self.proc.own_lease == lease_end(from) && lease_end(newer) == lease_end(next) {
            self.proc.own_lease = lease_end(next);
        }
        if let Pc::Create { record, .. } | Pc::Prove { record } = &mut self.proc.pc {
            *record = newer;
        }
        self.proc
    }

    pub(crate) fn let_go(&mut self, outcome: Outcome) -> Pc {
        let (Ok(()), Some(row)) = (self.read(), self.see().row()) else { return self.end(outcome) };
        let is_live = row.record.work().is_some_and(|work| work.lease.is_live(self.now()));
        if is_live && self.see().is_own(row) && self.proc.own_lease == lease_end(row) {
            return self.advance(row, Fact::LetGo, Then::End(outcome));
        }
        self.end(outcome)
    }

    /// `Record::is_same_work`
    pub(crate) fn is_same_work(&self, one: Rec, other: Rec) -> bool {
        let holder = |record: Rec| record.get().record.work().map(|work| work.lease.holder.as_str());
        holder(one).is_some()
            && holder(one) == holder(other)
            && one.record.attempt == other.record.attempt
            && one.record.source == other.record.source
            && (one.record.approval == other.record.approval || self.has(Bug::ReportsConfused))
            && std::mem::discriminant(&one.record.phase) == std::mem::discriminant(&other.record.phase)
    }
}

/// When the lease on record ends.
pub(crate) fn lease_end(record: Rec) -> Option<i64> {
    record.record.work().map(|work| secs(work.lease.until))
}
