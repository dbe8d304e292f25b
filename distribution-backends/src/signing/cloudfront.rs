//! Download links that a CloudFront distribution checks.

use std::fmt;
use std::net::Ipv4Addr;

use async_trait::async_trait;
use chrono::{DateTime, SubsecRound as _, TimeDelta};
use data_encoding::BASE64;
use distribution_core::{
    BaseUrl, Error, ErrorKind, Link, LinkLimits, LinkRequest, ObjectKey, SignedUrl, Timestamp, UrlSigner,
};
use rustls::SignatureScheme;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use rustls::sign::Signer;
use zeroize::Zeroizing;

const VALID_HOURS_MIN: u32 = 1;
/// As for all other links: CloudFront itself knows no longest one.
const VALID_HOURS_MAX: u32 = 168;
/// The last second that `Expires` can say ("Create a signed URL using a canned policy").
const EXPIRES_MAX: i64 = i32::MAX as i64;
const KEY_PAIR_ID_BYTES_MAX: usize = 64;
/// RSA keys have 2,048 bits, neither more nor less.
const RSA_SIGNATURE_BYTES: usize = 256;

/// Signs the links of objects that a CloudFront distribution serves: whoever has one downloads from its nearest
/// edge, and CloudFront itself checks the link.
///
/// A link is a signed URL as the Amazon CloudFront Developer Guide has it, with a *canned policy* where only the
/// end is limited ([Create a signed URL using a canned policy][canned]), and else with a *custom policy* ([Create a
/// signed URL using a custom policy][custom]), signed over SHA-256, which `Hash-Algorithm` tells:
///
/// ```text
/// {base}/{key}?Expires={end}&Signature={signature}&Key-Pair-Id={id}&Hash-Algorithm=SHA256
/// {base}/{key}?Policy={policy}&Signature={signature}&Key-Pair-Id={id}&Hash-Algorithm=SHA256
/// ```
///
/// The distribution must serve the target's objects below the base, restrict viewer access to a key group that
/// has the public key, allow the methods GET and HEAD alone, and be the only way to the objects (an origin access
/// control). A download that has begun goes on when its link ends. Nothing here asks CloudFront, so a wrong id is
/// not noticed: `LinkProbe` (feature `link-probe`) fetches through a link. To revoke links before they end,
/// remove the public key from the key group.
///
/// ```
/// # fn made() -> String {
/// #     let args = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];
/// #     let made = std::process::Command::new("openssl").args(args).output().unwrap();
/// #     String::from_utf8(made.stdout).unwrap()
/// # }
/// # futures::executor::block_on(async {
/// use distribution_backends::CloudFrontSigner;
/// use distribution_core::{LinkRequest, ObjectKey, UrlSigner};
///
/// let private_key = made(); // "-----BEGIN PRIVATE KEY-----…", from a store of secrets
/// let signer = CloudFrontSigner::new("https://d111111abcdef8.cloudfront.net", "K2JCJMDEHXQW5F", &private_key)?;
/// let now = "2026-01-02T00:00:00Z".parse().unwrap();
/// let wanted = LinkRequest {
///     key: ObjectKey::parse("mvp/clip.mp4")?,
///     expires_at: "2026-01-05T00:00:00Z".parse().unwrap(),
/// };
/// let signed = signer.sign(&wanted, now).await?;
/// let start = "https://d111111abcdef8.cloudfront.net/mvp/clip.mp4?Expires=1767571200&Signature=";
/// assert!(signed.link.expose().starts_with(start));
/// # Ok::<(), distribution_core::Error>(())
/// # }).unwrap();
/// ```
///
/// [canned]: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-canned-policy.html
/// [custom]: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-creating-signed-url-custom-policy.html
pub struct CloudFrontSigner {
    base: String,
    key_pair_id: String,
    key: Box<dyn Signer>,
    not_before: Option<Timestamp>,
    viewers: Option<String>,
}

impl CloudFrontSigner {
    /// A signer of links below `base`, with the private key whose public key CloudFront knows as `key_pair_id`.
    ///
    /// The base is what viewers see: `https`, the distribution's name or an alternate domain name, perhaps a path
    /// of the characters that object keys have. It must lead to where the target's storage begins. The key is in
    /// PEM (RFC 7468): RSA of 2,048 bits in PKCS#8 or PKCS#1, or ECDSA on P-256 in PKCS#8 or SEC 1, which is faster
    /// and makes shorter links ([Create key pairs for your signers][keys]).
    ///
    /// [keys]: https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-trusted-signers.html
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for any other base, id or key. What was given is not repeated.
    pub fn new(base: &str, key_pair_id: &str, private_key: &str) -> Result<Self, Error> {
        let base = base_of(base).map_err(|wrong| Error::invalid("base_url", wrong))?;
        check_key_pair_id(key_pair_id).map_err(|wrong| Error::invalid("key_pair_id", wrong))?;
        let key = read_key(private_key).map_err(|wrong| Error::invalid("private_key", wrong))?;
        Ok(Self { base, key_pair_id: key_pair_id.to_owned(), key, not_before: None, viewers: None })
    }

