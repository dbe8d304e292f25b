//! TOML as a tree that knows where it is written. toml's own errors quote the source, which may hold a
//! secret that somebody put there: here an error tells the key, the line and what is allowed, never a value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use distribution_core::{Error, ErrorKind};
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::{Fault, join};
use super::node::Node;

/// Where each key stands, and in which file.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    file: Option<PathBuf>,
    lines: BTreeMap<String, usize>,
}

/// The value that the text describes, and where its keys are.
pub(super) fn parse<T: DeserializeOwned>(text: &str, file: Option<&Path>) -> Result<(T, Places), Error> {
    let mut places = Places { file: file.map(Path::to_owned), lines: BTreeMap::new() };
    let line_of = |at: usize| text.bytes().take(at).filter(|b| *b == b'\n').count() + 1;
    let document = DeTable::parse(text).map_err(|error| {
        let place = places.place(error.span().map(|span| line_of(span.start)));
        Error::new(ErrorKind::Invalid, format!("no TOML: {}{place}", error.message()))
    })?;
    let document = Spanned::new(document.span(), DeValue::Table(document.into_inner()));
    places.note("", &document, &line_of);
    let value = T::deserialize(Node { path: String::new(), value: document.get_ref() });
    value.map(|value| (value, places.clone())).map_err(|Fault { path, message, .. }| {
        let error = Error::new(ErrorKind::Invalid, message);
        places.locate(path.as_deref().unwrap_or_default(), error)
    })
}

impl Places {
    /// The error, naming the key that is at fault and where it stands.
    pub(super) fn locate(&self, path: &str, error: Error) -> Error {
        let mut known = path;
        while !known.is_empty() && !self.lines.contains_key(known) {
            known = known.rsplit_once('.').map_or("", |(table, _)| table);
        }
        let place = self.place(self.lines.get(known).copied());
        let mut located = Error::new(error.kind(), format!("{}{place}", error.message()));
        if !path.is_empty() {
            located = located.at(path);
        }
        if let Some(after) = error.retry_after() {
            located = located.after(after);
        }
        located.because(error)
    }

    /// An `Invalid` about this key.
    pub(super) fn invalid(&self, path: &str, message: impl AsRef<str>) -> Error {
        self.locate(path, Error::new(ErrorKind::Invalid, message))
    }

    fn place(&self, line: Option<usize>) -> String {
        let name = self.file.as_ref().map(|file| file.display().to_string());
        match (name, line) {
            (Some(name), Some(line)) => format!(" ({name}:{line})"),
            (Some(name), None) => format!(" ({name})"),
            (None, Some(line)) => format!(" (line {line})"),
            (None, None) => String::new(),
        }
    }

    fn note(&mut self, path: &str, value: &Spanned<DeValue<'_>>, line_of: &impl Fn(usize) -> usize) {
        match value.get_ref() {
            DeValue::Table(table) => {
                for (key, value) in table {
                    let path = join(path, key.get_ref());
                    self.lines.insert(path.clone(), line_of(key.span().start));
                    self.note(&path, value, line_of);
                }
            }
            DeValue::Array(array) => {
                for (n, value) in array.iter().enumerate() {
                    let path = format!("{path}[{n}]");
                    self.lines.insert(path.clone(), line_of(value.span().start));
                    self.note(&path, value, line_of);
                }
            }
            _ => {}
        }
    }
}
