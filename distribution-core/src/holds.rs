//! Legal holds: what is held is not removed, whatever else is asked for.
//!
//! A hold on one publication is on its record. A hold on a work is about all its versions, those to come included:
//! names in the metadata store that are numbered as they are given, `hold/{concept}/{n}`, of which the odd ones begin
//! a hold and the even ones end it.

use crate::catalog::AssetRecord;
use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::key::ConceptId;
use crate::machine::Event;
use crate::metadata::{Cursor, Query};
use crate::publisher::{Publisher, STEPS_MAX, Swap, overtaken};
use crate::record::Record;
use crate::request::IdempotencyKey;
use crate::text::Reason;

/// What a hold is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldOn {
    /// One publication.
    Publication(AuditLogId),
    /// All versions of a work, those to come included.
    Concept(ConceptId),
}

/// How many records are read at a time.
pub(crate) const PAGE_ROWS: usize = 1_000;

fn hold_name(concept: &ConceptId, number: u64) -> IdempotencyKey {
    IdempotencyKey::reserved(&format!("hold/{concept}/{number}"))
}

impl Publisher {
    /// Has what is published kept, from now on until it is [released](Self::release): no staged file and no copy of
    /// it is removed, also not after a [retraction](Self::retract). The reason is in the audit trail: of a work, in
    /// that of its latest version, whose record is the answer. What was being removed at this moment may be gone: read
    /// it back.
    ///
    /// Stores that have [legal holds of their own](crate::Storage::set_legal_hold) are asked to keep the objects, too,
    /// from whoever else may remove them: those there are, and those to come. Where a store cannot be asked, the hold is
    /// in force all the same; a repeat asks again, and so does [`scrub`](Self::scrub) for what is published. Holding what
    /// is held changes nothing else.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if there is no such publication or work;
    /// [`Unavailable`](ErrorKind::Unavailable) if it may be held or not, if a store does not keep it, or if the trail
    /// cannot be delivered: repeat.
    pub async fn hold(&self, on: &HoldOn, reason: &Reason) -> Result<AssetRecord, Error> {
        self.set_hold(on, true, reason).await
    }

    /// Ends a hold. A publication may still be held by that of its work, and the other way round; then its stores keep
    /// it, too, as they do what another publication with the same object keeps. Of what was never held here, no store is
    /// asked to let go anything; of what was, a legal hold that somebody else has placed is lifted with ours, since a
    /// store has but one for each object. A repeat finishes what was begun.
    ///
    /// # Errors
    /// As [`hold`](Self::hold).
    pub async fn release(&self, on: &HoldOn, reason: &Reason) -> Result<AssetRecord, Error> {
        self.set_hold(on, false, reason).await
    }

    /// Whether this hold is in force: the publication in whose audit trail its beginning and the reason are, or `None`.
    /// What is asked about is the hold itself: a publication without one of its own may be held by that of its work.
    ///
    /// ```
    /// use distribution_core::{HoldOn, Reason};
    /// # use distribution_testkit::{World, request};
    /// # futures::executor::block_on(async {
    /// # let world = World::new();
    /// # world.stage("clip.mp4", "bytes");
    /// # let publisher = world.publisher("host-1");
    /// let id = publisher.publish(request("clip.mp4", b"bytes")).await?.audit_log_id;
    /// let on = HoldOn::Publication(id.clone());
    /// assert_eq!(publisher.holds(&on).await?, None);
    /// publisher.hold(&on, &Reason::parse("a court asks for it")?).await?;
    /// assert_eq!(publisher.holds(&on).await?, Some(id));
    /// # Ok::<(), distribution_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if there is no such publication, while a work of which nothing is published is
    /// not held; [`Unavailable`](ErrorKind::Unavailable) if the records cannot be read.
    pub async fn holds(&self, on: &HoldOn) -> Result<Option<AuditLogId>, Error> {
        match on {
            HoldOn::Publication(id) => Ok(self.load(id).await?.hold.map(|_| id.clone())),
            HoldOn::Concept(concept) => match self.hold_changes(concept).await? {
                changes if is_begun(changes) => self.parts().metadata.bound(&hold_name(concept, changes)).await,
                _ => Ok(None),
            },
        }
    }

    async fn set_hold(&self, on: &HoldOn, held: bool, reason: &Reason) -> Result<AssetRecord, Error> {
        let record = match on {
            HoldOn::Publication(id) => self.hold_publication(self.load(id).await?, held, reason).await?,
            HoldOn::Concept(concept) => self.hold_concept(concept, held, reason).await?,
        };
        Ok(AssetRecord::from(&record))
    }

