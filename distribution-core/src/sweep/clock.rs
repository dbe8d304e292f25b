//! Whether this host and a store agree on what time it is.

use chrono::TimeDelta;

use super::Sweeper;
use crate::doctor::content;
use crate::error::Error;
use crate::key::{ObjectKey, TargetName};
use crate::object::Checksum;
use crate::record::Record;
use crate::storage::CreateOutcome;
use crate::time::Timestamp;

/// How far the clocks may be apart.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);
/// For how long a comparison holds. A clock that jumps further is compared anew.
const HOLDS: TimeDelta = TimeDelta::minutes(10);

/// A comparison of two clocks.
#[derive(Clone, Copy)]
pub(super) struct StoreClock {
    host: Timestamp,
    /// `None` where the store tells no times.
    store: Option<Timestamp>,
}

impl StoreClock {
    /// How long it is since `at`, by the store's clock, at least.
    pub(super) fn since(self, at: Option<Timestamp>) -> Option<TimeDelta> {
        Some(self.store?.signed_duration_since(at?))
    }

    fn agreed(self, target: &TargetName) -> Result<(), Error> {
        let Some(ahead) = self.store.map(|store| store.signed_duration_since(self.host)) else { return Ok(()) };
        if ahead.abs() <= SKEW_MAX {
            return Ok(());
        }
        let (minutes, side) = (ahead.num_minutes().abs(), if ahead > TimeDelta::zero() { "ahead" } else { "behind" });
        let message = format!("the clock of target `{target}` is {minutes} minutes {side} of this host's");
        Err(Error::unavailable(format!("{message}: nothing is swept until both are right")))
    }
}

impl Sweeper {
    /// The comparison with the clock of this publication's target, made now or a moment ago.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the clocks are too far apart.
    pub(super) async fn clock(&mut self, record: &Record) -> Result<StoreClock, Error> {
        let (now, target) = (self.publisher.now(), &record.publication.target);
        if let Some(known) = self.clocks.get(target).filter(|known| (now - known.host).abs() <= HOLDS) {
            return known.agreed(target).map(|()| *known);
        }
        let compared = self.compare(record).await?;
        self.clocks.insert(target.clone(), compared);
        compared.agreed(target).map(|()| compared).inspect_err(|error| self.publisher.alert(record.id(), error))
    }

    async fn compare(&self, record: &Record) -> Result<StoreClock, Error> {
        let (target, storage) = (&record.publication.target, &self.publisher.target(&record.publication)?.storage);
        let host = self.publisher.now();
        // Two hosts may ask at one moment.
        let asker = Checksum::of(format!("{}\n{target}", self.publisher.parts().holder).as_bytes()).hex();
        let key = ObjectKey::parse(format!("distribution-sweep/{}-{asker:.16}", host.timestamp_micros()))?;
        let created = storage.create(&key, content(&b"what time is it?".as_slice().into())).await;
        let stat = match &created {
            Ok(CreateOutcome::Created { .. }) => storage.stat(&key).await,
            Ok(_) => Err(Error::unavailable(format!("target `{target}` does not tell its time: repeat"))),
            Err(error) => Err(error.clone()),
        };
        // Whatever it came to, and however: what may have been stored is taken back.
        storage.remove(&key).await?;
        Ok(StoreClock { host, store: stat?.and_then(|stat| stat.modified) })
    }
}
