//! The publisher: one loop that reads off the record what is left to do, and does it.

use std::sync::Arc;

use tracing::{Instrument, info_span, warn};

pub(crate) use crate::call::Call;
use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::key::TargetName;
use crate::lease::{OwnLease, busy};
use crate::machine::{self, Action, Caller, Entry, Event, entry, next_action, step};
use crate::metadata::{Advance, Claim, State};
use crate::metrics::{self, Step};
use crate::object::Checksum;
use crate::order::Order;
use crate::parts::{Parts, Target};
use crate::progress::{Progress, Stage};
use crate::publication::{Details, Publication};
use crate::qc::QcApproval;
use crate::receipt::DistributionRecord;
use crate::record::{Phase, Published, Record, Work};
use crate::request::{Access, PublishRequest};
use crate::time::Timestamp;
use crate::trail::{AuditEntry, AuditEvent, EntryId, Trail};

/// Publishes approved files, each once, whatever fails on the way. Cheap to clone; made by
/// [`Publisher::builder`].
///
/// Every call may be dropped at any moment and repeated: the same call finishes the job.
#[derive(Clone)]
pub struct Publisher {
    parts: Arc<Parts>,
}

/// What came of one compare-and-swap.
pub(crate) enum Swap {
    Done(Record),
    /// Another was faster: this is what is on record.
    Superseded(Record),
}

/// Whether a publication began with this call.
enum Claimed {
    New,
    Before,
}

/// The most changes of one record that one call makes or is overtaken by.
pub(crate) const STEPS_MAX: usize = 1_000;

impl Publisher {
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    /// Publishes the file that the request names, or returns what an equal request has published.
    ///
    /// # Errors
    /// Each [`ErrorKind`] says what to do next. Only [`Rejected`](ErrorKind::Rejected),
    /// [`Refused`](ErrorKind::Refused), [`Invalid`](ErrorKind::Invalid),
    /// [`Conflict`](ErrorKind::Conflict) and [`Corrupt`](ErrorKind::Corrupt) mean that it was not
    /// published; after [`Unavailable`](ErrorKind::Unavailable) it may have been, and repeating tells. What is
    /// [`Archived`](ErrorKind::Archived) or [`Retracted`](ErrorKind::Retracted) was, and has no link now.
    pub async fn publish(&self, request: PublishRequest) -> Result<DistributionRecord, Error> {
        self.publish_watched(request, Arc::new(())).await
    }

