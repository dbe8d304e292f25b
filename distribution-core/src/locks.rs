//! Legal holds of the stores: what is held on record is kept by its stores, too, where they can, so that nobody destroys
//! it who has their credentials.
//!
//! What is held is read off the records, the stores are asked for that, and then it is read again: whoever changes a
//! record asks after that. What a crash leaves without a store's hold, [`Publisher::scrub`] finds; what it leaves with
//! one, a repeat of the release.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::identity::AuditLogId;
use crate::key::{ConceptId, ObjectKey, TargetName};
use crate::metadata::Query;
use crate::object::LegalHold;
use crate::publisher::{Publisher, STEPS_MAX, overtaken};
use crate::record::{Phase, Record};

/// An object of a target.
pub(crate) type Place = (TargetName, ObjectKey);

impl Record {
    /// Where the publication has, or may have, ever stored an object.
    pub(crate) fn all_places(&self) -> impl Iterator<Item = Place> {
        self.given_up().into_iter().chain(self.places())
    }

    /// Where objects are, or may be, that it has let go, and that stay while it is held: all of what was taken back, and
    /// what was freed or copied anew.
    pub(crate) fn let_go(&self) -> Vec<Place> {
        match self.phase {
            Phase::Retracted(_) => self.all_places().collect(),
            _ if self.was_elsewhere() => self.given_up(),
            _ => Vec::new(),
        }
    }

    /// What a hold keeps.
    fn kept_places(&self) -> Vec<Place> {
        self.let_go().into_iter().chain(self.proven_places()).collect()
    }
}

impl Publisher {
    /// Has the stores keep all objects of the publication, if it or its work is held; and says of how many they did not.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if one does not: those of the others are kept.
    pub(crate) async fn lock(&self, record: &Record) -> Result<u64, Error> {
        if !self.has_locks() || !self.is_held(record).await? {
            return Ok(0);
        }
        self.settle_locks(record, &record.kept_places()).await
    }

    /// The same for what was just proven. The hold on record is in force, and nobody has asked for more: what hinders it
    /// is told to the operators.
    pub(crate) async fn lock_proven(&self, before: &Record, after: &Record) {
        if !self.has_locks() {
            return;
        }
        let known = before.proven_places();
        let proven: Vec<_> = after.proven_places().into_iter().filter(|place| !known.contains(place)).collect();
        let locked = async {
            match !proven.is_empty() && self.is_held(after).await? {
                true => self.settle_locks(after, &proven).await,
                false => Ok(0),
            }
        };
        if let Err(error) = locked.await {
            self.alert(after.id(), &error);
        }
    }

    /// Has the stores let go what neither this publication nor another one keeps any more.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if one does not: those of the others are let go.
    pub(crate) async fn unlock(&self, record: &Record) -> Result<(), Error> {
        match self.has_locks() {
            true => self.settle_locks(record, &record.kept_places()).await.map(drop),
            false => Ok(()),
        }
    }

    /// The same for all publications of a work, whose hold was changed.
    pub(crate) async fn lock_work(&self, concept: &ConceptId, held: bool) -> Result<(), Error> {
        if !self.has_locks() {
            return Ok(());
        }
        let of_the_work = Query { concept_id: Some(concept.clone()), ..Query::default() };
        let (mut after, mut failed) = (None, None);
        loop {
            for record in self.page(&of_the_work, &mut after).await? {
                let set = match held {
                    true => self.lock(&record).await.map(drop),
                    false => self.unlock(&record).await,
                };
                failed = failed.or(set.err());
            }
            if after.is_none() {
                return failed.map_or(Ok(()), Err);
            }
        }
    }

    /// Whether any store here has legal holds.
    pub(crate) fn has_locks(&self) -> bool {
        self.parts().targets.values().any(|target| target.storage.keeps_legal_holds())
    }

    /// Has the stores keep what is held of these objects of the publication, and let go the rest; and again, if that has
    /// changed meanwhile. So whoever asks a store last has seen what holds last. How many were not kept and are.
    async fn settle_locks(&self, record: &Record, places: &[Place]) -> Result<u64, Error> {
        let locations = self.locations(places);
        let mut kept = self.kept(record, &locations).await?;
        for _ in 0..STEPS_MAX {
            let set = self.set_legal_holds(record.id(), places, &kept).await;
            let now = self.kept(record, &locations).await?;
            if now == kept {
                return set;
            }
            kept = now;
        }
        Err(overtaken(record))
    }

    async fn set_legal_holds(&self, id: &AuditLogId, places: &[Place], kept: &BTreeSet<String>) -> Result<u64, Error> {
        let (mut locked, mut failed) = (0, None);
        for place @ (name, key) in places {
            let is_kept = self.location_of(place).is_some_and(|at| kept.contains(&at));
            let (hold, what) = match is_kept {
                true => (LegalHold::On, "held on record, but not by its store"),
                false => (LegalHold::Off, "released, but its store keeps it"),
            };
            let (set, what) = match self.target_named(name) {
                Ok(target) if target.storage.keeps_legal_holds() => {
                    (target.storage.set_legal_hold(key, hold).await, what)
                }
                Ok(_) => continue,
                Err(error) => (Err(error), "held or released on record, but its store was not asked"),
            };
            match set {
                Ok(before) => locked += u64::from(is_kept && before == Some(LegalHold::Off)),
                Err(error) => drop(failed.get_or_insert_with(|| {
                    let message = format!("{id} is {what}: {key} on `{name}`: {}", error.message());
                    Error::unavailable(message).because(error)
                })),
            }
        }
        failed.map_or(Ok(locked), Err)
    }

    fn locations<'p>(&self, places: impl IntoIterator<Item = &'p Place>) -> BTreeSet<String> {
        places.into_iter().filter_map(|place| self.location_of(place)).collect()
    }

    fn location_of(&self, (name, key): &Place) -> Option<String> {
        Some(self.parts().targets.get(name)?.storage.location(key).to_string())
    }

    /// Which of these objects of the publication are kept, for whoever else has one there as well.
    async fn kept(&self, record: &Record, locations: &BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
        // Whoever else has an object of a name that tells the bytes has the same ones.
        let same_bytes = Some(record.publication.checksum).filter(|_| record.publication.key_tells_bytes);
        let (query, mut after) = (Query { checksum: same_bytes, ..Query::default() }, None);
        let mut kept = BTreeSet::new();
        loop {
            for other in self.page(&query, &mut after).await? {
                let had = self.locations(&other.kept_places());
                if !had.is_disjoint(locations) && self.is_held(&other).await? {
                    kept.extend(had.intersection(locations).cloned());
                }
            }
            if after.is_none() {
                return Ok(kept);
            }
        }
    }
}
