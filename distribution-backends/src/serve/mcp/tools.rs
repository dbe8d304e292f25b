//! The tools, with their schemas and hints.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};

use super::answer::{LinkAnswer, PublishAnswer, RecordAnswer, RecordsAnswer, RetractAnswer};
use super::arguments::{
    ConceptArguments, LinkArguments, ListArguments, PublishArguments, RecordArguments, RetractArguments,
    RollbackArguments,
};

pub(super) const PUBLISH: &str = "publish_final_asset";
pub(super) const RECORD: &str = "get_distribution_record";
pub(super) const RECORDS: &str = "list_distribution_records";
pub(super) const LINK: &str = "issue_download_link";
pub(super) const LATEST: &str = "get_latest_version";
pub(super) const ROLLBACK: &str = "roll_back_to_version";
pub(super) const RESTORE: &str = "restore_publication";
pub(super) const RETRACT: &str = "retract_publication";

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
            .with_annotations(reads.clone()),
        tool(
            LATEST,
            "Tells which version of a work is the latest: the newest, or the one that was rolled back to. Holds no link.",
        )
        .with_input_schema::<ConceptArguments>()
        .with_output_schema::<RecordAnswer>()
        .with_annotations(reads),
        tool(
            ROLLBACK,
            "Makes an earlier version of a work the latest again, until another one is published. Its stored bytes are \
             read back first, and the audit trail tells of it.",
        )
        .with_input_schema::<RollbackArguments>()
        .with_output_schema::<RecordAnswer>()
        .with_annotations(changes.clone().idempotent(true)),
        tool(
            RESTORE,
            "Copies a publication that is in the archive back to where links lead, and proves the copy: what to do after \
             the error `archived`. It takes as long as copying the file.",
        )
        .with_input_schema::<RecordArguments>()
        .with_output_schema::<RecordAnswer>()
        .with_annotations(changes.clone().idempotent(true)),
        tool(
            RETRACT,
            "Takes a publication back for ever: nobody gets a link to it any more, and its object is removed later. \
             The reason is on record and in the audit trail. Ask a person first.",
        )
        .with_input_schema::<RetractArguments>()
        .with_output_schema::<RetractAnswer>()
        .with_annotations(ToolAnnotations::new().read_only(false).destructive(true).idempotent(true).open_world(true)),
        tool(LINK, "Makes a fresh download link to a published asset, which the audit trail tells of.")
            .with_input_schema::<LinkArguments>()
            .with_output_schema::<LinkAnswer>()
            .with_annotations(changes.idempotent(false)),
    ]
}

fn tool(name: &'static str, description: &'static str) -> Tool {
    Tool::new(name, description, Arc::new(JsonObject::new()))
}