    async fn hold_publication(&self, record: Record, held: bool, reason: &Reason) -> Result<Record, Error> {
        let noted = self.note(record, |record| {
            let (concept_id, reason) = (None, reason.clone());
            match (record.hold.is_some(), held) {
                (false, true) => Some(Event::HoldPlaced { concept_id, reason }),
                (true, false) => Some(Event::HoldReleased { concept_id, reason }),
                (true, true) | (false, false) => None,
            }
        });
        let record = noted.await?;
        let locked = if held { Box::pin(self.lock(&record)).await.map(drop) } else { Ok(()) };
        let record = self.tell(record, |_| Ok(None)).await?;
        if !held {
            Box::pin(self.unlock(&record)).await?;
        }
        locked.map(|()| record)
    }

    async fn hold_concept(&self, concept: &ConceptId, held: bool, reason: &Reason) -> Result<Record, Error> {
        let latest = self.latest(concept).await?.ok_or_else(|| {
            Error::invalid("concept_id", format!("nothing of {concept} is published: look for its name"))
        })?;
        let record = self.load(&latest.audit_log_id).await?;
        let changes = self.hold_changes(concept).await?;
        if is_begun(changes) == held {
            // What was never held has no hold of a store to be lifted.
            let locked = if changes == 0 { Ok(()) } else { Box::pin(self.lock_work(concept, held)).await };
            let record = self.tell(record, |_| Ok(None)).await?;
            return locked.map(|()| record);
        }
        let (concept_id, reason) = (Some(concept.clone()), reason.clone());
        if held {
            // On record first, so that no hold is without an entry; and in force before that has been delivered.
            let record = self.place(record, Event::HoldPlaced { concept_id, reason }).await?;
            self.change_hold(concept, changes, record.id()).await?;
            let locked = Box::pin(self.lock_work(concept, held)).await;
            let record = self.tell(record, |_| Ok(None)).await?;
            return locked.map(|()| record);
        }
        // No hold ends before the trail tells of it.
        let released = Event::HoldReleased { concept_id, reason };
        let record = self.tell(record, |_| Ok(Some(released.clone()))).await?;
        self.change_hold(concept, changes, record.id()).await?;
        Box::pin(self.lock_work(concept, held)).await?;
        Ok(record)
    }

    /// Puts the event on record once, whoever else changes the record meanwhile.
    async fn place(&self, mut record: Record, event: Event) -> Result<Record, Error> {
        for _ in 0..STEPS_MAX {
            record = match self.swap(&record, event.clone()).await? {
                Swap::Done(next) => return Ok(next),
                Swap::Superseded(newer) => newer,
            };
        }
        Err(overtaken(&record))
    }

    async fn hold_changes(&self, concept: &ConceptId) -> Result<u64, Error> {
        self.last_bound(0, |number| hold_name(concept, number)).await
    }

    /// Whoever else gave this name did the same.
    async fn change_hold(&self, concept: &ConceptId, changes: u64, by: &AuditLogId) -> Result<(), Error> {
        self.parts().metadata.bind(&hold_name(concept, changes + 1), by).await.map(drop)
    }

    /// Whether the publication, or its work, is held.
    pub(crate) async fn is_held(&self, record: &Record) -> Result<bool, Error> {
        match &record.publication.concept_id {
            _ if record.hold.is_some() => Ok(true),
            Some(concept) => self.is_work_held(concept).await,
            None => Ok(false),
        }
    }

    /// Whether the work is held.
    pub(crate) async fn is_work_held(&self, concept: &ConceptId) -> Result<bool, Error> {
        Ok(is_begun(self.hold_changes(concept).await?))
    }

    /// The records of the next page; behind the last one, `after` is `None` again.
    ///
    /// # Errors
    /// That of a record that cannot be read: nobody knows what is its own.
    pub(crate) async fn page(&self, query: &Query, after: &mut Option<Cursor>) -> Result<Vec<Record>, Error> {
        let found = self.parts().metadata.find(query, after.as_ref(), PAGE_ROWS).await?;
        *after = found.end().filter(|_| found.len() >= PAGE_ROWS);
        match found.damaged.into_iter().next() {
            Some((_, error)) => Err(error),
            None => found.rows.iter().map(Record::decode).collect(),
        }
    }

    pub(crate) async fn load(&self, id: &AuditLogId) -> Result<Record, Error> {
        match self.parts().metadata.load(id).await? {
            Some(row) => Record::decode(&row),
            None => {
                let message = format!("{id} is not on record: look for its name");
                Err(Error::new(ErrorKind::Invalid, message).at("audit_log_id"))
            }
        }
    }
}

fn is_begun(changes: u64) -> bool {
    changes % 2 == 1
}
