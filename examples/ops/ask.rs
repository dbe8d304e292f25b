//! Questions with a short answer: what would be done, what is newest.

use std::path::{Path, PathBuf};

use clap::Args;
use distribution_core::{ConceptId, Error, Publisher};
use serde_json::json;

use crate::batch::Edit;
use crate::exit;
use crate::json::{print, value};
use crate::opening::attended;
use crate::output::{Output, fields, or_dash, table, time};
use crate::publish::read;
use crate::shell::say;
use crate::show::asset_rows;

#[derive(Args)]
pub(crate) struct Plan {
    /// Publish requests: one, a JSON array of them, or one after the other; `-` for stdin. With --json, the answer
    /// is one line for each
    #[arg(value_name = "FILE|-")]
    requests: PathBuf,
}

#[derive(Args)]
pub(crate) struct Latest {
    #[arg(value_name = "CONCEPT_ID")]
    concept_id: ConceptId,
}

impl Plan {
    pub(crate) async fn run(self, config: &Path, output: Output) -> Result<u8, Error> {
        let edits = read(self.requests).await?;
        attended(config, async |opened| Self::judge(&opened.publisher, edits, output).await).await
    }

    async fn judge(publisher: &Publisher, edits: Vec<Edit>, output: Output) -> Result<u8, Error> {
        let (mut code, mut rows) = (0, Vec::new());
        for (n, edit) in edits.into_iter().enumerate() {
            let planned = match edit {
                Ok(request) => publisher.plan(request).await,
                Err(error) => Err(error),
            };
            match planned {
                Ok(plan) if output.json => print(&json!({ "edit": n, "plan": value(&plan)? }))?,
                Ok(plan) => {
                    let action = value(&plan.action)?.as_str().unwrap_or_default().to_owned();
                    let (id, until) = (plan.audit_log_id.to_string(), or_dash(plan.expires_at.map(time)));
                    let (bytes, place) = (plan.size_bytes.to_string(), plan.storage_location.to_string());
                    rows.push([n.to_string(), action, id, bytes, until, place]);
                }
                Err(error) => {
                    code = exit::NOT_PASSED;
                    let (kind, message) = (error.kind().as_str(), error.to_string());
                    if output.json {
                        print(&json!({ "edit": n, "error": { "kind": kind, "message": message } }))?;
                    } else {
                        let dash = || "-".to_owned();
                        rows.push([n.to_string(), kind.to_owned(), dash(), dash(), dash(), message]);
                    }
                }
            }
        }
        if !output.json {
            let header = ["EDIT", "ACTION", "AUDIT_LOG_ID", "BYTES", "LINK UNTIL", "LOCATION OR PROBLEM"];
            output.give(&json!(null), || table(header, rows))?;
        }
        Ok(code)
    }
}

impl Latest {
    pub(crate) async fn run(self, publisher: &Publisher, output: Output) -> Result<u8, Error> {
        match publisher.latest(&self.concept_id).await? {
            Some(latest) => {
                output.give(&value(&latest)?, || fields(asset_rows(&latest)))?;
                Ok(0)
            }
            None => missing(&format!("nothing of {} is published", self.concept_id), output),
        }
    }
}

/// Says that there is nothing of that name.
pub(crate) fn missing(what: &str, output: Output) -> Result<u8, Error> {
    say(what);
    if output.json {
        print(&json!({ "error": { "kind": "not_found", "message": what } }))?;
    }
    Ok(exit::NOT_THERE)
}
