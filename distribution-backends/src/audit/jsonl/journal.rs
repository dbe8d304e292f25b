//! The open file: everything here blocks.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use distribution_core::{AuditEntry, EntryId, Error, ErrorKind};

use super::entries::{LINE_BYTES_MAX, Lines, Next};
use super::kept::Kept;
use crate::durable::sync_dir_at;

/// How long an append waits for other processes.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(1);

/// An entry as it is written.
#[derive(Debug)]
pub(super) struct Line {
    id: EntryId,
    /// With the newline.
    bytes: Vec<u8>,
}

impl Line {
    pub(super) fn of(entry: &AuditEntry) -> Result<Self, Error> {
        let invalid = |what: &str| Error::new(ErrorKind::Invalid, format!("the audit entry {} {what}", entry.id));
        let mut bytes =
            serde_json::to_vec(entry).map_err(|error| invalid("could not be written as JSON").because(error))?;
        bytes.push(b'\n');
        if bytes.len() > LINE_BYTES_MAX {
            return Err(invalid(&format!("is longer than the limit of {LINE_BYTES_MAX} bytes")));
        }
        Ok(Self { id: entry.id.clone(), bytes })
    }
}

/// The file, and what is known of its content: everything below `known_bytes`, which only ever grows.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    place: String,
    file: File,
    kept: Kept,
    known_bytes: u64,
    known_lines: u64,
    /// How much of it this process has synced. Another one may have died before it did.
    synced_bytes: u64,
}

impl Journal {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
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

        let (known_bytes, known_lines, synced_bytes) = (0, 0, 0);
        let mut journal = Self { path, place, file, kept: Kept::default(), known_bytes, known_lines, synced_bytes };
        journal.append([])?;
        Ok(journal)
    }

    /// Keeps the lines that are not kept yet. When it returns, all of them are durable.
    pub(super) fn append<'l>(&mut self, lines: impl IntoIterator<Item = &'l Line>) -> Result<(), Error> {
        self.lock()?;
        let result = self.append_locked(lines);
        // Closing the file would let go of it, too.
        let _ = self.file.unlock();
        result
    }

    fn append_locked<'l>(&mut self, lines: impl IntoIterator<Item = &'l Line>) -> Result<(), Error> {
        self.catch_up()?;
        let mut taken = HashSet::new();
        let fresh: Vec<&Line> =
            lines.into_iter().filter(|line| !self.kept.contains(&line.id) && taken.insert(&line.id)).collect();
        self.write(&fresh).map_err(|error| self.fault(error))?;
        for line in fresh {
            self.kept.insert(&line.id);
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
        let mut lines = Lines::new(reader, self.known_lines);
        loop {
            match lines.next().map_err(|error| io_fault(&self.place, error))? {
                Next::Line { bytes, number } => {
                    // Only the id: a newer version may write events that this one does not know.
                    let id = serde_json::from_slice(bytes)
                        .map_err(|error| corrupt_line(&self.place, number).because(error))?;
                    self.kept.insert(&id);
                    self.known_bytes += bytes_len(bytes.len());
                    self.known_lines = number;
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
    fn write(&mut self, lines: &[&Line]) -> io::Result<()> {
        let bytes: Vec<u8> = lines.iter().flat_map(|line| &line.bytes).copied().collect();
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
        self.known_bytes = end;
        self.known_lines += bytes_len(lines.len());
        self.synced_bytes = end;
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
