//! Taking a publication back: the record first, so that nobody gets a link any more; then the links that are out;
//! later, by [`Publisher::tidy`], its objects.

use crate::catalog::AssetRecord;
use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::key::{ObjectKey, TargetName};
use crate::machine::Event;
use crate::metadata::{Query, State};
use crate::object::{Checksum, Location};
use crate::parts::{Reach, Target};
use crate::publisher::{Call, Publisher, STEPS_MAX, Swap, overtaken};
use crate::record::{Phase, Record, Retracted};
use crate::request::IdempotencyKey;
use crate::text::Reason;
use crate::time::{Timestamp, link_expiry};
use crate::versions::unnumbered;

/// A publication that was taken back.
#[derive(Clone, Debug, PartialEq)]
pub struct Retraction {
    /// Its record.
    pub record: AssetRecord,
    /// What became of the links that are out.
    pub links_left: LinksLeft,
}

/// Which links to a publication that was taken back still work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinksLeft {
    /// None.
    Dead,
    /// The target cannot take single links back: those that are out end by then. To end them now, rotate what signs
    /// them, or remove the object.
    Until(Timestamp),
    /// Whoever can read the target at all, until the object is removed.
    UntilRemoved,
}

/// The most publications of the same bytes that are looked at.
const PAGE: usize = 1_000;

fn retracted_name(location: &Location) -> IdempotencyKey {
    IdempotencyKey::reserved(&format!("retracted/{}", Checksum::of(location.as_str().as_bytes()).hex()))
}

impl Retracted {
    /// What everybody is told who asks for it.
    pub(crate) fn error(&self, id: &AuditLogId) -> Error {
        let message = format!("{id} was taken back at {}: {}", self.at, self.reason);
        Error::new(ErrorKind::Retracted, message)
    }
}

impl Publisher {
    /// Takes a publication back, for ever, also one that is not finished. From then on nobody gets a link to it, a
    /// repeat of its request is answered with [`Retracted`](ErrorKind::Retracted), and the links that are out are
    /// revoked where the target can do that. Its objects are left to [`tidy`](Self::tidy), which keeps what is held
    /// or is another publication's. Other publications of the same bytes stay as they are; where they share the
    /// object, their links are revoked as well, and the next ones work. A repeat finishes what was begun.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid) if there is no such publication; [`Unavailable`](ErrorKind::Unavailable) if
    /// it may be taken back or not, if links may still work, or if the trail cannot be delivered: repeat, or leave the
    /// rest to [`recover`](Self::recover); [`Unsupported`](ErrorKind::Unsupported) if its target is not configured
    /// here: it is taken back all the same, and a host that has the target must end its links.
    pub async fn retract(&self, audit_log_id: &AuditLogId, reason: &Reason) -> Result<Retraction, Error> {
        let retracted = self.take_back(audit_log_id, reason).await;
        retracted.inspect_err(|error| self.alert(audit_log_id, error))
    }

    async fn take_back(&self, audit_log_id: &AuditLogId, reason: &Reason) -> Result<Retraction, Error> {
        let record = self.withdraw(self.load(audit_log_id).await?, reason).await?;
        let call = Call::of(&record, false);
        let record = self.drive(record, &call).await?;
        Ok(Retraction { links_left: self.links_left(&record)?, record: AssetRecord::from(&record) })
    }

    /// Puts on record that it is taken back; of what is published, which version it is first, so that none of its work
    /// is left without a number.
    async fn withdraw(&self, mut record: Record, reason: &Reason) -> Result<Record, Error> {
        for _ in 0..STEPS_MAX {
            let event = match record.phase {
                Phase::Retracted(_) => return Ok(record),
                _ if unnumbered(&record).is_some() => self.number(&record).await?,
                _ => Event::Retracted { reason: reason.clone() },
            };
            let (Swap::Done(next) | Swap::Superseded(next)) = self.swap(&record, event).await?;
            record = next;
        }
        Err(overtaken(&record))
    }

    /// Has the links that are out end, where they can, and says by when they all have.
    pub(crate) async fn end_links(&self, record: &Record) -> Result<Event, Error> {
        let Phase::Retracted(retracted @ Retracted { published: Some(_), .. }) = &record.phase else {
            return Err(overtaken(record));
        };
        for location in record.proven_locations() {
            self.parts().metadata.bind(&retracted_name(location), record.id()).await?;
        }
        // Links to a copy that was lost since may work as well; and where one place is out of reach, the links to the
        // others end all the same.
        let mut by = Ok(retracted.at);
        for place in record.linked_places() {
            let end = self.end_links_at(record, &place).await;
            by = match (by, end) {
                (Ok(by), Ok(end)) => Ok(by.max(end.unwrap_or(by))),
                (Err(error), _) | (Ok(_), Err(error)) => Err(error),
            };
        }
        Ok(Event::LinksEnded { by: by? })
    }

    /// By when the links to an object have ended, if that is later than now.
    async fn end_links_at(
        &self,
        record: &Record,
        (name, key): &(TargetName, ObjectKey),
    ) -> Result<Option<Timestamp>, Error> {
        let Target { storage, reach, .. } = self.target_named(name)?;
        if record.publication.key_tells_bytes {
            // Whoever else has an object of this name has the same bytes.
            self.parts().metadata.bind(&retracted_name(&storage.location(key)), record.id()).await?;
        }
        let Reach::Private { signer, .. } = reach else { return Ok(None) };
        match signer.revoke(key).await {
            Ok(()) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let end = link_expiry(self.now(), signer.limits().valid_hours_max);
                Ok(Some(end.unwrap_or(Timestamp::MAX_UTC)))
            }
            Err(error) => Err(error),
        }
    }

    fn links_left(&self, record: &Record) -> Result<LinksLeft, Error> {
        let Phase::Retracted(Retracted { published: Some(_), links_end, .. }) = &record.phase else {
            return Ok(LinksLeft::Dead);
        };
        for (name, _) in record.linked_places() {
            // It may have been `authenticated` once, whatever it was in the end.
            if let Reach::Public(_) | Reach::Private { authenticated: Some(_), .. } = self.target_named(&name)?.reach {
                return Ok(LinksLeft::UntilRemoved);
            }
        }
        Ok(links_end.filter(|end| *end > self.now()).map_or(LinksLeft::Dead, LinksLeft::Until))
    }

    /// The publication that was taken back of which an object is, if no other publication has it: what whoever serves
    /// objects asks, to answer that it was taken back.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if the records cannot be read;
    /// [`Unsupported`](ErrorKind::Unsupported) if the target is not configured.
    pub async fn retracted_at(&self, target: &TargetName, key: &ObjectKey) -> Result<Option<AuditLogId>, Error> {
        let location = match self.parts().targets.get(target) {
            Some(target) => target.storage.location(key),
            None => return Err(Error::new(ErrorKind::Unsupported, format!("`{target}` is not configured here"))),
        };
        let Some(id) = self.parts().metadata.bound(&retracted_name(&location)).await? else { return Ok(None) };
        let checksum = self.load(&id).await?.publication.checksum;
        let query = Query { checksum: Some(checksum), state: Some(State::Published), ..Query::default() };
        let found = self.parts().metadata.find(&query, None, PAGE).await?;
        if found.len() >= PAGE || !found.damaged.is_empty() {
            // Some other publication may have it: nobody is told that a file was taken back which was not.
            return Ok(None);
        }
        let shares = |row| Record::decode(row).is_ok_and(|record| record.proven_locations().contains(&&location));
        Ok(Some(id).filter(|_| !found.rows.iter().any(shares)))
    }
}
