//! Download links under HMAC-SHA256: what signs them and what lets them through, in one type.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use data_encoding::BASE64URL_NOPAD;
use distribution_core::{
    BaseUrl, Error, ErrorKind, Link, LinkLimits, LinkRequest, ObjectKey, SignedUrl, Timestamp, UrlSigner,
};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::disposition::{ContentDisposition, Disposition};
use super::key::{HmacKey, is_key_id};
use super::revocations::Revocations;

const VALID_HOURS_MIN: u32 = 1;
const VALID_HOURS_MAX: u32 = 168;
/// How far the verifier's clock may be behind the signer's.
const CLOCK_SKEW_SECS: i64 = 60;
const MAC_BYTES: usize = 32;

/// Signs the links of a download route, such as the one of the feature `serve`, and verifies them there.
///
/// A link is `{base}/{key}?d={disposition}&e={expiry}&k={key id}&r={revocations}&s={signature}`, in exactly this
/// form. The disposition is `inline` or `attachment`, and where the file has another name than in its key, a
/// dot and that name as UTF-8 in base64url; the expiry is in whole seconds since 1970 without leading
/// zeros, and so is how often the object's links were revoked before; all base64url is without padding (RFC 4648 §5). The
/// signature is HMAC-SHA256 (RFC 2104) over eight lines, joined by `\n`, none of which can hold one:
///
/// ```text
/// distribution-link/v2
/// GET                           the methods: GET stands for GET and HEAD
/// https://media.example/files   the audience: the base, as in the link
/// mvp/clip-0123456789ab.mp4     the object's key
/// inline                        the disposition, as in the link
/// 1767571200                    the expiry
/// 2026-01                       the id of the key that signs
/// 0                             the revocations
/// ```
///
/// To replace a key, let every verifier [`accept`](Self::accept) the new one, then sign with it and
/// accept the old one for as long as its links live. To revoke all links of a key, stop accepting it;
/// to revoke those of one object, give the signer [`revocations`](Self::revocations).
///
/// ```
/// use distribution_backends::{HmacKey, HmacSigner};
/// use distribution_core::{LinkRequest, ObjectKey, UrlSigner};
///
/// # futures::executor::block_on(async {
/// let signer = HmacSigner::new("https://media.example/files", HmacKey::new("2026-01", [7; 32])?)?;
/// let now = "2026-01-02T00:00:00Z".parse().unwrap();
/// let wanted = LinkRequest {
///     key: ObjectKey::parse("mvp/clip.mp4")?,
///     expires_at: "2026-01-05T00:00:00Z".parse().unwrap(),
/// };
/// let signed = signer.sign(&wanted, now).await?;
/// let (path, query) = signed.link.expose().split_once('?').unwrap();
/// assert_eq!(path, "https://media.example/files/mvp/clip.mp4");
///
/// let grant = signer.verify("GET", "mvp/clip.mp4", query, now).await.unwrap();
/// assert_eq!(grant.expires_at, wanted.expires_at);
/// assert_eq!(grant.disposition.to_string(), "inline; filename=\"clip.mp4\"");
/// assert!(signer.verify("GET", "mvp/other.mp4", query, now).await.is_err());
/// # Ok::<(), distribution_core::Error>(())
/// # }).unwrap();
/// ```
pub struct HmacSigner {
    base: BaseUrl,
    signing: HmacKey,
    accepted: Vec<HmacKey>,
    /// Stands in for unknown keys, so that they take as long as known ones.
    unknown: HmacKey,
    naming: Option<Naming>,
    revocations: Option<Arc<dyn Revocations>>,
}

/// Says what a browser does with an object's file.
type Naming = Arc<dyn Fn(&ObjectKey) -> ContentDisposition + Send + Sync>;

/// What a genuine, living link allows: to read this object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The object.
    pub key: ObjectKey,
    /// What the answer says that a browser does with it.
    pub disposition: ContentDisposition,
    /// When the link stops working.
    pub expires_at: Timestamp,
}

/// Why a link is not let through.
#[derive(Clone, Debug)]
pub enum Refused {
    /// It is not good. Why is not said: it would help only who forges links.
    Denied,
    /// It was good until it was revoked. Who asks is to be answered as with any other that is not good, unless the
    /// object itself was taken back.
    Revoked(ObjectKey),
    /// It would be good, but whether it was revoked is not known.
    Unknown(Error),
}

impl HmacSigner {
    /// A signer for links below `base`, under this key.
    ///
    /// The base is what viewers see of the download route, such as `https://media.example/files`:
    /// `http` or `https`, a host, perhaps a port, perhaps a path of the characters that object keys
    /// have. Scheme and host count in lower case and one trailing slash is dropped.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for any other base.
    pub fn new(base: &str, signing: HmacKey) -> Result<Self, Error> {
        let base = BaseUrl::parse(base)?;
        Ok(Self {
            base,
            signing,
            accepted: Vec::new(),
            unknown: HmacKey::random("unknown")?,
            naming: None,
            revocations: None,
        })
    }

