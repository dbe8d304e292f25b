//! Publications that could not be brought on, each with what hindered it.

use distribution_core::{AuditLogId, Error, ErrorKind};
use serde_json::{Value, json};

use crate::exit;
use crate::output::table;

type Failures = [(AuditLogId, Error)];

pub(crate) fn told(failures: &Failures) -> Vec<Value> {
    let told = |(id, error): &(AuditLogId, Error)| json!({ "audit_log_id": id, "kind": error.kind(), "message": error.to_string() });
    failures.iter().map(told).collect()
}

/// A table below the rest, or nothing.
pub(crate) fn failures_table(failures: &Failures) -> String {
    if failures.is_empty() {
        return String::new();
    }
    let rows = failures.iter().map(|(id, error)| [id.to_string(), error.kind().to_string(), error.to_string()]);
    format!("\n{}", table(["AUDIT_LOG_ID", "KIND", "WHAT TO DO"], rows))
}

/// The exit code, where so many failed.
pub(crate) fn code_of_failures(failed: u64, failures: &Failures) -> u8 {
    match failed {
        0 => 0,
        _ if failures.iter().any(|(_, error)| error.kind() == ErrorKind::Corrupt) => exit::DAMAGED,
        _ => exit::AGAIN,
    }
}
