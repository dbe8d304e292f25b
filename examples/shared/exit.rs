//! How the command lines end: one list for all of them.

use distribution_core::{Error, ErrorKind};

/// Stored data is damaged: an operator must look.
pub(crate) const DAMAGED: u8 = 1;
/// The configuration, the request or the question is wrong.
pub(crate) const WRONG: u8 = 2;
/// QC refused it; of a batch: some edits were refused, rejected or wrong, and the rest is published.
pub(crate) const NOT_PASSED: u8 = 3;
/// What was asked for is not there: what is staged is not what was approved, nothing is on record, it was taken back, or is in the
/// archive.
pub(crate) const NOT_THERE: u8 = 4;
/// Something is out of reach or not known: run it again.
pub(crate) const AGAIN: u8 = 5;
/// Ctrl-C: run it again.
pub(crate) const INTERRUPTED: u8 = 130;

/// The exit code that stands for an error.
pub(crate) fn code_of(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Unsupported => WRONG,
        ErrorKind::Refused => NOT_PASSED,
        ErrorKind::Rejected | ErrorKind::Retracted | ErrorKind::Archived => NOT_THERE,
        ErrorKind::Busy | ErrorKind::Unavailable => AGAIN,
        ErrorKind::Corrupt => DAMAGED,
    }
}
