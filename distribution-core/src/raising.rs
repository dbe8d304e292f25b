//! Which alerts a publisher raises, and for what.

use crate::alert::{Alert, AlertKind};
use crate::error::{Error, ErrorKind};
use crate::identity::AuditLogId;
use crate::key::TargetName;
use crate::metrics;
use crate::origin::Part;
use crate::publisher::Publisher;
use crate::record::Record;
use crate::request::VideoUrl;

impl Publisher {
    /// Tells the operators of an error, where its kind is for them.
    pub(crate) fn alert(&self, audit_log_id: &AuditLogId, error: &Error) {
        if let Some(kind) = kind(error) {
            self.raise(Alert {
                kind,
                audit_log_id: Some(audit_log_id.clone()),
                target: None,
                message: told(error, kind),
            });
        }
    }

    pub(crate) fn alert_of_failed_attempt(&self, before: &Record, after: &Record) {
        if after.attempt > before.attempt && after.published().is_none() {
            let attempt = before.attempt;
            let message = format!("the object of attempt {attempt} is missing or has other bytes");
            self.alert(before.id(), &Error::corrupt(message));
        }
    }

    pub(crate) fn alert_if_shortened(&self, record: &Record, limited_by: Option<&str>) {
        let Some(reason) = limited_by else { return };
        let (kind, target) = (AlertKind::LinkShortened, record.publication.target.clone());
        let message = told(format_args!("links of the target `{target}` end earlier than granted ({reason})"), kind);
        self.raise(Alert { kind, audit_log_id: Some(record.id().clone()), target: Some(target), message });
    }

    /// That an error is about all of a target, and was seen at this publication.
    pub(crate) fn alert_of_target(&self, record: &Record, error: &Error) {
        if let Some(kind) = kind(error) {
            let (id, target) = (record.id().clone(), record.publication.target.clone());
            self.raise(Alert { kind, audit_log_id: Some(id), target: Some(target), message: told(error, kind) });
        }
    }

    /// That a copy on another target is lost, or cannot be made. If that is out of reach, it is about all copies there.
    pub(crate) fn alert_of_replica(&self, record: &Record, name: &TargetName, error: &Error) {
        if error.part().is_some() {
            return self.alert(record.id(), error);
        }
        let (kind, id) = (AlertKind::ReplicaLost, record.id().clone());
        let message = told(format_args!("{id} lacks a proven copy on the target `{name}`: {error}"), kind);
        let target = Some(name.clone()).filter(|_| error.kind() == ErrorKind::Unavailable);
        self.raise(Alert { kind, audit_log_id: Some(id), target, message });
    }

    /// That nobody publishes so many staged files, of which this is one.
    pub(crate) fn alert_of_stuck(&self, files: u64, one: &VideoUrl) {
        let kind = AlertKind::StagingStuck;
        let message = told(format_args!("{files} staged files wait and nobody publishes them, such as {one}"), kind);
        self.raise(Alert { kind, audit_log_id: None, target: None, message });
    }

    fn raise(&self, alert: Alert) {
        metrics::alerted(alert.kind);
        self.parts().alerts.raise(alert);
    }
}

fn kind(error: &Error) -> Option<AlertKind> {
    match (error.kind(), error.part()) {
        (ErrorKind::Refused, _) => Some(AlertKind::QcRefused),
        (ErrorKind::Rejected, _) => Some(AlertKind::Rejected),
        (ErrorKind::Corrupt, _) => Some(AlertKind::Corrupt),
        (ErrorKind::Unavailable, Some(Part::Audit)) => Some(AlertKind::AuditUnreachable),
        (ErrorKind::Unavailable, Some(Part::Metadata)) => Some(AlertKind::MetadataUnreachable),
        (_, Some(Part::Replica)) => None,
        (ErrorKind::Unavailable, None) => Some(AlertKind::Unavailable),
        (
            ErrorKind::Invalid
            | ErrorKind::Conflict
            | ErrorKind::Busy
            | ErrorKind::Retracted
            | ErrorKind::Archived
            | ErrorKind::Unsupported,
            _,
        ) => None,
    }
}

/// What happened, and what to do.
fn told(what: impl std::fmt::Display, kind: AlertKind) -> String {
    format!("{what}. To do: {}", kind.to_do())
}
