//! What a program reads, on stdout.

use std::io::{self, Write as _};

use distribution_core::Error;
use serde_json::Value;

use crate::shell::unavailable;

pub(crate) fn value(answer: &impl serde::Serialize) -> Result<Value, Error> {
    serde_json::to_value(answer).map_err(|error| unavailable("write", "the answer", error.into()))
}

/// One line of JSON.
pub(crate) fn print(json: &Value) -> Result<(), Error> {
    writeln!(io::stdout(), "{json}").map_err(|error| unavailable("write to", "stdout", error))
}
