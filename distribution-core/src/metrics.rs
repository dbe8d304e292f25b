//! What a publisher measures, through the facade of the `metrics` crate: nothing is kept or sent
//! unless the host installs a recorder. Times are by the publisher's clock; one that went back counts as 0.
//!
//! | name | type | labels | meaning |
//! |---|---|---|---|
//! | `distribution.publish_success_rate` | gauge | | 0 to 1: see below |
//! | `distribution.latency_ms` | histogram | `target`, `outcome` | one publish, from the gate to its answer, in ms |
//! | `distribution.replica_count` | gauge | `target` | proven copies of what was published, or copied to another target, last |
//! | `distribution.publish_total` | counter | `target`, `outcome`, `kind` | publishes that ended |
//! | `distribution.stage_ms` | histogram | `target`, `stage`, `outcome` | one action, in ms |
//! | `distribution.bytes_total` | counter | `target` | bytes of objects that became published |
//! | `distribution.retries_total` | counter | `target` | attempts whose object was lost or had other bytes |
//! | `distribution.alerts_total` | counter | `kind` | alerts raised, before any deduplication |
//! | `distribution.swept_total` | counter | `verdict` | staged files that a sweep has decided on |
//! | `distribution.scrubbed_total` | counter | `outcome` | copies that a scrub found `sound` or `lost`, could not read (`archived`), or has `repaired` |
//! | `distribution.archived_total` | counter | `target`, `step` | publications that were `copied` to the archive, whose hot copies were `freed`, or that were `restored` |
//!
//! Labels have few values: `target` is a name from the configuration (empty for a request that names none
//! that works); `kind` of a publish is that of its [`Error`], or `none`, and of an alert its
//! [`AlertKind`]; `verdict` is `removed`, or the reason why the file was kept, such as `retained`; `stage` is `gate`, `transfer`, `preflight` (a part
//! of `transfer`), `prove`, `replicate`, `record`, `audit` or `sign`. `outcome` is
//! * `published`: the call was answered, by a publication of its own or by that of an equal request;
//! * `failed`: [`Rejected`](ErrorKind::Rejected), [`Corrupt`](ErrorKind::Corrupt) or
//!   [`Unavailable`](ErrorKind::Unavailable);
//! * `turned_away`: every other error. The request, its QC verdict or another host's work is the reason, so it
//!   says nothing about whether publishing works.
//!
//! Of a stage it is `done` or `failed`. Equal calls at the same time are one publish; a call that is dropped
//! before its end is none.
//!
//! **The success rate** is `published / (published + failed)` over the last 64 of these publishes of one
//! publisher (fewer, since its start): a window of calls, so that it means something where publishes
//! are rare, and one bad morning is over after 64 good ones. It is absent until the first. With several
//! publishers in one process it is that of the one that ended last. Whoever scrapes should rather compute it
//! from the counters, over a window of time and over all hosts (a Prometheus exporter writes `_` for `.`):
//!
//! ```text
//! sum(rate(distribution_publish_total{outcome="published"}[1h]))
//!   / sum(rate(distribution_publish_total{outcome=~"published|failed"}[1h]))
//! ```

use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use metrics::{counter, gauge, histogram};
use tracing::{Instrument as _, info_span};

use crate::alert::AlertKind;
use crate::error::{Error, ErrorKind};
use crate::key::TargetName;
use crate::publisher::Publisher;
use crate::record::{Phase, Record};
use crate::sweep::Verdict;

/// The gauge of how many of the last publishes succeeded.
pub const PUBLISH_SUCCESS_RATE: &str = "distribution.publish_success_rate";
/// The histogram of how long a publish takes.
pub const LATENCY_MS: &str = "distribution.latency_ms";
/// The gauge of how many proven copies there are.
pub const REPLICA_COUNT: &str = "distribution.replica_count";
/// The counter of publishes that ended.
pub const PUBLISH_TOTAL: &str = "distribution.publish_total";
/// The histogram of how long an action takes.
pub const STAGE_MS: &str = "distribution.stage_ms";
/// The counter of published bytes.
pub const BYTES_TOTAL: &str = "distribution.bytes_total";
/// The counter of attempts that failed.
pub const RETRIES_TOTAL: &str = "distribution.retries_total";
/// The counter of alerts.
pub const ALERTS_TOTAL: &str = "distribution.alerts_total";
/// The counter of staged files that were swept or kept.
pub const SWEPT_TOTAL: &str = "distribution.swept_total";
/// The counter of copies that were read again.
pub const SCRUBBED_TOTAL: &str = "distribution.scrubbed_total";
/// The counter of what went into the archive and came back.
pub const ARCHIVED_TOTAL: &str = "distribution.archived_total";

