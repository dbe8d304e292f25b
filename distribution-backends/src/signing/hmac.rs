//! Download links under HMAC-SHA256: what signs them and what lets them through, in one type.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta};
use data_encoding::BASE64URL_NOPAD;
use distribution_core::{BaseUrl, Error, Link, LinkLimits, LinkRequest, ObjectKey, SignedUrl, Timestamp, UrlSigner};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

use super::key::{HmacKey, is_key_id};

const VALID_HOURS_MIN: u32 = 1;
const VALID_HOURS_MAX: u32 = 168;
/// How far the verifier's clock may be behind the signer's.
const CLOCK_SKEW_SECS: i64 = 60;
const MAC_BYTES: usize = 32;

/// Signs the links of a download route, such as the one of the feature `serve`, and verifies them there.
///
/// A link is `{base}/{key}?e={expiry}&k={key id}&s={signature}`, in exactly this form: the expiry in
/// whole seconds since 1970 without leading zeros, the signature in base64url without padding
/// (RFC 4648 §5). The signature is HMAC-SHA256 (RFC 2104) over six lines, joined by `\n`, none of
/// which can hold one:
///
/// ```text
/// distribution-link/v1
/// GET                           the methods: GET stands for GET and HEAD
/// https://media.example/files   the audience: the base, as in the link
/// mvp/clip-0123456789ab.mp4     the object's key
/// 1767571200                    the expiry
/// 2026-01                       the id of the key that signs
/// ```
///
/// To replace a key, let every verifier [`accept`](Self::accept) the new one, then sign with it and
/// accept the old one for as long as its links live; to revoke a key's links, stop accepting it.
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
/// let grant = signer.verify("GET", "mvp/clip.mp4", query, now).unwrap();
/// assert_eq!(grant.expires_at, wanted.expires_at);
/// assert!(signer.verify("GET", "mvp/other.mp4", query, now).is_err());
/// # Ok::<(), distribution_core::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct HmacSigner {
    base: BaseUrl,
    signing: HmacKey,
    accepted: Vec<HmacKey>,
    /// Stands in for unknown keys, so that they take as long as known ones.
    unknown: HmacKey,
}

/// What a genuine, living link allows: to read this object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The object.
    pub key: ObjectKey,
    /// When the link stops working.
    pub expires_at: Timestamp,
}

/// The link is not let through. Why is not said: it would help only who forges links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denied;

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
        Ok(Self { base, signing, accepted: Vec::new(), unknown: HmacKey::random("unknown")? })
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
    /// [`Denied`] for anything but a link that this signer or one with an accepted key signed for this
    /// base, whose expiry is after `now` and no further away than a link can be valid.
    pub fn verify(&self, method: &str, path_key: &str, query: &str, now: Timestamp) -> Result<Grant, Denied> {
        let Claims { grant, key_id, signature } = Claims::parse(method, path_key, query).ok_or(Denied)?;
        let known = self.keys().find(|key| key.id() == key_id);
        let mac = self.mac(known.unwrap_or(&self.unknown), &grant.key, grant.expires_at, key_id);
        let genuine = mac.verify_slice(&signature).is_ok();
        let living = now < grant.expires_at && grant.expires_at <= latest(now, CLOCK_SKEW_SECS);
        if known.is_some() && genuine && living { Ok(grant) } else { Err(Denied) }
    }

    fn keys(&self) -> impl Iterator<Item = &HmacKey> {
        std::iter::once(&self.signing).chain(&self.accepted)
    }

    /// The MAC of a link: the one place that says what is signed.
    fn mac(&self, key: &HmacKey, object: &ObjectKey, expires_at: Timestamp, key_id: &str) -> Hmac<Sha256> {
        let base = &self.base;
        let expiry = expires_at.timestamp();
        let message = format!("distribution-link/v1\nGET\n{base}\n{object}\n{expiry}\n{key_id}");
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
        let (base, key, key_id) = (&self.base, &link.key, self.signing.id());
        let signature = self.mac(&self.signing, key, expires_at, key_id).finalize().into_bytes();
        let url =
            format!("{base}/{key}?e={}&k={key_id}&s={}", expires_at.timestamp(), BASE64URL_NOPAD.encode(&signature));
        Ok(SignedUrl { link: Link::new(url), expires_at, limited_by: None })
    }

    fn limits(&self) -> LinkLimits {
        LinkLimits { valid_hours_min: VALID_HOURS_MIN, valid_hours_max: VALID_HOURS_MAX }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the link is not valid")
    }
}

impl std::error::Error for Denied {}

/// The latest expiry that a link seen at `now` can have.
fn latest(now: Timestamp, skew_secs: i64) -> Timestamp {
    let longest = TimeDelta::hours(i64::from(VALID_HOURS_MAX)) + TimeDelta::seconds(skew_secs);
    now.checked_add_signed(longest).unwrap_or(Timestamp::MAX_UTC)
}

/// What a request claims, in the one form that a link has.
struct Claims<'a> {
    grant: Grant,
    key_id: &'a str,
    signature: [u8; MAC_BYTES],
}

impl<'a> Claims<'a> {
    fn parse(method: &str, path_key: &str, query: &'a str) -> Option<Self> {
        if !matches!(method, "GET" | "HEAD") {
            return None;
        }
        let key = ObjectKey::parse(path_key).ok()?;
        let (expiry, rest) = query.strip_prefix("e=")?.split_once("&k=")?;
        let (key_id, signature) = rest.split_once("&s=")?;
        if !is_key_id(key_id) {
            return None;
        }
        let expires_at = DateTime::from_timestamp(parse_decimal(expiry)?, 0)?;
        let signature = parse_signature(signature)?;
        Some(Self { grant: Grant { key, expires_at }, key_id, signature })
    }
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
