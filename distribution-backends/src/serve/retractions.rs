//! Who can tell that an object was taken back.

use distribution_core::{ObjectKey, Publisher, TargetName};

use super::file::Refusal;

/// What a publisher has on record of the objects of one of its targets.
pub(super) struct Retractions {
    pub(super) publisher: Publisher,
    pub(super) target: TargetName,
    /// Whether only of links that do not work any more: taking back has revoked them.
    pub(super) of_dead_links: bool,
}

impl Retractions {
    /// # Errors
    /// [`Refusal::Retracted`] if the publication of this object was taken back, and no other has it.
    pub(super) async fn check(&self, key: &ObjectKey) -> Result<(), Refusal> {
        match self.publisher.retracted_at(&self.target, key).await {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(Refusal::Retracted),
            Err(error) => {
                tracing::warn!(%key, %error, "whether an object was taken back is not known");
                Err(Refusal::Failed(error))
            }
        }
    }
}
