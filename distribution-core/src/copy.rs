//! The two long actions: copying the staged file into storage, and reading the object back. While
//! they last, the bytes that move keep the lease alive.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures::future::{Either, select};
use futures::task::AtomicWaker;
use tracing::warn;

use crate::error::{Error, ErrorKind};
use crate::machine::Event;
use crate::metrics::Step;
use crate::object::{ContentHeaders, Location, Proof, Verification};
use crate::preflight::Preflight;
use crate::progress::{Meter, Stage};
use crate::publisher::{Call, Publisher, overtaken};
use crate::record::{Record, StoredObject};
use crate::rejection::SourceFault;
use crate::request::{DurationSeconds, VideoUrl};
use crate::source::Staged;
use crate::storage::{Content, CreateOutcome, Unfit};
use crate::tombstone::Mortal;

impl Publisher {
    /// Copies the staged file to the attempt's key, and observes what came of it.
    pub(crate) async fn transfer(&self, record: &mut Record, call: &Call) -> Result<Event, Error> {
        self.check_lease(record)?;
        if !record.approval.holds_at(self.now()) {
            return Ok(Event::ApprovalLapsed);
        }
        let (storage, key) = (self.target(&record.publication)?.storage.clone(), record.object_key());
        // The claim is on record by now, so whoever clears the key away has seen it or is seen here.
        if self.is_buried(Mortal::Object(&storage.location(&key))).await? {
            return Ok(Event::KeyBuried { location: storage.location(&key) });
        }
        let versions = self.versions_of(&record.publication).await?;
        let Some(url) = &call.source else { return self.look(record, None, versions).await };
        let mut staged = match self.open_staged(url).await? {
            Ok(staged) => staged,
            Err(fault) => return self.look(record, Some(fault), versions).await,
        };
        let preflight = self.preflight(record.publication.duration_seconds, &mut staged);
        let preflight = match self.parts().inspector {
            Some(_) => self.timed(Step::Preflight, &record.publication.target, preflight).await?,
            None => preflight.await?,
        };
        let preflight = match preflight {
            Ok(preflight) => preflight,
            // Not even what an earlier call may have stored of it is published.
            Err(fault) => return Ok(Event::SourceUnfit(fault)),
        };
        for warning in preflight.iter().flat_map(|found| &found.warnings) {
            warn!(source = %record.source.url, %warning, "the staged file is published all the same");
        }
        call.progress.stage(Stage::Transfer { total: staged.pin.size });
        let (pulse, meter) = pulse(call);
        let pin = staged.pin.clone();
        let content = content(record, record.attempt, staged, meter);
        let fault = match self.attended(record, call, &pulse, storage.create(&key, content)).await? {
            CreateOutcome::Created { proof } => {
                let object = StoredObject {
                    location: storage.location(&key),
                    created: true,
                    pin: Some(pin),
                    preflight,
                    versions,
                };
                let proof = proof.filter(|proof| self.parts().policy.accepts(proof.how));
                return Ok(Event::Transferred { object, proof });
            }
            CreateOutcome::AlreadyExists => return Ok(found(storage.location(&key), versions)),
            CreateOutcome::Unfit(Unfit::Changed) => SourceFault::Changed,
            CreateOutcome::Unfit(Unfit::OtherBytes { found }) => SourceFault::OtherBytes { found },
        };
        self.look(record, Some(fault), versions).await
    }

    pub(crate) async fn open_staged(&self, url: &VideoUrl) -> Result<Result<Staged, SourceFault>, Error> {
        match self.parts().source.open(url).await {
            Ok(Some(staged)) => {
                let pin = staged.pin.clone();
                let is_buried = self.is_buried(Mortal::Staged(&pin)).await?;
                Ok(if is_buried { Err(SourceFault::Buried) } else { Ok(staged) })
            }
            Ok(None) => Ok(Err(SourceFault::Missing)),
            Err(error) if error.kind() == ErrorKind::Invalid => {
                Ok(Err(SourceFault::Refused { message: error.message().to_owned() }))
            }
            Err(error) => Err(error),
        }
    }

