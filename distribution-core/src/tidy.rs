//! Left-overs: what crashes and failed attempts leave in storage, found and removed after a grace time.

mod objects;
mod removal;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

use chrono::TimeDelta;
use serde::Serialize;

use crate::error::Error;
use crate::identity::AuditLogId;
use crate::key::{ObjectKey, TargetName};
use crate::metadata::Cursor;
use crate::object::LegalHold;
use crate::parts::Target;
use crate::publisher::Publisher;
use crate::storage::Unfinished;
use crate::store_clock::{StoreClock, StoreClocks};
use crate::time::Timestamp;

/// What was left over, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOver {
    /// Where.
    pub target: TargetName,
    /// The key of the object, or the store's name for what is none.
    pub name: String,
    /// Since when it is there, by the store's clock; `None` where the store does not tell.
    pub since: Option<Timestamp>,
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
    /// An object of a publication that was taken back, or that has its copies elsewhere now.
    Released {
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
    Keep(Spared),
}

/// Why a left-over stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Spared {
    /// It is, or may be, the object of a publication.
    Owned {
        /// Which.
        by: AuditLogId,
    },
    /// A publication that had it, or its work, is held.
    Held {
        /// Which.
        by: AuditLogId,
    },
    /// A publication that had it was taken back within the grace time, or archived, and links that are out work still.
    Recent {
        /// Which.
        by: AuditLogId,
    },
    /// It may be the upload of a publication that is not finished.
    UnderWay {
        /// Which.
        by: AuditLogId,
    },
    /// A publication that was moved into the archive has no sound copy there.
    Unproven {
        /// Which.
        by: AuditLogId,
    },
    /// Its store keeps it under a legal hold of its own: somebody else has placed that, or a release did not reach it.
    Locked,
    /// The store does not tell since when it is there, or what time it is: it is for a person to remove.
    Timeless,
    /// It could not be removed.
    Failed {
        /// What hindered it, and what to do.
        message: String,
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
    /// Whose copy in the archive was read last and was sound, and when: what was freed with it comes right behind.
    sound: Option<(AuditLogId, Timestamp)>,
}

enum Stage {
    /// What the publications behind this place have left, as much as is looked at together.
    Attempts(Option<Cursor>),
    Target(TargetName),
}

/// Something that may be removed, and how.
struct Found {
    target: TargetName,
    since: Option<Timestamp>,
    /// Whether its store keeps it.
    is_locked: bool,
    what: What,
    /// Why it stays all the same.
    kept: Option<Spared>,
}

/// An object that is there for longer than the grace time, or for nobody knows how long.
#[derive(Default)]
struct Aged {
    since: Option<Timestamp>,
    /// Whether its store keeps it.
    is_locked: bool,
}

