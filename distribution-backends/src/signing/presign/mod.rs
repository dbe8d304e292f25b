//! Download links that a storage service itself checks.

#[cfg(feature = "azblob")]
mod azblob;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(any(feature = "s3", feature = "azblob"))]
mod mac;
#[cfg(feature = "s3")]
mod s3;

use std::fmt;

use async_trait::async_trait;
use chrono::{SubsecRound as _, TimeDelta};
use distribution_core::{Error, ErrorKind, Link, LinkLimits, LinkRequest, ObjectKey, SignedUrl, Timestamp, UrlSigner};

use super::disposition::{ContentDisposition, Disposition};
#[cfg(feature = "azblob")]
use crate::storage::AzblobConfig;
#[cfg(feature = "gcs")]
use crate::storage::GcsConfig;
#[cfg(feature = "s3")]
use crate::storage::S3Config;

/// What a link's answer says its type is: all that is ever published.
const CONTENT_TYPE: &str = "video/mp4";
const VALID_HOURS_MIN: u32 = 1;
/// Seven days: the longest that S3 (`X-Amz-Expires`, "Authenticating Requests: Using Query Parameters", Amazon
/// S3 API Reference) and Google (`X-Goog-Expires`, "Signed URLs") allow. Azure does for links that are signed
/// with a user delegation key; one that is signed with the account's key could live forever, which no link
/// should, and one range for all lets a target move.
const VALID_HOURS_MAX: u32 = 168;

/// Signs links that the storage service itself checks: whoever has one downloads from there, and no
/// route of ours is in between.
///
/// A link fetches its object by GET, with the type `video/mp4` and a file name, both of which are under the
/// signature, for 168 hours at most. It works under the credentials that signed it, so it dies with them:
/// where they are known to end before the link should, signing is refused, or the link is
/// [bounded by them](Self::bounded_by_credentials). There is no link without credentials. To revoke links
/// before they expire, revoke the key that signed them.
///
/// | service | made by | signed with |
/// |---|---|---|
/// | S3 | `PresignSigner::s3` (feature `s3`) | the access key |
/// | Google Cloud Storage | `PresignSigner::gcs` (`gcs`) | the key of a service account |
/// | Azure Blob Storage | `PresignSigner::azblob` (`azblob`) | the account's key |
///
#[cfg_attr(feature = "s3", doc = "```")]
#[cfg_attr(not(feature = "s3"), doc = "```ignore")]
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
    service: Box<dyn Service>,
    disposition: Disposition,
    is_bounded: bool,
}

/// What one service adds: where its objects are, and how they are signed for.
#[async_trait]
trait Service: fmt::Debug + Send + Sync {
    /// Credentials that work now, and until then if there are such.
    async fn credentials(&self, now: Timestamp, until: Timestamp) -> Result<Box<dyn Credentials + '_>, Error>;
}

/// Credentials, and what they sign for.
trait Credentials: Send {
    /// When they end, if they do.
    fn end(&self) -> Result<Option<Timestamp>, Error> {
        Ok(None)
    }

    /// The link's text.
    fn sign(&self, order: &Order<'_>) -> Result<String, Error>;
}

/// What is to be signed.
struct Order<'a> {
    key: &'a ObjectKey,
    /// The whole second in which it is signed.
    #[cfg_attr(not(any(feature = "s3", feature = "gcs")), allow(dead_code, reason = "Azure signs the end alone"))]
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
    #[cfg(feature = "s3")]
    pub fn s3(config: S3Config) -> Result<Self, Error> {
        Ok(Self::of(s3::S3Links::new(config)?))
    }

    /// Links to the objects of this bucket: V4 signed URLs, signed with a service account's key.
    ///
    /// The key is in the file that [`with_key_file`](GcsConfig::with_key_file) or
    /// `GOOGLE_APPLICATION_CREDENTIALS` names, which is read for each link. The service account must be allowed
    /// to read the objects. Other credentials, such as a machine's from its metadata service, cannot sign by
    /// themselves, and having Google sign for them (`signBlob`) is not built.
    ///
    /// ```
    /// use distribution_backends::{GcsConfig, PresignSigner};
    ///
    /// let config = GcsConfig::from_uri("gs://media/mvp")?;
    /// let signer = PresignSigner::gcs(&config.with_key_file("/etc/distribution/signer.json"))?;
    /// # Ok::<(), distribution_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where no key file is named, [`ErrorKind::Invalid`] for an anonymous
    /// configuration, or an endpoint that cannot be one. Signing fails with [`ErrorKind::Unavailable`] where the
    /// file cannot be read, [`ErrorKind::Unsupported`] where it holds other credentials, or outside of a Tokio
    /// runtime, and [`ErrorKind::Invalid`] where it is broken.
    #[cfg(feature = "gcs")]
    pub fn gcs(config: &GcsConfig) -> Result<Self, Error> {
        Ok(Self::of(gcs::GcsLinks::new(config)?))
    }

    /// Links to the blobs of this container: each is a service SAS, signed with the account's key.
    ///
    /// They are for HTTPS only, unless the endpoint itself is `http://`. They point to
    /// [`endpoint`](AzblobConfig::endpoint), which may be changed to another name of the same account. HEAD works
    /// as GET does. There is no link without the account's key: those of a managed identity and the like,
    /// which need a user delegation key, are not built.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use distribution_backends::{AzblobConfig, PresignSigner};
    /// use distribution_core::{LinkRequest, ObjectKey, UrlSigner};
    ///
    /// let config = AzblobConfig::from_uri("az://media/mvp?account=studio")?;
    /// # let key = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWNyZXQ=";
    /// let signer = PresignSigner::azblob(&config.with_key(key))?;
    /// let now = "2026-01-02T00:00:00Z".parse().unwrap();
    /// let wanted = LinkRequest {
    ///     key: ObjectKey::parse("clip.mp4")?,
    ///     expires_at: "2026-01-05T00:00:00Z".parse().unwrap(),
    /// };
    /// let signed = signer.sign(&wanted, now).await?;
    /// assert!(signed.link.expose().starts_with("https://studio.blob.core.windows.net/media/mvp/clip.mp4?sp=r&"));
    /// # Ok::<(), distribution_core::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where there is no account key, [`ErrorKind::Invalid`] where there is no account,
    /// or the key cannot be one.
    #[cfg(feature = "azblob")]
    pub fn azblob(config: &AzblobConfig) -> Result<Self, Error> {
        Ok(Self::of(azblob::AzblobLinks::new(config)?))
    }

    fn of(service: impl Service + 'static) -> Self {
        Self { service: Box::new(service), disposition: Disposition::default(), is_bounded: false }
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
        let content_disposition = ContentDisposition::new(self.disposition, link.key.file_name()).to_string();
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

    async fn revoke(&self, _: &ObjectKey) -> Result<(), Error> {
        let message = "the storage service takes back no single link: rotate the credentials that signed it, which \
                       ends all of theirs, or wait until it expires";
        Err(Error::new(ErrorKind::Unsupported, message))
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
        let message = format!("a link cannot end at {expires_at:?}: one lives for {VALID_HOURS_MAX} hours at most");
        return Err(Error::invalid("distribution_settings.url_expiry_hours", message));
    }
    Ok(())
}
