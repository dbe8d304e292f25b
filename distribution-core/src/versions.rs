//! Versions: which publication is the n-th of its work, and which is the latest.
//!
//! Both are names in the metadata store, which never change once they name something. The n-th version of a work
//! is what `version/{concept}/{n}` names: numbers are given in order, each to the first that asks for it, so they
//! have no gaps, and who asks for them one after the other, from one that it cannot have had, finds its own again
//! after a crash. Whoever asks for its own asks first for those of the publications before it, whose publishers may
//! have died. The latest is the version with the highest number; unless there is
//! `latest/{concept}/{that number}/{k}`, of which the one with the highest `k` is: a rollback. So a new version is
//! the latest by being there, and ends whatever was rolled back before.

use std::collections::BTreeMap;

use tracing::warn;

use crate::catalog::AssetRecord;
use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::key::ConceptId;
use crate::machine::Event;
use crate::metadata::{Query, State};
use crate::publication::Publication;
use crate::publisher::{Publisher, overtaken};
use crate::record::{Phase, Published, Record, Version};
use crate::request::IdempotencyKey;
use crate::time::Timestamp;

/// The most versions that may be numbered between the publication of one and its own number.
const OTHERS_MAX: u64 = 100_000;

/// The most publications that are numbered before one.
const EARLIER_MAX: usize = 1_000;
/// How many records are read at a time.
const PAGE_ROWS: usize = 100;

fn version_name(concept: &ConceptId, version: u64) -> IdempotencyKey {
    IdempotencyKey::reserved(&format!("version/{concept}/{version}"))
}

fn rollback_name(concept: &ConceptId, versions: u64, rollback: u64) -> IdempotencyKey {
    IdempotencyKey::reserved(&format!("latest/{concept}/{versions}/{rollback}"))
}

/// Of a publication whose number is not on record yet: how many versions are others, at least, and when it was
/// published.
pub(crate) fn unnumbered(record: &Record) -> Option<(u64, Timestamp)> {
    match &record.phase {
        Phase::Published(Published { version: Some(Version::After(others)), at, .. }) => Some((*others, *at)),
        _ => None,
    }
}

