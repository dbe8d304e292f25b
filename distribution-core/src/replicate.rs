//! Copying to other targets: from a copy that is there, to all that lack one at the same time, each read back.

use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;

use crate::copy::{content, headers, pulse};
use crate::error::Error;
use crate::key::{ObjectKey, TargetName};
use crate::machine::Event;
use crate::metadata::State;
use crate::object::{Location, Proof, Verification};
use crate::origin::Part;
use crate::progress::{Meter, Stage};
use crate::publisher::{Call, Publisher};
use crate::record::{Phase, Record};
use crate::replicas::{CopyExamined, Replica};
use crate::storage::{Body, Content, CreateOutcome, Storage};
use crate::tombstone::Mortal;

/// What came of one try to make a copy.
struct Try {
    target: TargetName,
    left: u32,
    seen: Result<CopyExamined, Error>,
}

impl Publisher {
    /// Makes the copies that are missing, each once: until enough are proven, or all where the call repairs. What could
    /// not be made is told to the operators, and is an error where too few are proven.
    pub(crate) async fn replicate(&self, mut record: Record, call: &Call) -> Result<Record, Error> {
        self.check_lease(&record)?;
        if record.work().is_some() && !record.approval.holds_at(self.now()) {
            return self.advance(&record, Event::ApprovalLapsed).await;
        }
        call.progress.stage(Stage::Replicate);
        let (pulse, meter) = pulse(call);
        let mut tries = FuturesUnordered::new();
        for replica in record.replicas.missing() {
            tries.push(self.try_copy(&record, replica, self.parts().policy.attempts_max, &meter));
        }
        let mut failure = None;
        while let Some(Try { target, left, seen }) = self.attended(&mut record, call, &pulse, tries.next()).await {
            match seen {
                Ok(seen) => {
                    if seen.found.is_some_and(|proof| proof.digest.checksum != record.publication.checksum) {
                        let error = Error::corrupt(format!("{} has other bytes", seen.location));
                        self.alert_of_replica(&record, &target, &error);
                    }
                    record = self.note_copy(record, &seen).await?;
                    let replica = record.replicas.missing().find(|replica| replica.target == target);
                    if let Some(replica) = replica.filter(|_| left > 1) {
                        tries.push(self.try_copy(&record, replica, left - 1, &meter));
                    }
                }
                Err(error) => {
                    self.alert_of_replica(&record, &target, &error);
                    failure.get_or_insert(error);
                }
            }
            let is_over = match record.state() {
                State::InProgress => !matches!(record.phase, Phase::Replicating { .. }),
                State::Published => !call.repairs || record.replicas.missing().next().is_none(),
                State::Rejected | State::Retracted => true,
            };
            if is_over {
                return Ok(record);
            }
        }
        if record.state() == State::Published && !record.trail.waiting.is_empty() {
            let delivered = self.deliver(&record, &*call.progress).await?;
            record = self.advance(&record, delivered).await?;
        }
        let (proven, wanted) = (record.replica_count(), record.replicas.wanted.len() + 1);
        let quorum = record.replicas.quorum;
        let message = match record.state() {
            State::Published => format!("{proven} of {wanted} copies are proven: recovery goes on"),
            _ => format!("{proven} of {wanted} copies are proven, and {quorum} must be before there is a link: repeat"),
        };
        let error = Error::unavailable(message).of_part(Part::Replica);
        Err(match failure {
            Some(failure) => error.because(failure),
            None => error,
        })
    }

    /// Puts on record what was found in a copy, if that is still the one that is wanted.
    pub(crate) async fn note_copy(&self, record: Record, seen: &CopyExamined) -> Result<Record, Error> {
        let is_approved =
            |record: &Record| seen.found.is_some_and(|proof| proof.digest.checksum == record.publication.checksum);
        self.note(record, |record| {
            let is_open = matches!(record.phase, Phase::Replicating { .. } | Phase::Published(_));
            let replica = record.replicas.wanted.iter().find(|replica| replica.target == seen.target);
            let is_news = replica.is_some_and(|replica| {
                replica.attempt == seen.attempt && !(is_approved(record) && replica.proven.is_some())
            });
            (is_open && is_news).then(|| Event::CopyExamined(seen.clone()))
        })
        .await
    }

