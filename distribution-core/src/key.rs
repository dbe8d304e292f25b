//! Object keys: a strict alphabet, and a template that makes one from a request.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::error::{Error, ErrorKind, quote};
use crate::object::Checksum;
use crate::text::text_value;

/// What an attempt's suffix, `-r9999` at most, may add to a key and its last segment.
const ATTEMPT_SUFFIX_BYTES: usize = 6;
/// The highest attempt that has a key of its own.
pub(crate) const ATTEMPT_MAX: u32 = 9_999;
const SLUG_BYTES_MAX: usize = 100;
const CONCEPT_BYTES_MAX: usize = 128;

/// The key of an object: segments of `[A-Za-z0-9_-][A-Za-z0-9._-]*` joined by `/`, each of at most
/// 255 bytes and 900 in all. Safe as a path below a directory and as a URL path, unescaped.
///
/// ```
/// use distribution_core::ObjectKey;
///
/// assert!(ObjectKey::parse("mvp/clip-0123456789ab.mp4").is_ok());
/// assert!(ObjectKey::parse("../etc/passwd").is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectKey(String);

text_value!(ObjectKey);

impl ObjectKey {
    /// The most bytes in a key.
    pub const BYTES_MAX: usize = 900;
    /// What the keys of objects begin with that are stored to try something out, and removed again.
    pub const TRIALS: [&str; 3] = ["distribution-doctor/", "distribution-probe/", "distribution-sweep/"];
    /// The most bytes in a segment of a key.
    pub const SEGMENT_BYTES_MAX: usize = 255;

    fn check(text: &str) -> Result<(), Error> {
        check_path(text, Self::BYTES_MAX, Self::SEGMENT_BYTES_MAX)
    }

    /// The last segment: the name a person sees.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The segments, outermost first.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The key that attempt `n` writes to: this one for 0, then `…-r1.mp4`, `…-r2.mp4`.
    pub(crate) fn attempt(&self, n: u32) -> Self {
        if n == 0 {
            return self.clone();
        }
        let last = self.0.rfind(['.', '/']).map(|at| self.0.split_at(at));
        let (head, tail) = last.filter(|(_, tail)| tail.starts_with('.')).unwrap_or((&self.0, ""));
        Self(format!("{head}-r{n}{tail}"))
    }
}

/// The folder, so to say, of a publication's key: empty, or key segments each followed by `/`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^([A-Za-z0-9_-][A-Za-z0-9._-]*/)*$"))]
pub struct StoragePrefix(String);

text_value!(StoragePrefix);

impl StoragePrefix {
    fn check(text: &str) -> Result<(), Error> {
        if text.is_empty() {
            return Ok(());
        }
        let path = text.strip_suffix('/').ok_or_else(|| {
            let message = format!("must end with `/`, unlike {}", quote(text));
            Error::new(ErrorKind::Invalid, message)
        })?;
        check_path(path, ObjectKey::BYTES_MAX, ObjectKey::SEGMENT_BYTES_MAX)
    }
}

/// What ties the versions of one work together: one key segment of at most 128 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$", "maxLength" = 128))]
pub struct ConceptId(String);

text_value!(ConceptId);

impl ConceptId {
    fn check(text: &str) -> Result<(), Error> {
        check_segment(text, CONCEPT_BYTES_MAX)
    }
}

/// The name of a configured storage target: `[a-z0-9][a-z0-9_-]*`, at most 64 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[a-z0-9][a-z0-9_-]*$", "maxLength" = 64))]
pub struct TargetName(String);

text_value!(TargetName);

impl Default for TargetName {
    /// `default`
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl TargetName {
    const BYTES_MAX: usize = 64;

    fn check(text: &str) -> Result<(), Error> {
        let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-');
        let starts = text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
        if starts && text.len() <= Self::BYTES_MAX && text.bytes().all(inner) {
            return Ok(());
        }
        let message = format!("{} is no target name: use a-z, 0-9, `_`, `-`, at most 64", quote(text));
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

fn check_path(path: &str, bytes_max: usize, segment_max: usize) -> Result<(), Error> {
    if path.len() > bytes_max {
        let message = format!("{} is {} bytes long, the limit is {bytes_max}", quote(path), path.len());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    path.split('/').try_for_each(|segment| check_segment(segment, segment_max))
}

fn check_segment(segment: &str, bytes_max: usize) -> Result<(), Error> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let wrong = match segment.as_bytes() {
        [] => "is empty (is there a leading, doubled or trailing `/`?)".to_owned(),
        [b'.', ..] => "starts with a dot".to_owned(),
        bytes if !bytes.iter().copied().all(inner) => {
            "holds something other than A-Z, a-z, 0-9, `.`, `_`, `-`".to_owned()
        }
        bytes if bytes.len() > bytes_max => {
            format!("is {} bytes long, the limit is {bytes_max}", bytes.len())
        }
        _ => return Ok(()),
    };
    Err(Error::new(ErrorKind::Invalid, format!("the part {} {wrong}", quote(segment))))
}

/// Text for people as part of a key: decomposed (Unicode NFD), marks dropped, everything else that
/// is not a key character turned into `-`. `None` if nothing is left.
///
/// Different texts can give the same slug; the checksum in the key keeps them apart.
fn slug(text: &str) -> Option<String> {
    let mut slug = String::new();
    for c in text.nfd().filter(|c| !is_combining_mark(*c)) {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '.' | '_') { c } else { '-' };
        if slug.len() == SLUG_BYTES_MAX {
            break;
        }
        if !(c == '-' && slug.ends_with('-')) {
            slug.push(c);
        }
    }
    let slug = slug.trim_matches(['-', '.']);
    (!slug.is_empty()).then(|| slug.to_owned())
}

/// What a template's placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct KeyParts<'a> {
    /// For `{prefix}`, as it is.
    pub prefix: &'a StoragePrefix,
    /// For `{stem}`: the file name of the video's URL without extension; slugged.
    pub stem: &'a str,
    /// For `{sha256}` and `{sha256:N}`.
    pub checksum: &'a Checksum,
    /// For `{concept_id}`, as it is.
    pub concept_id: Option<&'a ConceptId>,
    /// For `{title}`; slugged.
    pub title: Option<&'a str>,
}

/// How a publication's key is made from its request; a pure function of it.
///
/// Placeholders: `{prefix}`, `{stem}`, `{sha256}`, `{sha256:N}` (the first N of 64 hex digits),
/// `{concept_id}`, `{title}`. A stem or title of which nothing can be kept becomes `asset`.
///
/// ```
/// use distribution_core::{Checksum, KeyParts, KeyTemplate, StoragePrefix};
///
/// let key = KeyTemplate::default().render(KeyParts {
///     prefix: &StoragePrefix::parse("mvp/")?,
///     stem: "Été à Paris",
///     checksum: &Checksum::of(b""),
///     concept_id: None,
///     title: None,
/// })?;
/// assert_eq!(key.as_str(), "mvp/Ete-a-Paris-e3b0c44298fc.mp4");
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTemplate {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Prefix,
    Stem,
    Sha256 { digits: usize },
    ConceptId,
    Title,
}

impl Default for KeyTemplate {
    /// `{prefix}{stem}-{sha256:12}.mp4`
    fn default() -> Self {
        let text = |text: &str| Part::Text(text.to_owned());
        let parts = vec![Part::Prefix, Part::Stem, text("-"), Part::Sha256 { digits: 12 }, text(".mp4")];
        Self { parts }
    }
}

impl KeyTemplate {
    const DIGITS_MAX: usize = 64;
    /// Fewer hex digits than these do not tell files apart.
    const DIGITS_TELLING: usize = 12;

