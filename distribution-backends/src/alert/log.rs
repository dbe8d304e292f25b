//! Alerts for a host that has nothing better: the log.

use distribution_core::{Alert, AlertSink, Severity};

/// Raises alerts as `tracing` events with the fields `kind`, `audit_log_id` and `message`: warnings
/// where a repeat may help ([`Severity::Warning`]), errors where a person must act.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAlerts;

impl AlertSink for LogAlerts {
    fn raise(&self, alert: Alert) {
        let Alert { kind, audit_log_id, message, .. } = alert;
        let audit_log_id = audit_log_id.map(tracing::field::display);
        match kind.severity() {
            Severity::Warning => tracing::warn!(kind = kind.as_str(), audit_log_id, "{message}"),
            Severity::Error | Severity::Critical => tracing::error!(kind = kind.as_str(), audit_log_id, "{message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Write as _};
    use std::sync::{Arc, Mutex};

    use distribution_core::{AlertKind, AuditLogId, Checksum, Identity, ObjectKey, TargetName};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Keeps each event as one line of `level field=value …`.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            write!(self.0, " {field}={value:?}").unwrap();
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn an_alert_is_one_event_with_its_fields() {
        let audit_log_id = AuditLogId::of(Identity {
            target: &TargetName::parse("main").unwrap(),
            key: &ObjectKey::parse("clip.mp4").unwrap(),
            checksum: &Checksum::of(b""),
            concept_id: None,
        });
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), || {
            for kind in [AlertKind::QcRefused, AlertKind::Unavailable] {
                LogAlerts.raise(Alert {
                    kind,
                    audit_log_id: Some(audit_log_id.clone()),
                    target: None,
                    message: "have it {approved}".into(),
                });
            }
        });
        let expected = [("ERROR", "qc_refused"), ("WARN", "unavailable")].map(|(level, kind)| {
            format!("{level} message=have it {{approved}} kind=\"{kind}\" audit_log_id={audit_log_id}")
        });
        assert_eq!(*lines.0.lock().unwrap(), expected);
    }
}
