//! All that is known of one publication: its record, and on demand its audit trail.

use clap::Args;
use distribution_backends::{AuditTrail, Opened};
use distribution_core::{
    AssetRecord, AuditEntry, AuditLogId, Error, HoldOn, Phase, PublishedAsset, Record, Role, Tier,
};
use futures::TryStreamExt as _;
use futures::future::ready;
use serde_json::{Value, json};

use crate::ask::missing;
use crate::json::value;
use crate::output::{Output, fields, or_dash, table, time};

#[derive(Args)]
pub(crate) struct Show {
    #[arg(value_name = "AUDIT_LOG_ID")]
    audit_log_id: AuditLogId,
    /// Its audit trail too, which reads the whole file of it
    #[arg(long)]
    trail: bool,
}

impl Show {
    pub(crate) async fn run(self, opened: &Opened, output: Output) -> Result<u8, Error> {
        let id = &self.audit_log_id;
        let Some(row) = opened.stores.metadata.load(id).await? else {
            return missing(&format!("{id} is not on record"), output);
        };
        let record = Record::decode(&row)?;
        let asset = AssetRecord::from(&record);
        let trail = match self.trail {
            true => Some(trail_of(&opened.stores.trail, id).await?),
            false => None,
        };
        let held_by = match &record.publication.concept_id {
            Some(concept) => opened.publisher.holds(&HoldOn::Concept(concept.clone())).await?,
            None => None,
        };
        let mut shown = json!({ "record": value(&asset)?, "details": details(&record), "work_held_by": held_by });
        if let (Some(trail), Some(shown)) = (&trail, shown.as_object_mut()) {
            shown.insert("trail".to_owned(), value(trail)?);
        }
        output.give(&shown, || {
            let held = held_by.map(|by| ("work held", format!("the audit trail of {by} tells why")));
            let rows = asset_rows(&asset).into_iter().chain(held).chain(detail_rows(&record));
            let trail = trail.map(|trail| format!("\n{}", trail_table(&trail)));
            format!("{}{}", fields(rows), trail.unwrap_or_default())
        })?;
        Ok(0)
    }
}

/// What the people who ask for an asset want to see of it.
pub(crate) fn asset_rows(asset: &AssetRecord) -> Vec<(&'static str, String)> {
    let metadata = &asset.metadata;
    let mut rows = vec![
        ("audit_log_id", asset.audit_log_id.to_string()),
        ("state", asset.state.as_str().to_owned()),
        ("title", or_dash(metadata.title.as_ref())),
        ("concept", or_dash(metadata.concept_id.as_ref())),
        ("tags", if metadata.tags.is_empty() { "-".to_owned() } else { metadata.tags.join(", ") }),
        ("checksum", metadata.checksum.to_string()),
        ("target", asset.storage_target.to_string()),
        ("claimed", time(asset.claimed_at)),
    ];
    if let Some(published) = &asset.published {
        rows.extend([
            ("location", published.storage_location.to_string()),
            ("bytes", published.size_bytes.to_string()),
            ("copies", copies(published)),
            ("tier", published.tier.as_str().to_owned()),
            ("version", or_dash(published.version)),
            ("published", time(published.published_at)),
            ("verification", word(&published.verification)),
            ("access", word(&published.access)),
            ("link until", or_dash(published.expires_at.map(time))),
        ]);
        let warnings = published.preflight.iter().flat_map(|preflight| &preflight.warnings);
        rows.extend(warnings.map(|warning| ("warning", warning.clone())));
    }
    rows.extend(asset.hold.as_ref().map(|hold| ("held", format!("since {}: {}", time(hold.at), hold.reason))));
    rows.extend(asset.problem.clone().map(|problem| ("problem", problem)));
    rows
}

/// How many copies are proven, and which are missing.
fn copies(published: &PublishedAsset) -> String {
    let is_wanted = |role: Role| role == Role::Archive || matches!(published.tier, Tier::Hot | Tier::Archiving);
    let wanted = published.replicas.iter().filter(|copy| is_wanted(copy.role));
    let missing = wanted.filter(|replica| replica.storage_location.is_none());
    let missing: Vec<_> = missing.map(|replica| replica.storage_target.as_str()).collect();
    let lack = if missing.is_empty() { String::new() } else { format!(", missing on {}", missing.join(", ")) };
    format!("{}{lack}", published.replica_count)
}

/// What is for whoever looks after it.
fn details(record: &Record) -> Value {
    json!({
        "revision": record.revision,
        "object_key": record.object_key(),
        "attempt": record.attempt,
        "source": record.source.url,
        "approval": record.approval,
        "lease": record.work().map(|work| json!({ "holder": work.lease.holder, "until": work.lease.until })),
        "replicas": record.replicas,
        "hot": record.hot,
        "stored": matches!(record.phase, Phase::Stored { .. }),
        "trail_entries": record.trail.next,
        "trail_waiting": record.trail.waiting.len(),
        "link_hours": record.details.url_expiry_hours,
    })
}

fn detail_rows(record: &Record) -> Vec<(&'static str, String)> {
    let waiting = record.trail.waiting.len();
    let mut rows = vec![
        ("revision", record.revision.to_string()),
        ("object key", record.object_key().to_string()),
        ("attempt", record.attempt.to_string()),
        ("staged at", record.source.url.to_string()),
        ("qc report", or_dash(record.approval.report_id())),
        ("audit entries", format!("{}, {waiting} to be delivered", record.trail.next)),
    ];
    if let Some(work) = record.work() {
        rows.push(("at work", format!("{}, until {}", work.lease.holder, time(work.lease.until))));
    }
    if record.work().is_some() || waiting > 0 {
        rows.push(("unfinished", "the same publish, or `ops recover` once the lease is over, finishes it".to_owned()));
    }
    rows
}

pub(crate) async fn trail_of(trail: &AuditTrail, id: &AuditLogId) -> Result<Vec<AuditEntry>, Error> {
    trail.entries()?.try_filter(|entry| ready(entry.id.audit_log_id == *id)).try_collect().await
}

fn trail_table(trail: &[AuditEntry]) -> String {
    let rows = trail.iter().map(|entry| {
        let mut facts = serde_json::to_value(&entry.event).unwrap_or_default();
        let event = facts.as_object_mut().and_then(|facts| facts.remove("event"));
        let event = event.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let facts = facts.as_object().filter(|facts| !facts.is_empty()).map(|_| facts.to_string());
        [entry.id.sequence.to_string(), time(entry.at), event, or_dash(facts)]
    });
    table(["ENTRY", "AT", "EVENT", "FACTS"], rows)
}

/// A value that is one word on the wire.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}
