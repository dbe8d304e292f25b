//! What a person sees of a batch, on stderr, and what a program reads of it, on stdout.

use distribution_core::{DistributionRecord, Error};
use indicatif::{MultiProgress, ProgressBar};
use serde_json::{Value, json};

use crate::bar::Bar;
use crate::json::{print, value};
use crate::shell::say;

/// Bars below, lines above; lines alone where stderr is no terminal.
#[derive(Clone)]
pub(crate) struct Desk {
    bars: MultiProgress,
    edits: usize,
    with_links: bool,
}

impl Desk {
    pub(crate) fn new(edits: usize, with_links: bool) -> Self {
        Self { bars: MultiProgress::new(), edits, with_links }
    }

    /// The bar of one edit.
    pub(crate) fn bar(&self) -> Bar {
        Bar(self.bars.add(ProgressBar::no_length()))
    }

    pub(crate) fn say(&self, line: &str) {
        self.bars.suspend(|| say(line));
    }

    /// Tells what became of an edit, the `done`th: a line for people, and one of JSON.
    pub(crate) fn tell(&self, done: usize, n: usize, outcome: &Result<DistributionRecord, Error>) -> Result<(), Error> {
        let (line, json) = match outcome {
            Ok(record) => {
                let line = format!("published {} ({} bytes)", record.storage_location, record.size_bytes);
                (line, json!({ "edit": n, "distribution_record": self.shown(record)? }))
            }
            Err(error) => {
                let (kind, message) = (error.kind(), error.to_string());
                (format!("{kind}: {message}"), json!({ "edit": n, "error": { "kind": kind, "message": message } }))
            }
        };
        self.say(&format!("[{done}/{}] edit {n}: {line}", self.edits));
        self.bars.suspend(|| print(&json))
    }

    /// The record without its link, unless links are asked for.
    fn shown(&self, record: &DistributionRecord) -> Result<Value, Error> {
        let mut shown = value(record)?;
        if let (false, Some(fields)) = (self.with_links, shown.as_object_mut()) {
            fields.remove("public_url");
        }
        Ok(shown)
    }
}
