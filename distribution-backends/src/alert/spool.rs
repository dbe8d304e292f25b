//! The queue of alerts on disk: a file of lines, synced line by line. Everything here blocks.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use chrono::TimeDelta;
use distribution_core::{Error, ErrorKind, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use crate::durable::sync_dir_at;

/// An alert that waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting {
    pub(super) sequence: u64,
    pub(super) at: Timestamp,
    pub(super) key: String,
    pub(super) kind: String,
    pub(super) severity: String,
    pub(super) audit_log_id: Option<String>,
    pub(super) target: Option<String>,
    pub(super) message: String,
}

impl Waiting {
    fn about_damage(lines: usize, sequence: u64, at: Timestamp) -> Self {
        let message = format!("{lines} lines of the queue of alerts were damaged. To do: look for alerts in {DAMAGED}");
        let (kind, severity) = ("alerts_damaged".to_owned(), Severity::Error.as_str().to_owned());
        Self { sequence, at, key: kind.clone(), kind, severity, audit_log_id: None, target: None, message }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Alert(Waiting),
    Delivered(u64),
    Dropped(u64),
    /// So many drops were told.
    Told(u64),
    /// So many are untold, and the next number: the beginning of a file that was written anew.
    Begin {
        untold: u64,
        next: u64,
    },
}

/// How much waits at most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) entries: usize,
    pub(super) bytes: u64,
}

pub(super) struct Spool {
    directory: PathBuf,
    file: File,
    /// Held as long as the spool is open.
    _lock: File,
    written: u64,
    bounds: Bounds,
    waiting: VecDeque<Waiting>,
    next: u64,
    untold: u64,
    /// After `written`, there may be what a write that failed has left.
    is_torn: bool,
}

/// How many processes can send alerts from one directory at a time.
const PLACES_MAX: usize = 64;
const NAME: &str = "alerts.jsonl";
/// Where damaged lines are kept.
const DAMAGED: &str = "alerts.damaged.jsonl";

impl Spool {
    /// Opens the first queue in the directory that no process has open: in the directory itself, or a folder in it
    /// that is made.
    ///
    /// # Errors
    /// `Invalid` without the directory, `Conflict` if too many processes have it open, `Unavailable`.
    pub(super) fn open(directory: &Path, bounds: Bounds, now: Timestamp) -> Result<Self, Error> {
        if !directory.is_dir() {
            return Err(Error::invalid("alerts.spool", "is no directory: make it first"));
        }
        for place in places(directory) {
            if !place.is_dir() {
                made(&place, directory).map_err(unavailable)?;
            }
            if let Some(lock) = free(&place)? {
                return Self::of(&place, lock, bounds, now);
            }
        }
        let message = format!("{PLACES_MAX} processes send alerts from this directory: give some another one");
        Err(Error::new(ErrorKind::Conflict, message))
    }

    /// Takes over what processes have left that have ended, as far as `is_new` says so and there is room: into this
    /// queue first, then out of theirs. `directory` is that of all. Says how many were dropped there and not told.
    pub(super) fn adopt(
        &mut self,
        directory: &Path,
        bounds: Bounds,
        now: Timestamp,
        mut is_new: impl FnMut(&Waiting) -> bool,
    ) -> Result<u64, Error> {
        let mut dropped = 0;
        for place in places(directory).filter(|place| place.join(NAME).is_file()) {
            let Some(lock) = free(&place)? else { continue };
            let mut left = Self::of(&place, lock, bounds, now)?;
            while let Some(alert) = left.first().cloned() {
                if !self.has_room() {
                    return Ok(dropped);
                }
                let sequence = alert.sequence;
                if is_new(&alert) {
                    self.push(alert)?;
                }
                left.delivered(sequence, 0)?;
            }
            dropped += left.untold;
            // So that it is not read again and again. The next process that uses the place makes it anew.
            fs::remove_file(place.join(NAME)).map_err(unavailable)?;
        }
        Ok(dropped)
    }

    /// Whether there is room for what others have left: it is safe where it is.
    fn has_room(&self) -> bool {
        self.waiting.len() < self.bounds.entries / 2 && self.bytes() < self.bounds.bytes / 2
    }

    fn of(directory: &Path, lock: File, bounds: Bounds, now: Timestamp) -> Result<Self, Error> {
        let text = match fs::read(directory.join(NAME)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            read => read.map_err(unavailable)?,
        };
        let file = open_file(&directory.join(NAME)).map_err(unavailable)?;
        let (directory, waiting) = (directory.to_owned(), VecDeque::new());
        let (written, next, untold, is_torn) = (0, 0, 0, false);
        let mut spool = Self { directory, file, _lock: lock, written, bounds, waiting, next, untold, is_torn };
        // What is after the last newline is what a crash left of a line that nobody was promised.
        let whole = text.iter().rposition(|byte| *byte == b'\n').unwrap_or_default();
        let lines = text.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let mut damaged = Vec::new();
        for line in lines {
            match serde_json::from_slice(line) {
                Ok(line) => spool.apply(line),
                Err(_) => damaged.push(line),
            }
        }
        if !damaged.is_empty() {
            spool.keep_damaged(&damaged).map_err(unavailable)?;
            spool.waiting.push_back(Waiting::about_damage(damaged.len(), spool.next, now));
            spool.next = spool.next.saturating_add(1);
        }
        spool.rewrite()?;
        Ok(spool)
    }

