//! The world: all that survives when a publisher crashes.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use distribution_core::{
    Alert, AuditEntry, AuditLogId, ContentHeaders, DistributionRecord, EntryId, LegalHold, Row, TargetName, Timestamp,
};

use crate::checker::Answer;
use crate::effect::Late;
use crate::fakes::{
    Cleared, ManualClock, MemoryAlerts, MemoryAudit, MemoryMetadata, MemorySource, MemoryStorage, Plant, TestSigner,
};
use crate::faults::Faults;

/// All that survives when a publisher crashes: objects, rows, names, the audit trail, staged files
/// and alerts, with the clock, the plan of faults and the log of effects.
///
/// A handle: clones share the world, and so do the fakes made from it. Drop every fake and publisher
/// and make new ones from the same world, and you have a restart. Nothing in it depends on real time,
/// threads or randomness.
///
/// ```
/// use distribution_testkit::World;
///
/// let world = World::new();
/// world.stage("edits/clip.mp4", "approved bytes");
/// let restarted = world.clone();
/// assert_eq!(restarted.staged("edits/clip.mp4").unwrap(), "approved bytes");
/// ```
#[derive(Clone, Default)]
pub struct World {
    state: Arc<Mutex<State>>,
}

/// The ports of one publisher, all over one world.
pub struct Parts {
    /// The storage target, of the name given to [`World::parts`].
    pub storage: Arc<MemoryStorage>,
    /// The records.
    pub metadata: Arc<MemoryMetadata>,
    /// The audit trail.
    pub audit: Arc<MemoryAudit>,
    /// The alerts.
    pub alerts: Arc<MemoryAlerts>,
    /// The staged files.
    pub source: Arc<MemorySource>,
    /// The links.
    pub signer: Arc<TestSigner>,
    /// The virtual clock.
    pub clock: Arc<ManualClock>,
}

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryObject {
    /// Its bytes.
    pub bytes: Bytes,
    /// What it is served with.
    pub headers: ContentHeaders,
    /// When it was created, by the virtual clock.
    pub created_at: Timestamp,
    /// Whether its store has moved it into an archive class: it is listed and looked at, and cannot be read.
    pub is_archived: bool,
    /// Whether its store keeps it.
    pub legal_hold: LegalHold,
}

impl World {
    /// A world with nothing in it, at 2026-01-01T00:00:00Z.
    pub fn new() -> Self {
        Self::default()
    }

    /// A world with nothing in it, at this time.
    pub fn new_at(now: Timestamp) -> Self {
        let world = Self::default();
        world.lock().now = now;
        world
    }

    /// New ports over this world, with one storage target of this name.
    pub fn parts(&self, target: &TargetName) -> Parts {
        Parts {
            storage: Arc::new(MemoryStorage::new(self, target)),
            metadata: Arc::new(MemoryMetadata::new(self)),
            audit: Arc::new(MemoryAudit::new(self)),
            alerts: Arc::new(MemoryAlerts::new(self)),
            source: Arc::new(MemorySource::new(self)),
            signer: Arc::new(TestSigner::new(self)),
            clock: Arc::new(ManualClock::new(self)),
        }
    }

    /// The time on the virtual clock. It stands still but for [`advance`](Self::advance).
    pub fn now(&self) -> Timestamp {
        self.lock().now
    }

