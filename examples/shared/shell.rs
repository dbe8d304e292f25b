//! What the command lines share: how they speak, end and serve.

use std::io;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use distribution_core::{Alert, AlertSink, Error, ErrorKind};
use tokio::net::TcpListener;

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

/// Serves the routes until interrupted, and then lets downloads end.
pub(crate) async fn serve(listener: TcpListener, routes: axum::Router) -> Result<(), Error> {
    // An answer is more than one segment: each would wait for the one before to be acknowledged.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let serving = axum::serve(listener, routes).with_graceful_shutdown(interrupted()).into_future();
    tokio::select! {
        served = serving => served.map_err(|error| unavailable("serve", "links", error)),
        () = grace() => {
            say("cut off downloads that were still running");
            Ok(())
        }
    }
}

/// How long downloads may still run once the server is told to end; a second Ctrl-C cuts it short.
async fn grace() {
    interrupted().await;
    tokio::select! {
        () = interrupted() => {}
        () = tokio::time::sleep(Duration::from_secs(5)) => {}
    }
}

/// Says what is wrong, and tells the exit code that stands for it.
pub(crate) fn exit_code(error: &Error) -> u8 {
    say(&format!("{}: {error}", error.kind()));
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Conflict | ErrorKind::Unsupported => 2,
        ErrorKind::Refused => 3,
        ErrorKind::Rejected => 4,
        ErrorKind::Busy | ErrorKind::Unavailable => 5,
        ErrorKind::Corrupt => 1,
    }
}

pub(crate) fn unavailable(verb: &str, what: impl std::fmt::Display, error: io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} {what}: {error}"))
}

/// Tells the operator, who sits in front of the terminal.
pub(crate) struct Stderr;

impl AlertSink for Stderr {
    fn raise(&self, alert: Alert) {
        say(&format!("alert {}: {} ({})", alert.kind.as_str(), alert.message, alert.audit_log_id));
    }
}

#[expect(clippy::print_stderr, reason = "a command line speaks to people on stderr")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