impl Publisher {
    /// The latest version of this work: the one that was published last, or that was rolled back to since; `None` if
    /// nothing of it was published. Whatever became of it since, it is told, and no other in its place. Of a work that
    /// was published before there were versions, it is what was published and claimed last. A repeat of an older edit
    /// moves nothing, for it is the version that it was: [`rollback`](Self::rollback) does. One edit on two targets is
    /// two versions.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn latest(&self, concept_id: &ConceptId) -> Result<Option<AssetRecord>, Error> {
        let versions = self.versions(concept_id).await?;
        match self.latest_of(concept_id, versions).await? {
            Some(id) => self.record(&id).await,
            None => Ok(self.newest(concept_id).await?.map(|record| AssetRecord::from(&record))),
        }
    }

    /// The n-th version of this work, counted from 1; `None` if there are not so many.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub async fn version(&self, concept_id: &ConceptId, version: u64) -> Result<Option<AssetRecord>, Error> {
        match self.parts().metadata.bound(&version_name(concept_id, version)).await? {
            Some(id) => self.record(&id).await,
            None => Ok(None),
        }
    }

    /// Makes an earlier version the latest again, until another one is published: its copy is read back first, then
    /// its audit trail tells of it. Rolling back to what is the latest changes nothing.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if there are not so many versions; [`Corrupt`](ErrorKind::Corrupt) if its copy
    /// is missing or has other bytes; [`Archived`](ErrorKind::Archived) if it is to be restored first; [`Conflict`](ErrorKind::Conflict) if a new version was published meanwhile,
    /// which is the latest then; [`Unavailable`](ErrorKind::Unavailable) if it may have been rolled back or not.
    pub async fn rollback(&self, concept_id: &ConceptId, version: u64) -> Result<AssetRecord, Error> {
        let versions = self.versions(concept_id).await?;
        let wanted = self.parts().metadata.bound(&version_name(concept_id, version)).await?;
        let Some(id) = wanted.filter(|_| version <= versions) else {
            let message = format!("{concept_id} has {versions} versions, and none with the number {version}");
            return Err(Error::invalid("version", message));
        };
        let mut record = self.load_published(&id).await?;
        if unnumbered(&record).is_some() {
            // Its publisher has died before it could say which version it is.
            let numbered = self.number_of(&record).await?.ok_or_else(|| overtaken(&record))?;
            record = self.advance(&record, numbered).await?;
        }
        self.prove_again(&record).await.inspect_err(|error| self.alert(&id, error))?;
        if self.latest_of(concept_id, versions).await?.as_ref() != Some(&id) {
            self.tell(record, |_| Ok(Some(Event::RolledBack { version, versions }))).await?;
            self.make_latest(concept_id, versions, &id).await?;
        }
        match self.parts().metadata.bound(&version_name(concept_id, versions.saturating_add(1))).await? {
            None => self.record(&id).await?.ok_or_else(|| Error::corrupt(format!("{id} is on record no more"))),
            Some(_) => {
                let message = format!("a new version of {concept_id} was published meanwhile, and is the latest");
                Err(Error::new(ErrorKind::Conflict, message).at("version"))
            }
        }
    }

    /// The publication's number, after those of its work's that were published before it: who published one of them
    /// may have died before it was numbered, and an older publication must not become the latest.
    pub(crate) async fn number(&self, record: &Record) -> Result<Event, Error> {
        for earlier in self.unnumbered_before(record).await? {
            let Some(numbered) = self.number_of(&earlier).await? else { continue };
            if let Err(error) = self.advance(&earlier, numbered).await {
                // It has its number all the same, which is on record as soon as somebody finishes it.
                warn!(%error, audit_log_id = %earlier.id(), "the number of an earlier version is not on record");
            }
        }
        self.number_of(record).await?.ok_or_else(|| overtaken(record))
    }

    /// The publications of its work that were published before it and have no number on record, the oldest first; of
    /// more than [`EARLIER_MAX`], as many. One that cannot be read hides no other.
    async fn unnumbered_before(&self, record: &Record) -> Result<Vec<Record>, Error> {
        let Some((_, at)) = unnumbered(record) else { return Ok(Vec::new()) };
        let concept_id = record.publication.concept_id.clone();
        let query = Query { concept_id, state: Some(State::Published), settled: Some(false), ..Query::default() };
        let (mut earlier, mut after) = (BTreeMap::new(), None);
        loop {
            let found = self.parts().metadata.find(&query, after.as_ref(), PAGE_ROWS).await?;
            after = found.end().filter(|_| found.len() >= PAGE_ROWS);
            for other in found.rows.iter().filter_map(|row| Record::decode(row).ok()) {
                if let Some((_, published_at)) = unnumbered(&other).filter(|(_, other)| *other < at) {
                    earlier.insert((published_at, other.id().clone()), other);
                }
                if earlier.len() > EARLIER_MAX {
                    earlier.pop_last();
                }
            }
            if after.is_none() {
                return Ok(earlier.into_values().collect());
            }
        }
    }

    /// The publication's number: the one that it has, or else the next, which it has from now on. `None` if it is to
    /// have none, or if too many others have come before it.
    async fn number_of(&self, record: &Record) -> Result<Option<Event>, Error> {
        let (Some((others, _)), Some(concept_id)) = (unnumbered(record), &record.publication.concept_id) else {
            return Ok(None);
        };
        for version in others.saturating_add(1)..=others.saturating_add(OTHERS_MAX) {
            if self.parts().metadata.bind(&version_name(concept_id, version), record.id()).await? == *record.id() {
                return Ok(Some(Event::Numbered { version }));
            }
        }
        Ok(None)
    }

    /// How many versions the work of this publication has, at least; 0 where it has no work.
    pub(crate) async fn versions_of(&self, publication: &Publication) -> Result<u64, Error> {
        match &publication.concept_id {
            Some(concept_id) => self.versions(concept_id).await,
            None => Ok(0),
        }
    }

    /// How many versions there are. As many as a newer record knows of are not asked for.
    async fn versions(&self, concept_id: &ConceptId) -> Result<u64, Error> {
        let newest = self.newest(concept_id).await?;
        let known = newest.and_then(|record| record.published()?.version);
        let known = known.map_or(0, |(Version::After(count) | Version::Number(count))| count);
        self.last_bound(known, |number| version_name(concept_id, number)).await
    }

    /// What was published and claimed last.
    async fn newest(&self, concept_id: &ConceptId) -> Result<Option<Record>, Error> {
        let query = Query { concept_id: Some(concept_id.clone()), state: Some(State::Published), ..Query::default() };
        let found = self.parts().metadata.find(&query, None, 1).await?;
        // One that cannot be read hides nothing: it was a shortcut, or there are no versions.
        Ok(found.rows.first().and_then(|row| Record::decode(row).ok()))
    }

    /// What is the latest while there are so many versions.
    async fn latest_of(&self, concept_id: &ConceptId, versions: u64) -> Result<Option<AuditLogId>, Error> {
        if versions == 0 {
            return Ok(None);
        }
        let rollbacks = self.last_bound(0, |number| rollback_name(concept_id, versions, number)).await?;
        let name = match rollbacks {
            0 => version_name(concept_id, versions),
            last => rollback_name(concept_id, versions, last),
        };
        self.parts().metadata.bound(&name).await
    }

    async fn make_latest(&self, concept_id: &ConceptId, versions: u64, id: &AuditLogId) -> Result<(), Error> {
        let rollbacks = self.last_bound(0, |number| rollback_name(concept_id, versions, number)).await?;
        for number in (rollbacks + 1)..=(rollbacks + OTHERS_MAX) {
            if self.parts().metadata.bind(&rollback_name(concept_id, versions, number), id).await? == *id {
                return Ok(());
            }
        }
        Err(Error::unavailable(format!("others roll {concept_id} back at the same time: repeat")))
    }

    /// The highest number whose name is bound, where the names of 1 to `known` are, and numbers have no gaps: steps
    /// that double, then halve, find it.
    pub(crate) async fn last_bound(
        &self,
        known: u64,
        name: impl Fn(u64) -> IdempotencyKey + Send + Sync,
    ) -> Result<u64, Error> {
        let (mut last, mut step) = (known, 1_u64);
        while self.is_bound(&name(last.saturating_add(step))).await? {
            last = last.saturating_add(step);
            step = step.saturating_mul(2);
        }
        while step > 1 {
            step /= 2;
            if self.is_bound(&name(last.saturating_add(step))).await? {
                last = last.saturating_add(step);
            }
        }
        Ok(last)
    }

    async fn is_bound(&self, name: &IdempotencyKey) -> Result<bool, Error> {
        Ok(self.parts().metadata.bound(name).await?.is_some())
    }
}
