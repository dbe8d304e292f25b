//! The two long actions of `copy.rs`, and the look at the tombstone.

use crate::bugs::Bug;
use crate::ledger::{Fact, Rec, Unfit};
use crate::process::{Outcome, Pc, Then, Turn};
use crate::scenario::Content;
use crate::world::{Lost, Object, Reply, Write};

impl Turn<'_> {
    pub(crate) fn transfer(&mut self, record: Rec) -> Pc {
        let knows_file = self.proc.listed.is_none_or(|listed| listed.record.source.whole);
        if knows_file && self.see().is_from_elsewhere(record) {
            let is_live = record.record.work().is_some_and(|work| work.lease.is_live(self.now()));
            return if is_live { self.fail(Outcome::Busy) } else { self.take_up(record, Then::Drive) };
        }
        if self.see().is_anothers(record) {
            return self.fail(Outcome::Busy);
        }
        if !record.record.approval.holds_at(self.now()) {
            return self.advance(record, Fact::ApprovalLapsed, Then::Drive);
        }
        if !knows_file {
            return Pc::Look { record, fault: None };
        }
        Pc::Open { record }
    }

    pub(crate) fn open(&mut self, record: Rec) -> Pc {
        if self.read().is_err() {
            return self.fail(Outcome::Unavailable);
        }
        let file = self.see().file();
        let state = file.state;
        match file.content {
            None => self.unfit(record, Unfit::Missing),
            Some(content) if !self.ledger.scenario.sweeps() || self.has(Bug::TombstoneReadTooEarly) => {
                Pc::Create { record, state, content }
            }
            Some(content) if self.has(Bug::TombstoneIgnored) => Pc::Create { record, state, content },
            Some(content) => Pc::Tombstone { record, state, content },
        }
    }

    /// The publisher's half of the exclusion: that it started is on record; a staged file with a
    /// tombstone counts as gone.
    pub(crate) fn tombstone(&mut self, record: Rec, state: u8, content: Content) -> Pc {
        if self.read().is_err() {
            return self.fail(Outcome::Unavailable);
        }
        let file = self.see().file();
        if file.buried & 1 << state != 0 {
            return self.unfit(record, Unfit::Missing);
        }
        // The file was opened before: what was open can be read even if it was removed since.
        Pc::Create { record, state, content }
    }

    pub(crate) fn early_tombstone(&mut self) -> Pc {
        let file = self.see().file();
        if self.read().is_err() || file.buried & 1 << file.state != 0 {
            return Pc::Done(Outcome::Rejected);
        }
        self.claiming()
    }

    pub(crate) fn create(&mut self, record: Rec, state: u8, content: Content) -> Pc {
        let (file, key) = (self.see().file(), self.key(record));
        let existing = self.see().object(key);
        // A store may see that something is there before it reads the content.
        if existing.is_none() && file.state != state && !self.has(Bug::SourceNotPinned) {
            return self.unfit(record, Unfit::Changed);
        }
        if existing.is_none() && content != self.see().approved() {
            return self.unfit(record, Unfit::Other(content));
        }
        let over = existing.is_some_and(|object| self.overwrites(record, object));
        let reply = self.write(Write::Create { key, content, from: (self.see().file_number(), state), over });
        let pin = if self.has(Bug::SourceNotPinned) { file.state } else { state };
        match reply {
            Ok(Reply::AlreadyExists) if self.has(Bug::FoundCountsAsCopied) => {
                self.transferred(record, Some(state), false, None)
            }
            Ok(Reply::AlreadyExists) => self.transferred(record, None, false, None),
            Ok(_) => {
                let proof = self.ledger.scenario.create_proves.then_some(content);
                if proof.is_some() {
                    self.note_proof(key);
                }
                self.transferred(record, Some(pin), true, proof)
            }
            Err(Lost) if self.has(Bug::LostCreateTakenAsFailure) => {
                // As if it had been stored and was found missing.
                let stored = Fact::Transferred { key, pin: None, created: true, proof: None };
                let stored =
                    self.ledger.step(record, self.actor, stored, self.state.world.clock).expect("a claimed record");
                self.state.apply(self.ledger, Write::Advance(stored));
                self.advance(stored, Fact::Examined(None), Then::Drive)
            }
            Err(Lost) => self.fail(Outcome::Unavailable),
        }
    }

    fn overwrites(&self, record: Rec, object: Object) -> bool {
        let retries = record.record.attempt > 0 && object.content == Content::Rotten;
        self.has(Bug::LeaseTrustedForSafety) && self.see().is_own(record) || self.has(Bug::RetryReusesKey) && retries
    }

    /// The key of the attempt's object.
    pub(crate) fn key(&self, record: Rec) -> u8 {
        let attempts = record.key.min(record.record.attempt as u8);
        if self.has(Bug::RetryReusesKey) { record.key - attempts } else { record.key }
    }

    fn transferred(&mut self, record: Rec, pin: Option<u8>, created: bool, proof: Option<Content>) -> Pc {
        let key = self.key(record);
        self.advance(record, Fact::Transferred { key, pin, created, proof }, Then::Drive)
    }

    fn unfit(&mut self, record: Rec, fault: Unfit) -> Pc {
        if self.has(Bug::RejectedWithoutLook) {
            return self.advance(record, Fact::SourceUnfit(fault), Then::Drive);
        }
        Pc::Look { record, fault: Some(fault) }
    }

    pub(crate) fn look(&mut self, record: Rec, fault: Option<Unfit>) -> Pc {
        if self.read().is_err() {
            return self.fail(Outcome::Unavailable);
        }
        match (self.see().object(self.key(record)), fault) {
            (Some(_), _) => self.transferred(record, None, false, None),
            (None, Some(fault)) => self.advance(record, Fact::SourceUnfit(fault), Then::Drive),
            (None, None) => self.fail(Outcome::Unavailable),
        }
    }

    pub(crate) fn prove(&mut self, record: Rec) -> Pc {
        if self.has(Bug::ProofSkipped) {
            return self.advance(record, Fact::Examined(Some(self.see().approved())), Then::Drive);
        }
        if self.read().is_err() {
            return self.fail(Outcome::Unavailable);
        }
        let key = self.key(record);
        self.note_proof(key);
        let found = self.see().object(key).map(|object| object.content);
        self.advance(record, Fact::Examined(found), Then::Drive)
    }

    fn note_proof(&mut self, key: u8) {
        if let Some(object) = &mut self.state.world.objects[usize::from(key)] {
            object.proven |= object.content != Content::Rotten;
        }
    }
}
