//! Whether this host and a store agree on what time it is.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use crate::doctor::content;
use crate::error::Error;
use crate::key::{ObjectKey, TargetName};
use crate::object::Checksum;
use crate::publisher::Publisher;
use crate::storage::{CreateOutcome, Storage};
use crate::time::Timestamp;

/// How far the clocks may be apart.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(5);
/// For how long a comparison holds. A clock that jumps further is compared anew.
const HOLDS: TimeDelta = TimeDelta::minutes(10);

/// The comparisons with each target's clock.
#[derive(Default)]
pub(crate) struct StoreClocks(BTreeMap<TargetName, StoreClock>);

/// A comparison of two clocks.
#[derive(Clone, Copy)]
pub(crate) struct StoreClock {
    host: Timestamp,
    /// `None` where the store tells no times.
    store: Option<Timestamp>,
}

impl StoreClocks {
    /// The comparison with this target's clock, made now or a moment ago; and whether it was made now.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the store does not answer.
    pub(crate) async fn compare(
        &mut self,
        publisher: &Publisher,
        target: &TargetName,
        storage: &dyn Storage,
    ) -> Result<(StoreClock, bool), Error> {
        let now = publisher.now();
        if let Some(known) = self.0.get(target).filter(|known| (now - known.host).abs() <= HOLDS) {
            return Ok((*known, false));
        }
        let compared = StoreClock::read(publisher, target, storage).await?;
        self.0.insert(target.clone(), compared);
        Ok((compared, true))
    }
}

impl StoreClock {
    async fn read(publisher: &Publisher, target: &TargetName, storage: &dyn Storage) -> Result<Self, Error> {
        let host = publisher.now();
        // Two hosts may ask at one moment.
        let asker = Checksum::of(format!("{}\n{target}", publisher.parts().holder).as_bytes()).hex();
        let key = ObjectKey::parse(format!("distribution-sweep/{}-{asker:.16}", host.timestamp_micros()))?;
        let created = storage.create(&key, content(&b"what time is it?".as_slice().into())).await;
        let stat = match &created {
            Ok(CreateOutcome::Created { .. }) => storage.stat(&key).await,
            Ok(_) => Err(Error::unavailable(format!("target `{target}` does not tell its time: repeat"))),
            Err(error) => Err(error.clone()),
        };
        // Whatever it came to: what may have been stored is taken back.
        storage.remove(&key).await?;
        let gone = || Error::unavailable(format!("target `{target}` has lost what was just stored: repeat"));
        Ok(Self { host, store: stat?.ok_or_else(gone)?.modified })
    }

    /// How long it is since `at`, by the store's clock, at least.
    pub(crate) fn since(self, at: Option<Timestamp>) -> Option<TimeDelta> {
        Some(self.store?.signed_duration_since(at?))
    }

    /// The store's time, at the comparison.
    pub(crate) fn store(self) -> Option<Timestamp> {
        self.store
    }

    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the clocks are too far apart.
    pub(crate) fn agreed(self, target: &TargetName) -> Result<(), Error> {
        let Some(ahead) = self.store.map(|store| store.signed_duration_since(self.host)) else { return Ok(()) };
        if ahead.abs() <= SKEW_MAX {
            return Ok(());
        }
        let (minutes, side) = (ahead.num_minutes().abs(), if ahead > TimeDelta::zero() { "ahead" } else { "behind" });
        let message = format!("the clock of target `{target}` is {minutes} minutes {side} of this host's");
        Err(Error::unavailable(format!("{message}: nothing is swept until both are right")))
    }
}
