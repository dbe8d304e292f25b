//! Pages of records.

use clap::Args;
use distribution_core::{AssetRecord, Checksum, ConceptId, Cursor, Error, Publisher, Query, State, Timestamp};
use serde_json::json;

use crate::exit;
use crate::json::value;
use crate::output::{Output, or_dash, table, time};
use crate::shell::say;

/// Records that match all that is given
#[derive(Args)]
pub(crate) struct List {
    #[arg(long, value_name = "ID")]
    concept_id: Option<ConceptId>,
    #[arg(long, value_name = "sha256:HEX", value_parser = |text: &str| Checksum::parse(text))]
    checksum: Option<Checksum>,
    #[arg(long)]
    tag: Option<String>,
    /// in_progress, published, rejected or retracted
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// With something left to do: a recovery, or the same publish, finishes it
    #[arg(long)]
    unfinished: bool,
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

impl List {
    pub(crate) async fn run(self, publisher: &Publisher, output: Output) -> Result<u8, Error> {
        let query = Query {
            concept_id: self.concept_id,
            checksum: self.checksum,
            tag: self.tag,
            state: self.state,
            settled: self.unfinished.then_some(false),
            claimed_from: self.from,
            claimed_before: self.before,
        };
        let page = publisher.records(&query, self.after.as_ref(), self.limit).await?;
        let next = page.next.as_ref().map(ToString::to_string);
        let unreadable: Vec<_> = page.unreadable.iter().map(|(id, error)| (id, error.to_string())).collect();
        let ids = unreadable.iter().map(|(id, error)| json!({ "audit_log_id": id, "message": error }));
        let answer = json!({ "records": value(&page.records)?, "unreadable": ids.collect::<Vec<_>>(), "next": &next });
        output.give(&answer, || {
            let header = ["AUDIT_LOG_ID", "STATE", "CONCEPT", "TITLE", "CLAIMED", "LINK UNTIL"];
            table(header, page.records.iter().map(row))
        })?;
        for (id, error) in &unreadable {
            say(&format!("the record of {id} cannot be read: {error}"));
        }
        if let (Some(next), false) = (next, output.json) {
            say(&format!("there are more: --after {next}"));
        }
        Ok(if unreadable.is_empty() { 0 } else { exit::DAMAGED })
    }
}

fn row(asset: &AssetRecord) -> [String; 6] {
    let published = asset.published.as_ref();
    // Without a title, where it is tells more than nothing.
    let title = asset.metadata.title.clone();
    let title = title.or_else(|| published.map(|published| published.storage_location.to_string()));
    [
        asset.audit_log_id.to_string(),
        asset.state.as_str().to_owned(),
        or_dash(asset.metadata.concept_id.as_ref()),
        or_dash(title),
        time(asset.claimed_at),
        or_dash(published.and_then(|published| published.expires_at).map(time)),
    ]
}

fn state(name: &str) -> Result<State, String> {
    State::parse(name).ok_or_else(|| format!("it is one of {}", State::ALL.map(State::as_str).join(", ")))
}
