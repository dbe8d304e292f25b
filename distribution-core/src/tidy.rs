//! Left-overs: what crashes and failed attempts leave in storage, found and removed after a grace time.

mod objects;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use chrono::TimeDelta;
use serde::Serialize;

use crate::error::Error;
use crate::identity::AuditLogId;
use crate::key::{ObjectKey, TargetName};
use crate::machine::Event;
use crate::parts::Target;
use crate::publisher::Publisher;

use crate::storage::Unfinished;
use crate::store_clock::{StoreClock, StoreClocks};
use crate::sweep::held;
use crate::time::Timestamp;

/// What was left over, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOver {
    /// Where.
    pub target: TargetName,
    /// The key of the object, or the store's name for what is none.
    pub name: String,
    /// Since when it is there, by the store's clock.
    pub since: Timestamp,
    /// What it is.
    #[serde(flatten)]
    pub kind: LeftOverKind,
    /// What becomes of it.
    #[serde(flatten)]
    pub outcome: LeftOverOutcome,
}

/// What can be left over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeftOverKind {
    /// The object of an attempt that failed: it had other bytes, or came too late.
    Attempt {
        /// The publication, which has another object.
        audit_log_id: AuditLogId,
    },
    /// An object of a publication that was taken back.
    Retracted {
        /// The publication.
        audit_log_id: AuditLogId,
    },
    /// What a doctor, a probe or a sweep that was killed had stored to try something out.
    Trial,
    /// An upload, or a file on its way, that nobody has finished.
    Unfinished,
}

/// What becomes of a left-over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum LeftOverOutcome {
    /// It would be removed.
    Remove,
    /// It was removed.
    Removed,
    /// It stays.
    Keep {
        /// Why.
        reason: String,
    },
}

/// A pass over what is left over in all targets; made by [`Publisher::tidy`] and [`Publisher::plan_tidy`]. May be
/// dropped at any moment.
pub struct Tidy {
    publisher: Publisher,
    grace: TimeDelta,
    removes: bool,
    clocks: StoreClocks,
    stages: VecDeque<Stage>,
    found: VecDeque<Found>,
}

enum Stage {
    Attempts,
    Target(TargetName),
}

/// Something that may be removed, and how.
struct Found {
    target: TargetName,
    since: Timestamp,
    what: What,
    /// Why it stays all the same.
    kept: Option<String>,
}

enum What {
    /// An object of a publication: of an attempt that failed, or of any if the publication `is_retracted`.
    Attempt {
        key: ObjectKey,
        audit_log_id: AuditLogId,
        is_retracted: bool,
        /// The publications that had the object and were taken back, each of which must let it go.
        owners: BTreeSet<AuditLogId>,
    },
    Trial(ObjectKey),
    Unfinished(Unfinished),
}

/// How much is looked at together.
const PAGE: usize = 1_000;

impl Publisher {
    /// What [`tidy`](Self::tidy) would do. Nothing is written but a small object that tells the store's time.
    pub fn plan_tidy(&self, grace: TimeDelta) -> Tidy {
        let targets = self.parts().targets.keys().cloned().map(Stage::Target);
        Tidy {
            publisher: self.clone(),
            grace,
            removes: false,
            clocks: StoreClocks::default(),
            stages: std::iter::once(Stage::Attempts).chain(targets).collect(),
            found: VecDeque::new(),
        }
    }

    /// Removes what is left over in storage and has been there for longer than `grace` by the store's clock: choose
    /// a time that no publish lasts, such as a day. These are objects of attempts that were given up and of
    /// publications that were [taken back](Self::retract), unless they are another publication's, or held; objects that
    /// were stored to try something out; and unfinished uploads and files.
    ///
    /// ```
    /// use chrono::TimeDelta;
    /// # use distribution_testkit::World;
    /// # futures::executor::block_on(async {
    /// # let publisher = World::new().publisher("host-1");
    /// let mut tidy = publisher.tidy(TimeDelta::days(1));
    /// while let Some(left_over) = tidy.next().await? {
    ///     println!("{left_over}");
    /// }
    /// # Ok::<(), distribution_core::Error>(()) }).unwrap();
    /// ```
    pub fn tidy(&self, grace: TimeDelta) -> Tidy {
        Tidy { removes: true, ..self.plan_tidy(grace) }
    }
}

impl Tidy {
    /// The next left-over and what became of it; `None` when there are no more.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if records or a store cannot be listed; the pass may go on.
    pub async fn next(&mut self) -> Result<Option<LeftOver>, Error> {
        while self.found.is_empty() {
            self.found = match self.stages.pop_front() {
                None => return Ok(None),
                Some(Stage::Attempts) => self.attempts().await?,
                Some(Stage::Target(name)) => self.rest(&name).await?,
            };
        }
        let Some(found) = self.found.pop_front() else { return Ok(None) };
        let outcome = match (&found.kept, self.removes) {
            (Some(reason), _) => LeftOverOutcome::Keep { reason: reason.clone() },
            (None, false) => LeftOverOutcome::Remove,
            (None, true) => match self.remove(&found).await {
                Ok(()) => LeftOverOutcome::Removed,
                Err(error) => LeftOverOutcome::Keep { reason: error.to_string() },
            },
        };
        let (name, kind) = match found.what {
            What::Attempt { key, audit_log_id, is_retracted: false, .. } => {
                (key.to_string(), LeftOverKind::Attempt { audit_log_id })
            }
            What::Attempt { key, audit_log_id, is_retracted: true, .. } => {
                (key.to_string(), LeftOverKind::Retracted { audit_log_id })
            }
            What::Trial(key) => (key.to_string(), LeftOverKind::Trial),
            What::Unfinished(unfinished) => (unfinished.name, LeftOverKind::Unfinished),
        };
        Ok(Some(LeftOver { target: found.target, name, since: found.since, kind, outcome }))
    }

