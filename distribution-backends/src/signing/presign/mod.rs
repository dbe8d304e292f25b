//! Download links that a storage service itself checks.

mod s3;

use std::fmt;

use async_trait::async_trait;
use chrono::{SubsecRound as _, TimeDelta};
use distribution_core::{Error, ErrorKind, Link, LinkLimits, LinkRequest, ObjectKey, SignedUrl, Timestamp, UrlSigner};

use crate::storage::s3::S3Config;

use self::s3::S3Links;

/// What a link's answer says its type is: all that is ever published.
const CONTENT_TYPE: &str = "video/mp4";
const VALID_HOURS_MIN: u32 = 1;
/// Seven days, the longest that Signature Version 4 allows (`X-Amz-Expires`, "Authenticating Requests:
/// Using Query Parameters", Amazon S3 API Reference).
const VALID_HOURS_MAX: u32 = 168;

/// Signs links that the storage service itself checks: whoever has one downloads from there, and no
/// route of ours is in between.
///
/// A link fetches its object by GET, with the type `video/mp4` and a file name, both of which are under the
/// signature. It works under the credentials that signed it, so it dies with them: where they are known
/// to end before the link should, signing is refused, or the link is
/// [bounded by them](Self::bounded_by_credentials). There is no link without credentials. To revoke links
/// before they expire, revoke the access key that signed them.
///
/// ```
/// # futures::executor::block_on(async {
/// use distribution_backends::{PresignSigner, S3Config};
/// use distribution_core::{LinkRequest, ObjectKey, UrlSigner};
///
/// let config = S3Config::from_uri(
///     "s3://media?region=eu-central-1&public_endpoint=https%3A%2F%2Fmedia.example&public_addressing=bucket",
/// )?;
/// let signer = PresignSigner::s3(config.keys("AKIDEXAMPLE", "secret"))?;
/// let now = "2026-01-02T00:00:00Z".parse().unwrap();
/// let wanted = LinkRequest {
///     key: ObjectKey::parse("mvp/clip.mp4")?,
///     expires_at: "2026-01-05T00:00:00Z".parse().unwrap(),
/// };
/// let signed = signer.sign(&wanted, now).await?;
/// assert!(signed.link.expose().starts_with("https://media.example/mvp/clip.mp4?X-Amz-Algorithm="));
/// # Ok::<(), distribution_core::Error>(())
/// # }).unwrap();
/// ```
pub struct PresignSigner {
    service: S3Links,
    disposition: Disposition,
    is_bounded: bool,
}

/// What a browser does with the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disposition {
    /// It plays it (RFC 6266).
    #[default]
    Inline,
    /// It saves it.
    Attachment,
}

/// What is to be signed.
struct Order<'a> {
    key: &'a ObjectKey,
    /// The whole second in which it is signed.
    now: Timestamp,
    expires_at: Timestamp,
    content_type: Option<&'a str>,
    content_disposition: Option<&'a str>,
}

impl PresignSigner {
    /// Links to the objects of this bucket.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if this machine has no certificates.
    pub fn s3(config: S3Config) -> Result<Self, Error> {
        Ok(Self { service: S3Links::new(config)?, disposition: Disposition::default(), is_bounded: false })
    }

    /// The same, where browsers do that with the file.
    #[must_use]
    pub fn disposition(self, disposition: Disposition) -> Self {
        Self { disposition, ..self }
    }

    /// The same, where a link that should live longer than the credentials ends when they do, and says so
    /// ([`limited_by`](SignedUrl::limited_by)).
    #[must_use]
    pub fn bounded_by_credentials(self) -> Self {
        Self { is_bounded: true, ..self }
    }

    /// When a link that should end at `expires_at` ends, under credentials that do at `credentials_end`.
    fn end(&self, expires_at: Timestamp, credentials_end: Option<Timestamp>) -> Result<Timestamp, Error> {
        match credentials_end.map(|end| end.trunc_subsecs(0)) {
            Some(end) if end < expires_at && self.is_bounded => Ok(end),
            Some(end) if end < expires_at => {
                let message = format!(
                    "the credentials end at {end:?}, before the link should at {expires_at:?}: ask for a shorter \
                     link, sign with credentials that live longer, or let them bound it"
                );
                Err(Error::invalid("distribution_settings.url_expiry_hours", message))
            }
            _ => Ok(expires_at),
        }
    }
}

#[async_trait]
impl UrlSigner for PresignSigner {
    async fn sign(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error> {
        check(link.expires_at, now)?;
        let now = now.trunc_subsecs(0);
        let credentials = self.service.credentials(now, link.expires_at).await?;
        let expires_at = self.end(link.expires_at, credentials.end()?)?;
        check(expires_at, now)?;
        let disposition = match self.disposition {
            Disposition::Inline => "inline",
            Disposition::Attachment => "attachment",
        };
        // A key is of characters that need no quoting.
        let content_disposition = format!("{disposition}; filename=\"{}\"", link.key.file_name());
        let order = Order {
            key: &link.key,
            now,
            expires_at,
            content_type: Some(CONTENT_TYPE),
            content_disposition: Some(&content_disposition),
        };
        let limited_by = (expires_at < link.expires_at).then(|| "the signing credentials end then".to_owned());
        Ok(SignedUrl { link: Link::new(credentials.sign(&order)?), expires_at, limited_by })
    }

    fn limits(&self) -> LinkLimits {
        LinkLimits { valid_hours_min: VALID_HOURS_MIN, valid_hours_max: VALID_HOURS_MAX }
    }
}

impl fmt::Debug for PresignSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PresignSigner").field(&self.service).finish()
    }
}

fn check(expires_at: Timestamp, now: Timestamp) -> Result<(), Error> {
    let left = expires_at - now.trunc_subsecs(0);
    if expires_at <= now || expires_at != expires_at.trunc_subsecs(0) {
        let message = format!("a link cannot end at {expires_at:?}: ask for a whole second that is still to come");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    if left > TimeDelta::hours(i64::from(VALID_HOURS_MAX)) {
        let message = format!(
            "a link cannot end at {expires_at:?}: the service lets one live for {VALID_HOURS_MAX} hours at most"
        );
        return Err(Error::invalid("distribution_settings.url_expiry_hours", message));
    }
    Ok(())
}
