//! The scrub: reads the copies of what is published again, and copies anew what is lost.

use tracing::{Instrument as _, info_span};

use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::key::{ObjectKey, TargetName};
use crate::metadata::{Cursor, Query, State};
use crate::metrics;
use crate::object::{Digest, Location, Proof, Verification};
use crate::progress::Meter;
use crate::publisher::{Call, Publisher};
use crate::record::Record;
use crate::replicas::CopyExamined;
use crate::storage::Storage;

/// What a [`Publisher::scrub`] came to.
#[derive(Clone, Debug, Default)]
#[must_use = "what failed needs a look, and what is left another call"]
pub struct Scrub {
    /// How many publications were looked at.
    pub publications: u64,
    /// How many bytes were read for that.
    pub bytes: u64,
    /// How many copies are sound.
    pub sound: u64,
    /// How many were found missing or with other bytes.
    pub lost: u64,
    /// How many could not be read, since their store keeps them in an archive class.
    pub archived: u64,
    /// How many were made, of those that were lost or missing before.
    pub repaired: u64,
    /// How many copies of what is held were found without the legal hold of their store, and have it now.
    pub locked: u64,
    /// How many publications could not be brought back to all their copies.
    pub failed: u64,
    /// The first [`Scrub::FAILURES_MAX`] of these, with what hindered them.
    pub failures: Vec<(AuditLogId, Error)>,
    /// Where to go on; `None` if all were looked at.
    pub next: Option<Cursor>,
}

impl Scrub {
    /// How many failures are told one by one.
    pub const FAILURES_MAX: usize = 100;

    fn fail(&mut self, id: AuditLogId, error: Error) {
        self.failed += 1;
        if self.failures.len() < Self::FAILURES_MAX {
            self.failures.push((id, error));
        }
    }
}

/// How many records are read at a time.
const PAGE_ROWS: usize = 100;

impl Publisher {
    /// Reads every proven copy of what is published again, newest claim first, behind `after`, until about `bytes_max`
    /// bytes were read: the last publication is looked at whole. A copy that is missing or has other bytes is told to
    /// the operators, and is made anew from another one, or from the staged file if that is still there; and so is a
    /// replica that was never made. What is held and not kept by its store is, from then on. The key of a lost copy is never used again, so links to it do not come back: new
    /// ones lead to a sound copy. What cannot be read now is left as it is.
    ///
    /// Safe at any time, on any number of hosts. To scrub everything once a month, call it every hour with a 700th of
    /// all bytes, each time behind the last one's [`next`](Scrub::next).
    ///
    /// ```
    /// use distribution_testkit::{World, request};
    /// # futures::executor::block_on(async {
    /// let world = World::new();
    /// world.stage("clip.mp4", "approved bytes");
    /// let publisher = world.publisher("host-1");
    /// publisher.publish(request("clip.mp4", b"approved bytes")).await?;
    ///
    /// let scrub = publisher.scrub(None, 1 << 30).await?;
    /// assert_eq!((scrub.sound, scrub.lost, scrub.next), (1, 0, None));
    /// # Ok::<(), distribution_core::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if the records cannot be listed.
    pub async fn scrub(&self, after: Option<&Cursor>, bytes_max: u64) -> Result<Scrub, Error> {
        let published = Query { state: Some(State::Published), ..Query::default() };
        let mut scrub = Scrub { next: after.cloned(), ..Scrub::default() };
        loop {
            let found = match self.parts().metadata.find(&published, scrub.next.as_ref(), PAGE_ROWS).await {
                // What was done is told, and where to go on.
                Err(_) if scrub.publications > 0 => return Ok(scrub),
                found => found?,
            };
            let (is_last, end) = (found.len() < PAGE_ROWS, found.end());
            for (place, error) in found.damaged {
                self.alert(&place.id, &error);
                scrub.fail(place.id, error);
            }
            let rows = found.rows.len();
            for (index, row) in found.rows.iter().enumerate() {
                let span = info_span!("scrub", audit_log_id = %row.id);
                let looked = async { self.scrub_record(Record::decode(row)?, &mut scrub).await };
                if let Err(error) = looked.instrument(span).await {
                    self.alert(&row.id, &error);
                    scrub.fail(row.id.clone(), error);
                }
                scrub.publications += 1;
                let is_end = is_last && index + 1 == rows;
                if scrub.bytes >= bytes_max && !is_end {
                    scrub.next = Some(row.cursor());
                    return Ok(scrub);
                }
            }
            scrub.next = end.filter(|_| !is_last);
            if scrub.next.is_none() {
                return Ok(scrub);
            }
        }
    }