    /// The same signer, which also lets through what was signed with `key`.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) if it has a key with this id.
    pub fn accept(mut self, key: HmacKey) -> Result<Self, Error> {
        if self.keys().any(|known| known.id() == key.id()) {
            let message = format!("there are two keys with the id `{}`: give each its own", key.id());
            return Err(Error::invalid("signing_key.id", message));
        }
        self.accepted.push(key);
        Ok(self)
    }

    /// The same signer, whose links say what a browser does with a file and what it calls it: without, it is
    /// shown, under the name in its key. Whoever has a link cannot change it.
    ///
    /// ```
    /// use distribution_backends::{ContentDisposition, HmacKey, HmacSigner};
    ///
    /// let signer = HmacSigner::new("https://media.example/files", HmacKey::new("2026-01", [7; 32])?)?
    ///     .disposition(|key| ContentDisposition::attachment(format!("Episode {}", key.file_name())));
    /// # Ok::<(), distribution_core::Error>(())
    /// ```
    #[must_use]
    pub fn disposition(self, name: impl Fn(&ObjectKey) -> ContentDisposition + Send + Sync + 'static) -> Self {
        Self { naming: Some(Arc::new(name)), ..self }
    }

    /// The same signer, whose links can be [revoked](UrlSigner::revoke) object by object. All that sign and
    /// verify for this base need the same revocations: to one without any, no link was ever revoked.
    #[must_use]
    pub fn revocations(self, revocations: Arc<dyn Revocations>) -> Self {
        Self { revocations: Some(revocations), ..self }
    }

    /// Whether its links can be revoked one object at a time.
    #[cfg(all(feature = "serve", feature = "config"))]
    pub(crate) fn can_revoke(&self) -> bool {
        self.revocations.is_some()
    }

    /// What links begin with, in its one form: lower case, without a trailing slash.
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// Whether a request may read an object at `now`, and which.
    ///
    /// `path_key` is the raw path of the request behind the base and its slash, and `query` is the raw
    /// query behind the `?`: neither is percent-decoded, because no link of this signer is encoded.
    /// The method is GET or HEAD.
    ///
    /// # Errors
    /// [`Refused::Denied`] for anything but a link that this signer or one with an accepted key signed for
    /// this base, whose expiry is after `now` and no further away than a link can be valid; [`Refused::Revoked`] for
    /// one of these that was revoked.
    pub async fn verify(&self, method: &str, path_key: &str, query: &str, now: Timestamp) -> Result<Grant, Refused> {
        let (grant, revoked) = self.genuine(method, path_key, query, now).ok_or(Refused::Denied)?;
        let revoked_by_now = self.revoked(&grant.key).await.map_err(Refused::Unknown)?;
        if revoked < revoked_by_now { Err(Refused::Revoked(grant.key)) } else { Ok(grant) }
    }

    /// What a genuine, living link allows, and how often its object's links were revoked before it was signed.
    fn genuine(&self, method: &str, path_key: &str, query: &str, now: Timestamp) -> Option<(Grant, u64)> {
        let Claims { grant, key_id, revoked, signature } = Claims::parse(method, path_key, query)?;
        let known = self.keys().find(|key| key.id() == key_id);
        let mac = self.mac(known.unwrap_or(&self.unknown), &grant, key_id, revoked);
        let genuine = mac.verify_slice(&signature).is_ok();
        let living = now < grant.expires_at && grant.expires_at <= latest(now, CLOCK_SKEW_SECS);
        (known.is_some() && genuine && living).then_some((grant, revoked))
    }

