//! Audit entries in object storage.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{AuditEntry, AuditSink, Error, ObjectKey, Storage, StoragePrefix};
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};

use crate::audit::Kept;
use crate::desk::{Desk, Shift};
use crate::evidence::objects::{create, page, read};
use crate::evidence::{ChainHead, ChainedEvent, ChainedSink, Draft, EVENT_BYTES_MAX, Linked, Seal, Verifier};

/// How many appends share an object at most.
const GROUP_APPENDS_MAX: usize = 1024;
/// How long an object grows before the next one is begun.
const OBJECT_BYTES: usize = 4 << 20;
const OBJECT_BYTES_MAX: usize = OBJECT_BYTES + EVENT_BYTES_MAX;
/// How often others may be faster before an append gives up.
const RACES_MAX: usize = 1024;
const READS_IN_FLIGHT: usize = 16;

/// Audit entries in object storage, below a prefix that belongs to them alone. Any [`Storage`] will do, because
/// its `create` never overwrites; any number of hosts may share it.
///
/// Appends that wait for each other make one object, `{position of its first entry}.jsonl` in 20 digits: lines, each a
/// CloudEvent in a chain, as [`Seal`] says. Who creates the object at the end of the chain has appended; who is
/// told that it is there reads it, and tries behind it. Nothing is ever changed or removed.
///
/// An append costs a write, and a read and a write more for each other host that was faster. Opening lists and reads
/// all. In memory it keeps about 100 bytes for each publication, and 20 for each refusal.
///
/// ```
/// use std::sync::Arc;
///
/// use distribution_backends::{LocalDisk, ObjectAudit, Seal, Verifier};
/// use distribution_core::StoragePrefix;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path();
/// let storage = Arc::new(LocalDisk::open(path)?); // or S3Storage::open(…)
/// let prefix = StoragePrefix::parse("audit/")?;
/// let audit = ObjectAudit::open(storage.clone(), prefix.clone(), Seal::default()).await?;
/// assert!(ObjectAudit::verify(&*storage, &prefix, Verifier::new()).await?.finish().is_clean());
/// # let _ = audit;
/// # Ok(())
/// # }
/// ```
pub struct ObjectAudit {
    desk: Arc<Desk<Book, Vec<Draft>, ChainHead>>,
    seal: Seal,
}

impl ObjectAudit {
    /// Reads which entries are kept.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) if the chain is another one,
    /// [`Corrupt`](distribution_core::ErrorKind::Corrupt) if an object is missing or holds something else,
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the storage is out of reach.
    pub async fn open(storage: Arc<dyn Storage>, prefix: StoragePrefix, seal: Seal) -> Result<Self, Error> {
        let (kept, head) = (Kept::default(), ChainHead::default());
        let mut book = Book { storage, prefix, seal: seal.clone(), kept, head };
        book.read_all().await?;
        Ok(Self { desk: Desk::new(book), seal })
    }

    /// The entries below `prefix`, oldest first, all of them in memory: [`entries`](Self::entries) has one object of
    /// them there at a time.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn read(storage: &dyn Storage, prefix: &StoragePrefix) -> Result<Vec<AuditEntry>, Error> {
        Self::entries(storage, prefix).try_collect().await
    }

    /// The entries below `prefix`, oldest first. Errors are those of [`open`](Self::open), and the end.
    pub fn entries<'s>(storage: &'s dyn Storage, prefix: &StoragePrefix) -> BoxStream<'s, Result<AuditEntry, Error>> {
        let keys = stream::try_unfold((prefix.to_string(), None), move |(prefix, mut after)| async move {
            let keys = page(storage, &prefix, &mut after).await?;
            Ok::<_, Error>((!keys.is_empty()).then(|| (stream::iter(keys).map(Ok), (prefix, after))))
        });
        let objects = keys.try_flatten().and_then(move |key| async move {
            let entries: Vec<_> = lines(&read(storage, &key, OBJECT_BYTES_MAX).await?)
                .map(|line| {
                    let event: Option<ChainedEvent> = serde_json::from_slice(line).ok();
                    event.and_then(|event| event.entry()).ok_or_else(|| corrupt(&key))
                })
                .collect();
            Ok::<_, Error>(stream::iter(entries))
        });
        objects.try_flatten().boxed()
    }

    /// Checks all entries below `prefix`; what was found is what [`finish`](Verifier::finish) of the verifier says.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the storage is out of reach.
    pub async fn verify(
        storage: &dyn Storage,
        prefix: &StoragePrefix,
        mut verifier: Verifier,
    ) -> Result<Verifier, Error> {
        let mut after = None;
        loop {
            let keys = page(storage, &prefix.to_string(), &mut after).await?;
            if keys.is_empty() {
                return Ok(verifier);
            }
            for key in keys {
                let bytes = read(storage, &key, OBJECT_BYTES_MAX).await?;
                for (n, line) in lines(&bytes).enumerate() {
                    verifier.check(&format!("{key} line {}", n + 1), line);
                }
                if !bytes.ends_with(b"\n") {
                    verifier.unfinished(key.as_str());
                }
            }
        }
    }

    async fn ask(&self, entries: &[AuditEntry]) -> Result<ChainHead, Error> {
        let drafts = entries.iter().map(|entry| Draft::of(entry, &self.seal)).collect::<Result<Vec<_>, _>>()?;
        self.desk.ask(drafts, |shift| drop(tokio::spawn(work(shift)))).await
    }
}