    /// What stores keep is asked for whatever became of the copies, and all the more if one is out of reach.
    async fn scrub_record(&self, record: Record, scrub: &mut Scrub) -> Result<(), Error> {
        let id = record.id().clone();
        let copies = self.scrub_copies(record, scrub).await;
        if self.has_locks() {
            let record = self.load(&id).await?;
            let locked = Box::pin(self.lock(&record)).await;
            scrub.locked += *locked.as_ref().unwrap_or(&0);
            return copies.and(locked.map(drop));
        }
        copies
    }

    async fn scrub_copies(&self, mut record: Record, scrub: &mut Scrub) -> Result<(), Error> {
        let (mut own, mut unread) = (None, None);
        for (target, key) in record.proven_places() {
            let (location, found) = match self.read_copy(&record, &target, &key).await {
                Ok(read) => read,
                // Its store has moved it where it cannot be read: that it is there is all that can be known.
                Err(error) if error.kind() == ErrorKind::Archived => {
                    scrub.archived += 1;
                    metrics::scrubbed("archived");
                    continue;
                }
                Err(error) => {
                    // Not in reach is not lost.
                    unread.get_or_insert(error);
                    continue;
                }
            };
            scrub.bytes = scrub.bytes.saturating_add(found.map_or(0, |digest| digest.size));
            if found.is_some_and(|digest| digest.checksum == record.publication.checksum) {
                scrub.sound += 1;
                metrics::scrubbed("sound");
                continue;
            }
            // It may have been taken back, or freed, and cleared away since the record was read.
            match self.check_not_gone(&record).await {
                Err(error) if matches!(error.kind(), ErrorKind::Retracted | ErrorKind::Archived) => return Ok(()),
                checked => checked?,
            }
            scrub.lost += 1;
            metrics::scrubbed("lost");
            let what = if found.is_some() { "has other bytes" } else { "is missing" };
            let error = Error::corrupt(format!("{location} {what}: a copy is made of what is left"));
            if target == record.publication.target {
                self.alert(record.id(), &error);
                own = Some(record.attempt);
                continue;
            }
            self.alert_of_replica(&record, &target, &error);
            let replica = record.replicas.wanted.iter().find(|replica| replica.target == target);
            let attempt = replica.map(|replica| replica.attempt).unwrap_or_default();
            if record.publication.key.attempt(attempt) != key {
                // Another scrub has found it lost.
                continue;
            }
            let seen = CopyExamined { target, attempt, location, found: found.map(read_back) };
            record = self.note_copy(record, &seen).await?;
        }
        if own == Some(record.attempt) {
            let lost = record.attempt;
            record = self.copy_anew(record).await?;
            if record.attempt > lost {
                scrub.repaired += 1;
                metrics::scrubbed("repaired");
            }
        }
        let (id, before) = (record.id().clone(), record.replica_count());
        let call = Call::of(&record, true);
        if !record.is_settled() {
            let driven = self.drive(record, &call).await;
            let made = self.load(&id).await?.replica_count().saturating_sub(before);
            scrub.repaired += u64::from(made);
            (0..made).for_each(|_| metrics::scrubbed("repaired"));
            driven?;
        }
        unread.map_or(Ok(()), Err)
    }

    async fn read_copy(
        &self,
        record: &Record,
        target: &TargetName,
        key: &ObjectKey,
    ) -> Result<(Location, Option<Digest>), Error> {
        let storage = &self.target_named(target)?.storage;
        Ok((storage.location(key), read(record, &**storage, key).await?))
    }
}

/// What is in the copy. One that seems to be lost is read again: what was wrong may have been the reading.
async fn read(record: &Record, storage: &dyn Storage, key: &ObjectKey) -> Result<Option<Digest>, Error> {
    match storage.digest(key, &Meter::default()).await? {
        Some(digest) if digest.checksum == record.publication.checksum => Ok(Some(digest)),
        Some(_) | None => storage.digest(key, &Meter::default()).await,
    }
}

fn read_back(digest: Digest) -> Proof {
    Proof { digest, how: Verification::ReadBack }
}
