//! The removal of one left-over.

use super::{Found, Spared, Tidy, What};
use crate::error::Error;
use crate::machine::Event;
use crate::progress::Meter;
use crate::record::{Phase, Record};
use crate::sweep::held;

impl Tidy {
    /// Removes it, unless somebody has placed a hold meanwhile.
    pub(super) async fn remove(&self, found: &Found) -> Result<Option<Spared>, Error> {
        let storage = &self.target(&found.target)?.storage;
        match &found.what {
            What::Attempt { key, owners, .. } => {
                let released = Event::CopyReleased { location: storage.location(key) };
                for owner in owners {
                    let record = self.publisher.load(owner).await?;
                    // What is freed may be the last good copy.
                    if let Some(spared) = self.unproven(&record).await? {
                        return Ok(Some(spared));
                    }
                    let mut is_held = self.publisher.is_held(&record).await?;
                    if !is_held {
                        // On record only as long as it is not held.
                        let told = self.publisher.tell(record, |record| {
                            is_held = record.hold.is_some();
                            let location = storage.location(key);
                            match is_held {
                                true => Err(held()),
                                // It may have been restored meanwhile, to another key.
                                false => Ok(record.may_release(&location).then(|| released.clone())),
                            }
                        });
                        told.await.map(drop).or_else(|error| if is_held { Ok(()) } else { Err(error) })?;
                    }
                    if is_held {
                        return Ok(Some(Spared::Held { by: owner.clone() }));
                    }
                }
                storage.remove(key).await?;
            }
            What::Trial(key) => storage.remove(key).await?,
            What::Unfinished(unfinished) => storage.discard(unfinished).await?,
        }
        Ok(None)
    }

    /// Why the freed copies of a publication in the archive stay: that in the archive does not prove to be sound.
    async fn unproven(&self, record: &Record) -> Result<Option<Spared>, Error> {
        if !record.is_archived() || !matches!(record.phase, Phase::Published(_)) {
            return Ok(None);
        }
        let approved = record.published().map(|published| published.proof.digest);
        for (target, key) in record.proven_places() {
            let read = self.target(&target)?.storage.digest(&key, &Meter::default()).await?;
            if read.is_some() && read == approved {
                return Ok(None);
            }
        }
        let message =
            "its copy in the archive is missing or has other bytes: scrub it, the freed ones are kept for that";
        self.publisher.alert(record.id(), &Error::corrupt(format!("{}: {message}", record.id())));
        Ok(Some(Spared::Unproven { by: record.id().clone() }))
    }
}
