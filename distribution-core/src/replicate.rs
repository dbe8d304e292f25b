//! Copying to other targets: from a copy that is there, to all that lack one at the same time, each read back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{StreamExt as _, TryStreamExt as _};

use crate::copy::{content, headers, pulse};
use crate::error::{Error, ErrorKind};
use crate::key::{ATTEMPT_MAX, ObjectKey, TargetName};
use crate::machine::Event;
use crate::metadata::State;
use crate::object::{Proof, Verification};
use crate::origin::Part;
use crate::progress::{Meter, Stage};
use crate::publisher::{Call, Publisher};
use crate::record::{Phase, Record};
use crate::replicas::{CopyExamined, Replica};
use crate::storage::{Body, Content, CreateOutcome};
use crate::tombstone::Mortal;

/// What came of one try to make a copy.
struct Try {
    target: TargetName,
    left: u32,
    copied: Result<Copied, Error>,
}

/// What was seen of a copy.
pub(crate) struct Copied {
    pub(crate) seen: CopyExamined,
    /// Whether its place is being cleared away, so that nothing was stored there.
    is_buried: bool,
}

/// After how many entries that wait they are delivered meanwhile.
const WAITING_MAX: usize = 16;

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
        // A target that spoils what it is given gets few objects of each call, and one of each recovery.
        let begun = record.state();
        let tries_max = if begun == State::Published { 1 } else { self.parts().policy.attempts_max };
        let mut tries = FuturesUnordered::new();
        for replica in record.to_make() {
            tries.push(self.try_copy(&record, replica, tries_max, &meter));
        }
        let mut failure = None;
        while let Some(Try { target, left, copied }) = self.attended(&mut record, call, &pulse, tries.next()).await {
            match copied {
                Ok(Copied { seen, is_buried }) => {
                    if !is_buried && let Some(error) = is_wrong(&record, &seen) {
                        self.alert_of_replica(&record, &target, &error);
                    }
                    record = self.note_copy(record, &seen).await?;
                    let replica = record.to_make().find(|replica| replica.target == target);
                    if let Some(replica) = replica.filter(|_| left > 1) {
                        tries.push(self.try_copy(&record, replica, left - 1, &meter));
                    }
                }
                // Nothing is left to copy from: that is not about this target.
                Err(error) if error.kind() == ErrorKind::Corrupt => return Err(error),
                Err(error) => {
                    self.alert_of_replica(&record, &target, &error);
                    failure.get_or_insert(error);
                }
            }
            let goes_on = match record.phase {
                Phase::Replicating { .. } => true,
                Phase::Published(_) => begun == State::Published && record.to_make().next().is_some(),
                Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Rejected { .. } | Phase::Retracted(_) => false,
            };
            if !goes_on {
                return Ok(record);
            }
            if record.trail.waiting.len() >= WAITING_MAX {
                let delivered = self.deliver(&record, &*call.progress).await?;
                record = self.advance(&record, delivered).await?;
            }
        }
        if record.state() == State::Published && !record.trail.waiting.is_empty() {
            let delivered = self.deliver(&record, &*call.progress).await?;
            record = self.advance(&record, delivered).await?;
        }
        let (proven, wanted) = (record.replica_count(), record.replicas.wanted.len() + 1);
        let quorum = record.quorum();
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
            let copied = this.copy_to(&record, &target, attempt, &meter).await;
            Try { target, left, copied }
        })
    }

    /// Makes the copy of this attempt on a target, from whichever copy elsewhere is there and has the approved bytes, or
    /// else from the staged file, and reads it back.
    ///
    /// # Errors
    /// [`Corrupt`](ErrorKind::Corrupt) if none has; that of the target, or of the source that may be sound.
    pub(crate) async fn copy_to(
        &self,
        record: &Record,
        target: &TargetName,
        attempt: u32,
        meter: &Meter,
    ) -> Result<Copied, Error> {
        let storage = self.target_named(target)?.storage.clone();
        let (key, mut unread) = (record.publication.key.attempt(attempt), None);
        let location = storage.location(&key);
        let seen = |found| CopyExamined { target: target.clone(), attempt, location: location.clone(), found };
        // That the copy is wanted is on record by now, as with the publication's own object.
        if self.is_buried(Mortal::Object(&location)).await? {
            return Ok(Copied { seen: seen(None), is_buried: true });
        }
        let elsewhere = record.proven_places().into_iter().filter(|(name, _)| name != target);
        // What was freed may be there still.
        let freed = if record.is_archived() { record.given_up() } else { Vec::new() };
        for source in elsewhere.chain(freed).map(Some).chain([None]) {
            let content = match source {
                Some((from, key)) => self.content_of(record, &from, &key, meter).await,
                None => self.staged_again(record, attempt, meter).await,
            };
            let (content, is_broken) = match content {
                Ok(Some(content)) => content,
                Ok(None) => continue,
                Err(error) => {
                    // Another one may be in reach.
                    unread.get_or_insert(error);
                    continue;
                }
            };
            let proof = match storage.create(&key, content).await {
                Ok(CreateOutcome::Created { proof }) => proof.filter(|proof| self.parts().policy.accepts(proof.how)),
                Ok(CreateOutcome::AlreadyExists) => None,
                Ok(CreateOutcome::Unfit(_)) => continue,
                Err(error) if is_broken.load(Ordering::Acquire) => {
                    unread.get_or_insert(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let found = match proof {
                Some(proof) => Some(proof),
                None => {
                    let digest = storage.digest(&key, meter).await?;
                    digest.map(|digest| Proof { digest, how: Verification::ReadBack })
                }
            };
            return Ok(Copied { seen: seen(found), is_buried: false });
        }
        let id = record.id();
        let message =
            format!("no copy of {id} has the approved bytes any more: stage the file where it was, and scrub");
        Err(unread.unwrap_or_else(|| Error::corrupt(message)))
    }

    /// Copies what is published to the key of a later attempt on its own target, since its object is lost, or was freed.
    /// That it is wanted there is on record first, as with a publish: whoever clears the key away has seen it, or is
    /// seen.
    pub(crate) async fn copy_anew(&self, mut record: Record) -> Result<Record, Error> {
        let (target, lost, was_archived) = (record.publication.target.clone(), record.attempt, record.is_archived());
        for _ in 0..self.parts().policy.attempts_max {
            let wanted = |record: &Record| {
                record.attempt == lost && record.is_archived() == was_archived && record.state() == State::Published
            };
            let attempt = match record.restoring {
                // An earlier call has not come further.
                Some(attempt) => attempt,
                None => lost.saturating_add(1),
            };
            let claimed = self.note(record, |record| {
                let is_new = wanted(record) && record.restoring.is_none_or(|known| known < attempt);
                is_new.then_some(Event::Restoring { attempt })
            });
            record = claimed.await?;
            if !wanted(&record) || record.restoring != Some(attempt) {
                return Ok(record);
            }
            let seen = self.copy_to(&record, &target, attempt, &Meter::default()).await?.seen;
            let approved = record.publication.checksum;
            let event = match seen.found.filter(|proof| proof.digest.checksum == approved) {
                Some(proof) => Event::Restored { attempt, location: seen.location, proof },
                None if attempt >= ATTEMPT_MAX => break,
                None => Event::Restoring { attempt: attempt.saturating_add(1) },
            };
            record = self
                .note(record, |record| (wanted(record) && record.restoring == Some(attempt)).then(|| event.clone()))
                .await?;
            if record.attempt != lost {
                return Ok(record);
            }
        }
        Err(Error::corrupt(format!("{} could not be copied anew: look at its store", record.id())))
    }

    /// The staged file, if it is still there.
    async fn staged_again(&self, record: &Record, attempt: u32, meter: &Meter) -> Result<Option<Read>, Error> {
        if !record.source.whole {
            return Ok(None);
        }
        let staged = self.open_staged(&record.source.url).await?;
        let read = |staged| (content(record, attempt, staged, meter.clone()), Arc::new(AtomicBool::new(false)));
        Ok(staged.ok().map(read))
    }

    async fn content_of(
        &self,
        record: &Record,
        target: &TargetName,
        key: &ObjectKey,
        meter: &Meter,
    ) -> Result<Option<Read>, Error> {
        let storage = &self.target_named(target)?.storage;
        let Some(size) = storage.stat(key).await?.map(|stat| stat.size) else { return Ok(None) };
        let Some(bytes) = storage.open(key, 0..size).await? else { return Ok(None) };
        let is_broken = Arc::new(AtomicBool::new(false));
        let breaks = is_broken.clone();
        let bytes = bytes.inspect_err(move |_| breaks.store(true, Ordering::Release)).boxed();
        let (headers, body) = (headers(record), Body::Stream(bytes));
        let content = Content { size, expected: record.publication.checksum, headers, body, meter: meter.clone() };
        Ok(Some((content, is_broken)))
    }
}

/// Content that is copied, and whether reading it has failed.
type Read = (Content, Arc<AtomicBool>);

/// What is wrong with a copy that was just made.
fn is_wrong(record: &Record, CopyExamined { location, found, .. }: &CopyExamined) -> Option<Error> {
    match found {
        Some(proof) if proof.digest.checksum == record.publication.checksum => None,
        Some(_) => Some(Error::corrupt(format!("{location} has other bytes"))),
        None => Some(Error::corrupt(format!("{location} was stored, and is missing"))),
    }
}
