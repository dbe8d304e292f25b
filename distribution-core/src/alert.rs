//! The alert port: tells operators, never changes an outcome.

use crate::identity::AuditLogId;

/// Takes alerts to the people on call.
pub trait AlertSink: Send + Sync + 'static {
    /// Takes the alert at once, without blocking; what becomes of it changes nothing here.
    fn raise(&self, alert: Alert);
}

/// Something that a person should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What happened.
    pub kind: AlertKind,
    /// The publication.
    pub audit_log_id: AuditLogId,
    /// One line that says what happened and what to do; no link, no secret.
    pub message: String,
}

/// What kinds of alert there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AlertKind {
    /// QC did not pass a file that was to be published.
    QcRefused,
    /// The staged bytes are missing or are not the approved ones.
    Rejected,
    /// Stored bytes, or a stored record, are not what they must be.
    Corrupt,
    /// A publish could not be finished for now.
    Unavailable,
}

impl AlertKind {
    /// The kind's name, such as `qc_refused`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QcRefused => "qc_refused",
            Self::Rejected => "rejected",
            Self::Corrupt => "corrupt",
            Self::Unavailable => "unavailable",
        }
    }
}
