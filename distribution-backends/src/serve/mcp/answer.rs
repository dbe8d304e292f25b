//! What the tools answer: structured, with a short text that holds no link.

use distribution_core::{
    AssetRecord, AuditLogId, ConceptId, DistributionRecord, Error, IssuedLink, Link, LinksLeft, Page, Plan, Retraction,
    Timestamp,
};
use rmcp::model::{CallToolResult, ContentBlock, Resource};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

/// Either the contract's response, or the plan of a dry run.
#[derive(Default, Serialize, JsonSchema)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub(super) struct PublishAnswer {
    /// What was published; absent after a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DistributionRecord")]
    distribution_record: Option<DistributionRecord>,
    /// What a publish would do now; only after a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Plan")]
    plan: Option<Plan>,
}

/// The record, if there is one.
#[derive(Serialize, JsonSchema)]
pub(super) struct RecordAnswer {
    /// `null` if nothing has this name.
    record: Option<AssetRecord>,
}

/// A page of records.
#[derive(Serialize, JsonSchema)]
pub(super) struct RecordsAnswer {
    /// Newest claim first.
    records: Vec<AssetRecord>,
    /// Those in between that cannot be read.
    unreadable: Vec<Unreadable>,
    /// Where the next page begins; `null` if there is none.
    next: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Unreadable {
    audit_log_id: AuditLogId,
    message: String,
}

/// A publication that was taken back.
#[derive(Serialize, JsonSchema)]
pub(super) struct RetractAnswer {
    /// Its record.
    record: AssetRecord,
    /// Until when links that are out may still work; `null` if none does, or nobody knows.
    links_until: Option<Timestamp>,
    /// Whether it can still be read by whoever can read the target, until the object is removed.
    readable_until_removed: bool,
}

/// A fresh link.
#[derive(Serialize, JsonSchema)]
pub(super) struct LinkAnswer {
    /// The download link.
    public_url: Link,
    /// When it really stops working.
    expires_at: Option<Timestamp>,
    /// Why that is earlier than asked for, if it is.
    expiry_limited_by: Option<String>,
}

pub(super) fn published(record: DistributionRecord) -> Result<CallToolResult, Error> {
    let text = format!("published {}: {} bytes", record.audit_log_id, record.size_bytes);
    let link = resource(&record.public_url, &record.audit_log_id).with_size(record.size_bytes);
    let structured = PublishAnswer { distribution_record: Some(record), ..PublishAnswer::default() };
    answer(&structured, vec![ContentBlock::text(text), ContentBlock::resource_link(link)])
}

pub(super) fn planned(plan: Plan) -> Result<CallToolResult, Error> {
    let text = format!("dry run of {}: {} bytes; nothing was written", plan.audit_log_id, plan.size_bytes);
    answer(&PublishAnswer { plan: Some(plan), ..PublishAnswer::default() }, vec![ContentBlock::text(text)])
}

pub(super) fn record(id: &AuditLogId, record: Option<AssetRecord>) -> Result<CallToolResult, Error> {
    let state = record.as_ref().map_or("not on record", |record| record.state.as_str());
    let text = ContentBlock::text(format!("{id}: {state}"));
    answer(&RecordAnswer { record }, vec![text])
}

pub(super) fn latest(concept_id: &ConceptId, record: Option<AssetRecord>) -> Result<CallToolResult, Error> {
    let version = record.as_ref().and_then(|record| record.published.as_ref()?.version);
    let text = match version {
        Some(version) => format!("the latest version of {concept_id} is {version}"),
        None => format!("nothing of {concept_id} is published"),
    };
    answer(&RecordAnswer { record }, vec![ContentBlock::text(text)])
}

pub(super) fn retracted(retraction: Retraction) -> Result<CallToolResult, Error> {
    let text = ContentBlock::text(format!("{} was taken back", retraction.record.audit_log_id));
    let links_until = match retraction.links_left {
        LinksLeft::Until(until) => Some(until),
        LinksLeft::Dead | LinksLeft::UntilRemoved => None,
    };
    let readable_until_removed = retraction.links_left == LinksLeft::UntilRemoved;
    answer(&RetractAnswer { record: retraction.record, links_until, readable_until_removed }, vec![text])
}

pub(super) fn records(page: Page) -> Result<CallToolResult, Error> {
    let unreadable = page.unreadable.into_iter();
    let unreadable = unreadable.map(|(audit_log_id, error)| Unreadable { audit_log_id, message: error.to_string() });
    let (records, next) = (page.records, page.next.map(|next| next.to_string()));
    let text = ContentBlock::text(format!("{} records", records.len()));
    answer(&RecordsAnswer { records, unreadable: unreadable.collect(), next }, vec![text])
}

pub(super) fn link(id: &AuditLogId, signed: &IssuedLink) -> Result<CallToolResult, Error> {
    let (text, link) = (format!("a link to {id}"), resource(&signed.link, id));
    let structured = LinkAnswer {
        public_url: signed.link.clone(),
        expires_at: signed.expires_at,
        expiry_limited_by: signed.limited_by.clone(),
    };
    answer(&structured, vec![ContentBlock::text(text), ContentBlock::resource_link(link)])
}

/// A tool error, for the caller to act on.
pub(super) fn failed(error: &Error) -> CallToolResult {
    let retry_after_secs = error.retry_after().map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
    let mut result = CallToolResult::error(vec![ContentBlock::text(format!("{}: {error}", error.kind()))]);
    result.structured_content = Some(json!({
        "kind": error.kind().as_str(),
        "message": error.to_string(),
        "retryable": error.is_retryable(),
        "retry_after_secs": retry_after_secs,
    }));
    result
}

fn answer(structured: &impl Serialize, content: Vec<ContentBlock>) -> Result<CallToolResult, Error> {
    let structured = serde_json::to_value(structured)
        .map_err(|error| Error::corrupt("the answer cannot be written as JSON").because(error))?;
    let mut result = CallToolResult::success(content);
    result.structured_content = Some(structured);
    Ok(result)
}

fn resource(link: &Link, id: &AuditLogId) -> Resource {
    Resource::new(link.expose(), id.to_string()).with_mime_type("video/mp4")
}
