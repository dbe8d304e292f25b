//! What a sink puts on every entry.

use distribution_core::{Error, ErrorKind};

#[cfg(feature = "evidence")]
use super::EvidenceKey;

const SOURCE_BYTES_MAX: usize = 512;

/// What a sink puts on every entry that it keeps: the name of the chain, and a signature if it has a key
/// (feature `evidence`). All who append to one sink give it the same name.
///
/// Each entry is a CloudEvent (v1.0.2, JSON format) in canonical JSON (RFC 8785), and holds the SHA-256 of the one
/// before. So an entry cannot be changed, removed, inserted or moved without that being seen, unless
/// everything behind it is written anew; and that takes the key where entries are signed. What is cut off at the
/// end is seen by a checkpoint only.
///
/// ```
/// use distribution_backends::Seal;
///
/// let seal = Seal::new("//publishing.example/eu-1")?;
/// assert_eq!(seal.source(), "//publishing.example/eu-1");
/// assert!(Seal::new("two words").is_err());
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Seal {
    source: String,
    #[cfg(feature = "evidence")]
    key: Option<EvidenceKey>,
}

impl Default for Seal {
    /// `/distribution/audit`, unsigned.
    fn default() -> Self {
        Self {
            source: "/distribution/audit".to_owned(),
            #[cfg(feature = "evidence")]
            key: None,
        }
    }
}

impl Seal {
    /// A chain with this name, the events' `source`: a URI or a path, without user names or passwords. Name
    /// each sink differently, so that an entry of one is foreign to the others.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) if it is empty, longer than 512 bytes, or has other
    /// characters than a URI (RFC 3986).
    pub fn new(source: impl Into<String>) -> Result<Self, Error> {
        let source = source.into();
        let is_uri = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?#[]!$&'()*+,;=%".contains(&byte);
        if source.is_empty() || source.len() > SOURCE_BYTES_MAX || !source.bytes().all(is_uri) {
            let message = "the name of an audit chain is a URI or a path of 1 to 512 characters, without `@`";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        Ok(Self {
            source,
            #[cfg(feature = "evidence")]
            key: None,
        })
    }

    /// The same, with every entry signed from now on.
    #[cfg(feature = "evidence")]
    #[must_use]
    pub fn signed_by(self, key: EvidenceKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// The chain's name.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// # Errors
    /// [`ErrorKind::Invalid`] if what is at `place` belongs to another chain.
    pub(crate) fn check_source(&self, found: &str, place: &str) -> Result<(), Error> {
        if found == self.source {
            return Ok(());
        }
        let what =
            format!("{place} belongs to the audit chain {found}, not {}: name it so, or begin elsewhere", self.source);
        Err(Error::new(ErrorKind::Invalid, what))
    }

    #[cfg(feature = "evidence")]
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.key.as_ref().map(EvidenceKey::id)
    }

    /// The signature of an event with this hash.
    #[cfg(feature = "evidence")]
    pub(crate) fn sign(&self, hash: &str) -> Option<String> {
        self.key.as_ref().map(|key| key.sign(super::key::Purpose::Entry, hash))
    }

    #[cfg(not(feature = "evidence"))]
    pub(crate) fn key_id(&self) -> Option<&str> {
        None
    }

    #[cfg(not(feature = "evidence"))]
    pub(crate) fn sign(&self, _: &str) -> Option<String> {
        None
    }
}