    /// Moves the virtual clock on, at most to the end of the calendar.
    pub fn advance(&self, by: Duration) {
        let mut state = self.lock();
        let by = TimeDelta::from_std(by).unwrap_or(TimeDelta::MAX);
        state.now = state.now.checked_add_signed(by).unwrap_or(Timestamp::MAX_UTC);
        let now = state.now;
        let later = state.timers.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut state.timers, later);
        drop(state);
        due.into_values().for_each(Waker::wake);
    }

    /// Stages a file, or replaces the one that is there. The name is a relative path or a URL without
    /// its query.
    pub fn stage(&self, name: impl Into<String>, bytes: impl Into<Bytes>) {
        self.lock().stage(name.into(), bytes.into());
    }

    /// Removes a staged file.
    pub fn unstage(&self, name: &str) {
        self.lock().staged.remove(name);
    }

    /// The bytes of a staged file.
    pub fn staged(&self, name: &str) -> Option<Bytes> {
        self.lock().staged.get(name).map(|file| file.bytes.clone())
    }

    /// The staged files that were removed by a sweep, in order.
    pub fn cleared(&self) -> Vec<Cleared> {
        self.lock().cleared.clone()
    }

    /// Makes the next read of a staged file go wrong, once. False if there is no such file.
    pub fn plant(&self, name: &str, plant: Plant) -> bool {
        let mut state = self.lock();
        let file = state.staged.get_mut(name);
        file.map(|file| file.plant = Some(plant)).is_some()
    }

    /// The object at `key` of a target.
    pub fn object(&self, target: &str, key: &str) -> Option<MemoryObject> {
        self.lock().objects.get(&(target.to_owned(), key.to_owned())).cloned()
    }

    /// All objects, by target and key.
    pub fn objects(&self) -> BTreeMap<(String, String), MemoryObject> {
        self.lock().objects.clone()
    }

    /// Changes an object's bytes behind everybody's back. False if there is no such object.
    pub fn corrupt(&self, target: &str, key: &str, change: impl FnOnce(&mut Vec<u8>)) -> bool {
        let Some(object) = self.object(target, key) else {
            return false;
        };
        // Without the lock: `change` is the caller's code.
        let mut bytes = object.bytes.to_vec();
        change(&mut bytes);
        let changed = MemoryObject { bytes: bytes.into(), ..object };
        self.lock().objects.insert((target.to_owned(), key.to_owned()), changed);
        true
    }

    /// Loses an object behind everybody's back. False if there is no such object.
    pub fn lose(&self, target: &str, key: &str) -> bool {
        self.lock().objects.remove(&(target.to_owned(), key.to_owned())).is_some()
    }

    /// Moves an object into an archive class of its store, or back. False if there is no such object.
    pub fn set_archived(&self, target: &str, key: &str, is_archived: bool) -> bool {
        let mut state = self.lock();
        let object = state.objects.get_mut(&(target.to_owned(), key.to_owned()));
        object.map(|object| object.is_archived = is_archived).is_some()
    }

    /// Gives this target legal holds of its own, as a bucket with S3 Object Lock has.
    pub fn give_legal_holds(&self, target: &TargetName) {
        self.lock().with_legal_holds.insert(target.to_string());
    }

    /// Places or lifts the legal hold of an object's store, as somebody else may. False if there is no such object.
    pub fn set_legal_hold(&self, target: &str, key: &str, hold: LegalHold) -> bool {
        let mut state = self.lock();
        let object = state.objects.get_mut(&(target.to_owned(), key.to_owned()));
        object.map(|object| object.legal_hold = hold).is_some()
    }

    /// All rows, by id.
    pub fn rows(&self) -> Vec<Row> {
        self.lock().rows.values().cloned().collect()
    }

    /// Takes a row that another store holds for this world's, so that what has to hold of all is asked of it.
    pub fn show(&self, row: Row) {
        self.lock().rows.insert(row.id.clone(), row);
    }

    /// Says that what is in this target are no published files: records, perhaps. No promise is asked of it.
    pub fn set_apart(&self, target: &TargetName) {
        self.lock().apart.insert(target.to_string());
    }

    /// What each idempotency key names.
    pub fn names(&self) -> BTreeMap<String, AuditLogId> {
        self.lock().names.clone()
    }

    /// The audit entries, in the order of their arrival.
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.lock().audit.clone()
    }

    /// Keeps an answer that a caller was given, for what has to hold of all of them.
    pub fn answered(&self, record: DistributionRecord) {
        let mut state = self.lock();
        let at = state.now;
        state.answers.push(Answer { record, at });
    }

    /// The answers that callers were given, in order.
    pub fn answers(&self) -> Vec<Answer> {
        self.lock().answers.clone()
    }

    /// The alerts raised, in order.
    pub fn alerts(&self) -> Vec<Alert> {
        self.lock().alerts.clone()
    }

    /// Never held across an `await`. Every change is made whole under it, so a panic elsewhere has
    /// left nothing half done.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("World")
            .field("now", &state.now)
            .field("objects", &state.objects.keys())
            .field("rows", &state.rows.len())
            .field("audit", &state.audit.len())
            .field("staged", &state.staged.keys())
            .field("effects", &state.faults.log.len())
            .finish_non_exhaustive()
    }
}

pub(crate) struct State {
    pub(crate) now: Timestamp,
    pub(crate) objects: BTreeMap<(String, String), MemoryObject>,
    /// The targets that hold something else than published files.
    pub(crate) apart: HashSet<String>,
    /// The targets that have legal holds of their own.
    pub(crate) with_legal_holds: HashSet<String>,
    pub(crate) rows: BTreeMap<AuditLogId, Row>,
    pub(crate) names: BTreeMap<String, AuditLogId>,
    pub(crate) audit: Vec<AuditEntry>,
    pub(crate) audit_ids: HashSet<EntryId>,
    pub(crate) staged: BTreeMap<String, StagedFile>,
    /// How many are reading each state of a staged file, by its tag.
    pub(crate) readers: BTreeMap<String, usize>,
    /// The staged files that were removed by a sweep.
    pub(crate) cleared: Vec<Cleared>,
    /// How often a file was staged, so that every state of one has a tag of its own.
    stagings: u64,
    pub(crate) alerts: Vec<Alert>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) faults: Faults,
    /// Changes that are told as not known, and still come.
    pub(crate) late: Vec<Late>,
    /// Whether a process has died since this was asked last.
    pub(crate) crashed: bool,
    /// Whether others go first only between effects, never within one.
    pub(crate) coarse: bool,
    /// The digest of all that the process has seen that is being polled, where that is of interest.
    pub(crate) history: Option<u64>,
    /// When those who sleep want to be woken, each with a number of its own.
    pub(crate) timers: BTreeMap<(Timestamp, u64), Waker>,
    pub(crate) timers_made: u64,
}

#[derive(Clone)]
pub(crate) struct StagedFile {
    pub(crate) bytes: Bytes,
    pub(crate) tag: String,
    pub(crate) modified: Timestamp,
    pub(crate) plant: Option<Plant>,
}

impl State {
    pub(crate) fn stage(&mut self, name: String, bytes: Bytes) {
        self.stagings += 1;
        let tag = format!("v{}", self.stagings);
        self.staged.insert(name, StagedFile { bytes, tag, modified: self.now, plant: None });
    }
}

impl Default for State {
    fn default() -> Self {
        const START: i64 = 1_767_225_600; // 2026-01-01T00:00:00Z
        Self {
            now: DateTime::from_timestamp(START, 0).unwrap_or(DateTime::UNIX_EPOCH),
            objects: BTreeMap::new(),
            apart: HashSet::new(),
            with_legal_holds: HashSet::new(),
            rows: BTreeMap::new(),
            names: BTreeMap::new(),
            audit: Vec::new(),
            audit_ids: HashSet::new(),
            staged: BTreeMap::new(),
            stagings: 0,
            readers: BTreeMap::new(),
            cleared: Vec::new(),
            alerts: Vec::new(),
            answers: Vec::new(),
            faults: Faults::default(),
            late: Vec::new(),
            crashed: false,
            coarse: false,
            history: None,
            timers: BTreeMap::new(),
            timers_made: 0,
        }
    }
}
