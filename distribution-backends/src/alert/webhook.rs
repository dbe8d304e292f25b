//! Alerts to an HTTP receiver, through a queue on disk.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{Alert, AlertSink, Clock, Error, Timestamp};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Url};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::RunningAlerts;
use super::message::{body, waiting};
use super::spool::{Bounds, Spool, Waiting};
use crate::blocking::blocking;
use crate::http;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);
const PAUSE_FIRST: TimeDelta = TimeDelta::seconds(1);
const PAUSE_MAX: TimeDelta = TimeDelta::seconds(60);
const RETRY_AFTER_SECS_MAX: i64 = 3_600;
/// How often an alert is sent that the receiver calls wrong (400, 413 or 422).
const REFUSALS_MAX: u32 = 10;
/// How many alerts are in memory before they are on disk.
const INBOX_MAX: usize = 1_000;
/// How often it is looked whether a process has ended and left alerts.
const ADOPT_EVERY: TimeDelta = TimeDelta::seconds(30);

/// What the receiver understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookFormat {
    /// `{"text": …}`, for the incoming webhooks of Slack and of whoever takes the same.
    Slack,
    /// Alertmanager's API v2, `POST /api/v2/alerts`. Its alerts are the same if their labels are, so
    /// `audit_log_id` is a label where the alert is about one publication: as an annotation, the alert of
    /// one publication would overwrite that of another. Alerts are few and end; they are no time series.
    Alertmanager,
}

/// Where alerts go, and how many wait.
#[derive(Clone)]
pub struct WebhookConfig {
    /// The receiver's URL: a secret.
    pub url: Zeroizing<String>,
    /// What it understands.
    pub format: WebhookFormat,
    /// An existing directory for the queue. Processes may share it: each has a queue of its own there.
    pub spool: PathBuf,
    /// An alert with the key of one taken at most so long ago is not sent again: 10 minutes.
    pub window: Duration,
    /// The most alerts that wait: 10,000.
    pub entries_max: usize,
    /// About the most bytes of alerts that wait: 8 MiB. The file has at most twice as many.
    pub bytes_max: u64,
}

impl WebhookConfig {
    /// The usual limits.
    pub fn new(url: impl Into<String>, format: WebhookFormat, spool: impl Into<PathBuf>) -> Self {
        let (window, entries_max, bytes_max) = (Duration::from_secs(600), 10_000, 8 << 20);
        Self { url: Zeroizing::new(url.into()), format, spool: spool.into(), window, entries_max, bytes_max }
    }
}

impl fmt::Debug for WebhookConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookConfig")
            .field("format", &self.format)
            .field("spool", &self.spool)
            .finish_non_exhaustive()
    }
}

/// Sends alerts to a webhook, in order, from one background task: [`start`](Self::start).
///
/// An alert is in memory until the task has put it into the queue on disk, at once unless the disk is
/// slow; from then on it survives a crash. It leaves the queue when the receiver has answered 2xx, so a crash
/// at that moment sends it twice. Until then it is sent again after 1, 2, 4 … 60 seconds, or when the
/// receiver's `Retry-After` (seconds) says. An alert that the receiver calls wrong (400, 413 or 422) is dropped after
/// 10 times, with an error in the log that has all of it; whatever else is answered is no fault of the alert's (a
/// receiver that is being deployed answers 404, one whose token has ended 401), so it waits. Where the queue is full, the oldest alert with the new one's
/// [key](Alert::dedup_key) gives way, or else the oldest of all. The next message says how many were dropped. Lines
/// of the queue that were damaged are kept in `alerts.damaged.jsonl` beside it, and an alert tells of them.
///
/// Each process has a queue of its own in the directory. What one leaves that has ended is sent by the next one that
/// runs there, or by one that runs already, within a minute.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use distribution_backends::{SystemClock, WebhookAlerts, WebhookConfig, WebhookFormat};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let url = std::env::var("ALERTS_URL")?;
/// let config = WebhookConfig::new(url, WebhookFormat::Slack, "/var/lib/distribution/alerts");
/// let alerts = Arc::new(WebhookAlerts::start(config, Arc::new(SystemClock)).await?);
/// let builder = distribution_core::Publisher::builder().alerts(alerts);
/// # Ok(())
/// # }
/// ```
pub struct WebhookAlerts {
    client: Client,
    url: Url,
    format: WebhookFormat,
    window: TimeDelta,
    clock: Arc<dyn Clock>,
    inbox: Mutex<Inbox>,
    raised: Notify,
    spool: Arc<Mutex<Spool>>,
    directory: PathBuf,
    bounds: Bounds,
    /// One delivery at a time.
    pace: tokio::sync::Mutex<Pace>,
}