/// What is measured by itself, and has a span of its own.
#[derive(Clone, Copy)]
pub(crate) enum Step {
    Gate,
    Preflight,
    Transfer,
    Prove,
    Replicate,
    Record,
    Audit,
    Sign,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Preflight => "preflight",
            Self::Transfer => "transfer",
            Self::Prove => "prove",
            Self::Replicate => "replicate",
            Self::Record => "record",
            Self::Audit => "audit",
            Self::Sign => "sign",
        }
    }
}

impl Publisher {
    /// The work, measured, in a span of its own.
    pub(crate) async fn timed<T>(
        &self,
        step: Step,
        target: &TargetName,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let (stage, began) = (step.as_str(), self.now());
        let result = work.instrument(info_span!("action", stage)).await;
        let outcome = if result.is_ok() { "done" } else { "failed" };
        let labels = [("target", target.to_string()), ("stage", stage.to_owned()), ("outcome", outcome.to_owned())];
        histogram!(STAGE_MS, &labels).record(millis(self.now() - began));
        result
    }
}

/// How the last publishes ended: the newest is the lowest bit.
#[derive(Default)]
pub(crate) struct Outcomes(Mutex<Window>);

#[derive(Clone, Copy, Default)]
struct Window {
    succeeded: u64,
    len: u32,
}

impl Window {
    fn push(&mut self, succeeded: bool) -> f64 {
        self.succeeded = self.succeeded << 1 | u64::from(succeeded);
        self.len = (self.len + 1).min(u64::BITS);
        f64::from(self.succeeded.count_ones()) / f64::from(self.len)
    }
}

impl Outcomes {
    /// A publish ended.
    pub(crate) fn ended(&self, target: &TargetName, error: Option<&Error>, took: TimeDelta) {
        let outcome = outcome(error);
        count(target.as_str(), error);
        histogram!(LATENCY_MS, "target" => target.to_string(), "outcome" => outcome).record(millis(took));
        if outcome != "turned_away" {
            let rate = self.0.lock().unwrap_or_else(PoisonError::into_inner).push(error.is_none());
            gauge!(PUBLISH_SUCCESS_RATE).set(rate);
        }
    }
}

/// A request was turned away before there was anything to publish.
pub(crate) fn turned_away(error: &Error) {
    count("", Some(error));
}

/// A step went on record.
pub(crate) fn advanced(before: &Record, after: &Record) {
    let target = || after.publication.target.to_string();
    if after.attempt > before.attempt && after.published().is_none() {
        counter!(RETRIES_TOTAL, "target" => target()).increment(1);
    }
    if let Phase::Published(published) = &after.phase
        && !matches!(before.phase, Phase::Published(_))
    {
        counter!(BYTES_TOTAL, "target" => target()).increment(published.proof.digest.size);
    }
    if after.published().is_some() && after.replica_count() != before.replica_count() {
        gauge!(REPLICA_COUNT, "target" => target()).set(f64::from(after.replica_count()));
    }
    if let Some(step) = archive_step(before, after) {
        counter!(ARCHIVED_TOTAL, "target" => target(), "step" => step).increment(1);
    }
}

/// How far it has come into the archive, or back, by this step.
fn archive_step(before: &Record, after: &Record) -> Option<&'static str> {
    match (before.is_archived(), after.is_archived()) {
        (false, true) => Some("freed"),
        (true, false) => Some("restored"),
        _ if after.has_archived_copy() && !before.has_archived_copy() => Some("copied"),
        _ => None,
    }
}

/// A copy was read again, or made again.
pub(crate) fn scrubbed(outcome: &'static str) {
    counter!(SCRUBBED_TOTAL, "outcome" => outcome).increment(1);
}

/// An alert was raised.
pub(crate) fn alerted(kind: AlertKind) {
    counter!(ALERTS_TOTAL, "kind" => kind.as_str()).increment(1);
}

/// A sweep decided on a staged file.
pub(crate) fn swept(verdict: &Verdict) {
    counter!(SWEPT_TOTAL, "verdict" => verdict.as_str()).increment(1);
}

fn count(target: &str, error: Option<&Error>) {
    let kind = error.map_or("none", |error| error.kind().as_str());
    let labels = [("target", target.to_owned()), ("outcome", outcome(error).to_owned()), ("kind", kind.to_owned())];
    counter!(PUBLISH_TOTAL, &labels).increment(1);
}

fn outcome(error: Option<&Error>) -> &'static str {
    match error.map(Error::kind) {
        None => "published",
        Some(ErrorKind::Rejected | ErrorKind::Corrupt | ErrorKind::Unavailable) => "failed",
        Some(
            ErrorKind::Invalid
            | ErrorKind::Conflict
            | ErrorKind::Refused
            | ErrorKind::Busy
            | ErrorKind::Retracted
            | ErrorKind::Archived
            | ErrorKind::Unsupported,
        ) => "turned_away",
    }
}

fn millis(took: TimeDelta) -> f64 {
    took.num_microseconds().unwrap_or(i64::MAX).max(0) as f64 / 1_000.0
}
