//! The removal of one left-over.

use super::{Found, Spared, Tidy, What};
use crate::error::Error;
use crate::identity::AuditLogId;
use crate::machine::Event;
use crate::object::LegalHold;
use crate::progress::Meter;
use crate::record::{Phase, Record};
use crate::sweep::held;
use crate::time::Timestamp;

/// For how many seconds what was read is taken for sound. Whoever asks for the next left-over sets the pace.
const SOUND_SECS: i64 = 60;

impl Tidy {
    /// Removes it, unless somebody has placed a hold meanwhile.
    pub(super) async fn remove(&mut self, found: &Found) -> Result<Option<Spared>, Error> {
        let storage = self.target(&found.target)?.storage.clone();
        match &found.what {
            What::Attempt { key, owners, .. } => {
                if storage.stat(key).await?.is_some_and(|stat| stat.legal_hold == LegalHold::On) {
                    return Ok(Some(Spared::Locked));
                }
                let released = Event::CopyReleased { location: storage.location(key) };
                for owner in owners {
                    let record = self.publisher.load(owner).await?;
                    // What is freed may be the last good copy.
                    if let Some(spared) = self.unproven(&record).await? {
                        return Ok(Some(spared));
                    }
                    if self.publisher.is_held(&record).await? {
                        return Ok(Some(Spared::Held { by: owner.clone() }));
                    }
                    // On record only as long as it is not held, and not the last good copy.
                    let mut spared = None;
                    let told = self.publisher.tell(record, |record| {
                        spared = match record.may_release(&storage.location(key)) {
                            true => return Ok(Some(released.clone())),
                            false if record.hold.is_some() => Some(Spared::Held { by: owner.clone() }),
                            false => Some(Spared::Unproven { by: owner.clone() }),
                        };
                        Err(held())
                    });
                    let told = told.await;
                    if spared.is_some() {
                        return Ok(spared);
                    }
                    told?;
                }
                storage.remove(key).await?;
            }
            What::Trial(key) => storage.remove(key).await?,
            What::Unfinished(unfinished) => storage.discard(unfinished).await?,
        }
        Ok(None)
    }

    /// Why the freed copies of a publication in the archive stay: that in the archive does not prove to be sound.
    async fn unproven(&mut self, record: &Record) -> Result<Option<Spared>, Error> {
        let is_asked = record.is_archived() && matches!(record.phase, Phase::Published(_));
        let now = self.publisher.now();
        let was_just_read = |(id, at): &(AuditLogId, Timestamp)| {
            id == record.id() && (0..SOUND_SECS).contains(&now.signed_duration_since(*at).num_seconds())
        };
        if !is_asked || self.sound.as_ref().is_some_and(was_just_read) {
            return Ok(None);
        }
        let approved = record.published().map(|published| published.proof.digest);
        for (target, key) in record.proven_places() {
            let read = self.target(&target)?.storage.digest(&key, &Meter::default()).await?;
            if read.is_some() && read == approved {
                self.sound = Some((record.id().clone(), self.publisher.now()));
                return Ok(None);
            }
        }
        let message =
            "its copy in the archive is missing or has other bytes: scrub it, the freed ones are kept for that";
        self.publisher.alert(record.id(), &Error::corrupt(format!("{}: {message}", record.id())));
        Ok(Some(Spared::Unproven { by: record.id().clone() }))
    }
}