#[derive(Default)]
struct Inbox {
    alerts: VecDeque<(Alert, Timestamp)>,
    dropped: u64,
}

#[derive(Default)]
struct Pace {
    taken: HashMap<String, Timestamp>,
    failures: u32,
    refusals: u32,
    due: Option<Timestamp>,
    lost: u64,
    adopted_at: Option<Timestamp>,
}

enum Answer {
    Taken,
    Wrong,
    Later(Option<i64>),
}

impl WebhookAlerts {
    /// Opens the queue; what waits in it is still sent.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for a URL that is none or a missing directory,
    /// [`Conflict`](distribution_core::ErrorKind::Conflict) if 64 processes use the directory,
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it is out of reach.
    pub async fn open(config: WebhookConfig, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let url = Url::parse(&config.url).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
        let url = url.ok_or_else(|| Error::invalid("alerts.url", "must be an http:// or https:// URL"))?;
        let bounds = Bounds { entries: config.entries_max, bytes: config.bytes_max };
        let client = http::build(http::client_builder()?)?;
        let now = clock.now();
        let directory = config.spool.clone();
        let spool = blocking(move |_| Spool::open(&config.spool, bounds, now)).await?;
        Ok(Self {
            client,
            url,
            format: config.format,
            window: TimeDelta::from_std(config.window).unwrap_or(TimeDelta::MAX),
            clock,
            inbox: Mutex::default(),
            raised: Notify::new(),
            spool: Arc::new(Mutex::new(spool)),
            directory,
            bounds,
            pace: tokio::sync::Mutex::default(),
        })
    }

