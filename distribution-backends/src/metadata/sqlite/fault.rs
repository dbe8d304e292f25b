//! What SQLite's errors mean to a caller.

use distribution_core::{Error, ErrorKind};
use sqlx::migrate::MigrateError;

/// SQLite's primary result codes (<https://www.sqlite.org/rescode.html>).
const ERROR: i32 = 1;
const PERM: i32 = 3;
pub(super) const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;
const NOTADB: i32 = 26;

/// The error of a statement on the file `place`. Its cause holds no bound value: SQLite names tables
/// and columns only.
pub(crate) fn fault(place: &str, error: sqlx::Error) -> Error {
    use ErrorKind::{Corrupt, Unavailable};
    let (kind, what) = match &error {
        sqlx::Error::PoolTimedOut => {
            (Unavailable, "was busy for too long: repeat, and look for a slow disk or a process that holds its lock")
        }
        sqlx::Error::PoolClosed => (Unavailable, "was closed: open it again"),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
            (Corrupt, "holds a value that does not decode: was it edited by hand?")
        }
        sqlx::Error::Database(_) => match primary_code(&error) {
            Some(BUSY | LOCKED) => (Unavailable, "is locked by another process: repeat"),
            Some(FULL) => (Unavailable, "is on a full disk: free space, then repeat"),
            Some(READONLY | PERM) => (Unavailable, "cannot be written: check its permissions and its mount"),
            Some(CANTOPEN) => (Unavailable, "cannot be opened: check that it is there and its permissions"),
            Some(IOERR) => (Unavailable, "met an input/output error: check the disk, then repeat"),
            Some(CORRUPT | NOTADB) => (Corrupt, "is damaged or no database: restore it from a backup"),
            Some(ERROR | CONSTRAINT | MISMATCH) => {
                (Corrupt, "does not have the expected tables: was it replaced or edited by hand?")
            }
            _ => (Unavailable, "did not answer as expected: repeat"),
        },
        sqlx::Error::Io(_) => {
            (Unavailable, "was moved, removed or replaced while in use: put it back, or open it anew")
        }
        _ => (Unavailable, "is out of reach: repeat"),
    };
    Error::new(kind, format!("the database {place} {what}")).because(error)
}

/// The error of bringing the file `place` up to this version.
pub(super) fn migration_fault(place: &str, error: MigrateError) -> Error {
    let what = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => return fault(place, error),
        MigrateError::VersionMissing(_) => {
            let message = format!("the database {place} was written by a newer version: use that one");
            return Error::new(ErrorKind::Unsupported, message).because(error);
        }
        MigrateError::VersionMismatch(_) => "was set up by a version that is not this one's ancestor",
        _ => "could not be brought up to this version",
    };
    Error::corrupt(format!("the database {place} {what}: restore it from a backup")).because(error)
}

/// SQLite's primary result code, the low byte of the extended one.
pub(super) fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}
