//! The request on the wire, parsed into values that are valid if they exist.

use std::fmt;

use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, quote};
use crate::key::{ConceptId, StoragePrefix, TargetName};
use crate::object::Checksum;
use crate::qc::QcReport;
use crate::strict_json;
use crate::text::{check_line, text_value};

/// The most bytes a request may have as JSON.
pub const REQUEST_BYTES_MAX: usize = 1 << 20;

/// What an orchestrator asks for: publish this finished edit, which QC has judged, like so.
///
/// ```
/// use distribution_core::PublishRequest;
///
/// let request = PublishRequest::from_json(br#"{
///     "final_edit": { "video_url": "edits/clip.mp4", "duration_seconds": 9.7,
///         "checksum": "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
///     "qc_report": { "status": "pass" }
/// }"#)?;
/// assert_eq!(request.final_edit.duration_seconds.get(), 9.7);
///
/// let error = PublishRequest::from_json(br#"{"final_edit": {"video_url": ""}}"#).unwrap_err();
/// assert_eq!(error.field(), Some("final_edit.video_url"));
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PublishRequest {
    /// The finished file.
    pub final_edit: FinalEdit,
    /// Final QC's verdict on it. Only an exact `pass` publishes.
    #[serde(default, deserialize_with = "null_as_default")]
    pub qc_report: QcReport,
    /// Where to and how; the publisher's defaults hold for what is absent.
    #[serde(default, deserialize_with = "null_as_default")]
    pub distribution_settings: DistributionSettings,
    /// The caller's own idempotency key: once used, it names this publication for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
}

impl PublishRequest {
    /// Parses a request. Unknown fields are ignored, but for those in `metadata`, which are kept.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the field: for a missing or malformed value, for an object
    /// with the same key twice, and for more than [`REQUEST_BYTES_MAX`].
    pub fn from_json(json: &[u8]) -> Result<Self, Error> {
        strict_json::from_slice(json, REQUEST_BYTES_MAX)
    }
}

/// The finished file: where it is staged, and what it must be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FinalEdit {
    /// Where the file is staged.
    pub video_url: VideoUrl,
    /// Its playing time.
    pub duration_seconds: DurationSeconds,
    /// The SHA-256 of the bytes that QC has seen.
    pub checksum: Checksum,
}

/// Where the file goes, and how it is shown and linked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DistributionSettings {
    /// The name of a configured target; the publisher's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_target: Option<TargetName>,
    /// The beginning of the object's key, such as `mvp/`; the publisher's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_prefix: Option<StoragePrefix>,
    /// How many hours the link works; the publisher's default (72) where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url_expiry_hours: Option<u32>,
    /// Who may download; the publisher's default (`signed`) where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// What a user interface shows of the asset.
    #[serde(default, deserialize_with = "null_as_default")]
    pub metadata: AssetMetadata,
}

/// Who may download a published asset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Whoever has the link, until it expires.
    #[default]
    Signed,
    /// Everybody, for ever.
    Public,
    /// Whom the host's own authorisation lets through.
    Authenticated,
}

