//! What a user interface asks, and who is on call.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use distribution_backends::LinkProbe;
use distribution_core::{
    AssetRecord, AuditLogId, Checksum, ConceptId, Cursor, Error, Publisher, Query, State, Timestamp,
};
use serde_json::json;

use crate::batch::Edit;
use crate::desk::{print, value};
use crate::shell::say;

const NOT_FOUND: u8 = 4;
const DAMAGED: u8 = 1;
const SOME_WRONG: u8 = 3;
const ILL: u8 = 5;

#[derive(Args)]
pub(crate) struct Work {
    #[arg(value_name = "CONCEPT_ID")]
    concept_id: ConceptId,
}

#[derive(Args)]
pub(crate) struct Named {
    #[arg(value_name = "AUDIT_LOG_ID")]
    audit_log_id: AuditLogId,
}

#[derive(Args)]
pub(crate) struct Link {
    #[arg(value_name = "AUDIT_LOG_ID")]
    audit_log_id: AuditLogId,
    /// How long it works, such as 90s, 30m, 2h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    valid_for: Duration,
}

/// Records that match all that is given
#[derive(Args)]
pub(crate) struct Find {
    #[arg(long, value_name = "ID")]
    concept_id: Option<ConceptId>,
    #[arg(long, value_name = "sha256:HEX", value_parser = |text: &str| Checksum::parse(text))]
    checksum: Option<Checksum>,
    #[arg(long)]
    tag: Option<String>,
    /// in_progress, published or rejected
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// Claimed then or later, such as 2026-01-02T00:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Claimed before then
    #[arg(long, value_name = "TIME")]
    before: Option<Timestamp>,
    /// How many, 1 to 1,000
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Where the page begins: `next` of the page before
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
}

pub(crate) async fn latest(publisher: &Publisher, work: &Work) -> Result<ExitCode, Error> {
    answer(publisher.latest(&work.concept_id).await?, &format!("nothing of {} is published", work.concept_id))
}

pub(crate) async fn record(publisher: &Publisher, named: &Named) -> Result<ExitCode, Error> {
    answer(publisher.record(&named.audit_log_id).await?, &format!("{} is not on record", named.audit_log_id))
}

pub(crate) async fn find(publisher: &Publisher, find: &Find) -> Result<ExitCode, Error> {
    let query = Query {
        concept_id: find.concept_id.clone(),
        checksum: find.checksum,
        tag: find.tag.clone(),
        state: find.state,
        settled: None,
        claimed_from: find.from,
        claimed_before: find.before,
    };
    let page = publisher.records(&query, find.after.as_ref(), find.limit).await?;
    for (id, error) in &page.unreadable {
        say(&format!("the record of {id} cannot be read: {error}"));
    }
    let next = page.next.map(|cursor| cursor.to_string());
    print(&json!({ "records": value(&page.records)?, "next": next }))?;
    Ok(if page.unreadable.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DAMAGED) })
}

pub(crate) async fn link(publisher: &Publisher, link: &Link) -> Result<ExitCode, Error> {
    let id = &link.audit_log_id;
    if publisher.record(id).await?.is_none() {
        return Ok(missing(&format!("{id} is not on record")));
    }
    let signed = publisher.link(id, link.valid_for).await?;
    let (url, limited_by) = (signed.link.expose(), &signed.limited_by);
    print(&json!({ "public_url": url, "expires_at": signed.expires_at, "expiry_limited_by": limited_by }))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn revoke(publisher: &Publisher, named: &Named) -> Result<ExitCode, Error> {
    let id = &named.audit_log_id;
    if publisher.record(id).await?.is_none() {
        return Ok(missing(&format!("{id} is not on record")));
    }
    publisher.revoke_links(id).await?;
    say(&format!("the links to {id} that were handed out do not work any more"));
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn plan(publisher: &Publisher, edits: Vec<Edit>) -> Result<ExitCode, Error> {
    let mut code = ExitCode::SUCCESS;
    for (n, edit) in edits.into_iter().enumerate() {
        let planned = match edit {
            Ok(request) => publisher.plan(request).await,
            Err(error) => Err(error),
        };
        match planned {
            Ok(plan) => print(&json!({ "edit": n, "plan": value(&plan)? }))?,
            Err(error) => {
                let error = json!({ "kind": error.kind().as_str(), "message": error.to_string() });
                print(&json!({ "edit": n, "error": error }))?;
                code = ExitCode::from(SOME_WRONG);
            }
        }
    }
    Ok(code)
}

pub(crate) async fn doctor(publisher: &Publisher) -> Result<ExitCode, Error> {
    let diagnosis = publisher.doctor(&LinkProbe::new()?).await;
    say(diagnosis.to_string().trim_end());
    print(&value(&diagnosis)?)?;
    Ok(if diagnosis.is_well() { ExitCode::SUCCESS } else { ExitCode::from(ILL) })
}

fn answer(found: Option<AssetRecord>, what: &str) -> Result<ExitCode, Error> {
    let Some(found) = found else { return Ok(missing(what)) };
    print(&value(&found)?)?;
    Ok(ExitCode::SUCCESS)
}

fn missing(what: &str) -> ExitCode {
    say(what);
    ExitCode::from(NOT_FOUND)
}

fn state(name: &str) -> Result<State, String> {
    State::parse(name).ok_or_else(|| format!("it is one of {}", State::ALL.map(State::as_str).join(", ")))
}

/// A whole number of seconds, minutes, hours or days.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let secs_of = [('s', 1), ('m', 60), ('h', 3_600), ('d', 24 * 3_600)];
    let secs = secs_of.into_iter().find_map(|(unit, secs)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(secs).filter(|secs| *secs <= u64::from(u32::MAX))
    });
    secs.map(Duration::from_secs).ok_or_else(|| "write it like 90s, 30m, 2h or 7d".to_owned())
}
