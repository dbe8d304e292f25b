//! The archive: a copy on a target that is kept for later, and, if that is asked for, no other any more.

mod due;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::AssetRecord;
use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::machine::Event;
use crate::metadata::State;
use crate::publisher::{Call, Publisher};
use crate::record::{HotCopies, Record};
use crate::replicas::{Replica, Role};

pub use self::due::{ArchivePass, ArchivePolicy};

/// Where the copies of what is published are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Where links lead; perhaps in the archive, too.
    Hot,
    /// Hot, while a copy for the archive is made.
    Archiving,
    /// In the archive only: there are no links.
    Archived,
    /// In the archive only, while a copy for links is made.
    Restoring,
}

impl Tier {
    /// The name on the wire, such as `hot`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hot => "hot",
            Self::Archiving => "archiving",
            Self::Archived => "archived",
            Self::Restoring => "restoring",
        }
    }
}

/// What becomes of the other copies once that in the archive is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveMode {
    /// They stay, and links work as before.
    KeepHot,
    /// They are freed: there are no new links until it is [restored](Publisher::restore), those that are out work
    /// until they end, and then [`tidy`](Publisher::tidy) removes the objects.
    FreeHot,
}

impl Record {
    /// Where its copies are.
    pub fn tier(&self) -> Tier {
        let lacks_archived = self.archive_copy().is_some_and(|copy| copy.proven.is_none());
        match self.hot {
            HotCopies::Freed { .. } if self.restoring.is_some() => Tier::Restoring,
            HotCopies::Freed { .. } => Tier::Archived,
            HotCopies::ToFree => Tier::Archiving,
            HotCopies::Kept if lacks_archived => Tier::Archiving,
            HotCopies::Kept => Tier::Hot,
        }
    }

    /// Whether it is in the archive only.
    pub fn is_archived(&self) -> bool {
        matches!(self.hot, HotCopies::Freed { .. })
    }

    /// Whether it was published at another place once: its copies were freed, or its object was copied anew. What is
    /// there still is let go with an entry, and not if it is held.
    pub(crate) fn was_elsewhere(&self) -> bool {
        let is_restored = self.published().is_some_and(|published| published.restored_at.is_some());
        self.spared_until.is_some() || is_restored
    }

    /// Whether the copy in the archive is proven.
    pub(crate) fn has_archived_copy(&self) -> bool {
        self.archive_copy().is_some_and(|copy| copy.proven.is_some())
    }

    /// The copy in the archive, if one is wanted.
    pub fn archive_copy(&self) -> Option<&Replica> {
        self.replicas.wanted.iter().find(|copy| copy.role == Role::Archive)
    }

    /// Whether it is copied to the archive, and freed where that is wanted, and the trail is delivered.
    fn is_moved(&self, frees: bool) -> bool {
        self.has_archived_copy() && self.is_told() && (self.is_archived() || !frees)
    }

    /// Whether copies of this role are to stay.
    pub(crate) fn keeps(&self, role: Role) -> bool {
        role == Role::Archive || self.hot == HotCopies::Kept
    }

    /// # Errors
    /// [`Archived`](ErrorKind::Archived) if there are no links, because it is in the archive only.
    pub(crate) fn check_hot(&self) -> Result<(), Error> {
        match self.hot {
            HotCopies::Freed { at } => {
                let message = format!("{} is in the archive since {at}: restore it, then repeat", self.id());
                Err(Error::new(ErrorKind::Archived, message))
            }
            HotCopies::Kept | HotCopies::ToFree => Ok(()),
        }
    }
}

impl Publisher {
    /// Copies what is published to the [archive](crate::Builder::archive) of its target, and proves the copy there; what
    /// becomes of the other copies then, `mode` says. What is held is copied, and none of it freed. A repeat finishes
    /// what was begun, and so does [`recover`](Self::recover).
    ///
    /// ```
    /// use distribution_core::{ArchiveMode, ErrorKind, TargetName, Tier};
    /// use distribution_testkit::{World, request};
    /// # futures::executor::block_on(async {
    /// # let world = World::new();
    /// # world.stage("clip.mp4", "bytes");
    /// let cold = TargetName::parse("cold")?;
    /// let parts = world.parts(&cold); // a bucket with the class STANDARD_IA, say
    /// let builder = world.builder("host-1").target(cold.clone(), parts.storage, parts.signer);
    /// let publisher = builder.archive(TargetName::default(), cold).build()?;
    /// let id = publisher.publish(request("clip.mp4", b"bytes")).await?.audit_log_id;
    ///
    /// let archived = publisher.archive(&id, ArchiveMode::FreeHot).await?;
    /// assert_eq!(archived.published.unwrap().tier, Tier::Archived);
    /// let no_link = publisher.publish(request("clip.mp4", b"bytes")).await.unwrap_err();
    /// assert_eq!(no_link.kind(), ErrorKind::Archived); // "… restore it, then repeat"
    ///
    /// publisher.restore(&id).await?;
    /// publisher.publish(request("clip.mp4", b"bytes")).await?;
    /// # Ok::<(), distribution_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) if its target has no archive; [`Conflict`](ErrorKind::Conflict) if it is
    /// to be freed and is held, or its links are not signed and so never end, or if it has a copy in another archive;
    /// [`Invalid`](ErrorKind::Invalid) or [`Retracted`](ErrorKind::Retracted) if nothing is published under the id;
    /// [`Corrupt`](ErrorKind::Corrupt) if no copy has the approved bytes; [`Unavailable`](ErrorKind::Unavailable) if the
    /// copy could not be made or the trail not be delivered: repeat.
    pub async fn archive(&self, audit_log_id: &AuditLogId, mode: ArchiveMode) -> Result<AssetRecord, Error> {
        self.move_out(audit_log_id, mode).await.inspect_err(|error| self.alert(audit_log_id, error))
    }

