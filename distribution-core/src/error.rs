//! One error type for every port and verb; its kind says what the caller does next.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::origin::Part;

/// What went wrong, named after what the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The request or configuration can never work as it is: correct the named field.
    Invalid,
    /// The request contradicts what is already recorded or stored: change the request.
    Conflict,
    /// Final QC did not pass these bytes, so this call has published nothing. Have them approved, then
    /// repeat.
    Refused,
    /// The staged bytes are missing or are not the approved ones: restage them, then repeat.
    Rejected,
    /// Another publisher is at work on the same publication: repeat after [`Error::retry_after`].
    Busy,
    /// The outcome is not known, or a part is out of reach: repeat the same call safely.
    Unavailable,
    /// Something stored does not decode or contradicts itself: an operator must look.
    Corrupt,
    /// It was taken back, and there is no link to it any more: leave it, or publish another file.
    Retracted,
    /// It is kept where it cannot be read at once: have it restored, then repeat.
    Archived,
    /// This publisher or backend cannot do what was asked, and repeating will not change that.
    Unsupported,
}

impl ErrorKind {
    /// The kind's name on the wire, such as `unavailable`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Corrupt => "corrupt",
            Self::Retracted => "retracted",
            Self::Archived => "archived",
            Self::Unsupported => "unsupported",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of every fallible call of this library: cheap to clone, one word wide.
///
/// Its text is one line without secrets and says what to do; the cause, if any, is in
/// [`source()`](StdError::source) and never in the text.
///
/// ```
/// use distribution_core::{Error, ErrorKind};
///
/// let error = Error::invalid("final_edit.checksum", "must start with `sha256:`");
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert_eq!(error.to_string(), "final_edit.checksum: must start with `sha256:`");
/// assert!(!error.is_retryable());
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
struct Inner {
    kind: ErrorKind,
    field: Option<String>,
    message: String,
    retry_after: Option<Duration>,
    part: Option<Part>,
    #[source]
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of this kind. Control characters in `message` are escaped, so it stays one line.
    pub fn new(kind: ErrorKind, message: impl AsRef<str>) -> Self {
        Self(Arc::new(Inner {
            kind,
            field: None,
            message: one_line(message.as_ref()),
            retry_after: None,
            part: None,
            source: None,
        }))
    }

    /// An [`ErrorKind::Invalid`] that names the field of the request or setting at fault.
    pub fn invalid(field: &str, message: impl AsRef<str>) -> Self {
        Self::new(ErrorKind::Invalid, message).at(field)
    }

    /// An [`ErrorKind::Unavailable`]: not known, repeat safely.
    pub fn unavailable(message: impl AsRef<str>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// An [`ErrorKind::Corrupt`]: something stored is not what it must be.
    pub fn corrupt(message: impl AsRef<str>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// The same error, naming the field at fault unless it names one already.
    pub fn at(mut self, field: &str) -> Self {
        self.inner().field.get_or_insert_with(|| one_line(field));
        self
    }

    /// The same error with its cause, which must not hold a secret.
    pub fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.inner().source = Some(Arc::new(source));
        self
    }

    /// The same error with the time after which a repeat may succeed.
    pub fn after(mut self, retry_after: Duration) -> Self {
        self.inner().retry_after = Some(retry_after);
        self
    }

    pub(crate) fn of_part(mut self, part: Part) -> Self {
        self.inner().part.get_or_insert(part);
        self
    }

    pub(crate) fn part(&self) -> Option<Part> {
        self.0.part
    }

    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// What the caller does next.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The field of the request or setting at fault, such as `final_edit.checksum`.
    pub fn field(&self) -> Option<&str> {
        self.0.field.as_deref()
    }

    /// The text without the field's name.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// How long to wait before a repeat is worth it; only where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// Whether the same call, unchanged, may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind(), ErrorKind::Busy | ErrorKind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.field {
            Some(field) => write!(f, "{field}: {}", self.0.message),
            None => f.write_str(&self.0.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} error: {self}", self.kind())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// A caller's text as it may stand in a message: quoted, escaped, cut to 48 characters.
pub(crate) fn quote(text: &str) -> String {
    const CHARS_MAX: usize = 48;
    let cut: String = text.chars().take(CHARS_MAX).collect();
    let dots = if cut.len() < text.len() { "…" } else { "" };
    format!("{cut:?}{dots}")
}

fn one_line(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|c| {
            let escaped: Box<dyn Iterator<Item = char>> =
                if c.is_control() { Box::new(c.escape_default()) } else { Box::new(std::iter::once(c)) };
            escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_line_and_the_cause_is_not_in_it() {
        let cause = std::io::Error::other("secret cause");
        let error = Error::unavailable("line one\nline two\u{1b}[31m").because(cause);
        assert_eq!(error.to_string(), "line one\\nline two\\u{1b}[31m");
        assert!(!format!("{error:?}").contains("secret"));
        assert!(StdError::source(&error).is_some());
    }

    #[test]
    fn a_field_once_named_stays() {
        let error = Error::invalid("storage_prefix", "no").at("distribution_settings");
        assert_eq!(error.field(), Some("storage_prefix"));
    }

    #[test]
    fn an_error_is_one_word_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn quoting_bounds_what_a_caller_can_put_into_a_message() {
        assert_eq!(quote("a\nb"), r#""a\nb""#);
        assert!(quote(&"x".repeat(4096)).len() < 64);
    }
}
