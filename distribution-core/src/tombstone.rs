//! Tombstones: what is about to be removed, said for ever, so that nobody begins to rely on it.
//!
//! Exclusion without a lock. Whoever wants to use a thing writes its claim, then looks for a tombstone, and takes
//! what has one for gone. Whoever wants to remove it writes the tombstone, then reads every claim. One of the two
//! always sees the other. A tombstone is never taken back: a reader may have acted on it.

use crate::error::Error;
use crate::identity::AuditLogId;
use crate::object::{Checksum, Location, SourcePin};
use crate::publisher::Publisher;
use crate::request::IdempotencyKey;

/// What may be buried: one state of one staged file, or the object at one place.
#[derive(Clone, Copy)]
pub(crate) enum Mortal<'a> {
    Staged(&'a SourcePin),
    Object(&'a Location),
}

impl Mortal<'_> {
    fn name(self) -> IdempotencyKey {
        let what = match self {
            Self::Staged(SourcePin { size, tag }) => format!("staged\n{size}\n{tag}"),
            Self::Object(location) => format!("object\n{location}"),
        };
        IdempotencyKey::reserved(&format!("buried/{}", Checksum::of(what.as_bytes()).hex()))
    }
}

impl Publisher {
    /// Buries it, for ever, on behalf of this publication.
    pub(crate) async fn bury(&self, what: Mortal<'_>, by: &AuditLogId) -> Result<(), Error> {
        self.parts().metadata.bind(&what.name(), by).await.map(drop)
    }

    pub(crate) async fn is_buried(&self, what: Mortal<'_>) -> Result<bool, Error> {
        Ok(self.parts().metadata.bound(&what.name()).await?.is_some())
    }
}
