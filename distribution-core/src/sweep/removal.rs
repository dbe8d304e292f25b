//! The removal of one staged file.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{Kept, Sweeper, User, Verdict, may_remove};
use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::machine::Event;
use crate::metadata::Query;
use crate::object::{Checksum, SourcePin};
use crate::progress::Meter;
use crate::record::Record;
use crate::request::VideoUrl;
use crate::staging::{Removal, StagedFile};
use crate::tombstone::Mortal;

/// Of more publications of the same bytes than these, none is looked at.
const USERS_MAX: usize = 1_000;

type Users = BTreeMap<AuditLogId, Record>;

impl Sweeper {
    /// Removes the file if every copy of its bytes proves to be sound; `by` is a publication of it.
    pub(super) async fn clear(&mut self, file: &StagedFile, by: &AuditLogId) -> Result<Verdict, Error> {
        let Some(row) = self.publisher.parts().metadata.load(by).await? else {
            return Err(Error::unavailable(format!("{by} is on record no more: repeat")));
        };
        let record = Record::decode(&row)?;
        let users = self.users(record.publication.checksum).await?;
        if let Err(kept) = self.prove(file, &users).await? {
            return Ok(Verdict::Keep(kept));
        }

        // From here on nobody begins to use it; whoever had begun is on record.
        self.publisher.bury(Mortal::Staged(&file.pin), by).await?;
        let again = self.users(record.publication.checksum).await?;
        if let Some(id) = again.iter().find(|(id, record)| users.get(id) != Some(record)).map(|(id, _)| id) {
            return Ok(Verdict::Keep(Kept::InUse { audit_log_id: id.clone() }));
        }
        for record in again.values() {
            // Whoever has placed a hold by now is heard.
            if self.publisher.is_held(record).await? {
                return Ok(Verdict::Keep(Kept::Held { audit_log_id: record.id().clone() }));
            }
        }
        let released = Event::StagedFileReleased { url: file.url.clone() };
        let told = self.publisher.tell(record, |record| match record.hold {
            None => Ok(Some(released.clone())),
            Some(_) => Err(held()),
        });
        told.await?;
        Ok(match self.staging.remove(file).await? {
            Removal::Removed | Removal::Gone => Verdict::Removed { audit_log_id: by.clone() },
            Removal::Changed => Verdict::Keep(Kept::Changed),
        })
    }

    /// Every publication of these bytes, wherever they were staged.
    async fn users(&self, checksum: Checksum) -> Result<Users, Error> {
        let query = Query { checksum: Some(checksum), ..Query::default() };
        let found = self.publisher.parts().metadata.find(&query, None, USERS_MAX).await?;
        if found.len() >= USERS_MAX {
            return Err(Error::unavailable(format!("{USERS_MAX} publications or more have these bytes: too many")));
        }
        if let Some((_, error)) = found.damaged.into_iter().next() {
            return Err(error);
        }
        found.rows.iter().map(|row| Record::decode(row).map(|record| (row.id.clone(), record))).collect()
    }

    async fn prove(&mut self, file: &StagedFile, users: &Users) -> Result<Result<(), Kept>, Error> {
        let retention = self.policy.retention;
        // As if every copy were sound: most files that are kept are kept for what is on record.
        let believed: Vec<_> = users.values().map(User::believed).collect();
        if let Err(kept) = may_remove(&believed, self.publisher.now(), retention) {
            return Ok(Err(kept));
        }
        if users.values().any(|record| self.is_copy(file, record)) {
            let message = "it is a published object itself: keep staged files and targets apart".to_owned();
            return Ok(Err(Kept::Unknown { message }));
        }
        let digest = match users.values().any(|record| published_pin(record) == Some(&file.pin)) {
            true => None,
            // It was touched since, or nobody knows from which state it was published: its bytes tell.
            false => self.staging.digest(file).await?,
        };
        let mut proven = Vec::new();
        for record in users.values() {
            let is_this_state = match digest {
                Some(digest) => digest.checksum == record.publication.checksum,
                None => published_pin(record) == Some(&file.pin),
            };
            proven.push(self.examine(record, is_this_state).await?);
        }
        let judged = may_remove(&proven, self.publisher.now(), retention);
        if let Err(Kept::Unproven { audit_log_id }) = &judged {
            let message = format!("its copy is missing or has other bytes: restore it, {} is kept for that", file.url);
            self.publisher.alert(audit_log_id, &Error::corrupt(message));
        }
        Ok(judged)
    }

    /// Whether the file is what was published, and no other: its target is within the staging area.
    fn is_copy(&self, file: &StagedFile, record: &Record) -> bool {
        record.proven_locations().into_iter().any(|location| {
            let url = VideoUrl::parse(location.as_str()).ok();
            url.and_then(|url| self.staging.resolve(&url)).is_some_and(|url| url == file.url)
        })
    }

    /// Looks at the copy of a publication, and reads it.
    async fn examine<'a>(&mut self, record: &'a Record, is_this_state: bool) -> Result<User<'a>, Error> {
        let mut places = record.proven_places().into_iter();
        let Some((target, key)) = &places.next() else {
            // That in the archive is lost.
            return Ok(User { found: None, ..User::believed(record) });
        };
        let storage = &self.publisher.target_named(target)?.storage.clone();
        let (clock, is_new) = self.clocks.compare(&self.publisher, target, &**storage).await?;
        clock.agreed(target).inspect_err(|error| {
            if is_new {
                self.publisher.alert_of_target(record, error);
            }
        })?;
        let is_held = self.publisher.is_held(record).await?;
        let stored_for = storage.stat(key).await?.and_then(|stat| clock.since(stat.modified));
        let found = storage.digest(key, &Meter::default()).await?;
        let approved = record.published().map(|published| published.proof.digest);
        let mut replicas = 0;
        for (target, key) in places {
            if replicas + 1 < record.quorum() {
                // One that is out of reach does not count; others may do.
                let read = self.publisher.target_named(&target)?.storage.digest(&key, &Meter::default()).await;
                replicas += u32::from(matches!(read, Ok(Some(digest)) if Some(digest) == approved));
            }
        }
        Ok(User { record, is_this_state, found, replicas, stored_for, is_held })
    }
}

impl<'a> User<'a> {
    /// With a copy that is as it was proven.
    pub(super) fn believed(record: &'a Record) -> Self {
        let found = record.published().map(|published| published.proof.digest);
        let replicas = u32::MAX;
        Self {
            record,
            is_this_state: true,
            found,
            replicas,
            stored_for: Some(TimeDelta::MAX),
            is_held: record.hold.is_some(),
        }
    }
}

/// Somebody has placed a hold meanwhile.
pub(crate) fn held() -> Error {
    Error::new(ErrorKind::Conflict, "it is held")
}

/// The state of the staged file that was published, where that is known.
fn published_pin(record: &Record) -> Option<&SourcePin> {
    record.published().and_then(|published| published.pin.as_ref())
}
