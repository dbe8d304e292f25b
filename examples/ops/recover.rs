//! Finishing what crashed publishers left.

use std::time::Duration;

use distribution_core::{Error, Publisher, Recovery};
use indicatif::ProgressBar;
use serde_json::json;

use crate::failures::{code_of_failures, failures_table, told};
use crate::output::{Output, fields};

pub(crate) async fn run(publisher: &Publisher, output: Output) -> Result<u8, Error> {
    let at_work = spinner("finishing what is unfinished");
    let recovery = publisher.recover().await;
    at_work.finish_and_clear();
    let recovery = recovery?;
    let Recovery { settled, busy, failed, failures } = &recovery;
    let answer = json!({ "settled": settled, "busy": busy, "failed": failed, "failures": told(failures) });
    output.give(&answer, || {
        let counts = [
            ("finished", settled.to_string()),
            ("at work elsewhere", busy.to_string()),
            ("failed", failed.to_string()),
        ];
        format!("{}{}", fields(counts), failures_table(failures))
    })?;
    Ok(code_of_failures(*failed, failures))
}

/// Shows that something is going on whose length nobody knows.
pub(crate) fn spinner(what: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(120));
    spinner
}
