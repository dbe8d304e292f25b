//! What the tools besides `publish_final_asset` are asked.

use distribution_core::{AuditLogId, Checksum, ConceptId, Cursor, Error, ErrorKind, Query, State, Timestamp};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordArguments {
    /// The publication's name.
    pub(super) audit_log_id: AuditLogId,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkArguments {
    /// The publication's name.
    pub(super) audit_log_id: AuditLogId,
    /// How many seconds the link works, from now on.
    pub(super) valid_for_secs: u64,
}

/// Records that match all that is given.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ListArguments {
    /// Of this work.
    #[serde(default)]
    concept_id: Option<ConceptId>,
    /// With these bytes.
    #[serde(default)]
    checksum: Option<Checksum>,
    /// With this tag.
    #[serde(default)]
    tag: Option<String>,
    /// In this state.
    #[serde(default)]
    state: Option<State>,
    /// Claimed then or later.
    #[serde(default)]
    claimed_from: Option<Timestamp>,
    /// Claimed before then.
    #[serde(default)]
    claimed_before: Option<Timestamp>,
    /// Where the page begins: `next` of the page before.
    #[serde(default)]
    after: Option<String>,
    /// How many at most.
    #[serde(default = "page")]
    #[schemars(range(min = 1, max = 1000))]
    limit: usize,
}

fn page() -> usize {
    50
}

impl ListArguments {
    pub(super) fn query(self) -> Result<(Query, Option<Cursor>, usize), Error> {
        let after = self.after.map(|after| after.parse::<Cursor>().map_err(|error| error.at("after"))).transpose()?;
        let query = Query {
            concept_id: self.concept_id,
            checksum: self.checksum,
            tag: self.tag,
            state: self.state,
            settled: None,
            claimed_from: self.claimed_from,
            claimed_before: self.claimed_before,
        };
        Ok((query, after, self.limit))
    }
}

pub(super) fn parse<T: DeserializeOwned>(arguments: &JsonObject) -> Result<T, Error> {
    serde_json::from_value(Value::Object(arguments.clone()))
        .map_err(|error| Error::new(ErrorKind::Invalid, format!("the arguments do not fit the tool: {error}")))
}