    /// Has the staged file looked into, and says whether it may be published.
    pub(crate) async fn preflight(
        &self,
        expected: DurationSeconds,
        staged: &mut Staged,
    ) -> Result<Result<Option<Box<Preflight>>, SourceFault>, Error> {
        let Some(inspector) = &self.parts().inspector else { return Ok(Ok(None)) };
        let facts = match staged.ranges.take() {
            Some(ranges) => match inspector.inspect(&*ranges, staged.pin.size).await {
                Err(error) if error.kind() == ErrorKind::Unsupported => None,
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    return Ok(Err(SourceFault::Refused { message: error.message().to_owned() }));
                }
                found => Some(found?),
            },
            None => None,
        };
        let judged = self.parts().policy.preflight.judge(facts, expected);
        Ok(judged.map(|found| Some(Box::new(found))).map_err(|message| SourceFault::FailedPreflight { message }))
    }

    /// Where the staged file is of no use, there may be what an earlier call has stored. Only if not
    /// is the fault the answer; without a fault, the file could not be asked for, and nothing is known.
    async fn look(&self, record: &Record, fault: Option<SourceFault>, versions: u64) -> Result<Event, Error> {
        let (storage, key) = (&self.target(&record.publication)?.storage, record.object_key());
        match (storage.stat(&key).await?, fault) {
            (Some(_), _) => Ok(found(storage.location(&key), versions)),
            (None, Some(fault)) => Ok(Event::SourceUnfit(fault)),
            (None, None) => {
                let message = "the staged file's URL held a secret, which is not kept: its caller must repeat the call";
                Err(Error::unavailable(message))
            }
        }
    }

    /// Reads the attempt's object back, and observes what is in it.
    pub(crate) async fn prove(&self, record: &mut Record, call: &Call) -> Result<Event, Error> {
        self.check_lease(record)?;
        let (storage, key) = (self.target(&record.publication)?.storage.clone(), record.object_key());
        call.progress.stage(Stage::Prove);
        let (pulse, meter) = pulse(call);
        let found = self.attended(record, call, &pulse, storage.digest(&key, &meter)).await?;
        Ok(Event::Examined(found.map(|digest| Proof { digest, how: Verification::ReadBack })))
    }

    /// Reads back what was published long ago.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if it is missing or has other bytes; [`ErrorKind::Archived`] if it cannot be read.
    pub(crate) async fn prove_again(&self, record: &Record) -> Result<(), Error> {
        let Some(published) = record.published() else { return Err(overtaken(record)) };
        record.check_hot()?;
        let (storage, key) = (&self.target(&record.publication)?.storage, record.object_key());
        if storage.digest(&key, &Meter::default()).await? == Some(published.proof.digest) {
            return Ok(());
        }
        // It may have been taken back, or freed, and cleared away since the record was read.
        self.check_not_gone(record).await?;
        let message = "was published and is now missing or has other bytes: restore it";
        Err(Error::corrupt(format!("{} {message}", published.location)))
    }

    /// Drives `work`, and renews the lease when bytes have moved.
    pub(crate) async fn attended<T>(
        &self,
        record: &mut Record,
        call: &Call,
        pulse: &Pulse,
        work: impl Future<Output = T>,
    ) -> T {
        let mut work = pin!(work);
        loop {
            if let Either::Left((output, _)) = select(work.as_mut(), pin!(pulse.beat())).await {
                return output;
            }
            // The work goes on meanwhile; and a renewal that was begun is seen to its end, since it
            // changes the record.
            if let Either::Left((output, renewal)) = select(work.as_mut(), pin!(self.keep_alive(record, call))).await {
                renewal.await;
                return output;
            }
        }
    }
}

/// Something is at the key. Nobody knows which state of the staged file it came from.
fn found(location: Location, versions: u64) -> Event {
    let object = StoredObject { location, created: false, pin: None, preflight: None, versions };
    Event::Transferred { object, proof: None }
}

/// What every copy of a publication is served with.
pub(crate) fn headers(record: &Record) -> ContentHeaders {
    ContentHeaders {
        content_type: "video/mp4".to_owned(),
        content_disposition: format!("inline; filename=\"{}\"", record.publication.key.file_name()),
        cache_control: "private, max-age=31536000, immutable".to_owned(),
        user_metadata: [
            ("sha256".to_owned(), record.publication.checksum.hex()),
            ("audit-log-id".to_owned(), record.publication.audit_log_id.to_string()),
        ]
        .into(),
    }
}

/// The staged file, as the content of this attempt.
pub(crate) fn content(record: &Record, attempt: u32, staged: Staged, meter: Meter) -> Content {
    let headers = headers(record);
    // A copy that was made unread has been wrong once: who reads it finds out which side is.
    let body = if attempt > 0 { staged.body.to_be_read() } else { staged.body };
    Content { size: staged.pin.size, expected: record.publication.checksum, headers, body, meter }
}

/// Beats when bytes have moved since the last beat.
#[derive(Default)]
pub(crate) struct Pulse {
    moved: AtomicBool,
    waker: AtomicWaker,
}

pub(crate) fn pulse(call: &Call) -> (Arc<Pulse>, Meter) {
    let pulse = Arc::new(Pulse::default());
    let (beats, progress) = (pulse.clone(), call.progress.clone());
    let meter = Meter::new(move |bytes| {
        progress.advance(bytes);
        beats.moved.store(true, Ordering::Release);
        beats.waker.wake();
    });
    (pulse, meter)
}

impl Pulse {
    async fn beat(&self) {
        poll_fn(|cx| {
            self.waker.register(cx.waker());
            if self.moved.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}
