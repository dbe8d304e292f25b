//! The sweep: clears away staged files that were published long enough ago, and nothing else.
//!
//! A staged file may be the last good copy that there is, so whatever is not known keeps it. [`may_remove`] is the
//! rule, pure; a [`Sweep`] brings to it what is on record and in the stores.

mod removal;
mod survey;

pub(crate) use self::removal::held;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use serde::Serialize;

use crate::error::Error;
use crate::identity::AuditLogId;
use crate::metrics;
use crate::object::Digest;
use crate::publisher::Publisher;
use crate::record::{Phase, Record};
use crate::request::VideoUrl;
use crate::staging::{StagedFile, Staging};
use crate::time::Timestamp;

use crate::store_clock::StoreClocks;

/// How long staged files are kept.
#[derive(Clone, Debug)]
pub struct SweepPolicy {
    /// How long after the verified publish: 7 days.
    pub retention: TimeDelta,
    /// After which time a file that nobody has published is told as [`Kept::Stuck`]: 7 days.
    pub stuck_after: TimeDelta,
}

impl Default for SweepPolicy {
    fn default() -> Self {
        Self { retention: TimeDelta::days(7), stuck_after: TimeDelta::days(7) }
    }
}

/// A staged file and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The file.
    #[serde(flatten)]
    pub file: StagedFile,
    /// What becomes of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What becomes of a staged file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum Verdict {
    /// It would be removed, if its copies prove to be sound.
    Remove {
        /// A publication of it.
        audit_log_id: AuditLogId,
        /// When that was published.
        published_at: Timestamp,
    },
    /// It was removed.
    Removed {
        /// The publication in whose trail this is.
        audit_log_id: AuditLogId,
    },
    /// It stays.
    Keep(Kept),
}

/// Why a staged file is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kept {
    /// No publication is known to be of it.
    Unpublished,
    /// The same, and it has been there for long: see what became of it, and remove it by hand.
    Stuck,
    /// Its publications are of other states of the file: it has changed since.
    Changed,
    /// The retention is not over.
    Retained {
        /// When it will be, by this host's clock.
        until: Timestamp,
    },
    /// A publication of the same bytes is not finished, or was rejected.
    InUse {
        /// Which.
        audit_log_id: AuditLogId,
    },
    /// A copy is missing or has other bytes: the staged file may be the last good one.
    Unproven {
        /// The publication of that copy.
        audit_log_id: AuditLogId,
    },
    /// A publication of the same bytes was taken back: what becomes of the file is for a person to say.
    Retracted {
        /// Which.
        audit_log_id: AuditLogId,
    },
    /// A publication of the same bytes, or its work, is held.
    Held {
        /// Which.
        audit_log_id: AuditLogId,
    },
    /// Something could not be found out.
    Unknown {
        /// What, and what to do.
        message: String,
    },
}

/// A publication of the same bytes, and its copy as it was found just now.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// Its record.
    pub record: &'a Record,
    /// Whether the staged file is in the state that it was published from, by its pin or its bytes.
    pub is_this_state: bool,
    /// What was read back from its copy; `None` if nothing was there.
    pub found: Option<Digest>,
    /// How many copies on other targets were read back and are sound.
    pub replicas: u32,
    /// For how long the copy has been there by the clock of its store, which also must be the retention. `None`, where
    /// the store does not tell, keeps the file.
    pub stored_for: Option<TimeDelta>,
    /// Whether it, or its work, is held.
    pub is_held: bool,
}

