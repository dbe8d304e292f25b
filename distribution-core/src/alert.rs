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
    /// The publication at which it was seen, if it was at one.
    pub audit_log_id: Option<AuditLogId>,
    /// The target, where it is about all that is published there and not about this one publication.
    pub target: Option<TargetName>,
    /// One line that says what happened and what to do; no link, no secret.
    pub message: String,
}

impl Alert {
    /// What is the same for two alerts about the same thing, on every host and after every restart:
    /// `{kind}/{audit_log_id}`; `{kind}/{target}` where it is about a target; and `{kind}` alone where it is about
    /// a part that all publications share, so that an hour without one is not an alert for each of them.
    ///
    /// ```
    /// use distribution_core::{Alert, AlertKind, AuditLogId, Checksum, Identity, ObjectKey, Severity, TargetName};
    ///
    /// let (target, key) = (TargetName::parse("main")?, ObjectKey::parse("clip.mp4")?);
    /// let checksum = Checksum::of(b"");
    /// let id = AuditLogId::of(Identity { target: &target, key: &key, checksum: &checksum, concept_id: None });
    /// let message = "the stored object has other bytes: check the store".to_owned();
    /// let mut alert = Alert { kind: AlertKind::Corrupt, audit_log_id: Some(id.clone()), target: None, message };
    /// assert_eq!(alert.dedup_key(), format!("corrupt/{id}"));
    /// assert_eq!(alert.kind.severity(), Severity::Critical);
    ///
    /// (alert.kind, alert.target) = (AlertKind::LinkShortened, Some(target));
    /// assert_eq!(alert.dedup_key(), "link_shortened/main");
    ///
    /// (alert.kind, alert.target) = (AlertKind::AuditUnreachable, None);
    /// assert_eq!(alert.dedup_key(), "audit_unreachable");
    /// # Ok::<(), distribution_core::Error>(())
    /// ```
    pub fn dedup_key(&self) -> String {
        let kind = self.kind.as_str();
        match (&self.target, &self.audit_log_id) {
            (Some(target), _) => format!("{kind}/{target}"),
            (None, Some(id)) if !self.kind.is_of_all() => format!("{kind}/{id}"),
            (None, _) => kind.to_owned(),
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
    /// The audit trail cannot be delivered: nothing gets a link.
    AuditUnreachable,
    /// Records cannot be read or written: nothing is published.
    MetadataUnreachable,
    /// Staged files wait, and nobody publishes them.
    StagingStuck,
    /// A proven copy at another target is missing or has other bytes.
    ReplicaLost,
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
            Self::AuditUnreachable => "audit_unreachable",
            Self::MetadataUnreachable => "metadata_unreachable",
            Self::StagingStuck => "staging_stuck",
            Self::ReplicaLost => "replica_lost",
        }
    }

    /// What a person should do about it: the end of each message.
    pub fn to_do(self) -> &'static str {
        match self {
            Self::QcRefused => "have QC pass exactly these bytes and publish again, or leave the file unpublished",
            Self::Rejected => "stage the approved file, or have QC approve what is staged, and publish again",
            Self::Corrupt => "look at the store, and restore what is damaged before anybody is sent there",
            Self::Unavailable => {
                "repeat the call; if it goes on, look whether the store and the staged file are in reach"
            }
            Self::LinkShortened => "sign with credentials that live longer than the links",
            Self::AuditUnreachable => "bring the audit sink back, and repeat the call: nothing gets a link before",
            Self::MetadataUnreachable => "bring the metadata store back, and repeat the call",
            Self::StagingStuck => "publish them, or remove them by hand: a plan of the sweep names each",
            Self::ReplicaLost => "bring that target back: recovery copies the object there again",
        }
    }

    /// Whether it is about something that all publications share.
    pub fn is_of_all(self) -> bool {
        matches!(self, Self::AuditUnreachable | Self::MetadataUnreachable | Self::StagingStuck)
    }

    /// How much it matters.
    pub fn severity(self) -> Severity {
        match self {
            Self::Corrupt => Severity::Critical,
            Self::QcRefused | Self::Rejected => Severity::Error,
            Self::AuditUnreachable | Self::MetadataUnreachable | Self::ReplicaLost => Severity::Error,
            Self::Unavailable | Self::LinkShortened | Self::StagingStuck => Severity::Warning,
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