    /// The same, with a task that sends alerts as they come, for as long as the answer lives. Within a Tokio runtime.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn start(config: WebhookConfig, clock: Arc<dyn Clock>) -> Result<RunningAlerts, Error> {
        Ok(RunningAlerts::new(Arc::new(Self::open(config, clock).await?)))
    }

    /// Sends alerts as they come, until it is dropped: for a task of its own.
    pub async fn run(self: Arc<Self>) {
        loop {
            let pause = match self.deliver().await {
                Ok(None) => None,
                Ok(Some(due)) => Some((due - self.clock.now()).to_std().unwrap_or_default()),
                Err(error) => {
                    tracing::error!(%error, "alerts wait in memory");
                    Some(Duration::from_secs(5))
                }
            };
            // Others may end and leave alerts while nothing is raised here.
            let idle = ADOPT_EVERY.to_std().unwrap_or_default();
            let pause = pause.unwrap_or(idle).clamp(Duration::from_millis(10), idle);
            drop(tokio::time::timeout(pause, self.raised.notified()).await);
        }
    }

    /// Puts what was raised on disk, and sends what is due by the clock, until the receiver fails. Says when
    /// to call it again; `None` if nothing waits.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the queue's disk is out of reach.
    pub async fn deliver(&self) -> Result<Option<Timestamp>, Error> {
        let mut pace = self.pace.lock().await;
        self.take_in(&mut pace).await?;
        if let Err(error) = self.adopt(&mut pace).await {
            tracing::error!(%error, "what ended processes have left is not sent");
        }
        loop {
            let now = self.clock.now();
            let Some((first, untold)) = self.first() else { return Ok(None) };
            // A clock that went back does not hold alerts for longer than a pause can be.
            if let Some(due) =
                pace.due.filter(|due| now < *due && *due - now <= TimeDelta::seconds(RETRY_AFTER_SECS_MAX))
            {
                return Ok(Some(due));
            }
            let (sequence, lost) = (first.sequence, pace.lost);
            match self.send_and_take_in(&first, untold + lost, &mut pace).await {
                Answer::Taken => {
                    (pace.failures, pace.refusals, pace.due) = (0, 0, None);
                    pace.lost -= lost;
                    self.with_spool(move |spool| spool.delivered(sequence, untold)).await?;
                }
                Answer::Wrong if pace.refusals + 1 >= REFUSALS_MAX => {
                    (pace.failures, pace.refusals, pace.due) = (0, 0, None);
                    tracing::error!(
                        kind = first.kind,
                        audit_log_id = first.audit_log_id,
                        alert = first.message,
                        "an alert is dropped: the receiver has called it wrong {REFUSALS_MAX} times"
                    );
                    self.with_spool(move |spool| spool.drop_one(sequence)).await?;
                }
                Answer::Wrong => {
                    pace.refusals += 1;
                    pace.wait(now, None);
                }
                Answer::Later(after) => pace.wait(now, after),
            }
        }
    }

    /// Puts what was raised into the queue, one by one: an alert is in memory until it is on disk.
    async fn take_in(&self, pace: &mut Pace) -> Result<(), Error> {
        pace.lost += std::mem::take(&mut lock(&self.inbox).dropped);
        while let Some((alert, at)) = self.oldest_raised() {
            let (key, window) = (alert.dedup_key(), self.window);
            pace.taken.retain(|_, taken| (at - *taken).abs() <= window);
            if !pace.taken.contains_key(&key) && !lock(&self.spool).holds_within(&key, at, window) {
                let waiting = waiting(alert, at, key.clone());
                self.with_spool(move |spool| spool.push(waiting)).await?;
                pace.taken.insert(key, at);
            }
            lock(&self.inbox).alerts.pop_front();
        }
        Ok(())
    }

    /// Takes over what processes have left that have ended: into this queue first, then out of theirs.
    async fn adopt(&self, pace: &mut Pace) -> Result<(), Error> {
        let now = self.clock.now();
        if pace.adopted_at.is_some_and(|at| (now - at).abs() < ADOPT_EVERY) {
            return Ok(());
        }
        pace.adopted_at = Some(now);
        let (spool, directory, bounds) = (self.spool.clone(), self.directory.clone(), self.bounds);
        let (window, mut taken) = (self.window, pace.taken.clone());
        let (taken, dropped) = blocking(move |_| {
            let dropped = lock(&spool).adopt(&directory, bounds, now, |alert| {
                let at = taken.insert(alert.key.clone(), alert.at);
                at.is_none_or(|at| (alert.at - at).abs() > window)
            })?;
            Ok((taken, dropped))
        })
        .await?;
        pace.taken = taken;
        pace.lost += dropped;
        Ok(())
    }

    fn oldest_raised(&self) -> Option<(Alert, Timestamp)> {
        lock(&self.inbox).alerts.front().cloned()
    }

    /// Puts what is in memory into the queue, before the process ends. Blocks on the disk.
    pub(super) fn keep(&self) {
        let alerts = std::mem::take(&mut lock(&self.inbox).alerts);
        let mut spool = lock(&self.spool);
        for (alert, at) in alerts {
            let key = alert.dedup_key();
            if spool.holds_within(&key, at, self.window) {
                continue;
            }
            if let Err(error) = spool.push(waiting(alert, at, key)) {
                tracing::error!(%error, "alerts are lost with the process");
                return;
            }
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn first(&self) -> Option<(Waiting, u64)> {
        let spool = lock(&self.spool);
        spool.first().map(|first| (first.clone(), spool.untold()))
    }

    async fn with_spool(
        &self,
        work: impl FnOnce(&mut Spool) -> Result<(), Error> + Send + 'static,
    ) -> Result<(), Error> {
        let spool = self.spool.clone();
        blocking(move |_| work(&mut lock(&spool))).await
    }

    /// While the receiver takes its time, what is raised goes on disk.
    async fn send_and_take_in(&self, alert: &Waiting, dropped: u64, pace: &mut Pace) -> Answer {
        let mut sending = pin!(self.send(alert, dropped));
        loop {
            tokio::select! {
                answer = &mut sending => return answer,
                () = self.raised.notified() => {
                    if let Err(error) = self.take_in(pace).await {
                        tracing::error!(%error, "alerts wait in memory");
                    }
                }
            }
        }
    }

    async fn send(&self, alert: &Waiting, dropped: u64) -> Answer {
        let body = body(self.format, alert, dropped).to_string();
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(body);
        let response = match request.timeout(REQUEST_TIMEOUT).send().await {
            Ok(response) => response,
            Err(error) => {
                tracing::warn!(error = %error.without_url(), "the receiver of alerts is out of reach");
                return Answer::Later(None);
            }
        };
        let status = response.status();
        if status.is_success() {
            return Answer::Taken;
        }
        tracing::warn!(status = status.as_u16(), "the receiver took no alert: check its URL if it stays so");
        let after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
        match status.as_u16() {
            400 | 413 | 422 => Answer::Wrong,
            _ => Answer::Later(after),
        }
    }
}

impl Pace {
    fn wait(&mut self, now: Timestamp, after: Option<i64>) {
        let usual = PAUSE_FIRST * (1 << self.failures.min(6));
        let pause = after.map_or(usual.min(PAUSE_MAX), |secs| TimeDelta::seconds(secs.clamp(1, RETRY_AFTER_SECS_MAX)));
        self.failures = self.failures.saturating_add(1);
        self.due = now.checked_add_signed(pause);
    }
}

impl AlertSink for WebhookAlerts {
    fn raise(&self, alert: Alert) {
        let at = self.clock.now();
        let mut inbox = lock(&self.inbox);
        if inbox.alerts.len() < INBOX_MAX {
            inbox.alerts.push_back((alert, at));
        } else {
            inbox.dropped += 1;
        }
        self.raised.notify_one();
    }
}

impl fmt::Debug for WebhookAlerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookAlerts").field("format", &self.format).finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