    /// The template written as `text`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for an unknown or unclosed placeholder, or for other text outside the
    /// key alphabet.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |message: String| Error::invalid("key_template", message);
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(invalid(format!("{} has a `{{` without its `}}`", quote(text))));
            };
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::named(name).map_err(invalid)?);
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));

        // Trying it out finds literal text that no key may have.
        let template = Self { parts };
        let sample = KeyParts {
            prefix: &StoragePrefix::default(),
            stem: "asset",
            checksum: &Checksum::of(b""),
            concept_id: Some(&ConceptId("concept".into())),
            title: Some("asset"),
        };
        template.render(sample).map_err(|error| invalid(error.message().to_owned()))?;
        Ok(template)
    }

    /// Whether two files with different bytes always get different keys, but for a collision of
    /// 12 or more hex digits.
    pub fn tells_bytes_apart(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Sha256 { digits } if *digits >= Self::DIGITS_TELLING))
    }

    /// The key for these parts.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the field, if the template wants a concept id that is absent
    /// or the key would be too long.
    pub fn render(&self, parts: KeyParts<'_>) -> Result<ObjectKey, Error> {
        let slugged = |text: Option<&str>| text.and_then(slug).unwrap_or_else(|| "asset".to_owned());
        let mut key = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => key.push_str(text),
                Part::Prefix => key.push_str(parts.prefix.as_str()),
                Part::Stem => key.push_str(&slugged(Some(parts.stem))),
                Part::Title => key.push_str(&slugged(parts.title)),
                Part::ConceptId => key.push_str(parts.concept_id.map(ConceptId::as_str).ok_or_else(|| {
                    let message = "is required: this publisher's key template holds {concept_id}";
                    Error::invalid("distribution_settings.metadata.concept_id", message)
                })?),
                Part::Sha256 { digits } => {
                    let hex = parts.checksum.hex();
                    let _ = write!(key, "{:.*}", digits, hex);
                }
            }
        }
        // Room for the suffix of a later attempt.
        let (bytes, segment) =
            (ObjectKey::BYTES_MAX - ATTEMPT_SUFFIX_BYTES, ObjectKey::SEGMENT_BYTES_MAX - ATTEMPT_SUFFIX_BYTES);
        check_path(&key, bytes, segment).map_err(|error| error.at("distribution_settings.storage_prefix"))?;
        if let Some(own) = ObjectKey::TRIALS.iter().find(|own| key.starts_with(*own)) {
            let message = format!("must not begin with `{own}`, where this library tries things out");
            return Err(Error::invalid("distribution_settings.storage_prefix", message));
        }
        Ok(ObjectKey(key))
    }
}

impl Part {
    fn named(name: &str) -> Result<Self, String> {
        match name {
            "prefix" => Ok(Self::Prefix),
            "stem" => Ok(Self::Stem),
            "sha256" => Ok(Self::Sha256 { digits: KeyTemplate::DIGITS_MAX }),
            "concept_id" => Ok(Self::ConceptId),
            "title" => Ok(Self::Title),
            _ => Self::digits(name).ok_or_else(|| {
                format!(
                    "{{{}}} is unknown: use {{prefix}}, {{stem}}, {{sha256}}, {{sha256:N}} with N from 1 to 64, \
                     {{concept_id}}, {{title}}",
                    quote(name)
                )
            }),
        }
    }

    fn digits(name: &str) -> Option<Self> {
        let digits = name.strip_prefix("sha256:")?.parse().ok()?;
        (1..=KeyTemplate::DIGITS_MAX).contains(&digits).then_some(Self::Sha256 { digits })
    }
}
