//! What is wrong with a value, in words that never hold it.

use std::fmt;

use serde::de::{Expected, Unexpected};

/// Says no more of a key than this.
const KEY_CHARS_MAX: usize = 48;

#[derive(Debug)]
pub(super) struct Fault {
    /// The key that is at fault; `None` until somebody knows.
    pub(super) path: Option<String>,
    /// The key that is missing in the table at fault.
    missing: Option<&'static str>,
    pub(super) message: String,
}

impl Fault {
    fn new(message: impl Into<String>) -> Self {
        Self { path: None, missing: None, message: message.into() }
    }

    /// The same, at this key unless it names one.
    pub(super) fn at(mut self, path: &str) -> Self {
        let missing = self.missing.take();
        self.path.get_or_insert_with(|| missing.map_or_else(|| path.to_owned(), |key| join(path, key)));
        self
    }
}

impl serde::de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("must be {expected}, not {}", kind(&unexpected)))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("must be {expected}"))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("must be {}", one_of(expected)))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let near = nearest(field, expected).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
        let all: Vec<_> = expected.iter().map(|key| format!("`{key}`")).collect();
        Self::new(format!("is no key here: {near}there are {}", all.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self { path: None, missing: Some(field), message: "is missing: it has no default".to_owned() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// `a`, `b` or `c`.
pub(super) fn one_of(names: &[&str]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        all => all.concat(),
    }
}

/// `a`, `b` and `c`.
pub(super) fn all_of(names: &[&str]) -> String {
    one_of(names).replace("` or `", "` and `")
}

/// The path of `key` in the table at `path`, as TOML would write it.
pub(super) fn join(path: &str, key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let cut: String = key.chars().take(KEY_CHARS_MAX).collect();
    let key = if is_bare { cut } else { format!("{:?}", cut.replace('.', "_")) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn kind(unexpected: &Unexpected<'_>) -> &'static str {
    match unexpected {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number with a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        _ => "what it is",
    }
}

/// The name that somebody who wrote `given` most likely meant.
pub(super) fn nearest<'n>(given: &str, names: &[&'n str]) -> Option<&'n str> {
    let given: Vec<char> = given.chars().take(KEY_CHARS_MAX).collect();
    let near = names.iter().map(|name| (distance(&given, name), *name)).min()?;
    let is_near = near.0 <= 2 + given.len() / 5 && near.0 < given.len();
    is_near.then_some(near.1)
}

/// How many letters have to be added, removed or replaced (Levenshtein).
fn distance(given: &[char], name: &str) -> usize {
    let mut row: Vec<usize> = (0..=given.len()).collect();
    for (n, letter) in name.chars().enumerate() {
        let mut diagonal = n;
        let mut left = n + 1;
        let mut next = vec![left];
        for (above, given) in row.iter().skip(1).zip(given) {
            left = (diagonal + usize::from(letter != *given)).min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_near_and_another_word_is_not() {
        let names = ["storage", "links", "credentials"];
        assert_eq!(nearest("strage", &names), Some("storage"));
        assert_eq!(nearest("stroage", &names), Some("storage"));
        assert_eq!(nearest("link", &names), Some("links"));
        assert_eq!(nearest("credential_s", &names), Some("credentials"));
        assert_eq!(nearest("x", &names), None);
        assert_eq!(nearest("unrelated", &names), None);
        assert_eq!(distance(&['a', 'b'], ""), 2);
        assert_eq!(distance(&[], "abc"), 3);
    }

    #[test]
    fn keys_are_shown_as_they_are_written_and_not_at_any_length() {
        assert_eq!(join("targets", "media"), "targets.media");
        assert_eq!(join("", "a b\n"), r#""a b\n""#);
        assert!(join("", &"k".repeat(500)).len() <= KEY_CHARS_MAX);
    }
}
