//! A sink whose chain is noted in a second place.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use distribution_core::{AuditEntry, AuditSink, Clock, Error, ErrorKind, ObjectKey, Storage, StoragePrefix, Timestamp};
use tracing::{error, warn};

use super::objects::{create, page, read};
use super::{ChainedSink, Checkpoint, EvidenceKey, PublicKey};

const CHECKPOINT_BYTES_MAX: usize = 4096;
/// How many of the last checkpoints are read to find the newest of this chain: others may share the place.
const NEWEST_READ_MAX: usize = 16;
const ENTRIES_DEFAULT: u64 = 1_000;
const TIME_DEFAULT: Duration = Duration::from_secs(3600);

/// A sink whose chain is noted, signed, in a second place: as an object for each checkpoint, created and never
/// changed. Give it a place where whoever can write to the sink can neither change nor remove anything: another
/// account, or a bucket with object lock. What came behind the newest checkpoint can be cut off unseen.
///
/// A checkpoint is made by the append that is the 1,000th behind the last one, or that comes an hour after it, or
/// finds none; the last one is looked up in the second place, so that processes which live for a minute make them,
/// too. A program that ends calls [`finish`](Self::finish). If the second place is out of reach, the append succeeds
/// all the same, a warning is logged, and the next one tries again: evidence is behind then, and publishing goes on.
///
/// ```
/// use std::sync::Arc;
///
/// use distribution_backends::{Checkpointed, EvidenceKey, JsonlAudit, LocalDisk, SystemClock, Verifier};
/// use distribution_core::StoragePrefix;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.jsonl");
/// # std::fs::create_dir(directory.path().join("elsewhere"))?;
/// # let elsewhere = Arc::new(LocalDisk::open(directory.path().join("elsewhere"))?);
/// let (prefix, key) = (StoragePrefix::parse("checkpoints/")?, EvidenceKey::from_seed(&[7; 32])?);
/// let sink = Arc::new(JsonlAudit::open(&path).await?);
/// let audit = Checkpointed::new(sink, elsewhere.clone(), prefix.clone(), key.clone(), Arc::new(SystemClock));
/// audit.checkpoint().await?;
///
/// let mut verifier = Verifier::new();
/// for checkpoint in Checkpointed::load(&*elsewhere, &prefix, &[key.public_key().clone()]).await? {
///     verifier = verifier.with_checkpoint(&checkpoint);
/// }
/// assert!(JsonlAudit::verify(&path, verifier)?.finish().is_clean());
/// # Ok(())
/// # }
/// ```
pub struct Checkpointed {
    sink: Arc<dyn ChainedSink>,
    storage: Arc<dyn Storage>,
    prefix: StoragePrefix,
    key: EvidenceKey,
    clock: Arc<dyn Clock>,
    every: (u64, Duration),
    since: Mutex<Since>,
}

/// What is known of the newest checkpoint.
#[derive(Default)]
struct Since {
    /// When it was made; `None` if that is not known yet.
    at: Option<Timestamp>,
    /// How many entries are behind it: of this process alone, as long as that is not known.
    entries: u64,
}

impl Checkpointed {
    /// Notes the chain of this sink in `storage`, below `prefix`, where only its checkpoints are.
    pub fn new(
        sink: Arc<dyn ChainedSink>,
        storage: Arc<dyn Storage>,
        prefix: StoragePrefix,
        key: EvidenceKey,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (every, since) = ((ENTRIES_DEFAULT, TIME_DEFAULT), Mutex::<Since>::default());
        Self { sink, storage, prefix, key, clock, every, since }
    }

    /// The same, with a checkpoint after so many entries, at least 1, and after so much time.
    #[must_use]
    pub fn every(mut self, entries: u64, time: Duration) -> Self {
        self.every = (entries.max(1), time);
        self
    }