    fn try_copy(&self, record: &Record, replica: &Replica, left: u32, meter: &Meter) -> BoxFuture<'static, Try> {
        let (this, record, meter) = (self.clone(), record.clone(), meter.clone());
        let Replica { target, attempt, .. } = replica.clone();
        Box::pin(async move {
            let seen = this.copy_to(&record, &target, attempt, &meter).await;
            Try { target, left, seen }
        })
    }

    /// Makes the copy of this attempt on a target, from whichever copy is there and has the approved bytes, and reads
    /// it back.
    pub(crate) async fn copy_to(
        &self,
        record: &Record,
        target: &TargetName,
        attempt: u32,
        meter: &Meter,
    ) -> Result<CopyExamined, Error> {
        let (storage, key) = (self.storage(target)?, record.publication.key.attempt(attempt));
        let location = storage.location(&key);
        let examined = |found| CopyExamined { target: target.clone(), attempt, location: location.clone(), found };
        // That the copy is wanted is on record by now, as with the publication's own object.
        if self.is_buried(Mortal::Object(&location)).await? {
            return Ok(examined(None));
        }
        let copies = record.proven_places().into_iter().filter(|place| *place != (target.clone(), key.clone()));
        for source in copies.map(Some).chain([None]) {
            let content = match source {
                Some((from, key)) => self.content_of(record, &from, &key, meter).await?,
                None => self.staged_again(record, meter).await?,
            };
            let Some(content) = content else { continue };
            let proof = match storage.create(&key, content).await? {
                CreateOutcome::Created { proof } => proof.filter(|proof| self.parts().policy.accepts(proof.how)),
                CreateOutcome::AlreadyExists => None,
                CreateOutcome::Unfit(_) => continue,
            };
            let found = match proof {
                Some(proof) => Some(proof),
                None => {
                    let digest = storage.digest(&key, meter).await?;
                    digest.map(|digest| Proof { digest, how: Verification::ReadBack })
                }
            };
            return Ok(examined(found));
        }
        let message =
            format!("no copy of {} has the approved bytes any more: stage the file and publish again", record.id());
        Err(Error::corrupt(message))
    }

    /// The staged file, if it is still there.
    async fn staged_again(&self, record: &Record, meter: &Meter) -> Result<Option<Content>, Error> {
        if !record.source.whole {
            return Ok(None);
        }
        let staged = self.open_staged(&record.source.url).await?;
        Ok(staged.ok().map(|staged| content(record, staged, meter.clone())))
    }

    async fn content_of(
        &self,
        record: &Record,
        target: &TargetName,
        key: &ObjectKey,
        meter: &Meter,
    ) -> Result<Option<Content>, Error> {
        let storage = self.storage(target)?;
        let Some(size) = storage.stat(key).await?.map(|stat| stat.size) else { return Ok(None) };
        let Some(bytes) = storage.open(key, 0..size).await? else { return Ok(None) };
        let (headers, body) = (headers(record), Body::Stream(bytes));
        Ok(Some(Content { size, expected: record.publication.checksum, headers, body, meter: meter.clone() }))
    }

    fn storage(&self, target: &TargetName) -> Result<Arc<dyn Storage>, Error> {
        Ok(self.target_named(target)?.storage.clone())
    }
}

impl Record {
    /// Where copies are, or were, that were proven and that links may have been given to.
    pub(crate) fn proven_locations(&self) -> Vec<&Location> {
        let replicas = self.replicas.wanted.iter().filter_map(|replica| Some(&replica.proven.as_ref()?.location));
        self.published().map(|published| &published.location).into_iter().chain(replicas).collect()
    }

    /// Where copies are that were proven: its own first, then in the order of the replicas.
    pub(crate) fn proven_places(&self) -> Vec<(TargetName, ObjectKey)> {
        let has_own = self.published().is_some() || matches!(self.phase, Phase::Replicating { .. });
        let own = (self.publication.target.clone(), self.object_key());
        let replica = |replica: &Replica| (replica.target.clone(), self.publication.key.attempt(replica.attempt));
        let proven = self.replicas.wanted.iter().filter(|replica| replica.proven.is_some()).map(replica);
        has_own.then_some(own).into_iter().chain(proven).collect()
    }
}
