//! What PostgreSQL's errors mean to a caller.

use std::{fmt, io};

use distribution_core::{Error, ErrorKind};
use sqlx::migrate::MigrateError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

const NO_TLS: &str = "gave no TLS connection that can be trusted: check sslmode and sslrootcert";

/// Why a statement gave no answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) error: Error,
    /// Whether the server refused it for what is in it, or for a lock: then nothing has happened, and
    /// others than its writes may go through. If not, it may have been committed.
    pub(super) refused: bool,
}

impl Failed {
    /// Before the statement was sent.
    pub(super) fn before(error: Error) -> Self {
        Self { error, refused: false }
    }
}

/// The error of a statement in the database `place`.
pub(super) fn failed(place: &str, error: sqlx::Error) -> Failed {
    // SQLSTATE, PostgreSQL appendix A: data, constraints, limits; serialization_failure, deadlock_detected
    // and lock_not_available. Not all of class 40, in which 40003 says that the outcome is unknown.
    let refused = server_error(&error).is_some_and(|error| {
        let class = error.code().get(..2).unwrap_or_default();
        error.severity() == PgSeverity::Error
            && (matches!(class, "22" | "23" | "54") || matches!(error.code(), "40001" | "40P01" | "55P03"))
    });
    Failed { error: fault(place, error), refused }
}

pub(crate) fn fault(place: &str, error: sqlx::Error) -> Error {
    use ErrorKind::{Corrupt, Unavailable};
    let (kind, what) = match server_error(&error) {
        Some(error) => database_fault(error.code()),
        None => match &error {
            sqlx::Error::Tls(_) => (Unavailable, NO_TLS),
            // As rustls tells of a certificate that it does not accept.
            sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => (Unavailable, NO_TLS),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                (Corrupt, "holds a value that does not decode: was it edited by hand?")
            }
            _ => (Unavailable, "is out of reach: repeat"),
        },
    };
    Error::new(kind, format!("the database {place} {what}")).because(Cause::of(error))
}

/// What a code of PostgreSQL's appendix A asks for.
fn database_fault(code: &str) -> (ErrorKind, &'static str) {
    use ErrorKind::{Corrupt, Unavailable};
    match code {
        "25006" => (Unavailable, "takes no writes, as a standby does: check what its name leads to, then repeat"),
        "28000" | "28P01" => (Unavailable, "refuses the user or the password: check both, and pg_hba.conf"),
        "3D000" => (Unavailable, "does not exist: create it, or correct its name"),
        "42501" => (Unavailable, "refuses its user a privilege: grant what the documentation lists"),
        "53100" => (Unavailable, "is on a full disk: free space, then repeat"),
        "53300" => (Unavailable, "has too many connections: lower the pools' sizes or raise max_connections"),
        "55P03" => (Unavailable, "has the row locked by somebody else for too long: repeat"),
        "57014" => (Unavailable, "took too long: repeat, and look for what keeps it busy"),
        "57P01" | "57P02" | "57P03" => (Unavailable, "is stopping or starting: repeat"),
        "3F000" | "42P01" | "42703" | "42804" | "42883" => {
            (Corrupt, "does not have the expected tables: was it edited by hand, or restored in part?")
        }
        "XX001" | "XX002" => (Corrupt, "is damaged: restore it from a backup"),
        _ => match code.get(..2) {
            Some("22" | "23" | "54") => (Corrupt, "refuses what its tables must hold: was it edited by hand?"),
            _ => (Unavailable, "did not answer as expected: repeat"),
        },
    }
}

/// The same for an error while the store is being opened: what is configured can be wrong then.
pub(super) fn opening_fault(place: &str, error: sqlx::Error) -> Error {
    let is_configured = match server_error(&error) {
        Some(error) => matches!(error.code(), "28000" | "28P01" | "3D000" | "42501"),
        None => matches!(error, sqlx::Error::Configuration(_)),
    };
    let error = fault(place, error);
    if is_configured { Error::new(ErrorKind::Invalid, error.message()).because(error) } else { error }
}

/// The error of bringing the database `place` up to this version.
pub(super) fn migration_fault(place: &str, error: MigrateError) -> Error {
    let what = match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => return opening_fault(place, error),
        MigrateError::VersionMissing(_) => {
            let message = format!("the database {place} was written by a newer version: use that one");
            return Error::new(ErrorKind::Unsupported, message).because(error);
        }
        MigrateError::VersionMismatch(_) => "was set up by a version that is not this one's ancestor",
        _ => "could not be brought up to this version",
    };
    Error::corrupt(format!("the database {place} {what}: restore it from a backup")).because(Cause::text(&error))
}

fn server_error(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref()
}

/// An error without its details: PostgreSQL's hold the values of rows.
struct Cause(String);

impl Cause {
    fn of(error: sqlx::Error) -> Self {
        match server_error(&error) {
            Some(error) => Self(format!("{} {}", error.code(), error.message())),
            None => Self::text(&error),
        }
    }

    fn text(error: &impl fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cause {}
