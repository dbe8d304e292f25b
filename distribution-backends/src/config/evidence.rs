//! What vouches for the audit trail: a key that signs it, and a second place for its checkpoints.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use distribution_core::{AuditSink, Error};

use super::audit::{AuditTrail, Store};
use super::document::Places;
use super::file::Audit;
use super::place::{Place, path};
use crate::Seal;

/// The audit trail as it will be opened.
pub(super) struct Trail {
    pub(super) store: Store,
    /// With the chain's name, and not yet with its key.
    pub(super) seal: Seal,
    #[cfg_attr(not(feature = "evidence"), expect(dead_code, reason = "what is there is refused before"))]
    signing_key: Option<PathBuf>,
    pub(super) checkpoints: Option<Place>,
}

/// # Errors
/// `Invalid` or `Unsupported`, naming the key.
pub(super) fn check(audit: &Audit, records: &str, base: &Path, places: &Places) -> Result<Trail, Error> {
    let given = [("signing_key", audit.signing_key.is_some()), ("checkpoints", audit.checkpoints.is_some())];
    if let Some((key, _)) = given.iter().find(|(_, is_given)| *is_given)
        && cfg!(not(feature = "evidence"))
    {
        return Err(places.locate(&format!("audit.{key}"), super::bucket::lacks("evidence")));
    }
    if audit.checkpoints.is_some() && audit.signing_key.is_none() {
        return Err(places.invalid("audit.checkpoints", "needs a `signing_key`: unsigned, they would prove nothing"));
    }
    let located = |key: &str, error| places.locate(&format!("audit.{key}"), error);
    let checkpoints = audit.checkpoints.as_ref().map(|place| Place::parse(place, base)).transpose();
    let signing_key = audit.signing_key.as_ref().map(|key| path(key, base)).transpose();
    let seal = audit.source.as_ref().map_or_else(|| Ok(Seal::default()), Seal::new);
    Ok(Trail {
        store: Store::check(audit, records, base, places)?,
        seal: seal.map_err(|error| located("source", error))?,
        signing_key: signing_key.map_err(|error| located("signing_key", error))?,
        checkpoints: checkpoints.map_err(|error| located("checkpoints", error))?,
    })
}

/// The open sink.
pub(super) struct Sealed {
    pub(super) audit: Arc<dyn AuditSink>,
    /// What signs it.
    #[cfg(feature = "evidence")]
    pub(super) key: Option<crate::EvidenceKey>,
    /// The same sink, if its end is noted.
    #[cfg(feature = "evidence")]
    pub(super) checkpointed: Option<Arc<crate::Checkpointed>>,
}

#[cfg(not(feature = "evidence"))]
impl Trail {
    pub(super) async fn open(&self, trail: &AuditTrail, places: &Places) -> Result<Sealed, Error> {
        Ok(Sealed { audit: trail.sink(self.seal.clone(), places).await? })
    }
}

#[cfg(feature = "evidence")]
mod with_evidence {
    use distribution_core::StoragePrefix;

    use super::{Arc, AuditTrail, Error, Places, Sealed, Trail};
    use crate::blocking::blocking;
    use crate::config::open::storage;
    use crate::{Checkpointed, EvidenceKey, SystemClock};

    impl Trail {
        pub(in super::super) async fn open(&self, trail: &AuditTrail, places: &Places) -> Result<Sealed, Error> {
            let located = |key: &str, error| places.locate(&format!("audit.{key}"), error);
            let key = match self.signing_key.clone() {
                None => None,
                Some(path) => {
                    let key = blocking(move |_| EvidenceKey::load_or_create(path)).await;
                    Some(key.map_err(|error| located("signing_key", error))?)
                }
            };
            let seal = key.iter().fold(self.seal.clone(), |seal, key| seal.signed_by(key.clone()));
            let audit = trail.sink(seal, places).await?;
            let (Some(place), Some(signer)) = (&self.checkpoints, &key) else {
                return Ok(Sealed { audit, key, checkpointed: None });
            };
            let storage = storage(place.clone(), false).await.map_err(|error| located("checkpoints", error))?;
            let (prefix, clock) = (StoragePrefix::default(), Arc::new(SystemClock));
            let audit = Arc::new(Checkpointed::new(audit, storage, prefix, signer.clone(), clock));
            Ok(Sealed { audit: audit.clone(), key, checkpointed: Some(audit) })
        }
    }
}
