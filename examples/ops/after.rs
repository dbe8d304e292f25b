//! After publishing: back to an earlier version, taking a publication back, holding what must not be removed,
//! into the archive and back.

use chrono::TimeDelta;
use clap::Args;
use distribution_core::{
    ArchiveMode, ArchivePass, ArchivePolicy, AuditLogId, ConceptId, Cursor, Error, HoldOn, LinksLeft, Publisher, Reason,
};
use serde_json::json;

use crate::failures::{code_of_failures, failures_table, told};
use crate::json::value;
use crate::output::{Output, fields, or_dash, time};
use crate::recover::spinner;
use crate::show::asset_rows;

#[derive(Args)]
pub(crate) struct Rollback {
    #[arg(value_name = "CONCEPT_ID")]
    concept_id: ConceptId,
    /// Which version is to be the latest again
    #[arg(value_name = "VERSION")]
    version: u64,
}

#[derive(Args)]
pub(crate) struct Retract {
    #[arg(value_name = "AUDIT_LOG_ID")]
    audit_log_id: AuditLogId,
    #[command(flatten)]
    why: Why,
}

#[derive(Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    on: On,
    #[command(flatten)]
    why: Why,
}

#[derive(Args)]
struct Why {
    /// Why, in one line: it is on record, and in the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct On {
    /// One publication
    #[arg(value_name = "AUDIT_LOG_ID")]
    audit_log_id: Option<AuditLogId>,
    /// All versions of a work, those to come included
    #[arg(long, value_name = "CONCEPT_ID")]
    concept: Option<ConceptId>,
}

#[derive(Args)]
pub(crate) struct Archive {
    /// One publication
    #[arg(
        value_name = "AUDIT_LOG_ID",
        required_unless_present = "older_than_days",
        conflicts_with = "older_than_days"
    )]
    audit_log_id: Option<AuditLogId>,
    /// All that was published so many days ago or more, but for the latest version of each work and what is held
    #[arg(long, value_name = "DAYS")]
    older_than_days: Option<u32>,
    /// How many of them at most
    #[arg(long, value_name = "COUNT", default_value_t = 1_000, requires = "older_than_days")]
    limit: usize,
    /// Where an earlier pass ended, as it has told
    #[arg(long, value_name = "PLACE", requires = "older_than_days")]
    after: Option<Cursor>,
    /// Keep the other copies, so that links go on
    #[arg(long)]
    keep_hot: bool,
}

#[derive(Args)]
pub(crate) struct Restore {
    #[arg(value_name = "AUDIT_LOG_ID")]
    audit_log_id: AuditLogId,
}

impl Archive {
    pub(crate) async fn run(self, publisher: &Publisher, output: Output) -> Result<u8, Error> {
        let mode = if self.keep_hot { ArchiveMode::KeepHot } else { ArchiveMode::FreeHot };
        let at_work = spinner("copying to the archive");
        let Some(id) = &self.audit_log_id else {
            let older_than = TimeDelta::days(self.older_than_days.unwrap_or(u32::MAX).into());
            let policy = ArchivePolicy { older_than, keeps_latest: true, mode };
            let pass = publisher.archive_due(&policy, self.after.as_ref(), self.limit).await;
            at_work.finish_and_clear();
            return give_pass(&pass?, output);
        };
        let archived = publisher.archive(id, mode).await;
        at_work.finish_and_clear();
        let record = archived?;
        output.give(&value(&record)?, || {
            let links =
                "there are no new ones; `sweep --run` removes the other copies when those that are out have ended";
            let links = (!self.keep_hot).then(|| ("links", links.to_owned()));
            fields(asset_rows(&record).into_iter().chain(links))
        })?;
        Ok(0)
    }
}

fn give_pass(pass: &ArchivePass, output: Output) -> Result<u8, Error> {
    let next = pass.next.as_ref().map(ToString::to_string);
    let answer = json!({
        "publications": pass.publications, "archived": pass.archived, "failed": pass.failed,
        "failures": told(&pass.failures), "next": next,
    });
    output.give(&answer, || {
        let counts = [
            ("publications", pass.publications.to_string()),
            ("archived", pass.archived.len().to_string()),
            ("failed", pass.failed.to_string()),
            ("go on with --after", or_dash(next)),
        ];
        format!("{}{}", fields(counts), failures_table(&pass.failures))
    })?;
    Ok(code_of_failures(pass.failed, &pass.failures))
}

impl Restore {
    pub(crate) async fn run(self, publisher: &Publisher, output: Output) -> Result<u8, Error> {
        let at_work = spinner("copying back from the archive");
        let restored = publisher.restore(&self.audit_log_id).await;
        at_work.finish_and_clear();
        let record = restored?;
        output.give(&value(&record)?, || fields(asset_rows(&record)))?;
        Ok(0)
    }
}

impl Rollback {
    pub(crate) async fn run(self, publisher: &Publisher, output: Output) -> Result<u8, Error> {
        let latest = publisher.rollback(&self.concept_id, self.version).await?;
        output.give(&value(&latest)?, || fields(asset_rows(&latest)))?;
        Ok(0)
    }
}

impl Retract {
    pub(crate) async fn run(self, publisher: &Publisher, output: Output) -> Result<u8, Error> {
        let retraction = publisher.retract(&self.audit_log_id, &self.why.reason).await?;
        let (left, until) = match retraction.links_left {
            LinksLeft::Dead => ("none", None),
            LinksLeft::Until(until) => ("until", Some(until)),
            LinksLeft::UntilRemoved => ("until_removed", None),
        };
        let links = match retraction.links_left {
            LinksLeft::Dead => "no link works any more".to_owned(),
            LinksLeft::Until(until) => format!("those that are out work until {} at most", time(until)),
            LinksLeft::UntilRemoved => "who can read the target can read it until `sweep --run` removes it".to_owned(),
        };
        let answer = json!({ "record": value(&retraction.record)?, "links_left": left, "links_until": until });
        output.give(&answer, || fields(asset_rows(&retraction.record).into_iter().chain([("links", links)])))?;
        Ok(0)
    }
}

impl Hold {
    /// Places the hold, or ends it.
    pub(crate) async fn run(self, publisher: &Publisher, held: bool, output: Output) -> Result<u8, Error> {
        let on = match (self.on.audit_log_id, self.on.concept) {
            (Some(id), _) => HoldOn::Publication(id),
            (None, Some(concept)) => HoldOn::Concept(concept),
            (None, None) => return Err(Error::invalid("audit_log_id", "name a publication, or a work with --concept")),
        };
        let record = match held {
            true => publisher.hold(&on, &self.why.reason).await?,
            false => publisher.release(&on, &self.why.reason).await?,
        };
        let (on, word) = match on {
            HoldOn::Publication(id) => (id.to_string(), "publication"),
            HoldOn::Concept(concept) => (concept.to_string(), "work"),
        };
        let answer = json!({ word: on, "held": held, "record": value(&record)? });
        output.give(&answer, || {
            let ended = format!("the hold on the {word} {on} has ended");
            if held { format!("the {word} {on} is held: nothing of it is removed") } else { ended }
        })?;
        Ok(0)
    }
}
