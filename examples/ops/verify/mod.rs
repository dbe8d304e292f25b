//! The independent check: what is stored, judged by the testkit's checker, which asks nothing of the publisher.

mod look;
mod trail;
mod verdict;

use std::path::Path;

use clap::Args;
use distribution_backends::Config;
use distribution_core::{AuditLogId, Error};
use serde_json::json;

use crate::ask::missing;
use crate::exit;
use crate::json::value;
use crate::output::{Output, or_dash, table};

use self::look::Look;
use self::verdict::{Judged, Report, Verdict};

/// Judge what is stored without the publisher
///
/// Reads every record, the whole audit trail and every byte of every published object, so it takes as long as
/// that takes, and some KiB of memory for each publication. The trail is checked as `audit verify` does without keys,
/// and where it is broken, the rest is judged all the same. No record, entry or published object is written; but what
/// any command does when it starts, this does too: it makes what the configuration says is made if absent, such as
/// keys, and tries a bucket with objects of its own, which it removes. It may run while others publish: what has
/// changed meanwhile is not judged.
#[derive(Args)]
pub(crate) struct Verify {
    /// These publications alone [default: all, and what no publication accounts for]
    #[arg(value_name = "AUDIT_LOG_ID")]
    audit_log_ids: Vec<AuditLogId>,
    /// Tell of those that are well too
    #[arg(long)]
    all: bool,
}

impl Verify {
    pub(crate) async fn run(self, config: &Path, output: Output) -> Result<u8, Error> {
        let stores = Config::load(config)?.stores().await?;
        let look = Look::at(&stores, &self.audit_log_ids).await?;
        if let Some(absent) = look.absent.first() {
            return missing(&format!("{absent} is not on record"), output);
        }
        let report = Report::of(look, &stores).await?;
        let shown = report.judged.iter().filter(|judged| self.all || judged.verdict != Verdict::Well);
        let shown: Vec<&Judged> = shown.collect();
        output.give(&json!({ "counts": report.counts(), "judged": value(&shown)? }), || {
            let summary = report.summary();
            if shown.is_empty() { summary } else { format!("{}\n{summary}", told(&shown)) }
        })?;
        Ok(code(&report))
    }
}

fn told(shown: &[&Judged]) -> String {
    let rows = shown.iter().flat_map(|judged| {
        let row = |promise: Option<&str>, message: &str, way_out: &str| {
            let (subject, verdict) = (judged.subject.clone(), judged.verdict.as_str().to_owned());
            [subject, verdict, or_dash(promise), message.to_owned(), way_out.to_owned()]
        };
        let findings = judged.findings.iter();
        let mut rows: Vec<_> =
            findings.map(|found| row(found.promise.as_deref(), &found.message, &found.way_out)).collect();
        if rows.is_empty() {
            rows.push(row(None, "", ""));
        }
        rows
    });
    table(["SUBJECT", "VERDICT", "PROMISE", "WHAT IS WRONG", "WHAT TO DO"], rows)
}

fn code(report: &Report) -> u8 {
    let any = |verdict| report.judged.iter().any(|judged| judged.verdict == verdict);
    match () {
        () if any(Verdict::Ill) => exit::DAMAGED,
        () if any(Verdict::Unknown) => exit::AGAIN,
        () => 0,
    }
}