/// Whether a staged file may be removed at `now`: if every publication of its bytes is published, settled and past
/// the retention and not held, its copy and as many others as its quorum wants are sound, and one of them was published from this very state of the file.
///
/// # Errors
/// Why not.
pub fn may_remove(users: &[User<'_>], now: Timestamp, retention: TimeDelta) -> Result<(), Kept> {
    for User { record, found, replicas, stored_for, is_held, .. } in users {
        let audit_log_id = record.id().clone();
        if *is_held {
            return Err(Kept::Held { audit_log_id });
        }
        let published = match &record.phase {
            Phase::Published(published) => published,
            Phase::Retracted(_) => return Err(Kept::Retracted { audit_log_id }),
            Phase::Claimed { .. } | Phase::Stored { .. } | Phase::Replicating { .. } | Phase::Rejected { .. } => {
                return Err(Kept::InUse { audit_log_id });
            }
        };
        if !record.is_told() {
            return Err(Kept::InUse { audit_log_id });
        }
        let until = kept_until(published.at, retention);
        if now < until {
            return Err(Kept::Retained { until });
        }
        if *found != Some(published.proof.digest) || replicas.saturating_add(1) < record.quorum() {
            return Err(Kept::Unproven { audit_log_id });
        }
        match stored_for {
            Some(time) if *time >= retention => {}
            // By this host's clock it is over: one of the two is wrong, or the object came later than its record says.
            Some(time) => {
                let left = now.checked_add_signed(retention - *time);
                return Err(Kept::Retained { until: left.unwrap_or(Timestamp::MAX_UTC) });
            }
            None => {
                let message = "its store does not tell since when the copy is there: remove it by hand".to_owned();
                return Err(Kept::Unknown { message });
            }
        }
    }
    let is_published = users.iter().any(|user| user.is_this_state);
    if is_published { Ok(()) } else { Err(Kept::Changed) }
}

/// Past the end of the calendar it is never over.
fn kept_until(published_at: Timestamp, retention: TimeDelta) -> Timestamp {
    published_at.checked_add_signed(retention).unwrap_or(Timestamp::MAX_UTC)
}

/// A pass over all staged files, one decision at a time; made by [`Publisher::sweep`] and
/// [`Publisher::plan_sweep`]. May be dropped at any moment: the next pass goes on with what is still there.
/// Between two decisions it does nothing, so whoever asks for the next one sets the pace.
///
/// In memory it keeps what it knows of [`Sweep::FILES_AT_ONCE`] files at most.
pub struct Sweep {
    files: BoxStream<'static, Result<StagedFile, Error>>,
    decided: VecDeque<Decision>,
    removes: bool,
    /// How many files nobody publishes, and the first of them.
    stuck: Option<(u64, VideoUrl)>,
    sweeper: Sweeper,
}

/// Who decides and removes.
struct Sweeper {
    publisher: Publisher,
    staging: Arc<dyn Staging>,
    policy: SweepPolicy,
    clocks: StoreClocks,
}

impl Publisher {
    /// What [`sweep`](Self::sweep) would do with each staged file, as far as the records tell, holds included. Nothing is
    /// written. A file whose retention is not over is told as that, also if its work is held.
    pub fn plan_sweep(&self, staging: Arc<dyn Staging>, policy: SweepPolicy) -> Sweep {
        let files = staging.list();
        let sweeper = Sweeper { publisher: self.clone(), staging, policy, clocks: StoreClocks::default() };
        Sweep { files, decided: VecDeque::new(), removes: false, stuck: None, sweeper }
    }

    /// Clears the staging area: each file that was published, whose retention is over by this host's clock and
    /// the store's, that nobody is about to use, that is still the file that was published, and whose copies have
    /// been read back just now and are sound, is removed; all others are kept, each with the reason. A copy that is
    /// not sound raises an alert, and so do clocks that disagree and, at the end, files that nobody publishes. Safe at any time, on any number of hosts.
    ///
    /// To read the store's clock, a small object below `distribution-sweep/` is created and removed.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// use distribution_core::{SweepPolicy, Verdict};
    /// use distribution_testkit::{MemoryStaging, World, request};
    /// # futures::executor::block_on(async {
    ///
    /// let world = World::new();
    /// world.stage("clip.mp4", "approved bytes");
    /// let publisher = world.publisher("host-1");
    /// publisher.publish(request("clip.mp4", b"approved bytes")).await?;
    ///
    /// world.advance(Duration::from_secs(8 * 24 * 3600));
    /// let mut sweep = publisher.sweep(Arc::new(MemoryStaging::new(&world)), SweepPolicy::default());
    /// while let Some(decision) = sweep.next().await? {
    ///     println!("{}: {}", decision.file.url, decision.verdict);
    ///     assert!(matches!(decision.verdict, Verdict::Removed { .. }));
    /// }
    /// assert!(world.staged("clip.mp4").is_none());
    /// # Ok::<(), distribution_core::Error>(()) }).unwrap();
    /// ```
    pub fn sweep(&self, staging: Arc<dyn Staging>, policy: SweepPolicy) -> Sweep {
        let files = staging.list_and_mend();
        Sweep { removes: true, files, ..self.plan_sweep(staging, policy) }
    }
}

impl Sweep {
    /// How many files are looked at together. For each so many, the records are read once.
    pub const FILES_AT_ONCE: usize = 50_000;

    /// What becomes of the next file; `None` when there are no more.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if the files or the records cannot be listed: then the pass is
    /// over. What hinders a single file is a reason to keep it.
    pub async fn next(&mut self) -> Result<Option<Decision>, Error> {
        if self.decided.is_empty() {
            let files = self.next_files().await?;
            self.decided = self.sweeper.survey(files, !self.removes).await?;
        }
        let Some(mut decision) = self.decided.pop_front() else {
            if let Some((files, one)) = self.stuck.take() {
                self.sweeper.publisher.alert_of_stuck(files, &one);
            }
            return Ok(None);
        };
        if self.removes && decision.verdict == Verdict::Keep(Kept::Stuck) {
            self.stuck.get_or_insert_with(|| (0, decision.file.url.clone())).0 += 1;
        }
        if let Verdict::Remove { audit_log_id, .. } = &decision.verdict
            && self.removes
        {
            let id = audit_log_id.clone();
            let cleared = self.sweeper.clear(&decision.file, &id).await;
            decision.verdict = cleared.unwrap_or_else(|error| Verdict::Keep(Kept::unknown(&error)));
        }
        if self.removes {
            metrics::swept(&decision.verdict);
        }
        Ok(Some(decision))
    }

    async fn next_files(&mut self) -> Result<Vec<StagedFile>, Error> {
        let mut files = Vec::new();
        while files.len() < Self::FILES_AT_ONCE
            && let Some(file) = self.files.next().await
        {
            files.push(file?);
        }
        Ok(files)
    }
}

impl Verdict {
    /// The verdict's name: `remove`, `removed`, or that of the reason to keep the file, such as `retained`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Remove { .. } => "remove",
            Self::Removed { .. } => "removed",
            Self::Keep(Kept::Unpublished) => "unpublished",
            Self::Keep(Kept::Stuck) => "stuck",
            Self::Keep(Kept::Changed) => "changed",
            Self::Keep(Kept::Retained { .. }) => "retained",
            Self::Keep(Kept::InUse { .. }) => "in_use",
            Self::Keep(Kept::Unproven { .. }) => "unproven",
            Self::Keep(Kept::Retracted { .. }) => "retracted",
            Self::Keep(Kept::Held { .. }) => "held",
            Self::Keep(Kept::Unknown { .. }) => "unknown",
        }
    }
}