    /// The same, whose links do not work until `start` is over, in whole seconds, rounded up (`DateGreaterThan`).
    /// A link that would end by then is refused.
    #[must_use]
    pub fn not_before(self, start: Timestamp) -> Self {
        let whole = start.trunc_subsecs(0);
        let next = whole.checked_add_signed(TimeDelta::seconds(1)).filter(|_| whole < start);
        Self { not_before: Some(next.unwrap_or(whole)), ..self }
    }

    /// The same, whose links work for viewers of this address, or range of addresses such as `192.0.2.0/24` (RFC
    /// 4632), alone (`IpAddress`). CloudFront knows only IPv4 here, so the distribution must not have IPv6 enabled.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything else.
    pub fn only_from(self, viewers: &str) -> Result<Self, Error> {
        let range = ipv4_range(viewers).ok_or_else(|| {
            let message = "must be one IPv4 address or range that begins with its first address, such as 192.0.2.0/24";
            Error::invalid("viewers", message)
        })?;
        Ok(Self { viewers: Some(range), ..self })
    }

    /// What links begin with, in its one form: lower case, without a trailing slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The query of a link to `url` that ends at `end`, in seconds since 1970.
    fn query(&self, url: &str, end: i64) -> Result<String, Error> {
        let policy = self.policy(url, end);
        let signature = self.key.sign(policy.as_bytes()).map_err(|error| {
            Error::new(ErrorKind::Unsupported, "the private key does not sign: use another one").because(error)
        })?;
        let limits = match self.is_canned() {
            true => format!("Expires={end}"),
            false => format!("Policy={}", encode(policy.as_bytes())),
        };
        let (signature, id) = (encode(&signature), &self.key_pair_id);
        Ok(format!("{limits}&Signature={signature}&Key-Pair-Id={id}&Hash-Algorithm=SHA256"))
    }

