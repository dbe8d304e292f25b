//! What a file is called when it is saved (RFC 6266, RFC 8187).

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

/// Whether a browser shows a file or saves it, and under which name.
///
/// A name may hold anything: path separators, control and direction characters become `_`, leading
/// dots are dropped, and it is cut to 200 characters, an extension of up to ten being kept. What is
/// other than plain ASCII is also given as UTF-8, which all of today's browsers prefer.
///
/// ```
/// use distribution_backends::serve::Disposition;
///
/// assert_eq!(Disposition::inline("clip.mp4").to_string(), "inline; filename=\"clip.mp4\"");
/// assert_eq!(
///     Disposition::attachment("Café.mp4").to_string(),
///     "attachment; filename=\"Caf_.mp4\"; filename*=UTF-8''Caf%C3%A9.mp4"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disposition {
    kind: &'static str,
    name: String,
}

impl Disposition {
    /// Shown, if the browser can.
    pub fn inline(name: impl AsRef<str>) -> Self {
        Self { kind: "inline", name: clean(name.as_ref()) }
    }

    /// Saved.
    pub fn attachment(name: impl AsRef<str>) -> Self {
        Self { kind: "attachment", name: clean(name.as_ref()) }
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
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

fn clean(name: &str) -> String {
    let is_unfit = |c: char| {
        c.is_control()
            || matches!(c, '/' | '\\' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name = name.trim().trim_start_matches('.');
    let name: String = name.chars().map(|c| if is_unfit(c) { '_' } else { c }).collect();
    let length = name.chars().count();
    if length <= NAME_CHARS_MAX {
        return name;
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let kept = extension.chars().count().saturating_add(1);
    if extension.is_empty() || kept > 11 {
        return name.chars().take(NAME_CHARS_MAX).collect();
    }
    let stem: String = name.chars().take(NAME_CHARS_MAX.saturating_sub(kept)).collect();
    format!("{stem}.{extension}")
}
