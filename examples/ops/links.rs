//! Links: a fresh one, and all of them taken back.

use std::time::Duration;

use clap::Args;
use distribution_core::{AuditLogId, Error, Publisher};
use serde_json::json;

use crate::ask::missing;
use crate::duration::duration;
use crate::output::{Output, fields, time};

#[derive(Args)]
pub(crate) struct Link {
    #[arg(value_name = "AUDIT_LOG_ID")]
    audit_log_id: AuditLogId,
    /// How long it works, such as 90s, 30m, 2h or 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    valid_for: Duration,
}

#[derive(Args)]
pub(crate) struct Revoke {
    #[arg(value_name = "AUDIT_LOG_ID")]
    audit_log_id: AuditLogId,
}

impl Link {
    pub(crate) async fn run(self, publisher: &Publisher, output: Output) -> Result<u8, Error> {
        let id = &self.audit_log_id;
        if publisher.record(id).await?.is_none() {
            return missing(&format!("{id} is not on record"), output);
        }
        let issued = publisher.link(id, self.valid_for).await?;
        let (url, limited_by) = (issued.link.expose(), issued.limited_by.clone());
        let answer = json!({ "public_url": url, "expires_at": issued.expires_at, "expiry_limited_by": &limited_by });
        output.give(&answer, || {
            let until = issued.expires_at.map_or_else(|| "for ever".to_owned(), time);
            let mut rows = vec![("link", url.to_owned()), ("until", until)];
            rows.extend(limited_by.map(|why| ("limited by", why)));
            fields(rows)
        })?;
        Ok(0)
    }
}

impl Revoke {
    pub(crate) async fn run(self, publisher: &Publisher, output: Output) -> Result<u8, Error> {
        let id = &self.audit_log_id;
        if publisher.record(id).await?.is_none() {
            return missing(&format!("{id} is not on record"), output);
        }
        publisher.revoke_links(id).await?;
        output.give(&json!({ "audit_log_id": id, "links": "revoked" }), || {
            format!("the links to {id} that were handed out do not work any more")
        })?;
        Ok(0)
    }
}
