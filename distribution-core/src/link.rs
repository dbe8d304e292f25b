//! Links: signed for what is on record, and granted one by one to whoever asks for one of its own.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::key::{ObjectKey, TargetName};
use crate::machine::Event;
use crate::parts::Target;
use crate::publisher::{Publisher, STEPS_MAX, Swap, overtaken};
use crate::record::{Phase, Published, Record};
use crate::request::Access;
use crate::signer::{Link, LinkRequest, SignedUrl};
use crate::time::{Timestamp, link_expiry, seconds_after};

impl Publisher {
    /// A fresh link to a published asset, for whoever asks now: it works for `valid_for`, counted in whole
    /// seconds, and is an entry of the audit trail. What [`publish`](Self::publish) answers stays as it is.
    /// Where links are not signed, it is the one that there is, which works for ever.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if nothing is published under the id, or for a validity below
    /// one second or above what the target's signer can sign; [`Archived`](crate::ErrorKind::Archived) or
    /// [`Retracted`](crate::ErrorKind::Retracted) if there are no links to it any more;
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if the object has gone; [`Unavailable`](crate::ErrorKind::Unavailable) while the trail cannot be delivered.
    /// A repeat leaves an entry of its own.
    pub async fn link(&self, audit_log_id: &AuditLogId, valid_for: Duration) -> Result<IssuedLink, Error> {
        self.issue(audit_log_id, valid_for).await.inspect_err(|error| self.alert(audit_log_id, error))
    }

    async fn issue(&self, audit_log_id: &AuditLogId, valid_for: Duration) -> Result<IssuedLink, Error> {
        let (record, asked) = self.grant(self.load_published(audit_log_id).await?, valid_for).await?;
        let published = Self::published(&record)?;
        let issued = match asked {
            Some(expires_at) => self.sign(&record, published, expires_at).await?.into(),
            None => self.the_link(&record, published).await?,
        };
        self.check_not_gone(&record).await.map(|()| issued)
    }

    /// Takes back all links to a published asset that were handed out so far, and leaves an entry in the audit
    /// trail. A link that is asked for afterwards works, and so does the next answer of
    /// [`publish`](Self::publish).
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where single links cannot be taken back: the message says
    /// what can be done; [`Invalid`](crate::ErrorKind::Invalid) if nothing is published under the id;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if they may still work, or if the trail cannot be
    /// delivered: repeat.
    pub async fn revoke_links(&self, audit_log_id: &AuditLogId) -> Result<(), Error> {
        let record = self.load_published(audit_log_id).await?;
        // First, so that the trail tells of nothing that has not happened.
        let known = self.revoke_all(&record, &BTreeSet::new()).await?;
        let record = self.tell(record, |_| Ok(Some(Event::LinksRevoked))).await?;
        // A copy may have been made at another place meanwhile.
        self.revoke_all(&record, &known).await.map(drop)
    }

    /// Has the links to all copies that there are or were end, but for those that are known to have ended: where one
    /// fails, the others end all the same.
    async fn revoke_all(
        &self,
        record: &Record,
        known: &BTreeSet<(TargetName, ObjectKey)>,
    ) -> Result<BTreeSet<(TargetName, ObjectKey)>, Error> {
        let places: BTreeSet<_> = record.linked_places().into_iter().collect();
        let mut revoked = Ok(());
        for (name, key) in places.difference(known) {
            let ended = match self.target_named(name).and_then(Target::signer) {
                Ok(signer) => signer.revoke(key).await,
                Err(error) => Err(error),
            };
            revoked = revoked.and(ended);
        }
        revoked.map(|()| places)
    }

