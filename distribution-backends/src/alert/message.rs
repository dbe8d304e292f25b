//! What a receiver gets of an alert.

use distribution_core::{Alert, Timestamp};
use serde_json::{Value, json};

use super::WebhookFormat;
use super::spool::Waiting;

pub(super) fn waiting(alert: Alert, at: Timestamp, key: String) -> Waiting {
    Waiting {
        sequence: 0,
        at,
        key,
        kind: alert.kind.as_str().to_owned(),
        severity: alert.kind.severity().as_str().to_owned(),
        audit_log_id: alert.audit_log_id.map(|id| id.to_string()),
        target: alert.target.map(|target| target.to_string()),
        message: alert.message,
    }
}

pub(super) fn body(format: WebhookFormat, alert: &Waiting, dropped: u64) -> Value {
    let Waiting { key, kind, severity, audit_log_id, target, message, at, .. } = alert;
    let dropped =
        if dropped == 0 { String::new() } else { format!(" ({dropped} alerts were dropped before this one)") };
    match format {
        WebhookFormat::Slack => {
            // Slack's own three escapes, so that no text becomes a link or a mention.
            let plain = message.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            let about = audit_log_id.as_ref().map(|id| format!(" (audit_log_id {id})")).unwrap_or_default();
            json!({ "text": format!("[{severity}] {kind}: {plain}{about}{dropped}") })
        }
        WebhookFormat::Alertmanager => {
            let mut labels = json!({ "alertname": format!("distribution_{kind}"), "severity": severity });
            if let Some(labels) = labels.as_object_mut() {
                match (target, audit_log_id) {
                    (Some(target), _) => drop(labels.insert("target".to_owned(), json!(target))),
                    (None, Some(id)) if key != kind => drop(labels.insert("audit_log_id".to_owned(), json!(id))),
                    (None, _) => {}
                }
            }
            let annotations = json!({ "summary": format!("{message}{dropped}"), "audit_log_id": audit_log_id.as_deref().unwrap_or_default() });
            json!([{ "labels": labels, "annotations": annotations, "startsAt": at }])
        }
    }
}
