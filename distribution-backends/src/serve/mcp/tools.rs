//! The tools, with their schemas and hints.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};

use super::answer::{LinkAnswer, PublishAnswer, RecordAnswer, RecordsAnswer};
use super::arguments::{LinkArguments, ListArguments, PublishArguments, RecordArguments};

pub(super) const PUBLISH: &str = "publish_final_asset";
pub(super) const RECORD: &str = "get_distribution_record";
pub(super) const RECORDS: &str = "list_distribution_records";
pub(super) const LINK: &str = "issue_download_link";

pub(super) fn tools() -> Vec<Tool> {
    let changes = ToolAnnotations::new().read_only(false).destructive(false).open_world(true);
    let reads = ToolAnnotations::new().read_only(true).idempotent(true).open_world(false);
    vec![
        tool(
            PUBLISH,
            "Publishes a finished video file that final QC has passed, and answers its record and a download link. \
             An equal call publishes nothing again. With `dry_run` it publishes nothing and answers a plan.",
        )
        .with_input_schema::<PublishArguments>()
        .with_output_schema::<PublishAnswer>()
        .with_annotations(changes.clone().idempotent(true)),
        tool(RECORD, "Tells how far a publication is, and what is known of it. Holds no link.")
            .with_input_schema::<RecordArguments>()
            .with_output_schema::<RecordAnswer>()
            .with_annotations(reads.clone()),
        tool(RECORDS, "Lists publications, newest first, in pages. Holds no links.")
            .with_input_schema::<ListArguments>()
            .with_output_schema::<RecordsAnswer>()
            .with_annotations(reads),
        tool(LINK, "Makes a fresh download link to a published asset, which the audit trail tells of.")
            .with_input_schema::<LinkArguments>()
            .with_output_schema::<LinkAnswer>()
            .with_annotations(changes.idempotent(false)),
    ]
}

fn tool(name: &'static str, description: &'static str) -> Tool {
    Tool::new(name, description, Arc::new(JsonObject::new()))
}
