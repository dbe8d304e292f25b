//! The open file: everything here blocks.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use distribution_core::{Error, ErrorKind};

use super::entries::{Lines, Next};
use crate::audit::Kept;
use crate::durable::sync_dir_at;
use crate::evidence::{ChainHead, Draft, Linked, Seal};

/// How long an append waits for other processes.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// The file, and what is known of its content: everything below `known_bytes`, which only ever grows.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    place: String,
    file: File,
    seal: Seal,
    kept: Kept,
    /// The newest entry's, below `known_bytes`.
    head: ChainHead,
    known_bytes: u64,
    /// How much of it this process has synced. Another one may have died before it did.
    synced_bytes: u64,
}

impl Journal {
    pub(super) fn open(path: &Path, seal: Seal) -> Result<Self, Error> {
        let place = path.display().to_string();
        let failed = |error| io_fault(&place, error);
        let path = std::path::absolute(path).map_err(failed)?;
        let directory = path.parent().unwrap_or(Path::new("/"));
        if !directory.is_dir() {
            let what =
                format!("the directory {} of the audit file does not exist: create or mount it", directory.display());
            return Err(Error::new(ErrorKind::Invalid, what));
        }
        // Before it is opened: opening a pipe would be heard at its other end.
        if fs::metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(Error::new(ErrorKind::Invalid, format!("the audit file {place} is no regular file")));
        }
        let file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(failed)?;
        sync_dir_at(directory).map_err(failed)?;

        let (kept, head) = (Kept::default(), ChainHead::default());
        let mut journal = Self { path, place, file, seal, kept, head, known_bytes: 0, synced_bytes: 0 };
        journal.append([])?;
        Ok(journal)
    }

    /// Keeps the lines that are not kept yet. When it returns, all of them are durable.
    pub(super) fn append<'l>(&mut self, entries: impl IntoIterator<Item = &'l Draft>) -> Result<ChainHead, Error> {
        self.lock()?;
        let result = self.append_locked(entries).map(|()| self.head);
        // Closing the file would let go of it, too.
        let _ = self.file.unlock();
        result
    }

    fn append_locked<'l>(&mut self, entries: impl IntoIterator<Item = &'l Draft>) -> Result<(), Error> {
        self.catch_up()?;
        let mut taken = HashSet::new();
        let fresh: Vec<&Draft> =
            entries.into_iter().filter(|entry| !self.kept.contains(&entry.id) && taken.insert(&entry.id)).collect();
        self.write(&fresh).map_err(|error| self.fault(error))?;
        for entry in fresh {
            self.kept.insert(&entry.id);
        }
        self.check_in_place()
    }

    /// Reads what other processes have appended, and removes what a crash left of a line. Nobody else
    /// is writing.
    fn catch_up(&mut self) -> Result<(), Error> {
        let bytes = self.file.metadata().map_err(|error| self.fault(error))?.len();
        if bytes < self.known_bytes {
            let what = format!("the audit file {} is shorter than it was: put it back as it was", self.place);
            return Err(Error::corrupt(what));
        }
        if bytes == self.known_bytes {
            return Ok(());
        }
        let mut reader = BufReader::new(&self.file);
        reader.seek(SeekFrom::Start(self.known_bytes)).map_err(|error| self.fault(error))?;
        let mut lines = Lines::new(reader, self.head.next);
        loop {
            match lines.next().map_err(|error| io_fault(&self.place, error))? {
                Next::Line { bytes, number } => {
                    let line = serde_json::from_slice(bytes)
                        .map_err(|error| corrupt_line(&self.place, number).because(error))?;
                    self.head = follow(&line, self.head, &self.seal, &self.place, number)?;
                    self.kept.insert(line.id());
                    self.known_bytes += bytes_len(bytes.len());
                }
                Next::Torn { bytes } => {
                    tracing::warn!(file = self.place, bytes, "removing an audit line that a crash left unfinished");
                    return self.file.set_len(self.known_bytes).map_err(|error| self.fault(error));
                }
                Next::TooLong { number } => return Err(corrupt_line(&self.place, number)),
                Next::End => return Ok(()),
            }
        }
    }

    /// Writes and syncs; on an error, takes back what it has written.
    fn write(&mut self, entries: &[&Draft]) -> io::Result<()> {
        let (mut bytes, mut head) = (Vec::new(), self.head);
        for entry in entries {
            let (event, behind) = entry.link(head, &self.seal);
            bytes.extend(event);
            bytes.push(b'\n');
            head = behind;
        }
        let end = self.known_bytes + bytes_len(bytes.len());
        if end == self.synced_bytes {
            return Ok(());
        }
        let written = (&self.file).write_all(&bytes).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            // After a failed sync the system may hold the lines for durable, so they must not stay to
            // be found. Should this fail as well, the next append removes at least an unfinished line.
            let _ = self.file.set_len(self.known_bytes);
            return Err(error);
        }
        (self.known_bytes, self.synced_bytes, self.head) = (end, end, head);
        Ok(())
    }

    /// Whether what was kept is where it will be looked for.
    fn check_in_place(&self) -> Result<(), Error> {
        let ours = self.file.metadata().map_err(|error| self.fault(error))?;
        match fs::metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (ours.dev(), ours.ino()) => Ok(()),
            found => {
                let what = format!(
                    "the audit file {} was moved or removed while in use: put it back, or open it anew to begin another",
                    self.place
                );
                let error = Error::unavailable(what);
                Err(found.err().map_or(error.clone(), |cause| error.because(cause)))
            }
        }
    }

    fn lock(&self) -> Result<(), Error> {
        let started = Instant::now();
        loop {
            match self.file.try_lock() {
                Ok(()) => return Ok(()),
                Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_TIMEOUT => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::WouldBlock) => {
                    let what = format!("the audit file {} is locked: look for a process that hangs", self.place);
                    return Err(Error::unavailable(what));
                }
                Err(TryLockError::Error(error)) => return Err(self.fault(error)),
            }
        }
    }

    fn fault(&self, error: io::Error) -> Error {
        io_fault(&self.place, error)
    }
}

/// The head behind a line. Whether the line is as it was written is for a verifier to say; here it is enough that
/// the next one can be linked to it.
fn follow(line: &Linked, head: ChainHead, seal: &Seal, place: &str, number: u64) -> Result<ChainHead, Error> {
    seal.check_source(&line.source, &format!("the audit file {place}"))?;
    line.follow(head).ok_or_else(|| {
        Error::corrupt(format!(
            "line {number} of the audit file {place} does not follow the one before it: restore it, or set the file \
             aside and begin another"
        ))
    })
}

pub(super) fn corrupt_line(place: &str, number: u64) -> Error {
    Error::corrupt(format!(
        "line {number} of the audit file {place} is no audit entry: restore it, or set the file aside and begin another"
    ))
}

pub(super) fn io_fault(place: &str, error: io::Error) -> Error {
    let (kind, what) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            (ErrorKind::Unavailable, "cannot grow: free space or raise its limit, then repeat")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::Unavailable, "is not accessible: check its permissions and its mount")
        }
        io::ErrorKind::NotFound => (ErrorKind::Unavailable, "does not exist: check its path"),
        io::ErrorKind::Unsupported => (ErrorKind::Unsupported, "is on a file system without locks: use a local one"),
        _ => (ErrorKind::Unavailable, "met an input/output error: check the disk, then repeat"),
    };
    Error::new(kind, format!("the audit file {place} {what}")).because(error)
}

fn bytes_len(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