    pub(crate) async fn load_published(&self, audit_log_id: &AuditLogId) -> Result<Record, Error> {
        let record = self.load(audit_log_id).await?;
        Self::published(&record).map(drop)?;
        Ok(record)
    }

    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) or [`Retracted`](crate::ErrorKind::Retracted) if it is not published.
    pub(crate) fn published(record: &Record) -> Result<&Published, Error> {
        match &record.phase {
            Phase::Published(published) => Ok(published),
            Phase::Retracted(retracted) => Err(retracted.error(record.id())),
            Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Replicating { .. } | Phase::Rejected { .. } => {
                let (id, state) = (record.id(), record.state().as_str());
                Err(Error::invalid("audit_log_id", format!("{id} is {state}, not published: publish it first")))
            }
        }
    }

    /// The link of everybody who repeats the request.
    pub(crate) async fn hand_out(&self, record: &Record, published: &Published) -> Result<IssuedLink, Error> {
        let issued = self.the_link(record, published).await?;
        self.check_not_gone(record).await.map(|()| issued)
    }

    /// After a link was made, or an object was not found: whoever takes a publication back, or frees its copies, does so
    /// on record first, and revokes links and removes objects then. So a link is either not handed out, or revoked.
    ///
    /// # Errors
    /// [`Retracted`](ErrorKind::Retracted) or [`Archived`](ErrorKind::Archived), if that has happened since.
    pub(crate) async fn check_not_gone(&self, record: &Record) -> Result<(), Error> {
        let row = self.parts().metadata.load(record.id()).await?;
        match row.as_ref().map(Record::decode).transpose()? {
            Some(Record { phase: Phase::Retracted(retracted), .. }) => Err(retracted.error(record.id())),
            Some(now) if !record.is_archived() => now.check_hot(),
            Some(_) => Ok(()),
            None => Err(Error::corrupt(format!("{} is on record no more", record.id()))),
        }
    }

    async fn the_link(&self, record: &Record, published: &Published) -> Result<IssuedLink, Error> {
        match record.details.access {
            access @ (Access::Public | Access::Authenticated) => {
                let (target, key) = self.healthy(record, published).await?;
                let base = target.base(access)?.ok_or_else(|| overtaken(record))?;
                Ok(IssuedLink { link: base.link(&key), expires_at: None, limited_by: None })
            }
            Access::Signed => {
                let granted = published.link_expires_at.ok_or_else(|| overtaken(record))?;
                self.sign(record, published, granted).await.map(IssuedLink::from)
            }
        }
    }

    fn check_validity(&self, record: &Record, valid_for: Duration) -> Result<Timestamp, Error> {
        let (now, hours_max) = (self.now(), self.target(&record.publication)?.signer()?.limits().valid_hours_max);
        seconds_after(now, valid_for.as_secs())
            .filter(|end| *end > now && link_expiry(now, hours_max).is_none_or(|last| *end <= last))
            .ok_or_else(|| {
                let message = format!("must be 1 second to {hours_max} hours, not {} seconds", valid_for.as_secs());
                Error::invalid("valid_for", message)
            })
    }

    /// Puts a link of its own on record, and says when it ends; `None` where links are not signed, which is
    /// judged by the record as it is when the link is granted.
    async fn grant(&self, record: Record, valid_for: Duration) -> Result<(Record, Option<Timestamp>), Error> {
        let mut asked = None;
        let record = self.tell(record, |record| {
            record.check_hot()?;
            if record.details.access != Access::Signed {
                asked = None;
                return Ok(None);
            }
            let expires_at = match asked {
                Some(expires_at) if expires_at <= self.now() => return Err(expired()),
                Some(expires_at) => expires_at,
                None => *asked.insert(self.check_validity(record, valid_for)?),
            };
            Ok(Some(Event::LinkAsked { expires_at }))
        });
        Ok((record.await?, asked))
    }

    /// Puts on record what `event` says of the record as it is until it says nothing, without waiting for the audit
    /// sink: for what must be in force even where that is out of reach. The trail is still to be delivered.
    pub(crate) async fn note(
        &self,
        mut record: Record,
        event: impl Fn(&Record) -> Option<Event>,
    ) -> Result<Record, Error> {
        for _ in 0..STEPS_MAX {
            record = match event(&record) {
                None => return Ok(record),
                Some(event) => match self.swap(&record, event).await? {
                    Swap::Done(next) => next,
                    Swap::Superseded(newer) => newer,
                },
            };
        }
        Err(overtaken(&record))
    }

    /// Puts on record what `event` says of the record as it is, if anything, and delivers the trail up to it: no
    /// link before its grant is told.
    pub(crate) async fn tell(
        &self,
        mut record: Record,
        mut event: impl FnMut(&Record) -> Result<Option<Event>, Error>,
    ) -> Result<Record, Error> {
        let mut told = None;
        for _ in 0..STEPS_MAX {
            if told.is_some_and(|sequence| record.trail.waiting.iter().all(|entry| entry.id.sequence > sequence)) {
                return Ok(record);
            }
            if !record.trail.waiting.is_empty() {
                let delivered = self.deliver(&record, &()).await?;
                record = self.advance(&record, delivered).await?;
                continue;
            }
            let Some(event) = event(&record)? else { return Ok(record) };
            let sequence = record.trail.next;
            record = match self.swap(&record, event).await? {
                Swap::Done(next) => {
                    told = Some(sequence);
                    next
                }
                Swap::Superseded(newer) => newer,
            };
        }
        Err(overtaken(&record))
    }

    /// A link that works until `granted`, or less if the signer cannot.
    async fn sign(&self, record: &Record, published: &Published, granted: Timestamp) -> Result<SignedUrl, Error> {
        let (target, key) = self.healthy(record, published).await?;
        let signer = target.signer()?;
        let now = self.now();
        if granted <= now {
            return Err(expired());
        }
        // Another host's clock, which granted it, may have been ahead of this one.
        let longest = link_expiry(now, signer.limits().valid_hours_max).unwrap_or(granted);
        let link = LinkRequest { key, expires_at: granted.min(longest) };
        let mut signed = signer.sign(&link, now).await?;
        self.alert_if_shortened(record, signed.limited_by.as_deref());
        if longest < granted {
            let reason = "the clock of the host that granted the link is ahead of this host's";
            signed.limited_by.get_or_insert_with(|| reason.to_owned());
        }
        Ok(signed)
    }

    /// The copy that a link is made to: the publication's own object, or else the first replica, that is there. What
    /// is not there is told to the operators, also where another one is.
    async fn healthy(&self, record: &Record, published: &Published) -> Result<(&Target, ObjectKey), Error> {
        record.check_hot()?;
        let missing = match self.check_stored(record, published).await {
            Ok(()) => return Ok((self.target(&record.publication)?, record.object_key())),
            Err(error) if error.kind() == ErrorKind::Retracted => return Err(error),
            Err(error) => error,
        };
        for (name, key) in record.proven_places().into_iter().skip(1) {
            // One that has no such links, or is not configured here, is no help; and the archive is for no links.
            let target = self.parts().targets.get(&name).filter(|target| target.base(record.details.access).is_ok());
            let target = target.filter(|_| record.archive_copy().is_none_or(|copy| copy.target != name));
            let Some(target) = target else { continue };
            match target.storage.stat(&key).await {
                Ok(Some(stat)) if stat.is_archived => {}
                Ok(Some(stat)) if stat.size == published.proof.digest.size => {
                    self.alert(record.id(), &missing);
                    return Ok((target, key));
                }
                Ok(_) => {
                    let error =
                        Error::corrupt(format!("{} is missing or of another size", target.storage.location(&key)));
                    self.alert_of_replica(record, &name, &error);
                }
                Err(error) => self.alert_of_replica(record, &name, &error),
            }
        }
        Err(missing)
    }

    pub(crate) async fn check_stored(&self, record: &Record, published: &Published) -> Result<(), Error> {
        let stat = self.target(&record.publication)?.storage.stat(&record.object_key()).await?;
        if stat.as_ref().is_some_and(|stat| stat.is_archived) {
            let message = "is in an archive class of its store and cannot be read: have it restored there, then repeat";
            return Err(Error::new(ErrorKind::Archived, format!("{} {message}", published.location)));
        }
        if stat.is_none_or(|stat| stat.size != published.proof.digest.size) {
            // It may have been taken back, or freed, and cleared away since the record was read.
            self.check_not_gone(record).await?;
            let message = "was published and is now missing or of another size: restore it, no link is given";
            return Err(Error::corrupt(format!("{} {message}", published.location)));
        }
        Ok(())
    }
}

/// A link that is handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedLink {
    /// The link itself.
    pub link: Link,
    /// When it really stops working; `None` if never.
    pub expires_at: Option<Timestamp>,
    /// Why that is earlier than asked for, if it is.
    pub limited_by: Option<String>,
}

impl From<SignedUrl> for IssuedLink {
    fn from(SignedUrl { link, expires_at, limited_by }: SignedUrl) -> Self {
        Self { link, expires_at: Some(expires_at), limited_by }
    }
}

fn expired() -> Error {
    Error::unavailable("the link expired while it was made: repeat the call for a new one")
}
