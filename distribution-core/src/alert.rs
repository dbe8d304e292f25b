//! The alert port: tells operators, never changes an outcome.

use crate::identity::AuditLogId;
use crate::key::TargetName;

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
    /// The publication at which it was seen.
    pub audit_log_id: AuditLogId,
    /// The target, where it is about all that is published there and not about this one publication.
    pub target: Option<TargetName>,
    /// One line that says what happened and what to do; no link, no secret.
    pub message: String,
}

impl Alert {
    /// What is the same for two alerts about the same thing, on every host and after every restart:
    /// `{kind}/{audit_log_id}`, or `{kind}/{target}` where it is about a target.
    ///
    /// ```
    /// use distribution_core::{Alert, AlertKind, AuditLogId, Checksum, Identity, ObjectKey, Severity, TargetName};
    ///
    /// let (target, key) = (TargetName::parse("main")?, ObjectKey::parse("clip.mp4")?);
    /// let checksum = Checksum::of(b"");
    /// let id = AuditLogId::of(Identity { target: &target, key: &key, checksum: &checksum, concept_id: None });
    /// let message = "the stored object has other bytes: check the store".to_owned();
    /// let mut alert = Alert { kind: AlertKind::Corrupt, audit_log_id: id.clone(), target: None, message };
    /// assert_eq!(alert.dedup_key(), format!("corrupt/{id}"));
    /// assert_eq!(alert.kind.severity(), Severity::Critical);
    ///
    /// (alert.kind, alert.target) = (AlertKind::LinkShortened, Some(target));
    /// assert_eq!(alert.dedup_key(), "link_shortened/main");
    /// # Ok::<(), distribution_core::Error>(())
    /// ```
    pub fn dedup_key(&self) -> String {
        let kind = self.kind.as_str();
        match &self.target {
            Some(target) => format!("{kind}/{target}"),
            None => format!("{kind}/{}", self.audit_log_id),
        }
    }
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
    /// Links end earlier than granted, such as by credentials that end before them.
    LinkShortened,
}

impl AlertKind {
    /// The kind's name, such as `qc_refused`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::QcRefused => "qc_refused",
            Self::Rejected => "rejected",
            Self::Corrupt => "corrupt",
            Self::Unavailable => "unavailable",
            Self::LinkShortened => "link_shortened",
        }
    }

    /// How much it matters.
    pub fn severity(self) -> Severity {
        match self {
            Self::Corrupt => Severity::Critical,
            Self::QcRefused | Self::Rejected => Severity::Error,
            Self::Unavailable | Self::LinkShortened => Severity::Warning,
        }
    }
}

/// How much an alert matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// A repeat may help; a person should look if it goes on.
    Warning,
    /// Something was not published and will not be until a person acts.
    Error,
    /// Something that was stored is damaged: act now.
    Critical,
}

impl Severity {
    /// The severity's name, such as `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}