#[async_trait]
impl AuditSink for ObjectAudit {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        self.ask(entries).await.map(drop)
    }
}

#[async_trait]
impl ChainedSink for ObjectAudit {
    fn source(&self) -> &str {
        self.seal.source()
    }

    async fn head(&self) -> Result<ChainHead, Error> {
        self.ask(&[]).await
    }
}

async fn work(mut shift: Shift<Book, Vec<Draft>, ChainHead>) {
    while let Some((book, group)) = shift.next_group(GROUP_APPENDS_MAX) {
        let drafts: Vec<&Draft> = group.iter().flat_map(|(drafts, _)| drafts).collect();
        let result = book.append(&drafts).await;
        drop(drafts);
        group.into_iter().for_each(|(_, caller)| caller.answer(result.clone()));
    }
}

/// What is known of the chain.
struct Book {
    storage: Arc<dyn Storage>,
    prefix: StoragePrefix,
    seal: Seal,
    kept: Kept,
    head: ChainHead,
}

impl Book {
    async fn append(&mut self, drafts: &[&Draft]) -> Result<ChainHead, Error> {
        for _ in 0..RACES_MAX {
            let mut taken = HashSet::new();
            let fresh: Vec<&&Draft> =
                drafts.iter().filter(|draft| !self.kept.contains(&draft.id) && taken.insert(&draft.id)).collect();
            if fresh.is_empty() {
                return Ok(self.head);
            }
            let (mut bytes, mut head, mut ids) = (Vec::new(), self.head, Vec::new());
            for draft in fresh {
                let (event, behind) = draft.link(head, &self.seal);
                bytes.extend(event);
                bytes.push(b'\n');
                ids.push(&draft.id);
                head = behind;
                if bytes.len() >= OBJECT_BYTES {
                    break;
                }
            }
            let key = self.key()?;
            if create(&*self.storage, &key, bytes.into()).await? {
                ids.into_iter().for_each(|id| self.kept.insert(id));
                self.head = head;
            } else {
                // Another was faster, or this one, and its answer was lost.
                let bytes = read(&*self.storage, &key, OBJECT_BYTES_MAX).await?;
                self.take(&key, &bytes)?;
            }
        }
        Err(Error::unavailable("others append to this audit trail without end: repeat"))
    }

    async fn read_all(&mut self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let keys = page(&*self.storage, &self.prefix.to_string(), &mut after).await?;
            if keys.is_empty() {
                return Ok(());
            }
            let storage = Arc::clone(&self.storage);
            let mut objects = stream::iter(keys)
                .map(|key| {
                    let storage = Arc::clone(&storage);
                    async move { Ok::<_, Error>((read(&*storage, &key, OBJECT_BYTES_MAX).await?, key)) }
                })
                .buffered(READS_IN_FLIGHT);
            while let Some((bytes, key)) = objects.try_next().await? {
                self.take(&key, &bytes)?;
            }
        }
    }

    /// Takes in the object that stands at the end of what is known: all of it, or nothing, so that no append comes
    /// behind an object that is broken in its middle.
    fn take(&mut self, key: &ObjectKey, bytes: &Bytes) -> Result<(), Error> {
        if *key != self.key()? || !bytes.ends_with(b"\n") {
            return Err(corrupt(key));
        }
        let (mut head, mut read) = (self.head, Vec::new());
        for line in lines(bytes) {
            let line: Linked = serde_json::from_slice(line).map_err(|error| corrupt(key).because(error))?;
            self.seal.check_source(&line.source, key.as_str())?;
            head = line.follow(head).ok_or_else(|| corrupt(key))?;
            read.push(line);
        }
        read.iter().for_each(|line| self.kept.insert(line.id()));
        self.head = head;
        Ok(())
    }

    /// Where the next object belongs.
    fn key(&self) -> Result<ObjectKey, Error> {
        ObjectKey::parse(format!("{}{:020}.jsonl", self.prefix, self.head.next)).map_err(|error| {
            Error::invalid("prefix", "is too long for the keys of audit entries: use a shorter one").because(error)
        })
    }
}

fn lines(bytes: &Bytes) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"))
}

fn corrupt(key: &ObjectKey) -> Error {
    Error::corrupt(format!(
        "{key} does not continue the audit chain: restore what was removed or changed, and verify it"
    ))
}

impl fmt::Debug for Book {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Book").field("prefix", &self.prefix).field("head", &self.head).finish_non_exhaustive()
    }
}

impl fmt::Debug for ObjectAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectAudit").field("seal", &self.seal).finish_non_exhaustive()
    }
}
