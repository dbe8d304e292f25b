//! Answers on stdout: tables for people, a line of JSON for programs.

use std::io::{self, Write as _};

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use distribution_core::{Error, Timestamp};
use serde_json::Value;

use crate::json;
use crate::shell::unavailable;

/// How wide a column is at least that is wrapped.
const WRAPPED_MIN: u16 = 32;

/// How answers are printed.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints the one or the other.
    pub(crate) fn give(self, json: &Value, text: impl FnOnce() -> String) -> Result<(), Error> {
        if self.json {
            return json::print(json);
        }
        let text = text();
        write!(io::stdout(), "{}{}", text, if text.is_empty() || text.ends_with('\n') { "" } else { "\n" })
            .map_err(|error| unavailable("write to", "stdout", error))
    }
}

/// A table with these columns.
pub(crate) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = plain();
    // Wrapped where a person looks; one line a row where a program does.
    if let Some((width, _)) = terminal_size::terminal_size_of(io::stdout()) {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width.0);
    }
    table.set_header(header);
    for row in rows {
        table.add_row(row.map(|cell| printable(&cell)));
    }
    finish(table)
}

/// Names and values, below each other. They are not wrapped: links are copied from here.
pub(crate) fn fields<'a>(rows: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = plain();
    for (name, value) in rows {
        table.add_row([name.to_owned(), printable(&value)]);
    }
    finish(table)
}

/// To the second, as it can be given to `--from`.
pub(crate) fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// What there is, or a dash.
pub(crate) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table
}

/// Names, states and times stay whole; where there is no room for all of it, prose is wrapped.
fn finish(mut table: Table) -> String {
    let widths = table.column_max_content_widths();
    for (n, (column, width)) in table.column_iter_mut().zip(widths).enumerate() {
        column.set_padding((0, 2));
        column.set_constraint(if n == 0 || width <= WRAPPED_MIN {
            ColumnConstraint::ContentWidth
        } else {
            ColumnConstraint::LowerBoundary(Width::Fixed(WRAPPED_MIN))
        });
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// Titles and the like come from callers: none of them moves the cursor of a terminal.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if is_unprintable(c) { c.escape_default().collect() } else { vec![c] }).collect()
}

/// Control characters, and those that turn the direction of what follows.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_moves_the_cursor() {
        let rows = [["a".to_owned(), "1".to_owned()], ["long".to_owned(), "\u{1b}[2J\u{202e}\n".to_owned()]];
        assert_eq!(table(["ID", "N"], rows), "ID    N\na     1\nlong  \\u{1b}[2J\\u{202e}\\n\n");
        assert_eq!(fields([("state", "published".to_owned())]), "state  published\n");
    }

    #[test]
    fn a_time_can_be_given_back() {
        let at: Timestamp = "2026-01-02T00:00:00.5Z".parse().unwrap();
        assert_eq!(time(at), "2026-01-02T00:00:00Z");
        assert_eq!(or_dash(None::<String>), "-");
    }
}
