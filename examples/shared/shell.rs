//! What the command lines share: how they speak, and when they are told to end.

use std::io;

use distribution_core::{Alert, AlertSink, Error};

/// Ctrl-C, or the service manager's word for it.
pub(crate) async fn interrupted() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            _ = terminated.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

/// Says what is wrong.
pub(crate) fn complain(error: &Error) {
    say(&format!("{}: {error}", error.kind()));
}

pub(crate) fn unavailable(verb: &str, what: impl std::fmt::Display, error: io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} {what}: {error}"))
}

/// Tells the operator, who sits in front of the terminal.
pub(crate) struct Stderr;

impl AlertSink for Stderr {
    fn raise(&self, alert: Alert) {
        let id = alert.audit_log_id.map(|id| format!(" ({id})")).unwrap_or_default();
        say(&format!("alert {}: {}{id}", alert.kind.as_str(), alert.message));
    }
}

#[expect(clippy::print_stderr, reason = "a command line speaks to people on stderr")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