impl Kept {
    fn unknown(error: &Error) -> Self {
        Self::Unknown { message: error.to_string() }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Remove { audit_log_id, published_at } => {
                write!(f, "remove: published at {published_at} as {audit_log_id}")
            }
            Self::Removed { audit_log_id } => write!(f, "removed: published as {audit_log_id}"),
            Self::Keep(kept) => write!(f, "keep: {kept}"),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unpublished => f.write_str("nobody has published it"),
            Self::Stuck => f.write_str("nobody has published it for long: publish it, or remove it by hand"),
            Self::Changed => f.write_str("it is not the file that was published: publish it, or remove it by hand"),
            Self::Retained { until } => write!(f, "to be kept until {until}"),
            Self::InUse { audit_log_id } => write!(f, "{audit_log_id} of the same bytes is not published and settled"),
            Self::Unproven { audit_log_id } => {
                write!(f, "the copy of {audit_log_id} is missing or has other bytes: check the store")
            }
            Self::Retracted { audit_log_id } => {
                write!(f, "{audit_log_id} of the same bytes was taken back: remove it by hand, or leave it")
            }
            Self::Held { audit_log_id } => write!(f, "{audit_log_id} of the same bytes is held"),
            Self::Unknown { message } => f.write_str(message),
        }
    }
}

impl fmt::Debug for Sweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweep")
            .field("policy", &self.sweeper.policy)
            .field("removes", &self.removes)
            .finish_non_exhaustive()
    }
}
