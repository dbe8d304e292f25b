//! Reading the file: lines, and the entries in them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use distribution_core::{AuditEntry, Error};

use super::journal::{corrupt_line, io_fault};
use crate::evidence::{ChainedEvent, EVENT_BYTES_MAX, Verifier};

/// The longest line that is written or read, with its newline.
const LINE_BYTES_MAX: usize = EVENT_BYTES_MAX + 1;

/// The entries of an audit file, oldest first; made by [`JsonlAudit::read`](super::JsonlAudit::read).
///
/// It holds one line at a time. A line that is no entry is an error that names it, and the next item
/// is the next line. Whether the lines are as they were written is for [`Verifier`](crate::Verifier) to say. Bytes without a newline at the end are an append under way, or what a crash left
/// of one, and are not read.
#[derive(Debug)]
pub struct JsonlEntries {
    place: String,
    lines: Lines<BufReader<File>>,
    over: bool,
}

impl JsonlEntries {
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let place = path.display().to_string();
        let file = File::open(path).map_err(|error| io_fault(&place, error))?;
        Ok(Self { place, lines: Lines::new(BufReader::new(file), 0), over: false })
    }
}

impl Iterator for JsonlEntries {
    type Item = Result<AuditEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        match self.lines.next() {
            Ok(Next::Line { bytes, number }) => {
                let event = serde_json::from_slice(bytes).ok();
                Some(
                    event
                        .and_then(|event: ChainedEvent| event.entry())
                        .ok_or_else(|| corrupt_line(&self.place, number)),
                )
            }
            Ok(Next::Torn { .. } | Next::End) => {
                self.over = true;
                None
            }
            Ok(Next::TooLong { number }) => {
                self.over = true;
                Some(Err(corrupt_line(&self.place, number)))
            }
            Err(error) => {
                self.over = true;
                Some(Err(io_fault(&self.place, error)))
            }
        }
    }
}

/// Has each line of a file checked.
pub(super) fn verify(path: &Path, mut verifier: Verifier) -> Result<Verifier, Error> {
    let place = path.display().to_string();
    let failed = |error| io_fault(&place, error);
    let mut lines = Lines::new(BufReader::new(File::open(path).map_err(failed)?), 0);
    loop {
        match lines.next().map_err(failed)? {
            Next::Line { bytes, number } => {
                verifier.check(&format!("line {number}"), bytes.strip_suffix(b"\n").unwrap_or(bytes));
            }
            Next::TooLong { number } => {
                verifier.unfinished(&format!("line {number}"));
                return Ok(verifier);
            }
            Next::Torn { .. } => {
                verifier.unfinished("the last line");
                return Ok(verifier);
            }
            Next::End => return Ok(verifier),
        }
    }
}

/// A reader's lines, in memory one at a time.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    /// How many lines came before.
    number: u64,
}

pub(super) enum Next<'l> {
    /// A line, with its newline, and its number counted from 1.
    Line { bytes: &'l [u8], number: u64 },
    /// So many bytes without a newline, and then the end.
    Torn { bytes: usize },
    /// A line, or what has no end, of more than [`LINE_BYTES_MAX`].
    TooLong { number: u64 },
    /// The end.
    End,
}

impl<R: BufRead> Lines<R> {
    /// The lines of a reader that stands behind line `number`.
    pub(super) fn new(reader: R, number: u64) -> Self {
        Self { reader, line: Vec::new(), number }
    }

    pub(super) fn next(&mut self) -> io::Result<Next<'_>> {
        self.line.clear();
        let bytes_max = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        self.reader.by_ref().take(bytes_max).read_until(b'\n', &mut self.line)?;
        match self.line.as_slice() {
            [] => Ok(Next::End),
            [.., b'\n'] => {
                self.number += 1;
                Ok(Next::Line { bytes: &self.line, number: self.number })
            }
            line if line.len() == LINE_BYTES_MAX => Ok(Next::TooLong { number: self.number + 1 }),
            line => Ok(Next::Torn { bytes: line.len() }),
        }
    }
}