enum What {
    /// An object of a publication: of an attempt that failed, or of one that was taken back or archived if it `is_released`.
    Attempt {
        key: ObjectKey,
        audit_log_id: AuditLogId,
        is_released: bool,
        /// The publications that had the object and were taken back or archived, each of which must let it go.
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
            stages: std::iter::once(Stage::Attempts(None)).chain(targets).collect(),
            found: VecDeque::new(),
            sound: None,
        }
    }

    /// Removes what is left over in storage and has been there for longer than `grace` by the store's clock: choose
    /// a time that no publish lasts, such as a day. These are objects of attempts that were given up, of
    /// publications that were [taken back](Self::retract), and of those that are in the [archive](Self::archive) only,
    /// if the links to them have ended and the copy there proves to be sound once more; unless they are another
    /// publication's, or held, here or by their store; objects that were stored to try something out; and unfinished
    /// uploads and files.
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
    /// The next left-over and what became of it; `None` when there are no more. Where there are thousands, one that
    /// several publications have left may be told once more.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if records or a store cannot be listed; the pass may go on.
    pub async fn next(&mut self) -> Result<Option<LeftOver>, Error> {
        while self.found.is_empty() {
            self.found = match self.stages.pop_front() {
                None => return Ok(None),
                Some(Stage::Attempts(after)) => self.attempts(after).await?,
                Some(Stage::Target(name)) => self.rest(&name).await?,
            };
        }
        let Some(found) = self.found.pop_front() else { return Ok(None) };
        let outcome = match (&found.kept, self.removes) {
            (Some(spared), _) => LeftOverOutcome::Keep(spared.clone()),
            (None, false) => LeftOverOutcome::Remove,
            (None, true) => match self.remove(&found).await {
                Ok(None) => LeftOverOutcome::Removed,
                Ok(Some(spared)) => LeftOverOutcome::Keep(spared),
                Err(error) => LeftOverOutcome::Keep(Spared::Failed { message: error.to_string() }),
            },
        };
        let (name, kind) = match found.what {
            What::Attempt { key, audit_log_id, is_released: false, .. } => {
                (key.to_string(), LeftOverKind::Attempt { audit_log_id })
            }
            What::Attempt { key, audit_log_id, is_released: true, .. } => {
                (key.to_string(), LeftOverKind::Released { audit_log_id })
            }
            What::Trial(key) => (key.to_string(), LeftOverKind::Trial),
            What::Unfinished(unfinished) => (unfinished.name, LeftOverKind::Unfinished),
        };
        Ok(Some(LeftOver { target: found.target, name, since: found.since, kind, outcome }))
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
                    let Some(Aged { since, is_locked }) = self.aged(name, &key).await? else { continue };
                    let kept = match (is_locked, since) {
                        (true, _) => Some(Spared::Locked),
                        (false, None) => Some(Spared::Timeless),
                        (false, Some(_)) => None,
                    };
                    let target = name.clone();
                    found.push_back(Found { target, since, is_locked, what: What::Trial(key), kept });
                }
                if after.is_none() {
                    break;
                }
            }
        }
        // A store that does not tell what time it is tells of nothing unfinished: nobody could say how old that is.
        let Some(now) = self.clock(name).await?.store() else { return Ok(found) };
        let begun_before = now.checked_sub_signed(self.grace).unwrap_or(Timestamp::MIN_UTC);
        let unfinished = storage.unfinished(begun_before, PAGE).await?;
        let under_way = if unfinished.is_empty() { BTreeMap::new() } else { self.under_way(name).await? };
        for unfinished in unfinished {
            let (target, since) = (name.clone(), Some(unfinished.begun_at));
            // A copy may take longer than the grace time, and its publisher would begin anew for ever.
            let kept = under_way.get(&unfinished.name).map(|by| Spared::UnderWay { by: by.clone() });
            found.push_back(Found { target, since, is_locked: false, what: What::Unfinished(unfinished), kept });
        }
        Ok(found)
    }

    async fn aged(&mut self, target: &TargetName, key: &ObjectKey) -> Result<Option<Aged>, Error> {
        let Some(stat) = self.target(target)?.storage.stat(key).await? else { return Ok(None) };
        let is_locked = stat.legal_hold == LegalHold::On;
        let age = self.clock(target).await?.since(stat.modified);
        Ok(match age {
            Some(age) if age < self.grace => None,
            Some(_) => Some(Aged { since: stat.modified, is_locked }),
            None => Some(Aged { since: None, is_locked }),
        })
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
            LeftOverOutcome::Keep(spared) => write!(f, "keep ({spared})")?,
        }
        match kind {
            LeftOverKind::Attempt { audit_log_id } => {
                write!(f, " {target} {name}: a failed attempt of {audit_log_id}")?
            }
            LeftOverKind::Released { audit_log_id } => {
                write!(f, " {target} {name}: of {audit_log_id}, which was taken back, or has its copies elsewhere now")?
            }
            LeftOverKind::Trial => write!(f, " {target} {name}: of a trial")?,
            LeftOverKind::Unfinished => write!(f, " {target} {name}: unfinished")?,
        }
        match since {
            Some(since) => write!(f, ", there since {since}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Spared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owned { by } => write!(f, "it is, or may be, the object of {by}"),
            Self::Held { by } => write!(f, "it is held: {by} had it"),
            Self::Recent { by } => write!(f, "{by} was taken back a short time ago, or links to it work still"),
            Self::UnderWay { by } => write!(f, "{by} is not finished: it may be its upload"),
            Self::Unproven { by } => write!(f, "the copy of {by} in the archive is missing or has other bytes"),
            Self::Locked => f.write_str("its store keeps it under a legal hold: lift that there, or repeat a release"),
            Self::Timeless => f.write_str("its store does not tell since when it is there: remove it by hand"),
            Self::Failed { message } => f.write_str(message),
        }
    }
}

impl fmt::Debug for Tidy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tidy").field("grace", &self.grace).field("removes", &self.removes).finish_non_exhaustive()
    }
}
