//! Finishing what crashed publishers left.

use std::time::Duration;

use distribution_core::{Error, ErrorKind, Publisher, Recovery};
use indicatif::ProgressBar;
use serde_json::json;

use crate::exit;
use crate::output::{Output, fields, table};

pub(crate) async fn run(publisher: &Publisher, output: Output) -> Result<u8, Error> {
    let at_work = spinner("finishing what is unfinished");
    let recovery = publisher.recover().await;
    at_work.finish_and_clear();
    let recovery = recovery?;
    let Recovery { settled, busy, failed, failures } = &recovery;
    let told = failures
        .iter()
        .map(|(id, error)| json!({ "audit_log_id": id, "kind": error.kind(), "message": error.to_string() }));
    let answer = json!({ "settled": settled, "busy": busy, "failed": failed, "failures": told.collect::<Vec<_>>() });
    output.give(&answer, || {
        let counts = [
            ("finished", settled.to_string()),
            ("at work elsewhere", busy.to_string()),
            ("failed", failed.to_string()),
        ];
        let rows = failures.iter().map(|(id, error)| [id.to_string(), error.kind().to_string(), error.to_string()]);
        let failures = if failures.is_empty() {
            String::new()
        } else {
            format!("\n{}", table(["AUDIT_LOG_ID", "KIND", "WHAT TO DO"], rows))
        };
        format!("{}{failures}", fields(counts))
    })?;
    Ok(code(&recovery))
}

fn code(recovery: &Recovery) -> u8 {
    let is_damaged = recovery.failures.iter().any(|(_, error)| error.kind() == ErrorKind::Corrupt);
    match recovery.failed {
        0 => 0,
        _ if is_damaged => exit::DAMAGED,
        _ => exit::AGAIN,
    }
}

/// Shows that something is going on whose length nobody knows.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}