    /// Makes a checkpoint if this process has appended anything behind the newest one: what a program does at its
    /// end, so that what it appended last cannot be cut off unseen.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub async fn finish(&self) -> Result<Option<Checkpoint>, Error> {
        let appended = self.since().entries > 0;
        if appended { self.checkpoint().await } else { Ok(None) }
    }

    /// Makes a checkpoint now; `None` if there is no entry yet.
    ///
    /// # Errors
    /// Those of the sink and of the second place.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let (head, now) = (self.sink.head().await?, self.clock.now());
        let Some(position) = head.next.checked_sub(1) else { return Ok(None) };
        let checkpoint = Checkpoint::new(self.sink.source(), position, head.hash, now, &self.key)?;
        let short = HEXLOWER.encode(head.hash.first_chunk::<8>().unwrap_or(&[0; 8]));
        let key = ObjectKey::parse(format!("{}{position:020}-{short}.json", self.prefix)).map_err(|error| {
            Error::invalid("prefix", "is too long for the keys of checkpoints: use a shorter one").because(error)
        })?;
        // What is there already says the same, or does not verify.
        create(&*self.storage, &key, checkpoint.to_json()?.into()).await?;
        *self.since() = Since { at: Some(now), entries: 0 };
        Ok(Some(checkpoint))
    }

    /// All checkpoints below `prefix`, each checked. What a probe has left there is passed over.
    ///
    /// # Errors
    /// [`Corrupt`](distribution_core::ErrorKind::Corrupt) if one was changed, or none of the keys has signed it;
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the place is out of reach.
    pub async fn load(
        storage: &dyn Storage,
        prefix: &StoragePrefix,
        keys: &[PublicKey],
    ) -> Result<Vec<Checkpoint>, Error> {
        let (mut checkpoints, mut after) = (Vec::new(), None);
        loop {
            let names = names(storage, prefix, &mut after).await?;
            if after.is_none() {
                return Ok(checkpoints);
            }
            for key in names {
                let bytes = read(storage, &key, CHECKPOINT_BYTES_MAX).await?;
                let checkpoint = Checkpoint::from_json(&bytes, keys);
                checkpoints.push(checkpoint.map_err(|error| {
                    Error::new(ErrorKind::Corrupt, format!("{key}: {}", error.message())).because(error)
                })?);
            }
        }
    }

    /// Whether it is time for a checkpoint, after these entries.
    async fn is_due(&self, entries: usize) -> Result<bool, Error> {
        let entries = u64::try_from(entries).unwrap_or(u64::MAX);
        let known = {
            let mut since = self.since();
            since.entries = since.entries.saturating_add(entries);
            since.at.map(|at| (at, since.entries))
        };
        let (at, entries) = match known {
            Some(known) => known,
            None => match self.newest().await? {
                None => return Ok(true),
                Some(newest) => (newest.at(), self.behind(&newest).await?),
            },
        };
        // A clock that was put back is no reason to wait.
        let passed = (self.clock.now() - at).to_std();
        Ok(entries >= self.every.0 || passed.map_or(true, |passed| passed >= self.every.1))
    }

    /// How many entries are behind the newest checkpoint.
    async fn behind(&self, newest: &Checkpoint) -> Result<u64, Error> {
        let (next, position) = (self.sink.head().await?.next, newest.position());
        let Some(entries) = next.checked_sub(position.saturating_add(1)) else {
            error!(position, next, "the audit chain ends before what a checkpoint has seen: verify it");
            return Ok(u64::MAX);
        };
        *self.since() = Since { at: Some(newest.at()), entries };
        Ok(entries)
    }

    /// Of this chain, by this key. The names of checkpoints begin with their positions, so the last one is the newest.
    async fn newest(&self) -> Result<Option<Checkpoint>, Error> {
        let (mut last, mut after) = (VecDeque::new(), None);
        loop {
            let page = names(&*self.storage, &self.prefix, &mut after).await?;
            if after.is_none() {
                break;
            }
            last.extend(page);
            last.drain(..last.len().saturating_sub(NEWEST_READ_MAX));
        }
        let key = [self.key.public_key().clone()];
        for name in last.iter().rev() {
            let bytes = read(&*self.storage, name, CHECKPOINT_BYTES_MAX).await?;
            // What does not verify is for a verifier to tell of.
            let read = Checkpoint::from_json(&bytes, &key).ok().filter(|read| read.source() == self.sink.source());
            if read.is_some() {
                return Ok(read);
            }
        }
        Ok(None)
    }

    fn since(&self) -> MutexGuard<'_, Since> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The next names of checkpoints, perhaps none; `after` is `None` when there are no more. What was stored there to try
/// the place out, and could not be removed where nothing can be, is none of them.
async fn names(
    storage: &dyn Storage,
    prefix: &StoragePrefix,
    after: &mut Option<ObjectKey>,
) -> Result<Vec<ObjectKey>, Error> {
    let prefix = prefix.to_string();
    let mut page = page(storage, &prefix, after).await?;
    page.retain(|key| {
        let name = key.as_str();
        let within = name.strip_prefix(&prefix).unwrap_or(name);
        !ObjectKey::TRIALS.iter().any(|trial| name.starts_with(trial) || within.starts_with(trial))
    });
    Ok(page)
}

#[async_trait]
impl AuditSink for Checkpointed {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        self.sink.append(entries).await?;
        let noted = async {
            let is_due = self.is_due(entries.len()).await?;
            if is_due { self.checkpoint().await } else { Ok(None) }
        };
        if let Err(error) = noted.await {
            warn!(%error, "the audit chain was not noted in the second place: the next append tries again");
        }
        Ok(())
    }
}

impl fmt::Debug for Checkpointed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkpointed")
            .field("source", &self.sink.source())
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
