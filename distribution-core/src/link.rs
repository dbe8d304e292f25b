//! Links: signed for what is on record, and granted one by one to whoever asks for one of its own.

use std::time::Duration;

use crate::error::Error;
use crate::identity::AuditLogId;
use crate::machine::Event;
use crate::parts::Target;
use crate::publisher::{Publisher, STEPS_MAX, Swap, overtaken};
use crate::record::{Phase, Published, Record};
use crate::signer::{LinkRequest, SignedUrl};
use crate::time::{Timestamp, link_expiry, seconds_after};

impl Publisher {
    /// A fresh link to a published asset, for whoever asks now: it works for `valid_for`, counted in whole
    /// seconds, and is an entry of the audit trail. What [`publish`](Self::publish) answers stays as it is.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if nothing is published under the id, or for a validity below
    /// one second or above what the target's signer can sign; [`Corrupt`](crate::ErrorKind::Corrupt) if the
    /// object has gone; [`Unavailable`](crate::ErrorKind::Unavailable) while the trail cannot be delivered.
    /// A repeat leaves an entry of its own.
    pub async fn link(&self, audit_log_id: &AuditLogId, valid_for: Duration) -> Result<SignedUrl, Error> {
        let Some(row) = self.parts().metadata.load(audit_log_id).await? else {
            return Err(Error::invalid("audit_log_id", format!("{audit_log_id} is not on record: look for its name")));
        };
        let record = Record::decode(&row)?;
        let Phase::Published(published) = &record.phase else {
            let message = format!("{audit_log_id} is {}, not published: publish it first", record.state().as_str());
            return Err(Error::invalid("audit_log_id", message));
        };
        let published = published.clone();
        let expires_at = self.check_validity(&record, valid_for)?;
        let record = self.issue(record, expires_at).await?;
        self.sign(&record, &published, expires_at).await
    }

    fn check_validity(&self, record: &Record, valid_for: Duration) -> Result<Timestamp, Error> {
        let (now, hours_max) = (self.now(), self.target(record)?.signer.limits().valid_hours_max);
        seconds_after(now, valid_for.as_secs())
            .filter(|end| *end > now && link_expiry(now, hours_max).is_none_or(|last| *end <= last))
            .ok_or_else(|| {
                let message = format!("must be 1 second to {hours_max} hours, not {} seconds", valid_for.as_secs());
                Error::invalid("valid_for", message)
            })
    }

    /// Puts the link on record and delivers the trail up to it.
    async fn issue(&self, mut record: Record, expires_at: Timestamp) -> Result<Record, Error> {
        let mut issued = None;
        for _ in 0..STEPS_MAX {
            if issued.is_some_and(|sequence| record.trail.waiting.iter().all(|entry| entry.id.sequence > sequence)) {
                return Ok(record);
            }
            if !record.trail.waiting.is_empty() {
                let delivered = self.deliver(&record, &()).await?;
                record = self.advance(&record, delivered).await?;
                continue;
            }
            if expires_at <= self.now() {
                return Err(expired());
            }
            let sequence = record.trail.next;
            record = match self.swap(&record, Event::LinkAsked { expires_at }).await? {
                Swap::Done(next) => {
                    issued = Some(sequence);
                    next
                }
                Swap::Superseded(newer) => newer,
            };
        }
        Err(overtaken(&record))
    }

    /// A link that works until `granted`, or less if the signer cannot.
    pub(crate) async fn sign(
        &self,
        record: &Record,
        published: &Published,
        granted: Timestamp,
    ) -> Result<SignedUrl, Error> {
        let Target { storage, signer } = self.target(record)?;
        let stat = storage.stat(&record.object_key()).await?;
        if stat.is_none_or(|stat| stat.size != published.proof.digest.size) {
            let message = "was published and is now missing or of another size: restore it, no link is given";
            return Err(Error::corrupt(format!("{} {message}", published.location)));
        }
        let now = self.now();
        if granted <= now {
            return Err(expired());
        }
        // Another host's clock, which granted it, may have been ahead of this one.
        let longest = link_expiry(now, signer.limits().valid_hours_max).unwrap_or(granted);
        let link = LinkRequest { key: record.object_key(), expires_at: granted.min(longest) };
        let mut signed = signer.sign(&link, now).await?;
        if longest < granted {
            let reason = "the clock of the host that granted the link is ahead of this host's";
            signed.limited_by.get_or_insert_with(|| reason.to_owned());
        }
        Ok(signed)
    }
}

fn expired() -> Error {
    Error::unavailable("the link expired while it was made: repeat the call for a new one")
}