    async fn revoked(&self, key: &ObjectKey) -> Result<u64, Error> {
        match &self.revocations {
            Some(revocations) => revocations.count(key).await,
            None => Ok(0),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &HmacKey> {
        std::iter::once(&self.signing).chain(&self.accepted)
    }

    /// The MAC of a link: the one place that says what is signed.
    fn mac(&self, key: &HmacKey, grant: &Grant, key_id: &str, revoked: u64) -> Hmac<Sha256> {
        let (base, object, expiry) = (&self.base, &grant.key, grant.expires_at.timestamp());
        let disposition = spell(&grant.disposition, object);
        let message =
            format!("distribution-link/v2\nGET\n{base}\n{object}\n{disposition}\n{expiry}\n{key_id}\n{revoked}");
        key.mac().chain_update(message)
    }
}

#[async_trait]
impl UrlSigner for HmacSigner {
    async fn sign(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error> {
        // Cut to the whole second that the link can say: earlier than asked for, if anything.
        let expires_at = DateTime::from_timestamp(link.expires_at.timestamp(), 0)
            .filter(|expires_at| now < *expires_at && *expires_at <= latest(now, 0))
            .ok_or_else(|| {
                let message = format!(
                    "a link can be valid for {VALID_HOURS_MIN} to {VALID_HOURS_MAX} hours, but this one would end at \
                     {} and it is {now}",
                    link.expires_at
                );
                Error::invalid("distribution_settings.url_expiry_hours", message)
            })?;
        let key = link.key.clone();
        let disposition = self.naming.as_ref().map_or_else(|| as_named(&key), |name| name(&key));
        let grant = Grant { key, disposition, expires_at };
        let (base, key, key_id) = (&self.base, &grant.key, self.signing.id());
        let (disposition, expiry) = (spell(&grant.disposition, key), expires_at.timestamp());
        let revoked = self.revoked(key).await?;
        let mac = self.mac(&self.signing, &grant, key_id, revoked).finalize().into_bytes();
        let signature = BASE64URL_NOPAD.encode(&mac);
        let url = format!("{base}/{key}?d={disposition}&e={expiry}&k={key_id}&r={revoked}&s={signature}");
        Ok(SignedUrl { link: Link::new(url), expires_at, limited_by: None })
    }

    async fn revoke(&self, key: &ObjectKey) -> Result<(), Error> {
        let revocations = self.revocations.as_ref().ok_or_else(|| {
            let message = format!(
                "this signer keeps no revocations: give it some, or replace its key `{}`, which revokes all its links",
                self.signing.id()
            );
            Error::new(ErrorKind::Unsupported, message)
        })?;
        revocations.revoke(key).await
    }

    fn limits(&self) -> LinkLimits {
        LinkLimits { valid_hours_min: VALID_HOURS_MIN, valid_hours_max: VALID_HOURS_MAX }
    }
}

impl fmt::Debug for HmacSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacSigner")
            .field("base", &self.base)
            .field("signing", &self.signing)
            .field("accepted", &self.accepted)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied => f.write_str("the link is not valid"),
            Self::Revoked(_) => f.write_str("the link was revoked"),
            Self::Unknown(error) => write!(f, "whether the link was revoked is not known: {error}"),
        }
    }
}

impl std::error::Error for Refused {}

/// The latest expiry that a link seen at `now` can have.
fn latest(now: Timestamp, skew_secs: i64) -> Timestamp {
    let longest = TimeDelta::hours(i64::from(VALID_HOURS_MAX)) + TimeDelta::seconds(skew_secs);
    now.checked_add_signed(longest).unwrap_or(Timestamp::MAX_UTC)
}

/// What a request claims, in the one form that a link has.
struct Claims<'a> {
    grant: Grant,
    key_id: &'a str,
    revoked: u64,
    signature: [u8; MAC_BYTES],
}

impl<'a> Claims<'a> {
    fn parse(method: &str, path_key: &str, query: &'a str) -> Option<Self> {
        if !matches!(method, "GET" | "HEAD") {
            return None;
        }
        let key = ObjectKey::parse(path_key).ok()?;
        let (disposition, rest) = query.strip_prefix("d=")?.split_once("&e=")?;
        let (expiry, rest) = rest.split_once("&k=")?;
        let (key_id, rest) = rest.split_once("&r=")?;
        let (revoked, signature) = rest.split_once("&s=")?;
        if !is_key_id(key_id) {
            return None;
        }
        let disposition = parse_disposition(disposition, &key)?;
        let expires_at = DateTime::from_timestamp(parse_decimal(expiry)?, 0)?;
        let revoked = parse_decimal(revoked)?.try_into().ok()?;
        let signature = parse_signature(signature)?;
        Some(Self { grant: Grant { key, disposition, expires_at }, key_id, revoked, signature })
    }
}

/// The disposition of those who choose none.
fn as_named(key: &ObjectKey) -> ContentDisposition {
    ContentDisposition::inline(key.file_name())
}

/// A disposition as links have it: with the name only where it is not the one in the key.
fn spell(wanted: &ContentDisposition, key: &ObjectKey) -> String {
    let disposition = wanted.disposition();
    if *wanted == ContentDisposition::new(disposition, key.file_name()) {
        return disposition.as_str().to_owned();
    }
    format!("{}.{}", disposition.as_str(), BASE64URL_NOPAD.encode(wanted.name().as_bytes()))
}

/// A disposition as this signer writes it.
fn parse_disposition(text: &str, key: &ObjectKey) -> Option<ContentDisposition> {
    let (disposition, name) = text.split_once('.').map_or((text, None), |(text, name)| (text, Some(name)));
    let disposition = [Disposition::Inline, Disposition::Attachment].into_iter().find(|d| d.as_str() == disposition)?;
    let parsed = match name {
        None => ContentDisposition::new(disposition, key.file_name()),
        Some(name) => {
            let name = String::from_utf8(BASE64URL_NOPAD.decode(name.as_bytes()).ok()?).ok()?;
            ContentDisposition::new(disposition, &name)
        }
    };
    (spell(&parsed, key) == text).then_some(parsed)
}

/// A whole number as this signer writes it: no sign, no leading zero.
fn parse_decimal(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text && number >= 0).then_some(number)
}

/// A signature as this signer writes it. The decoder refuses padding and trailing bits.
fn parse_signature(text: &str) -> Option<[u8; MAC_BYTES]> {
    let mut signature = [0; MAC_BYTES];
    if BASE64URL_NOPAD.decode_len(text.len()).ok()? != MAC_BYTES {
        return None;
    }
    BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut signature).ok()?;
    Some(signature)
}
