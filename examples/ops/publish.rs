//! Publishing one file.

use std::future::pending;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use distribution_backends::Opened;
use distribution_core::{DistributionRecord, Error, PublishRequest};
use indicatif::ProgressBar;
use serde_json::json;

use crate::bar::Bar;
use crate::batch::{self, Edit};
use crate::duration::duration;
use crate::json::value;
use crate::opening::attended;
use crate::output::{Output, fields, or_dash, time};
use crate::shell::{say, unavailable};
use crate::{exit, patience};

#[derive(Args)]
pub(crate) struct Publish {
    /// The publish request as JSON; `-` for stdin
    #[arg(value_name = "FILE|-")]
    request: PathBuf,
    /// How long it is tried again while something is out of reach or another process is at work on it
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    patience: Duration,
    /// Print the download link too: it is a secret
    #[arg(long)]
    link: bool,
}

impl Publish {
    pub(crate) async fn run(self, config: &Path, output: Output) -> Result<u8, Error> {
        let request = only(read(self.request.clone()).await?)?;
        let bar = || Bar(ProgressBar::no_length());
        let wait = |error: &Error| say(&format!("{}: {error}; trying again", error.kind()));
        let publishing = async |opened: &Opened| {
            // Ctrl-C lets go of it, bytes under way included: what is stored by then is taken up by the next call.
            match patience::publish(&opened.publisher, request, self.patience, bar, wait, pending()).await {
                Some(outcome) => self.tell(&outcome?, output),
                None => Ok(exit::INTERRUPTED),
            }
        };
        attended(config, publishing).await
    }

    fn tell(&self, record: &DistributionRecord, output: Output) -> Result<u8, Error> {
        let mut shown = value(record)?;
        if let (false, Some(shown)) = (self.link, shown.as_object_mut()) {
            shown.remove("public_url");
        }
        output.give(&json!({ "distribution_record": shown }), || {
            let metadata = &record.metadata;
            let mut rows = vec![
                ("audit_log_id", record.audit_log_id.to_string()),
                ("location", record.storage_location.to_string()),
                ("title", or_dash(metadata.title.as_ref())),
                ("concept", or_dash(metadata.concept_id.as_ref())),
                ("checksum", metadata.checksum.to_string()),
                ("bytes", record.size_bytes.to_string()),
                ("published", time(record.published_at)),
                ("link until", record.expires_at.map_or_else(|| "for ever".to_owned(), time)),
            ];
            rows.extend(record.expiry_limited_by.clone().map(|why| ("limited by", why)));
            if self.link {
                rows.push(("link", record.public_url.expose().to_owned()));
            }
            fields(rows)
        })?;
        Ok(0)
    }
}

/// The requests in the file. It may be stdin, and whoever types there may take their time.
pub(crate) async fn read(path: PathBuf) -> Result<Vec<Edit>, Error> {
    let reading = tokio::task::spawn_blocking(move || batch::read(&path)).await;
    reading.map_err(|error| unavailable("read", "the request", error.into()))?
}

fn only(edits: Vec<Edit>) -> Result<PublishRequest, Error> {
    let many = edits.len();
    match edits.into_iter().next() {
        Some(only) if many == 1 => only,
        _ => Err(Error::invalid("REQUEST", format!("holds {many} requests, not one: the orchestrator runs batches"))),
    }
}
