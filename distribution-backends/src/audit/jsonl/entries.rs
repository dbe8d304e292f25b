//! Reading the file: lines, and the entries in them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use distribution_core::{AuditEntry, Error};

use super::journal::{corrupt_line, io_fault};

/// The longest line that is written or read. An entry also has to fit into its publication's record,
/// which is smaller.
pub(super) const LINE_BYTES_MAX: usize = 2 << 20;

/// The entries of an audit file, oldest first; made by [`JsonlAudit::read`](super::JsonlAudit::read).
///
/// It holds one line at a time. A line that is no entry is an error that names it, and the next item
/// is the next line. Bytes without a newline at the end are an append under way, or what a crash left
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
                Some(serde_json::from_slice(bytes).map_err(|error| corrupt_line(&self.place, number).because(error)))
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
