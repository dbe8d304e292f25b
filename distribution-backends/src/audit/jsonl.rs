//! Audit entries as lines of a file.

mod entries;
mod journal;
mod kept;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use distribution_core::{AuditEntry, AuditSink, Error};
use tokio::sync::oneshot;

pub use entries::JsonlEntries;
use journal::{Journal, Line};

/// Audit entries in one append-only file, each a line of JSON. Several processes of one machine may
/// append to the same file; each append holds the file's lock.
///
/// * Appends that wait for each other are written and synced together.
/// * An append that is dropped has happened, or happens, or does not, like one whose answer was lost.
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
    /// Locked by whoever writes, for as long as it writes, which is on a blocking thread.
    journal: Arc<tokio::sync::Mutex<Journal>>,
    waiting: Mutex<Vec<Waiting>>,
}

/// An append that no group has taken along yet.
#[derive(Debug)]
struct Waiting {
    lines: Vec<Line>,
    done: oneshot::Sender<Result<(), Error>>,
}

impl JsonlAudit {
    /// Opens the file, creating it, and reads which entries it keeps.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) if its directory is missing or it is no
    /// file, [`Corrupt`](distribution_core::ErrorKind::Corrupt) if a line is no entry,
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it is out of reach or locked.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let opened = tokio::task::spawn_blocking(move || Journal::open(&path)).await;
        let journal = opened.map_err(|error| given_up().because(error))??;
        Ok(Self { journal: Arc::new(tokio::sync::Mutex::new(journal)), waiting: Mutex::default() })
    }

    /// The entries in a file, oldest first, one line at a time. It blocks: from async code, use a
    /// blocking thread.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the file is out of reach.
    pub fn read(path: impl AsRef<Path>) -> Result<JsonlEntries, Error> {
        JsonlEntries::open(path.as_ref())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AuditSink for JsonlAudit {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        let lines = entries.iter().map(Line::of).collect::<Result<Vec<_>, _>>()?;
        let (done, mut answer) = oneshot::channel();
        self.waiting().push(Waiting { lines, done });

        // Whoever gets the journal writes for all who wait. It answers them before it lets go.
        let mut journal = Arc::clone(&self.journal).lock_owned().await;
        if let Ok(answer) = answer.try_recv() {
            return answer;
        }
        let group = std::mem::take(&mut *self.waiting());
        tokio::task::spawn_blocking(move || {
            let result = journal.append(group.iter().flat_map(|waiting| &waiting.lines));
            for waiting in group {
                // Nobody listens if that append was dropped.
                let _ = waiting.done.send(result.clone());
            }
        });
        answer.await.map_err(|error| given_up().because(error))?
    }
}

fn given_up() -> Error {
    Error::unavailable("the audit file was not written: the runtime is shutting down")
}