    async fn move_out(&self, audit_log_id: &AuditLogId, mode: ArchiveMode) -> Result<AssetRecord, Error> {
        let record = self.load_published(audit_log_id).await?;
        let target = &record.publication.target;
        let Some(archive) = self.target(&record.publication)?.archive.clone() else {
            let message = format!("`{target}` has no archive: configure a target as its archive");
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let known = record.replicas.wanted.iter().find(|copy| copy.target == archive || copy.role == Role::Archive);
        if let Some(known) = known.filter(|known| known.role != Role::Archive || known.target != archive) {
            let message =
                format!("{audit_log_id} has another copy on `{}`: its archive cannot be `{archive}`", known.target);
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        let frees = mode == ArchiveMode::FreeHot;
        if frees && !record.is_archived() {
            if self.is_held(&record).await? {
                let message = format!("{audit_log_id} is held: release it, or archive it and keep the hot copies");
                return Err(Error::new(ErrorKind::Conflict, message));
            }
            if !record.has_ending_links() {
                let message = format!("links to {audit_log_id} never end: archive it and keep the hot copies");
                return Err(Error::new(ErrorKind::Conflict, message));
            }
        }
        // What an earlier call has begun is not what this one asks for.
        let record = self.note(record, |record| (!frees && record.hot == HotCopies::ToFree).then_some(Event::HotKept));
        let record = record.await?;
        let wanted = Event::ArchiveWanted { target: archive.clone(), frees };
        let record = self.note(record, |record| {
            (record.state() == State::Published && record.may_want(&archive, frees)).then(|| wanted.clone())
        });
        let record = record.await?;
        let call = Call::of(&record, true);
        let record = match self.drive(record, &call).await {
            Ok(record) => record,
            // What is missing elsewhere is told to the operators, and recovery makes it.
            Err(error) => Some(self.load(audit_log_id).await?).filter(|record| record.is_moved(frees)).ok_or(error)?,
        };
        Self::published(&record)?;
        if frees && !record.is_archived() {
            let message =
                format!("{audit_log_id} stays hot: a hold was placed or it was restored meanwhile; see which");
            return Err(Error::new(ErrorKind::Conflict, message));
        }
        Ok(AssetRecord::from(&record))
    }

    /// Copies what is in the archive only back to its target, and proves the copy there: from then on there are links
    /// again. The copy in the archive stays, and other [replicas](crate::Builder::replicate) are made again by
    /// [`recover`](Self::recover). What is being archived stays hot; of what is hot and cannot be read where it is,
    /// another copy is made from whichever can. A repeat, and nothing else, finishes what was begun.
    ///
    /// # Errors
    /// [`Archived`](ErrorKind::Archived) if the archive's store must restore its object first: the message says how;
    /// [`Corrupt`](ErrorKind::Corrupt) if no copy has the approved bytes; [`Invalid`](ErrorKind::Invalid) or
    /// [`Retracted`](ErrorKind::Retracted) if nothing is published under the id; [`Unsupported`](ErrorKind::Unsupported)
    /// if a target is not configured here; [`Unavailable`](ErrorKind::Unavailable) if the copy could not be made or the
    /// trail not be delivered: repeat.
    pub async fn restore(&self, audit_log_id: &AuditLogId) -> Result<AssetRecord, Error> {
        self.move_back(audit_log_id).await.inspect_err(|error| self.alert(audit_log_id, error))
    }

    async fn move_back(&self, audit_log_id: &AuditLogId) -> Result<AssetRecord, Error> {
        let record = self.load_published(audit_log_id).await?;
        let mut record =
            self.note(record, |record| (record.hot == HotCopies::ToFree).then_some(Event::HotKept)).await?;
        if record.is_archived() {
            record = self.copy_anew(record).await?;
        } else if let Err(error) = self.check_stored(&record, Self::published(&record)?).await {
            // It is lost, or its store has moved it away: another copy may be at hand.
            if !matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Archived) {
                return Err(error);
            }
            let copied = self.copy_anew(record).await;
            record = copied.map_err(|failed| if failed.kind() == ErrorKind::Corrupt { error } else { failed })?;
        }
        let call = Call::of(&record, false);
        let record = self.drive(record, &call).await?;
        Self::published(&record)?;
        record.check_hot()?;
        Ok(AssetRecord::from(&record))
    }

    /// Whether the hot copies are freed, now that the copy in the archive is proven.
    pub(crate) async fn free(&self, record: &Record) -> Result<Event, Error> {
        let may = record.may_free() && !self.is_held(record).await?;
        Ok(if may { Event::HotFreed } else { Event::HotKept })
    }
}
