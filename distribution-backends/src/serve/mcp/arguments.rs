//! What the tools besides `publish_final_asset` are asked.

use distribution_core::{
    AuditLogId, Checksum, ConceptId, Cursor, Error, ErrorKind, PublishRequest, Query, Reason, State, Timestamp,
};
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// The most that is repeated of the name of an argument.
const NAME_CHARS_MAX: usize = 48;

/// The contract's request, and what only this tool knows.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "the schema only: core parses the request itself")]
pub(super) struct PublishArguments {
    #[serde(flatten)]
    request: PublishRequest,
    /// Whether to publish nothing and tell what a publish would do now.
    #[serde(default)]
    dry_run: bool,
}

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

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConceptArguments {
    /// The work.
    pub(super) concept_id: ConceptId,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollbackArguments {
    /// The work.
    pub(super) concept_id: ConceptId,
    /// Which version is to be the latest, counted from 1.
    #[schemars(range(min = 1))]
    pub(super) version: u64,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RetractArguments {
    /// The publication's name.
    pub(super) audit_log_id: AuditLogId,
    /// Why, in one line.
    pub(super) reason: Reason,
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
        let after = self.after.map(|after| after.parse::<Cursor>());
        let after = after.transpose().map_err(|error| Error::invalid("after", error.message()))?;
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

/// The request, and whether it is a dry run.
pub(super) fn publish(arguments: &JsonObject) -> Result<(PublishRequest, bool), Error> {
    let dry_run = match arguments.get("dry_run") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(dry_run)) => *dry_run,
        Some(_) => return Err(Error::invalid("dry_run", "must be true or false")),
    };
    let json = serde_json::to_vec(arguments)
        .map_err(|error| Error::invalid("arguments", "are not valid JSON").because(error))?;
    // It ignores what it does not know.
    Ok((PublishRequest::from_json(&json)?, dry_run))
}

/// The arguments of a tool. What does not fit is told by its name and by what it must be, and never by what
/// it is: that may be a link in the wrong place. Core's own values repeat 48 characters at most.
///
/// The SDK has made a map of them before anything here sees them. Of a name that is there twice, only one
/// value is left by then: that cannot be refused here.
pub(super) fn parse<'a, T: Deserialize<'a>>(arguments: &'a JsonObject) -> Result<T, Error> {
    serde_path_to_error::deserialize(arguments).map_err(|error| {
        let path: String = error.path().to_string().chars().take(NAME_CHARS_MAX).collect();
        let invalid = Error::new(ErrorKind::Invalid, without_value(&error.inner().to_string()));
        if path == "." { invalid } else { invalid.at(&path) }
    })
}

/// serde's own messages repeat what is given, in front of what is expected.
fn without_value(message: &str) -> String {
    let said_by_serde = ["invalid ", "unknown "].iter().any(|beginning| message.starts_with(beginning));
    match message.rsplit_once(", expected ") {
        Some((given, expected)) if said_by_serde && given.starts_with("unknown field") => {
            format!("is not known here: use {expected}")
        }
        Some((_, expected)) if said_by_serde => format!("must be {expected}"),
        None if said_by_serde => "does not fit".to_owned(),
        Some(_) | None => message.to_owned(),
    }
}
