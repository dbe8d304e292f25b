//! What the caller is told, and what is asked of it at that moment.

use distribution_core::Phase;

use crate::bugs::Bug;
use crate::ledger::Rec;
use crate::process::{Outcome, Pc, Turn};
use crate::properties::{ANSWERS, LINKS, ONCE, TRAIL};
use crate::scenario::secs;
use crate::world::Answer;

impl Turn<'_> {
    /// `link`, signing included.
    pub(crate) fn link(&mut self, record: Rec) -> Pc {
        if self.read().is_err() {
            return self.fail(Outcome::Unavailable);
        }
        let now = self.now();
        let Phase::Published(published) = &record.record.phase else { unreachable!("only what is published") };
        if self.see().object(self.key(record)).is_none() {
            return self.fail(Outcome::Corrupt);
        }
        let granted = published.link_expires_at.expect("the first grant is part of publishing");
        if granted <= now {
            return self.fail(Outcome::Unavailable);
        }
        let beyond = if self.has(Bug::LinkBeyondGrant) { secs(now) + 72 * 3600 } else { 0 };
        let link_expires = secs(granted).max(beyond);
        let answer = Answer { key: record.key, published_at: secs(published.at), link_expires };
        self.check_answer(record, answer, secs(granted));
        self.end(Outcome::Answered)
    }

    /// What is asked of an answer at the moment when it is given.
    fn check_answer(&mut self, record: Rec, answer: Answer, granted: i64) {
        let (number, now) = (usize::from(record.publication), secs(self.now()));
        let on_record = self.see().is_on_record(record);
        let world = &mut self.state.world;
        let before = world.seen.answers[number].replace(answer);
        let delivered = world.sinks[number].kept.iter().take_while(|kept| **kept != 0).count();
        let same = before.is_none_or(|b| (b.key, b.published_at) == (answer.key, answer.published_at));
        let extended = before.is_some_and(|b| now < b.link_expires && b.link_expires != answer.link_expires);
        for (broken, promise) in [
            (!on_record, ANSWERS),
            (!same, ONCE),
            ((delivered as u64) < record.record.trail.next, TRAIL),
            (extended || answer.link_expires > granted, LINKS),
        ] {
            if broken {
                self.state.breaks(promise);
            }
        }
    }

    /// A failure is told only if the record says so, or did.
    pub(crate) fn check_failure(&mut self, record: Option<Rec>) {
        if !record.is_some_and(|record| self.see().is_on_record(record)) {
            self.state.breaks(ANSWERS);
        }
    }
}
