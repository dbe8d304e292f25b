//! Audit entries as lines of a file.

mod entries;
mod journal;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{AuditEntry, AuditSink, Error};

pub use entries::JsonlEntries;

use crate::blocking::blocking;
use crate::desk::{Desk, Shift};
use crate::evidence::{ChainHead, ChainedSink, Draft, Seal, Verifier};
use journal::Journal;

/// How many appends are written and synced together at most.
const GROUP_APPENDS_MAX: usize = 1024;

/// Audit entries in one append-only file, each a line: a CloudEvent in a chain, as [`Seal`] says. Several processes
/// of one machine may append to the same file; each append holds the file's lock.
///
/// * Appends that wait for each other are written and synced together.
/// * An append that is dropped happens all the same.
/// * What a crash left of a line (bytes without a newline at the end) is removed at the next open or
///   append: its append never returned. Any other line that is no entry is an error, for a person to
///   look at.
/// * Whoever moves, removes or cuts the file while it is open makes every append fail until it is
///   back. To begin a new file, stop the publishers first; repeats of entries in the old one are then
///   no longer recognised.
///
/// In memory it keeps about 100 bytes for each publication in the file, and 20 for each refusal.
/// Opening reads the whole file.
///
/// ```
/// use distribution_backends::JsonlAudit;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("audit.jsonl");
/// let audit = JsonlAudit::open(&path).await?;
/// assert_eq!(JsonlAudit::read(&path)?.count(), 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonlAudit {
    desk: Arc<Desk<Journal, Vec<Draft>, ChainHead>>,
    seal: Seal,
}

impl JsonlAudit {
    /// Opens the file, creating it, and reads which entries it keeps.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) if its directory is missing or it is no
    /// file, [`Corrupt`](distribution_core::ErrorKind::Corrupt) if a line is no entry,
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it is out of reach or locked.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_sealed(path, Seal::default()).await
    }

    /// The same, for a chain with a name or a key.
    ///
    /// # Errors
    /// As [`open`](Self::open), and [`Invalid`](distribution_core::ErrorKind::Invalid) if the file is that of another
    /// chain.
    pub async fn open_sealed(path: impl AsRef<Path>, seal: Seal) -> Result<Self, Error> {
        let (path, sealed) = (path.as_ref().to_owned(), seal.clone());
        let journal = blocking(move |_| Journal::open(&path, sealed)).await?;
        Ok(Self { desk: Desk::new(journal), seal })
    }

    /// The entries in a file, oldest first, one line at a time. It blocks: from async code, use a
    /// blocking thread.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the file is out of reach.
    pub fn read(path: impl AsRef<Path>) -> Result<JsonlEntries, Error> {
        JsonlEntries::open(path.as_ref())
    }

    /// Checks a file, line by line, without opening it to append; what was found is what
    /// [`finish`](Verifier::finish) of the verifier says. It blocks.
    ///
    /// ```
    /// use distribution_backends::{JsonlAudit, Verifier};
    ///
    /// # let file = tempfile::NamedTempFile::new()?;
    /// # let path = file.path();
    /// assert!(JsonlAudit::verify(path, Verifier::new())?.finish().is_clean());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the file is out of reach.
    pub fn verify(path: impl AsRef<Path>, verifier: Verifier) -> Result<Verifier, Error> {
        entries::verify(path.as_ref(), verifier)
    }

    async fn ask(&self, entries: &[AuditEntry]) -> Result<ChainHead, Error> {
        let drafts = entries.iter().map(|entry| Draft::of(entry, &self.seal)).collect::<Result<Vec<_>, _>>()?;
        let start = |shift| drop(tokio::task::spawn_blocking(move || work(shift)));
        self.desk.ask(drafts, start).await
    }
}

#[async_trait]
impl AuditSink for JsonlAudit {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        self.ask(entries).await.map(drop)
    }
}

#[async_trait]
impl ChainedSink for JsonlAudit {
    fn source(&self) -> &str {
        self.seal.source()
    }

    async fn head(&self) -> Result<ChainHead, Error> {
        self.ask(&[]).await
    }
}

fn work(mut shift: Shift<Journal, Vec<Draft>, ChainHead>) {
    while let Some((journal, group)) = shift.next_group(GROUP_APPENDS_MAX) {
        let result = journal.append(group.iter().flat_map(|(lines, _)| lines));
        group.into_iter().for_each(|(_, caller)| caller.answer(result.clone()));
    }
}