    /// Like [`publish`](Self::publish), telling `progress` how far it is.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_watched(
        &self,
        request: PublishRequest,
        progress: Arc<dyn Progress>,
    ) -> Result<DistributionRecord, Error> {
        let json = serde_json::to_vec(&request)
            .map_err(|error| Error::new(ErrorKind::Invalid, "the request is not valid JSON").because(error))?;
        let order = self.order(request).inspect_err(metrics::turned_away)?;
        let flight = self.parts.flights.join(Checksum::of(&json), progress, |watchers| {
            let publisher = self.clone();
            Box::pin(async move { publisher.carry_out(order, watchers).await })
        });
        flight.await
    }

    /// What the request asks for, checked, and nothing done yet.
    pub(crate) fn order(&self, request: PublishRequest) -> Result<Order, Error> {
        let order = Order::new(request, &self.parts.policy, |name| self.parts.targets.get(name))?;
        self.parts.source.check(&order.source)?;
        Ok(order)
    }

    async fn carry_out(self, order: Order, progress: Arc<dyn Progress>) -> Result<DistributionRecord, Error> {
        let id = order.publication.audit_log_id.clone();
        let (target, began) = (order.publication.target.clone(), self.now());
        let span = info_span!("publish", audit_log_id = %id);
        let outcome = self.gate_and_run(order, progress).instrument(span).await;
        self.parts.outcomes.ended(&target, outcome.as_ref().err(), self.now() - began);
        if let Err(error) = &outcome {
            self.alert(&id, error);
        }
        outcome
    }

    async fn gate_and_run(&self, order: Order, progress: Arc<dyn Progress>) -> Result<DistributionRecord, Error> {
        let approval = self.timed(Step::Gate, &order.publication.target, self.gate(&order)).await?;
        self.bind(&order).await?;
        let call =
            Call { approval, source: Some(order.source.clone()), progress, lease: OwnLease::default(), repairs: false };
        let outcome = self.work(&order, &call).await;
        if outcome.is_err() {
            self.let_go(&order.publication.audit_log_id, &call).await;
        }
        outcome
    }

    async fn work(&self, order: &Order, call: &Call) -> Result<DistributionRecord, Error> {
        let record = match self.claim(order, call).await? {
            (Claimed::New, record) => record,
            (Claimed::Before, record) => {
                Self::check_duration(&record, order)?;
                self.enter(record, Some(&order.details), call).await?
            }
        };
        let (record, published) = self.finish(record, call).await?;
        call.progress.stage(Stage::Sign);
        let handing_out = self.hand_out(&record, &published);
        let issued = self.timed(Step::Sign, &record.publication.target, handing_out).await?;
        Ok(DistributionRecord::new(&record, &published, issued))
    }

    /// Nothing happens before QC has passed exactly these bytes. A refusal is audited.
    async fn gate(&self, order: &Order) -> Result<QcApproval, Error> {
        let now = self.now();
        let refusal = match self.approval(order, now).await {
            Err(error) if error.kind() == ErrorKind::Refused => error,
            answer => return answer,
        };
        let id = EntryId {
            audit_log_id: order.publication.audit_log_id.clone(),
            trail: Trail::Refusals,
            sequence: u64::try_from(now.timestamp_micros()).unwrap_or_default(),
        };
        let entry = AuditEntry { id, at: now, event: AuditEvent::Refused { reason: refusal.to_string() } };
        if let Err(error) = self.parts.audit.append(&[entry]).await {
            // Refused is the truth all the same; that it left no trace is for the operators.
            warn!(%error, "a refusal could not be audited");
            self.alert(&order.publication.audit_log_id, &error);
        }
        Err(refusal)
    }

    /// # Errors
    /// [`ErrorKind::Refused`] if QC did not pass these bytes.
    pub(crate) async fn approval(&self, order: &Order, now: Timestamp) -> Result<QcApproval, Error> {
        let (checksum, policy) = (&order.publication.checksum, self.parts.policy.qc);
        let answer = order.qc.approve(checksum, policy, now);
        if answer.is_err()
            && order.qc.approve(checksum, policy, Timestamp::MIN_UTC).is_ok()
            && let Some(row) = self.parts.metadata.load(&order.publication.audit_log_id).await?
            && let record = Record::decode(&row)?
            && matches!(record.phase, Phase::Published(_) | Phase::Retracted(_))
        {
            // The verdict has expired since, which takes nothing back.
            return Ok(record.approval);
        }
        answer
    }

    /// The caller's own key names this publication, or the call is a mistake.
    async fn bind(&self, order: &Order) -> Result<(), Error> {
        let Some(key) = &order.idempotency_key else { return Ok(()) };
        let named = self.parts.metadata.bind(key, &order.publication.audit_log_id).await?;
        Self::check_named(&named, order)
    }

    pub(crate) fn check_named(named: &AuditLogId, order: &Order) -> Result<(), Error> {
        if *named == order.publication.audit_log_id {
            return Ok(());
        }
        let message = format!("already names {named}: use another key for another publication");
        Err(Error::new(ErrorKind::Conflict, message).at("idempotency_key"))
    }

    /// The publication's record: its first, made by this call, or the one that is there.
    async fn claim(&self, order: &Order, call: &Call) -> Result<(Claimed, Record), Error> {
        let now = self.now();
        let lease = self.lease(now);
        call.lease.set(Some(lease.clone()));
        let work = Work { lease, attempts_left: self.parts.policy.attempts_max.saturating_sub(1) };
        let (publication, details) = (order.publication.clone(), order.details.clone());
        let replicas = self.target(&publication)?.replicas();
        let first = machine::claim(publication, details, call.approval.clone(), &order.source, work, replicas, now);
        let row = first.encode()?;
        let claim = self.parts.metadata.claim(&row);
        match self.timed(Step::Record, &first.publication.target, claim).await? {
            Claim::Claimed => Ok((Claimed::New, first)),
            Claim::Exists(row) => {
                call.lease.set(None);
                Ok((Claimed::Before, Record::decode(&row)?))
            }
        }
    }

    /// The same bytes cannot last longer or shorter than they did.
    pub(crate) fn check_duration(record: &Record, order: &Order) -> Result<(), Error> {
        let (known, asked) = (record.publication.duration_seconds, order.publication.duration_seconds);
        if known == asked {
            return Ok(());
        }
        let message = format!("these bytes are on record with {} seconds, not {}", known.get(), asked.get());
        Err(Error::new(ErrorKind::Conflict, message).at("final_edit.duration_seconds"))
    }

    /// Brings what this call wants into the record: takes unfinished work up, opens a rejected
    /// publication again, amends what is shown. Without `details` it is a recovery.
    pub(crate) async fn enter(
        &self,
        mut record: Record,
        details: Option<&Details>,
        call: &Call,
    ) -> Result<Record, Error> {
        let mut caller = Caller { holder: &self.parts.holder, details, taken_up: false, amended: false };
        for _ in 0..STEPS_MAX {
            caller.amended |= details == Some(&record.details);
            let now = self.now();
            let event = match (entry(&record, caller, now), details) {
                (Entry::Deliver, _) => self.deliver(&record, &*call.progress).await?,
                (Entry::Busy { until }, _) => return Err(busy(&record, until, now)),
                (Entry::TakeUp, _) => {
                    (record, caller.taken_up) = self.take_up(&record, call).await?;
                    continue;
                }
                (Entry::Amend, Some(details)) => Event::Amended(Box::new(details.clone())),
                (Entry::Amend, None) | (Entry::Drive, _) => return Ok(record),
            };
            record = self.advance(&record, event).await?;
        }
        Err(overtaken(&record))
    }

    /// Does what is left to do until the publication is settled, and tells how it ended.
    async fn finish(&self, mut record: Record, call: &Call) -> Result<(Record, Published), Error> {
        for _ in 0..STEPS_MAX {
            record = self.drive(record, call).await?;
            let published = match &record.phase {
                Phase::Published(published) => published.clone(),
                Phase::Rejected { reason } if call.is_free_of(reason, &record, self.now()) => {
                    record = self.take_up(&record, call).await?.0;
                    continue;
                }
                Phase::Rejected { reason } => {
                    let (approved, key) = (&record.publication.checksum, record.object_key());
                    return Err(reason.error(approved, &key, &record.source.url));
                }
                Phase::Retracted(retracted) => return Err(retracted.error(record.id())),
                Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Replicating { .. } => continue,
            };
            record.check_hot()?;
            let is_signed = record.details.access == Access::Signed;
            if !is_signed || published.link_expires_at.is_some_and(|expires_at| self.now() < expires_at) {
                return Ok((record, published));
            }
            record = self.advance(&record, Event::LinkWanted).await?;
        }
        Err(overtaken(&record))
    }

    /// The loop: derive the next action, perform it, record what was observed.
    pub(crate) async fn drive(&self, mut record: Record, call: &Call) -> Result<Record, Error> {
        for _ in 0..STEPS_MAX {
            let Some(action) = next_action(&record) else { return Ok(record) };
            let target = record.publication.target.clone();
            let event = match action {
                Action::Transfer if call.is_from_elsewhere(&record) => {
                    // Another call has taken it up since, with a staged file of its own.
                    self.check_nobody_at(&record)?;
                    record = self.take_up(&record, call).await?.0;
                    continue;
                }
                Action::Transfer => self.timed(Step::Transfer, &target, self.transfer(&mut record, call)).await?,
                Action::Prove => self.timed(Step::Prove, &target, self.prove(&mut record, call)).await?,
                Action::Replicate if record.state() == State::Published && !call.repairs => return Ok(record),
                Action::Replicate => {
                    let copied = self.replicate(record, call);
                    record = self.timed(Step::Replicate, &target, copied).await?;
                    continue;
                }
                Action::Free => self.free(&record).await?,
                Action::Number => self.timed(Step::Record, &target, self.number(&record)).await?,
                Action::EndLinks => self.end_links(&record).await?,
                Action::Deliver => self.deliver(&record, &*call.progress).await?,
            };
            record = self.advance(&record, event).await?;
        }
        Err(overtaken(&record))
    }

    pub(crate) async fn deliver(&self, record: &Record, progress: &dyn Progress) -> Result<Event, Error> {
        progress.stage(Stage::Audit);
        let append = self.parts.audit.append(&record.trail.waiting);
        self.timed(Step::Audit, &record.publication.target, append).await?;
        Ok(Event::Delivered { before: record.trail.next })
    }

    /// Records what was observed; or, if another was faster, returns what that one recorded. What
    /// was observed is then forgotten, unless it is about the same work of this publisher: what is to
    /// be done follows from the newer record.
    pub(crate) async fn advance(&self, record: &Record, event: Event) -> Result<Record, Error> {
        let mut record = record.clone();
        for _ in 0..STEPS_MAX {
            match self.swap(&record, event.clone()).await? {
                Swap::Done(next) => return Ok(next),
                Swap::Superseded(newer) if newer.is_same_work(&record) => record = newer,
                Swap::Superseded(newer) => return Ok(newer),
            }
        }
        Err(overtaken(&record))
    }

    /// One compare-and-swap.
    pub(crate) async fn swap(&self, record: &Record, event: Event) -> Result<Swap, Error> {
        let is_buried = matches!(event, Event::KeyBuried { .. });
        let next = step(record, event, self.now()).map_err(|illegal| match &record.phase {
            // What was right when it was asked for is not any more.
            Phase::Retracted(retracted) => retracted.error(record.id()),
            _ => record.check_hot().err().unwrap_or_else(|| {
                Error::corrupt(format!("the record of {} allows no such step", record.id())).because(illegal)
            }),
        })?;
        let row = next.encode()?;
        let advance = self.parts.metadata.advance(&row);
        match self.timed(Step::Record, &record.publication.target, advance).await? {
            Advance::Advanced => {
                metrics::advanced(record, &next);
                if !is_buried {
                    self.alert_of_failed_attempt(record, &next);
                }
                if self.has_locks() {
                    // On the heap, since this is part of every call, and seldom done.
                    Box::pin(self.lock_proven(record, &next)).await;
                }
                Ok(Swap::Done(next))
            }
            Advance::Superseded(row) => Record::decode(&row).map(Swap::Superseded),
        }
    }
}

/// The small questions.
impl Publisher {
    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    pub(crate) fn target(&self, Publication { target, audit_log_id, .. }: &Publication) -> Result<&Target, Error> {
        self.parts.targets.get(target).ok_or_else(|| {
            let message = format!("the target `{target}` of {audit_log_id} is not configured here");
            Error::new(ErrorKind::Unsupported, message)
        })
    }

    pub(crate) fn target_named(&self, name: &TargetName) -> Result<&Target, Error> {
        let target = self.parts.targets.get(name);
        target.ok_or_else(|| Error::new(ErrorKind::Unsupported, format!("`{name}` is not configured here")))
    }
}

pub(crate) fn overtaken(record: &Record) -> Error {
    Error::unavailable(format!("the record of {} changed {STEPS_MAX} times under this call: repeat it", record.id()))
}
