//! What tells two moments of a simulation apart, so that none is explored twice.
//!
//! A process is what it has seen: its program is deterministic, so two of them that have seen the same
//! will do the same. What an effect lets it see is the part of the world that the effect is about.

use std::hash::{DefaultHasher, Hash, Hasher};

use distribution_core::LegalHold;

use crate::faults::{Effect, Op};
use crate::world::{State, World};

impl World {
    /// A digest of all that the future can depend on, but for the processes.
    pub(crate) fn fingerprint(&self) -> u64 {
        let state = self.lock();
        let mut hasher = DefaultHasher::new();
        state.now.hash(&mut hasher);
        for (at, object) in &state.objects {
            (at, &object.bytes, object.legal_hold == LegalHold::On).hash(&mut hasher);
        }
        state.rows.iter().for_each(|(id, row)| (id.as_str(), row.revision, &row.body).hash(&mut hasher));
        state.names.iter().for_each(|(key, id)| (key, id.as_str()).hash(&mut hasher));
        state.audit.iter().for_each(|entry| (&entry.id, entry.at).hash(&mut hasher));
        state.staged.iter().for_each(|(name, file)| (name, &file.tag).hash(&mut hasher));
        state.answers.iter().for_each(|answer| (answer.at, answer.record.expires_at).hash(&mut hasher));
        let begun = state.faults.log.len();
        state.late.iter().for_each(|late| (late.due.saturating_sub(begun), late.of).hash(&mut hasher));
        state.timers.keys().for_each(|(until, _)| until.hash(&mut hasher));
        hasher.finish()
    }
}

impl State {
    /// Adds to the history of the process that is being polled what this effect lets it see.
    pub(crate) fn observe(&mut self, effect: &Effect) {
        let Some(history) = self.history else { return };
        let mut hasher = DefaultHasher::new();
        (history, self.now, effect.op, &effect.subject, effect.fault).hash(&mut hasher);
        self.seen_by(effect, &mut hasher);
        self.history = Some(hasher.finish());
    }

    fn seen_by(&self, effect: &Effect, hasher: &mut DefaultHasher) {
        match effect.op {
            Op::SourceOpen | Op::StagingDigest | Op::StagingRemove => {
                self.staged.get(&effect.subject).map(|file| &file.tag).hash(hasher)
            }
            Op::StorageCreate
            | Op::StorageDigest
            | Op::StorageStat
            | Op::StorageOpen
            | Op::StorageRemove
            | Op::StorageHold => {
                let at = effect.subject.split_once('/').unwrap_or_default();
                let object = self.objects.get(&(at.0.to_owned(), at.1.to_owned()));
                object.map(|object| (&object.bytes, object.legal_hold == LegalHold::On)).hash(hasher);
            }
            Op::StagingList => self.staged.iter().for_each(|(name, file)| (name, &file.tag).hash(hasher)),
            Op::StorageList => self.objects.keys().for_each(|at| at.hash(hasher)),
            Op::MetadataClaim | Op::MetadataLoad | Op::MetadataAdvance | Op::MetadataFind => {
                let about = |id: &str| effect.op == Op::MetadataFind || id == effect.subject;
                let rows = self.rows.values().filter(|row| about(row.id.as_str()));
                rows.for_each(|row| (row.id.as_str(), row.revision, &row.body).hash(hasher));
            }
            Op::MetadataBind | Op::MetadataBound => {
                self.names.iter().for_each(|(key, id)| (key, id.as_str()).hash(hasher));
            }
            Op::AuditAppend | Op::SignerSign => {}
        }
    }
}