    /// The policy statement, in exactly the form that is signed. No part of it has a character to escape.
    fn policy(&self, url: &str, end: i64) -> String {
        let mut conditions = format!(r#""DateLessThan":{{"AWS:EpochTime":{end}}}"#);
        if let Some(start) = self.not_before {
            conditions += &format!(r#","DateGreaterThan":{{"AWS:EpochTime":{}}}"#, start.timestamp());
        }
        if let Some(viewers) = &self.viewers {
            conditions += &format!(r#","IpAddress":{{"AWS:SourceIp":"{viewers}"}}"#);
        }
        format!(r#"{{"Statement":[{{"Resource":"{url}","Condition":{{{conditions}}}}}]}}"#)
    }

    fn is_canned(&self) -> bool {
        self.not_before.is_none() && self.viewers.is_none()
    }
}

#[async_trait]
impl UrlSigner for CloudFrontSigner {
    async fn sign(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error> {
        let expires_at = end_of(link.expires_at, now)?;
        if let Some(start) = self.not_before.filter(|start| expires_at <= *start) {
            let message = format!("a link until {expires_at} would never work: links here begin at {start}");
            return Err(Error::invalid("distribution_settings.url_expiry_hours", message));
        }
        let url = format!("{}/{}", self.base, link.key);
        let query = self.query(&url, expires_at.timestamp())?;
        Ok(SignedUrl { link: Link::new(format!("{url}?{query}")), expires_at, limited_by: None })
    }

    async fn revoke(&self, _: &ObjectKey) -> Result<(), Error> {
        let message = "CloudFront takes back no single link: remove its public key from the trusted key group, which \
                       ends all links of that key, or wait until it expires";
        Err(Error::new(ErrorKind::Unsupported, message))
    }

    fn limits(&self) -> LinkLimits {
        LinkLimits { valid_hours_min: VALID_HOURS_MIN, valid_hours_max: VALID_HOURS_MAX }
    }
}

impl fmt::Debug for CloudFrontSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudFrontSigner")
            .field("base", &self.base)
            .field("key_pair_id", &self.key_pair_id)
            .field("not_before", &self.not_before)
            .field("viewers", &self.viewers)
            .finish_non_exhaustive()
    }
}

/// The whole second at which a link ends: earlier than asked for, if anything.
fn end_of(asked: Timestamp, now: Timestamp) -> Result<Timestamp, Error> {
    let longest = now.checked_add_signed(TimeDelta::hours(i64::from(VALID_HOURS_MAX))).unwrap_or(Timestamp::MAX_UTC);
    DateTime::from_timestamp(asked.timestamp(), 0)
        .filter(|end| now < *end && *end <= longest && end.timestamp() <= EXPIRES_MAX)
        .ok_or_else(|| {
            let message = format!(
                "a link can be valid for {VALID_HOURS_MIN} to {VALID_HOURS_MAX} hours, until January 2038, but this \
                 one would end at {asked} and it is {now}"
            );
            Error::invalid("distribution_settings.url_expiry_hours", message)
        })
}

/// The base in its one form. The messages do not repeat it: it may hold what it should not.
pub(crate) fn base_of(text: &str) -> Result<String, String> {
    let base = BaseUrl::parse(text).map_err(|error| error.message().to_owned())?.to_string();
    match base.starts_with("https://") {
        true => Ok(base),
        false => Err("must begin with `https://`: who sees a link can download".into()),
    }
}

/// Whether this may be the id of a public key at CloudFront.
pub(crate) fn check_key_pair_id(id: &str) -> Result<(), String> {
    if (1..=KEY_PAIR_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(());
    }
    Err("must be the id of a public key at CloudFront, such as K2JCJMDEHXQW5F: letters and digits".into())
}

/// A key that CloudFront can check. No message shows any of it.
fn read_key(pem: &str) -> Result<Box<dyn Signer>, String> {
    let (label, der) = decode_pem(pem).ok_or(
        "must be a private key in PEM, which begins with `-----BEGIN PRIVATE KEY-----` or `-----BEGIN RSA PRIVATE \
         KEY-----`",
    )?;
    let der = match label {
        "PRIVATE KEY" => PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.as_slice())),
        "RSA PRIVATE KEY" => PrivateKeyDer::Pkcs1(PrivatePkcs1KeyDer::from(der.as_slice())),
        "EC PRIVATE KEY" => PrivateKeyDer::Sec1(PrivateSec1KeyDer::from(der.as_slice())),
        _ => return Err("is encrypted or of an unknown form: write it with `openssl pkcs8 -topk8 -nocrypt`".into()),
    };
    const OTHER: &str = "must be an RSA key of 2,048 bits or an ECDSA key on P-256, which is all that CloudFront takes: \
                         make another one";
    let key = ring::sign::any_supported_type(&der).map_err(|_| OTHER)?;
    let key = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256, SignatureScheme::ECDSA_NISTP256_SHA256]);
    let key = key.ok_or(OTHER)?;
    let tried = key.sign(b"distribution").map_err(|_| OTHER)?;
    match key.scheme() == SignatureScheme::RSA_PKCS1_SHA256 && tried.len() != RSA_SIGNATURE_BYTES {
        true => Err(OTHER.into()),
        false => Ok(key),
    }
}

/// The label and content of the first private key of a PEM text (RFC 7468). What is decoded is overwritten when
/// dropped.
fn decode_pem(text: &str) -> Option<(&str, Zeroizing<Vec<u8>>)> {
    let (label, rest) = text.split("-----BEGIN ").skip(1).find_map(|section| {
        let (label, rest) = section.split_once("-----")?;
        label.ends_with("PRIVATE KEY").then_some((label, rest))
    })?;
    let (body, _) = rest.split_once(&format!("-----END {label}-----"))?;
    if label.starts_with("ENCRYPTED") || body.contains(':') {
        return Some(("ENCRYPTED PRIVATE KEY", Zeroizing::default()));
    }
    // Room for all of it, so that nothing moves.
    let mut base64 = Zeroizing::new(Vec::with_capacity(body.len()));
    base64.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let mut der = Zeroizing::new(vec![0; BASE64.decode_len(base64.len()).ok()?]);
    let length = BASE64.decode_mut(&base64, &mut der).ok()?;
    der.truncate(length);
    Some((label, der))
}

/// The range in the form that policies have.
fn ipv4_range(text: &str) -> Option<String> {
    let (address, bits) = text.split_once('/').unwrap_or((text, "32"));
    let (address, bits): (Ipv4Addr, u32) = (address.parse().ok()?, bits.parse().ok().filter(|bits| *bits <= 32)?);
    let host_bits = u32::MAX.checked_shr(bits).unwrap_or(0);
    (address.to_bits() & host_bits == 0).then(|| format!("{address}/{bits}"))
}

/// Base64 (RFC 2045 §6.8) with the characters that a query cannot have replaced, as both pages say.
fn encode(bytes: &[u8]) -> String {
    let valid = |c| match c {
        '+' => '-',
        '=' => '_',
        '/' => '~',
        other => other,
    };
    BASE64.encode(bytes).chars().map(valid).collect()
}
