//! What is known of stored bytes: checksum, digest, proof, headers, location.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::{Error, ErrorKind, quote};
use crate::text::text_value;
use crate::time::Timestamp;

/// The SHA-256 of a file's bytes, as the contract writes it: `sha256:` and 64 lower-case hex digits.
///
/// ```
/// use distribution_core::Checksum;
///
/// let text = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// assert_eq!(Checksum::of(b""), Checksum::parse(text)?);
/// assert!(Checksum::parse(text.to_uppercase()).is_err());
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^sha256:[0-9a-f]{64}$"))]
pub struct Checksum([u8; 32]);

impl Checksum {
    const PREFIX: &str = "sha256:";

    /// The checksum with these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The checksum of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The checksum written as `text`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything but `sha256:` and 64 lower-case hex digits.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, Error> {
        let text = text.as_ref();
        let bytes = text
            .strip_prefix(Self::PREFIX)
            .and_then(|hex| data_encoding::HEXLOWER.decode(hex.as_bytes()).ok())
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| {
            let message = format!("must be `sha256:` and 64 lower-case hex digits, not {}", quote(text));
            Error::new(ErrorKind::Invalid, message)
        })
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hex digits, without the prefix.
    pub fn hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.hex())
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<String> for Checksum {
    type Error = Error;
    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
}

/// What reading some bytes to their end shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// The SHA-256 of the bytes.
    pub checksum: Checksum,
    /// How many bytes there were.
    pub size: u64,
}

/// A running [`Digest`]: feed it every byte in order.
///
/// ```
/// use distribution_core::Digester;
///
/// let mut digester = Digester::default();
/// digester.update(b"one ");
/// digester.update(b"two");
/// assert_eq!(digester.finish().size, 7);
/// ```
#[derive(Clone, Default)]
pub struct Digester {
    hasher: Sha256,
    size: u64,
}

impl Digester {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
    }

    /// The digest of all bytes taken.
    pub fn finish(self) -> Digest {
        Digest { checksum: Checksum(self.hasher.finalize().into()), size: self.size }
    }
}

/// How stored bytes were proven. Recorded, never implied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// Every byte of what is stored was read back and hashed.
    ReadBack,
    /// The store itself computed a SHA-256 over the whole object that it stored (never an ETag,
    /// a composite checksum or a CRC).
    StoreAttested,
}

/// An observation of an object's bytes in its final place. Whether they are the approved ones is
/// for [`step`](crate::machine::step) to judge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// What the stored bytes are.
    #[serde(flatten)]
    pub digest: Digest,
    /// How that is known.
    pub how: Verification,
}

/// Where an object is, as a URI without credentials: `file:///abs/path`, `s3://bucket/key`,
/// `gs://bucket/key`, `az://container/key`. At most 4,096 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Location(String);

text_value!(Location);

impl Location {
    const BYTES_MAX: usize = 4096;

    fn check(text: &str) -> Result<(), Error> {
        let sound = text.len() <= Self::BYTES_MAX
            && text.contains("://")
            && !text.contains(|c: char| c.is_control() || c.is_whitespace());
        if sound {
            return Ok(());
        }
        let message = format!("{} is no storage location such as s3://bucket/key", quote(text));
        Err(Error::new(ErrorKind::Invalid, message))
    }
}

/// What identifies one state of a staged file: its size and an opaque tag that changes when the
/// file changes (an etag, or inode and modification time).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePin {
    /// The file's size in bytes.
    pub size: u64,
    /// The store's own word for this state of the file.
    pub tag: String,
}

/// What an object is served with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentHeaders {
    /// The media type (RFC 9110 §8.3), such as `video/mp4`.
    pub content_type: String,
    /// `Content-Disposition` (RFC 6266).
    pub content_disposition: String,
    /// `Cache-Control` (RFC 9111, RFC 8246).
    pub cache_control: String,
    /// Small facts for whoever meets the object alone, such as `sha256` and `audit-log-id`: lower-case
    /// letters, digits and `-`, to printable ASCII (S3 user metadata).
    pub user_metadata: BTreeMap<String, String>,
}

/// What a store says of an object without reading it. A backend fills in what its store tells, and leaves the rest to
/// `..ObjectStat::default()`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectStat {
    /// The object's size in bytes.
    pub size: u64,
    /// When the object appeared, by the store's clock; `None` where the store does not tell.
    pub modified: Option<Timestamp>,
    /// An opaque strong validator without quotes, different for different bytes (RFC 9110 §8.8.3).
    pub etag: Option<String>,
    /// Whether the store keeps it in a class from which it must be restored before its bytes can be read, such as
    /// GLACIER of Amazon S3, and it is not restored now.
    pub is_archived: bool,
    /// Whether the store itself keeps it, whoever has asked for that.
    pub legal_hold: LegalHold,
}

/// Whether a store keeps an object from being destroyed, by whomever, until that is taken back ("Locking objects with
/// Object Lock", Amazon S3 User Guide).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegalHold {
    /// It keeps it.
    On,
    /// It does not, or cannot.
    #[default]
    Off,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_form_is_a_checksum() {
        let hex = "a".repeat(64);
        assert!(Checksum::parse(format!("sha256:{hex}")).is_ok());
        for wrong in [
            hex.clone(),
            format!("sha256:{}", hex.to_uppercase()),
            format!("SHA256:{hex}"),
            format!("sha256:{}", &hex[1..]),
            format!("sha256:{hex}a"),
            format!("sha256:{hex} "),
            format!(" sha256:{hex}"),
            format!("sha256:{}g", &hex[1..]),
            format!("md5:{hex}"),
            "sha256:".into(),
            String::new(),
            "sha256:é".into(),
        ] {
            let error = Checksum::parse(&wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
        }
    }

    #[test]
    fn a_location_is_a_uri_on_one_line() {
        assert!(Location::parse("s3://bucket/mvp/clip.mp4").is_ok());
        for wrong in ["", "clip.mp4", "s3://bucket/a b", "s3://bucket/a\nb"] {
            assert!(Location::parse(wrong).is_err(), "{wrong}");
        }
    }
}