    async fn remove(&self, found: &Found) -> Result<(), Error> {
        let storage = &self.target(&found.target)?.storage;
        match &found.what {
            What::Attempt { key, owners, .. } => {
                let released = Event::CopyReleased { location: storage.location(key) };
                for owner in owners {
                    let record = self.publisher.load(owner).await?;
                    if self.publisher.is_held(&record).await? {
                        return Err(held());
                    }
                    // On record only as long as it is not held.
                    let told = self.publisher.tell(record, |record| match record.hold {
                        None => Ok(Some(released.clone())),
                        Some(_) => Err(held()),
                    });
                    told.await?;
                }
                storage.remove(key).await
            }
            What::Trial(key) => storage.remove(key).await,
            What::Unfinished(unfinished) => storage.discard(unfinished).await,
        }
    }

    fn target(&self, name: &TargetName) -> Result<&Target, Error> {
        let target = self.publisher.parts().targets.get(name);
        target.ok_or_else(|| Error::unavailable(format!("target `{name}` is not configured here")))
    }

    /// Trials and what was not finished on one target.
    async fn rest(&mut self, name: &TargetName) -> Result<VecDeque<Found>, Error> {
        let mut found = VecDeque::new();
        let storage = self.target(name)?.storage.clone();
        for prefix in ObjectKey::TRIALS {
            let mut after = None;
            loop {
                let keys = storage.list(prefix, after.as_ref(), PAGE).await?;
                after = keys.get(PAGE - 1).cloned();
                for key in keys {
                    if let Some(since) = self.is_old(name, &key).await? {
                        found.push_back(Found { target: name.clone(), since, what: What::Trial(key), kept: None });
                    }
                }
                if after.is_none() {
                    break;
                }
            }
        }
        let Some(now) = self.clock(name).await?.store() else { return Ok(found) };
        let begun_before = now.checked_sub_signed(self.grace).unwrap_or(Timestamp::MIN_UTC);
        let unfinished = storage.unfinished(begun_before, PAGE).await?;
        let under_way = if unfinished.is_empty() { BTreeMap::new() } else { self.under_way(name).await? };
        for unfinished in unfinished {
            let (target, since) = (name.clone(), unfinished.begun_at);
            // A copy may take longer than the grace time, and its publisher would begin anew for ever.
            let kept = under_way.get(&unfinished.name).map(|id| format!("{id} is not finished: it may be its upload"));
            found.push_back(Found { target, since, what: What::Unfinished(unfinished), kept });
        }
        Ok(found)
    }

    /// Since when the object is there, if that is longer than the grace time.
    async fn is_old(&mut self, target: &TargetName, key: &ObjectKey) -> Result<Option<Timestamp>, Error> {
        let Some(stat) = self.target(target)?.storage.stat(key).await? else { return Ok(None) };
        let age = self.clock(target).await?.since(stat.modified);
        Ok(stat.modified.filter(|_| age.is_some_and(|age| age >= self.grace)))
    }

    async fn clock(&mut self, name: &TargetName) -> Result<StoreClock, Error> {
        let storage = self.target(name)?.storage.clone();
        Ok(self.clocks.compare(&self.publisher, name, &*storage).await?.0)
    }
}

impl Found {
    fn place(&self) -> Option<(TargetName, ObjectKey)> {
        match &self.what {
            What::Attempt { key, .. } => Some((self.target.clone(), key.clone())),
            What::Trial(_) | What::Unfinished(_) => None,
        }
    }
}

impl fmt::Display for LeftOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, name, since, kind, outcome } = self;
        match outcome {
            LeftOverOutcome::Remove => f.write_str("remove")?,
            LeftOverOutcome::Removed => f.write_str("removed")?,
            LeftOverOutcome::Keep { reason } => write!(f, "keep ({reason})")?,
        }
        match kind {
            LeftOverKind::Attempt { audit_log_id } => {
                write!(f, " {target} {name}: a failed attempt of {audit_log_id}")?
            }
            LeftOverKind::Retracted { audit_log_id } => {
                write!(f, " {target} {name}: of {audit_log_id}, which was taken back")?
            }
            LeftOverKind::Trial => write!(f, " {target} {name}: of a trial")?,
            LeftOverKind::Unfinished => write!(f, " {target} {name}: unfinished")?,
        }
        write!(f, ", there since {since}")
    }
}

impl fmt::Debug for Tidy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tidy").field("grace", &self.grace).field("removes", &self.removes).finish_non_exhaustive()
    }
}
