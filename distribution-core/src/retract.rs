//! Taking a publication back: the record first, so that nobody gets a link any more; then the links that are out;
//! later, by [`Publisher::tidy`], its objects.

use crate::catalog::AssetRecord;
use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::key::{ObjectKey, TargetName};
use crate::machine::Event;
use crate::metadata::{Query, State};
use crate::object::{Checksum, Location};
use crate::parts::Reach;
use crate::publisher::Publisher;
use crate::record::{Phase, Record, Retracted};
use crate::request::{Access, IdempotencyKey};
use crate::text::Reason;
use crate::time::{Timestamp, link_expiry};

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
    /// it may be taken back or not, if links may still work, or if the trail cannot be delivered: repeat.
    pub async fn retract(&self, audit_log_id: &AuditLogId, reason: &Reason) -> Result<Retraction, Error> {
        let retracted = self.take_back(audit_log_id, reason).await;
        retracted.inspect_err(|error| self.alert(audit_log_id, error))
    }

    async fn take_back(&self, audit_log_id: &AuditLogId, reason: &Reason) -> Result<Retraction, Error> {
        let record = self.load(audit_log_id).await?;
        let record = self.put(record, |record| match record.phase {
            Phase::Retracted(_) => None,
            _ => Some(Event::Retracted { reason: reason.clone() }),
        });
        let record = record.await;
        // Whether or not the trail could be delivered: no link is to work a moment longer than it must.
        let links_left = self.end_links(&self.load(audit_log_id).await?).await?;
        Ok(Retraction { record: AssetRecord::from(&record?), links_left })
    }

    async fn end_links(&self, record: &Record) -> Result<LinksLeft, Error> {
        let (Phase::Retracted(_), Some(published)) = (&record.phase, record.published()) else {
            return Ok(LinksLeft::Dead);
        };
        self.parts().metadata.bind(&retracted_name(&published.location), record.id()).await?;
        let target = self.target(&record.publication)?;
        let signer = match &target.reach {
            Reach::Private { signer, .. } => signer,
            Reach::Public(_) => return Ok(LinksLeft::UntilRemoved),
        };
        let open = record.details.access != Access::Signed;
        match signer.revoke(&record.object_key()).await {
            Ok(()) if open => Ok(LinksLeft::UntilRemoved),
            Ok(()) => Ok(LinksLeft::Dead),
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                let last = link_expiry(self.now(), signer.limits().valid_hours_max);
                Ok(last.filter(|_| !open).map_or(LinksLeft::UntilRemoved, LinksLeft::Until))
            }
            Err(error) => Err(error),
        }
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
        let shares = |row| Record::decode(row).ok().and_then(|record| Some(record.published()?.location == location));
        Ok(Some(id).filter(|_| !found.rows.iter().any(|row| shares(row) == Some(true))))
    }
}
