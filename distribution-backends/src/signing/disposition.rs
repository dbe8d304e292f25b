//! What a browser does with a file, and what it calls it (RFC 6266, RFC 8187).

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const NAME_CHARS_MAX: usize = 200;

/// All but `attr-char` (RFC 8187 §3.2.1).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// What a browser does with the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    /// It plays it (RFC 6266).
    #[default]
    Inline,
    /// It saves it.
    Attachment,
}

impl Disposition {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Attachment => "attachment",
        }
    }
}

/// The whole of a `Content-Disposition`: what a browser does with a file, and what it calls it.
///
/// A name may hold anything: path separators, control and direction characters become `_`, leading
/// dots are dropped, and it is cut to 200 characters, an extension of up to ten being kept. What is
/// other than plain ASCII is also given as UTF-8, which all of today's browsers prefer.
///
/// ```
/// use distribution_backends::ContentDisposition;
///
/// assert_eq!(ContentDisposition::inline("clip.mp4").to_string(), "inline; filename=\"clip.mp4\"");
/// assert_eq!(
///     ContentDisposition::attachment("Café.mp4").to_string(),
///     "attachment; filename=\"Caf_.mp4\"; filename*=UTF-8''Caf%C3%A9.mp4"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDisposition {
    disposition: Disposition,
    name: String,
}

impl ContentDisposition {
    /// A file of this name that is shown, if the browser can.
    pub fn inline(name: impl AsRef<str>) -> Self {
        Self::new(Disposition::Inline, name.as_ref())
    }

    /// A file of this name that is saved.
    pub fn attachment(name: impl AsRef<str>) -> Self {
        Self::new(Disposition::Attachment, name.as_ref())
    }

    pub(crate) fn new(disposition: Disposition, name: &str) -> Self {
        Self { disposition, name: clean(name) }
    }

    pub(super) fn disposition(&self) -> Disposition {
        self.disposition
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ContentDisposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.disposition.as_str())?;
        if self.name.is_empty() {
            return Ok(());
        }
        // `%` is no harm to the standard, but to browsers that decode it (RFC 6266, appendix D).
        let is_plain = |c: char| (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '%');
        let plain: String = self.name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
        write!(f, "; filename=\"{plain}\"")?;
        if plain == self.name {
            return Ok(());
        }
        write!(f, "; filename*=UTF-8''{}", utf8_percent_encode(&self.name, ENCODED))
    }
}

/// The name that a file can have. What is clean stays as it is.
fn clean(name: &str) -> String {
    let is_unfit = |c: char| {
        c.is_control()
            || matches!(c, '/' | '\\' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name = name.trim_start_matches(|c: char| c == '.' || c.is_whitespace()).trim_end();
    let name: String = name.chars().map(|c| if is_unfit(c) { '_' } else { c }).collect();
    let length = name.chars().count();
    if length <= NAME_CHARS_MAX {
        return name;
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let kept = extension.chars().count().saturating_add(1);
    if extension.is_empty() || kept > 11 {
        let cut: String = name.chars().take(NAME_CHARS_MAX).collect();
        return cut.trim_end().to_owned();
    }
    let stem: String = name.chars().take(NAME_CHARS_MAX.saturating_sub(kept)).collect();
    format!("{stem}.{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_clean_stays_as_it_is() {
        let spaces = format!("{}{}x", "a".repeat(150), " ".repeat(100));
        for name in ["", "clip.mp4", ". a", ".. .x", " . . ", "\n.x", "a\u{85}", "é.mp4 ", &"é".repeat(300), &spaces]
        {
            let once = clean(name);
            assert_eq!(clean(&once), once, "{name:?}");
        }
    }
}
