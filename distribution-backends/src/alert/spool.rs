//! The queue of alerts on disk: a file of lines, synced line by line. Everything here blocks.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
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

const NAME: &str = "alerts.jsonl";
/// Where damaged lines are kept.
const DAMAGED: &str = "alerts.damaged.jsonl";

impl Spool {
    /// # Errors
    /// `Invalid` without the directory, `Conflict` if another process has it open, `Unavailable`.
    pub(super) fn open(directory: &Path, bounds: Bounds, now: Timestamp) -> Result<Self, Error> {
        if !directory.is_dir() {
            return Err(Error::invalid("alerts.spool", "is no directory: make it first"));
        }
        let lock = open_file(&directory.join("alerts.lock")).map_err(unavailable)?;
        lock.try_lock().map_err(|error| {
            let message = "another process sends alerts from this directory: give each one its own";
            Error::new(ErrorKind::Conflict, message).because(error)
        })?;
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