    /// Puts damaged lines aside for a person to read, as long as there is room for them.
    fn keep_damaged(&self, lines: &[&[u8]]) -> io::Result<()> {
        tracing::error!(
            lines = lines.len(),
            kept_in = DAMAGED,
            "the queue of alerts was damaged: look for alerts in it"
        );
        let mut file = OpenOptions::new().append(true).create(true).open(self.directory.join(DAMAGED))?;
        let mut room = self.bounds.bytes.saturating_sub(file.metadata()?.len());
        for line in lines {
            let Some(left) = room.checked_sub(line.len() as u64 + 1) else { break };
            room = left;
            file.write_all(&[line, b"\n".as_slice()].concat())?;
        }
        file.sync_all()?;
        sync_dir_at(&self.directory)
    }

    /// Puts an alert last. Where there is no room, the oldest with the same key gives way, or else the
    /// oldest of all.
    pub(super) fn push(&mut self, mut alert: Waiting) -> Result<(), Error> {
        alert.sequence = self.next;
        let line = encode(&Line::Alert(alert.clone()))?;
        while self.waiting.len() >= self.bounds.entries.max(1) || self.bytes() + line.len() as u64 > self.bounds.bytes {
            let same = self.waiting.iter().find(|other| other.key == alert.key).or(self.waiting.front());
            let Some(sequence) = same.map(|alert| alert.sequence) else { break };
            self.write(Line::Dropped(sequence))?;
        }
        self.write(Line::Alert(alert))
    }

    pub(super) fn first(&self) -> Option<&Waiting> {
        self.waiting.front()
    }

    /// Whether an alert with the key waits that was raised at most `window` away from `at`.
    pub(super) fn holds_within(&self, key: &str, at: Timestamp, window: TimeDelta) -> bool {
        self.waiting.iter().any(|alert| alert.key == key && (at - alert.at).abs() <= window)
    }

    /// How many were dropped since that was told last.
    pub(super) fn untold(&self) -> u64 {
        self.untold
    }

    pub(super) fn delivered(&mut self, sequence: u64, told: u64) -> Result<(), Error> {
        if told > 0 {
            self.write(Line::Told(told))?;
        }
        self.write(Line::Delivered(sequence))
    }

    pub(super) fn drop_one(&mut self, sequence: u64) -> Result<(), Error> {
        self.write(Line::Dropped(sequence))
    }

    fn bytes(&self) -> u64 {
        let text = |alert: &Waiting| alert.message.len() + alert.key.len() + 256;
        self.waiting.iter().map(|alert| text(alert) as u64).sum()
    }

    fn apply(&mut self, line: Line) {
        match line {
            Line::Alert(alert) => {
                self.next = alert.sequence.saturating_add(1);
                self.waiting.push_back(alert);
            }
            Line::Delivered(sequence) => self.waiting.retain(|alert| alert.sequence != sequence),
            Line::Dropped(sequence) => {
                self.waiting.retain(|alert| alert.sequence != sequence);
                self.untold = self.untold.saturating_add(1);
            }
            Line::Told(told) => self.untold = self.untold.saturating_sub(told),
            Line::Begin { untold, next } => (self.untold, self.next) = (untold, next),
        }
    }

    fn write(&mut self, line: Line) -> Result<(), Error> {
        let bytes = encode(&line)?;
        if self.is_torn {
            self.file.set_len(self.written).map_err(unavailable)?;
        }
        self.is_torn = true;
        let written = self.file.seek(SeekFrom::Start(self.written));
        let written = written.and_then(|_| self.file.write_all(&bytes)).and_then(|()| self.file.sync_data());
        written.map_err(unavailable)?;
        self.is_torn = false;
        self.written += bytes.len() as u64;
        self.apply(line);
        if self.written > self.bounds.bytes.saturating_mul(2) { self.rewrite() } else { Ok(()) }
    }

    /// Writes anew what still counts, beside the old file and then in its place.
    fn rewrite(&mut self) -> Result<(), Error> {
        let mut bytes = encode(&Line::Begin { untold: self.untold, next: self.next })?;
        for alert in &self.waiting {
            bytes.extend(encode(&Line::Alert(alert.clone()))?);
        }
        let new = self.directory.join("alerts.jsonl.new");
        let replace = || {
            let mut file = File::create(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, self.directory.join(NAME))?;
            sync_dir_at(&self.directory)?;
            Ok(file)
        };
        self.file = replace().map_err(unavailable)?;
        (self.written, self.is_torn) = (bytes.len() as u64, false);
        Ok(())
    }
}

/// Where queues are: the directory itself, and folders in it.
fn places(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let folders = (1..PLACES_MAX).map(|n| directory.join(format!("process-{n}")));
    std::iter::once(directory.to_owned()).chain(folders)
}

/// The lock of a queue, if nobody has it; it is held as long as it is open.
fn free(place: &Path) -> Result<Option<File>, Error> {
    let lock = open_file(&place.join("alerts.lock")).map_err(unavailable)?;
    match lock.try_lock() {
        Ok(()) => Ok(Some(lock)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(unavailable(error)),
    }
}

fn made(place: &Path, within: &Path) -> io::Result<()> {
    match fs::create_dir(place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.and_then(|()| sync_dir_at(within)),
    }
}

fn encode(line: &Line) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec(line)
        .map_err(|error| Error::new(ErrorKind::Invalid, "an alert could not be written as JSON").because(error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn unavailable(error: io::Error) -> Error {
    Error::unavailable("the queue of alerts is out of reach: check its directory").because(error)
}
