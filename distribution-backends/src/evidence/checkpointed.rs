//! A sink whose chain is noted in a second place.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use distribution_core::{AuditEntry, AuditSink, Clock, Error, ErrorKind, ObjectKey, Storage, StoragePrefix, Timestamp};
use tracing::warn;

use super::objects::{create, page, read};
use super::{ChainedSink, Checkpoint, EvidenceKey, PublicKey};

const CHECKPOINT_BYTES_MAX: usize = 4096;
const ENTRIES_DEFAULT: u64 = 1_000;
const TIME_DEFAULT: Duration = Duration::from_secs(3600);

/// A sink whose chain is noted, signed, in a second place: as an object for each checkpoint, created and never
/// changed. Give it a place where whoever can write to the sink can neither change nor remove anything: another
/// account, or a bucket with object lock. What came behind the newest checkpoint can be cut off unseen.
///
/// A checkpoint is made by the append that is the 1,000th behind the last one, or that comes an hour after it. If the
/// second place is out of reach, the append succeeds all the same, a warning is logged, and the next one tries
/// again: evidence is behind then, and publishing goes on.
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
    /// How many entries were appended since the last one, and when that was.
    since: Mutex<(u64, Option<Timestamp>)>,
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
        let (every, since) = ((ENTRIES_DEFAULT, TIME_DEFAULT), Mutex::default());
        Self { sink, storage, prefix, key, clock, every, since }
    }

    /// The same, with a checkpoint after so many entries, at least 1, and after so much time.
    #[must_use]
    pub fn every(mut self, entries: u64, time: Duration) -> Self {
        self.every = (entries.max(1), time);
        self
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
        *self.since() = (0, Some(now));
        Ok(Some(checkpoint))
    }

    /// All checkpoints below `prefix`, each checked.
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
            let page = page(storage, &prefix.to_string(), &mut after).await?;
            if page.is_empty() {
                return Ok(checkpoints);
            }
            for key in page {
                let bytes = read(storage, &key, CHECKPOINT_BYTES_MAX).await?;
                let checkpoint = Checkpoint::from_json(&bytes, keys);
                checkpoints.push(checkpoint.map_err(|error| {
                    Error::new(ErrorKind::Corrupt, format!("{key}: {}", error.message())).because(error)
                })?);
            }
        }
    }

    fn is_due(&self, entries: usize) -> bool {
        let now = self.clock.now();
        let mut since = self.since();
        let (count, at) = &mut *since;
        *count = count.saturating_add(u64::try_from(entries).unwrap_or(u64::MAX));
        let at = *at.get_or_insert(now);
        // A clock that was put back is no reason to wait.
        *count >= self.every.0 || (now - at).to_std().map_or(true, |passed| passed >= self.every.1)
    }

    fn since(&self) -> std::sync::MutexGuard<'_, (u64, Option<Timestamp>)> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AuditSink for Checkpointed {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        self.sink.append(entries).await?;
        if self.is_due(entries.len())
            && let Err(error) = self.checkpoint().await
        {
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
