//! The signer port: download links, which are secrets, are minted on demand and never stored.

use std::fmt;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::key::ObjectKey;
use crate::time::Timestamp;

/// Mints download links for the objects of one target.
#[async_trait]
pub trait UrlSigner: Send + Sync + 'static {
    /// A link that fetches exactly the requested object by GET, and nothing else. Where whoever serves it
    /// can, HEAD tells what GET would: a service that signs the method, such as S3, does not.
    ///
    /// It stops working at `expires_at` of the answer, which is no later than the request's; where it
    /// is earlier, `limited_by` says why. The same request gives a link with the same expiry,
    /// unless what limits it has changed.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) if the expiry is past, or further ahead than the longest
    /// validity of [`limits`](Self::limits). The shortest is for requests only: a repeat asks for what
    /// is left of a link.
    async fn sign(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error>;

    /// Takes back all links to the object that were signed before this call; what is signed afterwards works.
    /// A signer around another one passes this on.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) where single links cannot be taken back, as here: the
    /// message says what can be done. [`Unavailable`](crate::ErrorKind::Unavailable) if they may still work.
    async fn revoke(&self, _key: &ObjectKey) -> Result<(), Error> {
        let message = "links of this target cannot be revoked: rotate what signs them, or wait until they expire";
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    /// The range of validity that this signer can sign.
    fn limits(&self) -> LinkLimits;
}

/// The link that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRequest {
    /// The object.
    pub key: ObjectKey,
    /// The whole second from which on the link no longer works.
    pub expires_at: Timestamp,
}

/// The range of validity of a signer's links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkLimits {
    /// The shortest validity, in hours.
    pub valid_hours_min: u32,
    /// The longest validity, in hours.
    pub valid_hours_max: u32,
}

/// A minted link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedUrl {
    /// The link itself.
    pub link: Link,
    /// When it really stops working.
    pub expires_at: Timestamp,
    /// Why that is earlier than asked for, such as the life of the signer's credentials.
    pub limited_by: Option<String>,
}

/// A download link. Whoever has it can download, so `Debug` does not show it and there is no
/// `Display`; [`expose`](Self::expose) does, and so does `Serialize`, for the response that hands
/// the link out.
///
/// ```
/// let link = distribution_core::Link::new("https://media.example/clip.mp4?s=secret");
/// assert_eq!(format!("{link:?}"), "Link(redacted)");
/// assert!(link.expose().ends_with("secret"));
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Link(String);

impl Link {
    /// The link with this text.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The link's text, secret included.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link(redacted)")
    }
}
