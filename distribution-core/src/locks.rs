//! Legal holds of the stores: what is held on record is kept by its stores, too, where they can, also from whoever else may
//! remove objects there, and from rules of their own.
//!
//! What is held is read off the records, the stores are asked for that, and then it is read again: whoever changes a
//! record asks after that. What a crash leaves without a store's hold, [`Publisher::scrub`] finds; what it leaves with
//! one, a repeat of the release.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::holds::PAGE_ROWS;
use crate::identity::AuditLogId;
use crate::key::{ConceptId, ObjectKey, TargetName};
use crate::metadata::Query;
use crate::object::LegalHold;
use crate::publisher::{Publisher, STEPS_MAX, overtaken};
use crate::record::{Phase, Record};
use crate::request::IdempotencyKey;

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
    fn kept_places(&self) -> BTreeSet<Place> {
        self.let_go().into_iter().chain(self.proven_places()).collect()
    }

    /// Whether an object must be there.
    fn needs(&self, place: &Place) -> bool {
        let is_open = matches!(self.phase, Phase::Published(_) | Phase::Replicating { .. });
        is_open && self.proven_places().contains(place)
    }
}

/// That stores were asked to keep a publication's objects: nobody else's hold on one of them is lifted before.
fn locked_name(id: &AuditLogId) -> IdempotencyKey {
    IdempotencyKey::reserved(&format!("locked/{id}"))
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

    /// The same for copies that were just proven of what is published, or is from now on. The hold on record is in force,
    /// and nobody has asked for more: what hinders it is told to the operators.
    pub(crate) async fn lock_proven(&self, before: &Record, after: &Record) {
        if !matches!(after.phase, Phase::Published(_)) {
            return;
        }
        let was_published = matches!(before.phase, Phase::Published(_));
        let known = if was_published { before.proven_places() } else { Vec::new() };
        let proven: BTreeSet<_> = after.proven_places().into_iter().filter(|place| !known.contains(place)).collect();
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

    /// Has the stores let go what they were asked to keep, and neither this publication nor another one keeps any more.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if one does not: those of the others are let go.
    pub(crate) async fn unlock(&self, record: &Record) -> Result<(), Error> {
        if !self.has_locks() || self.parts().metadata.bound(&locked_name(record.id())).await?.is_none() {
            return Ok(());
        }
        // Copies, too, that were kept once and are lost since.
        let places = record.all_places().chain(record.proven_places()).collect();
        self.settle_locks(record, &places).await.map(drop)
    }

    /// The same for all publications of a work, whose hold was changed.
    pub(crate) async fn lock_work(&self, concept: &ConceptId, held: bool) -> Result<(), Error> {
        if !self.has_locks() {
            return Ok(());
        }
        let of_the_work = Query { concept_id: Some(concept.clone()), ..Query::default() };
        let (mut after, mut failed) = (None, None);
        loop {
            let found = self.parts().metadata.find(&of_the_work, after.as_ref(), PAGE_ROWS).await?;
            after = found.end().filter(|_| found.len() >= PAGE_ROWS);
            failed = failed.or(found.damaged.into_iter().next().map(|(_, error)| error));
            for row in &found.rows {
                let set = async {
                    let record = Record::decode(row)?;
                    match held {
                        true => self.lock(&record).await.map(drop),
                        false => self.unlock(&record).await,
                    }
                };
                failed = failed.or(set.await.err());
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
    async fn settle_locks(&self, record: &Record, places: &BTreeSet<Place>) -> Result<u64, Error> {
        let mut wanted = self.wanted(record.id(), places).await?;
        for _ in 0..STEPS_MAX {
            if wanted.values().any(|hold| *hold == LegalHold::On) {
                self.parts().metadata.bind(&locked_name(record.id()), record.id()).await?;
            }
            let set = self.set_legal_holds(record, &wanted).await;
            let now = self.wanted(record.id(), places).await?;
            if now == wanted {
                return set;
            }
            wanted = now;
        }
        Err(overtaken(record))
    }

    async fn set_legal_holds(&self, record: &Record, wanted: &BTreeMap<Place, LegalHold>) -> Result<u64, Error> {
        let (mut locked, mut failed) = (0, None);
        for (place @ (name, key), hold) in wanted {
            let is_on = *hold == LegalHold::On;
            let set = match self.target_named(name) {
                Ok(target) if target.storage.keeps_legal_holds() => target.storage.set_legal_hold(key, *hold).await,
                Ok(_) => continue,
                Err(error) => Err(error),
            };
            let set = match set {
                Ok(None) if is_on && record.needs(place) => Err(Error::corrupt("nothing is there: scrub it")),
                set => set,
            };
            let what =
                if is_on { "held on record, but not by its store" } else { "released, but its store may keep it" };
            match set {
                Ok(before) => locked += u64::from(is_on && before == Some(LegalHold::Off)),
                Err(error) => drop(failed.get_or_insert_with(|| {
                    let message = format!("{} is {what}: {key} on `{name}`: {}", record.id(), error.message());
                    Error::unavailable(message).because(error)
                })),
            }
        }
        failed.map_or(Ok(locked), Err)
    }

    /// What the stores are asked for of these objects of the publication: to keep what it has, if it is held; else what
    /// whoever is held has there as well, and to let go the rest.
    async fn wanted(&self, id: &AuditLogId, places: &BTreeSet<Place>) -> Result<BTreeMap<Place, LegalHold>, Error> {
        let record = self.load(id).await?;
        if self.is_held(&record).await? {
            let kept = record.kept_places();
            return Ok(kept.intersection(places).map(|place| (place.clone(), LegalHold::On)).collect());
        }
        let at = |(name, key): &Place| Some(self.parts().targets.get(name)?.storage.location(key));
        let is_shared = |place: &Place, had: &Place| match (at(place), at(had)) {
            (Some(here), Some(there)) => here == there,
            // What is not configured here may be any place.
            _ => place.1 == had.1,
        };
        // Whoever else has an object of a name that tells the bytes has the same ones.
        let same_bytes = Some(record.publication.checksum).filter(|_| record.publication.key_tells_bytes);
        let (query, mut after) = (Query { checksum: same_bytes, ..Query::default() }, None);
        let mut wanted: BTreeMap<_, _> = places.iter().map(|place| (place.clone(), LegalHold::Off)).collect();
        loop {
            for other in self.page(&query, &mut after).await? {
                let had = other.kept_places();
                let shared = |place: &&Place| had.iter().any(|had| is_shared(place, had));
                let shared: Vec<_> = places.iter().filter(shared).collect();
                if !shared.is_empty() && self.is_held(&other).await? {
                    wanted.extend(shared.into_iter().map(|place| (place.clone(), LegalHold::On)));
                }
            }
            if after.is_none() {
                return Ok(wanted);
            }
        }
    }
}