/// What a user interface shows of the asset. Fields of the caller's own are kept as they are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AssetMetadata {
    /// One line for people, at most 1,024 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The work of which this file is a version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concept_id: Option<ConceptId>,
    /// At most 64 single-line tags of at most 256 bytes each.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Any other fields, as JSON.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl AssetMetadata {
    /// The most bytes that all metadata may have as JSON.
    pub const BYTES_MAX: usize = 32 << 10;
    const TITLE_BYTES_MAX: usize = 1024;
    const TAGS_MAX: usize = 64;
    const TAG_BYTES_MAX: usize = 256;
    const DEPTH_MAX: usize = 32;
    /// Names that the response gives a meaning of its own.
    const RESERVED: [&str; 2] = ["checksum", "duration_seconds"];

    /// Checks the limits.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the field.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let invalid = |name: &str, message: String| {
            Err(Error::invalid(&format!("distribution_settings.metadata.{name}"), message))
        };
        if let Some(title) = &self.title {
            check_line(title, Self::TITLE_BYTES_MAX).or_else(|message| invalid("title", message))?;
        }
        if self.tags.len() > Self::TAGS_MAX {
            return invalid("tags", format!("holds {} tags, the limit is {}", self.tags.len(), Self::TAGS_MAX));
        }
        for (n, tag) in self.tags.iter().enumerate() {
            check_line(tag, Self::TAG_BYTES_MAX).or_else(|message| invalid(&format!("tags[{n}]"), message))?;
        }
        for name in Self::RESERVED {
            if self.extra.contains_key(name) {
                let message = "is reserved for the response: leave it out or give it another name";
                return invalid(name, message.into());
            }
        }
        if let Some((name, _)) = self.extra.iter().find(|(_, value)| is_deeper_than(value, Self::DEPTH_MAX)) {
            return invalid(name, format!("is nested deeper than {} levels", Self::DEPTH_MAX));
        }
        let bytes = serde_json::to_vec(self).map_or(usize::MAX, |json| json.len());
        if bytes > Self::BYTES_MAX {
            let message = format!("is {bytes} bytes of JSON, the limit is {}", Self::BYTES_MAX);
            return Err(Error::invalid("distribution_settings.metadata", message));
        }
        Ok(())
    }
}

fn is_deeper_than(value: &Value, levels: usize) -> bool {
    let mut level: Vec<&Value> = vec![value];
    for _ in 0..=levels {
        level = level
            .into_iter()
            .flat_map(|value| -> Box<dyn Iterator<Item = &Value>> {
                match value {
                    Value::Array(items) => Box::new(items.iter()),
                    Value::Object(fields) => Box::new(fields.values()),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Box::new(std::iter::empty()),
                }
            })
            .collect();
        if level.is_empty() {
            return false;
        }
    }
    true
}

/// Where a file is staged: a URL, or a path relative to a staging root. At most 4,096 bytes on one
/// line. Its query may hold a signature, so `Debug` and `Display` leave the query out.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct VideoUrl(String);

impl VideoUrl {
    const BYTES_MAX: usize = 4096;

    /// The URL, if `text` is one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for blank text, control characters, more than 4,096 bytes, a user name or
    /// password, a query without a scheme, or no scheme before `://`. The text may hold a secret, so it is
    /// not repeated.
    pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
        let text = text.into();
        let wrong = if text.len() > Self::BYTES_MAX {
            format!("is {} bytes long, the limit is {}", text.len(), Self::BYTES_MAX)
        } else if text.contains(char::is_control) {
            "holds a control character".to_owned()
        } else if text.trim().is_empty() {
            "is empty: name the staged file".to_owned()
        } else if has_credentials(&text) {
            "holds credentials, or a port that is no number: configure credentials where the file is staged".to_owned()
        } else if text.split_once("://").is_some_and(|(scheme, _)| !is_scheme(scheme)) {
            "has no scheme before `://`: write a URL with its scheme, or a path".to_owned()
        } else if text.contains('?') && !text.contains("://") {
            "has a `?` but no scheme: write a URL with its scheme, or %3F in a file:/// URL".to_owned()
        } else {
            return Ok(Self(text));
        };
        Err(Error::new(ErrorKind::Invalid, wrong))
    }

    /// The whole URL, with what may be secret in it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The scheme before `://`, if there is one.
    pub fn scheme(&self) -> Option<&str> {
        self.0.split_once("://").map(|(scheme, _)| scheme)
    }

    /// The URL as it may be stored and shown: without query and fragment, if it has a scheme. The same
    /// URL where there is nothing to leave out, so a stored one finds the file again unless it was secret.
    pub fn redacted(&self) -> Self {
        match self.0.split_once("://") {
            Some((scheme, rest)) => Self(format!("{scheme}://{}", before_query(rest))),
            None => self.clone(),
        }
    }

    /// The file's name without its extension: what a person would call it.
    pub(crate) fn stem(&self) -> String {
        let name = |path: &str| path.rsplit(['/', '\\']).next().unwrap_or(path).to_owned();
        let name = match self.0.split_once("://") {
            Some(("s3" | "gs" | "az", rest)) => name(before_query(rest)),
            Some((_, rest)) => percent_decode_str(&name(before_query(rest))).decode_utf8_lossy().into_owned(),
            None => name(&self.0),
        };
        match name.rsplit_once('.') {
            Some((stem, _)) if !stem.is_empty() => stem.to_owned(),
            _ => name,
        }
    }
}

/// Whether this is a URI's scheme (RFC 3986 §3.1). If not, what is before `://` may be a query.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Whether something other than `host` or `host:port` (RFC 3986 §3.2) is between `://` and the path.
fn has_credentials(text: &str) -> bool {
    let Some((_, rest)) = text.split_once("://") else { return false };
    let authority = before_query(rest).split('/').next().unwrap_or_default();
    let after_ip = authority.rsplit(']').next().unwrap_or_default();
    let port = after_ip.split_once(':').map_or("", |(_, port)| port);
    authority.contains('@') || port.len() > 5 || !port.bytes().all(|b| b.is_ascii_digit())
}

fn before_query(text: &str) -> &str {
    text.split(['?', '#']).next().unwrap_or(text)
}

impl TryFrom<String> for VideoUrl {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl From<VideoUrl> for String {
    fn from(url: VideoUrl) -> Self {
        url.0
    }
}

impl fmt::Display for VideoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted().0)
    }
}

impl fmt::Debug for VideoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.redacted().0)
    }
}

/// A playing time in seconds: more than 0, at most 1,000,000 (eleven days).
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "f64", into = "f64")]
#[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000_000))]
pub struct DurationSeconds(f64);

impl DurationSeconds {
    const MAX: f64 = 1_000_000.0;

    /// The duration, if it is one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] outside the range, or for a value that is no number.
    pub fn new(seconds: f64) -> Result<Self, Error> {
        if seconds > 0.0 && seconds <= Self::MAX {
            return Ok(Self(seconds));
        }
        let message = format!("must be more than 0 and at most {} seconds, not {seconds}", Self::MAX);
        Err(Error::new(ErrorKind::Invalid, message))
    }

    /// The seconds.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for DurationSeconds {
    type Error = Error;
    fn try_from(seconds: f64) -> Result<Self, Error> {
        Self::new(seconds)
    }
}

impl From<DurationSeconds> for f64 {
    fn from(duration: DurationSeconds) -> Self {
        duration.0
    }
}

/// A caller's own idempotency key: 1 to 255 visible ASCII characters. In a request it does not begin with
/// `distribution/`, which is for the names that the library itself keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[!-~]{1,255}$"))]
pub struct IdempotencyKey(String);

text_value!(IdempotencyKey);

impl IdempotencyKey {
    const RESERVED: &str = "distribution/";

    /// # Errors
    /// [`ErrorKind::Invalid`] for a name of the library's own.
    pub(crate) fn check_unreserved(&self) -> Result<(), Error> {
        if !self.0.starts_with(Self::RESERVED) {
            return Ok(());
        }
        let message = format!("must not begin with `{}`, which is the library's own", Self::RESERVED);
        Err(Error::invalid("idempotency_key", message))
    }

    /// A name of the library's own, which no caller can give.
    pub(crate) fn reserved(name: &str) -> Self {
        Self(format!("{}{name}", Self::RESERVED))
    }

    fn check(text: &str) -> Result<(), Error> {
        if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(());
        }
        let message = format!("must be 1 to 255 visible ASCII characters, not {}", quote(text));
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
