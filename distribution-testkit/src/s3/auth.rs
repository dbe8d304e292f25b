//! Who asks, and whether the request is the one that was signed: Signature Version 4
//! ("Authenticating Requests (AWS Signature Version 4)" in the Amazon S3 API Reference), in the
//! `Authorization` header or in the query of a presigned URL.

use std::fmt;

use chrono::{NaiveDateTime, TimeDelta};
use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use distribution_core::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest as _, Sha256};

use super::call::Call;
use super::fault::Fault;
use super::reply::{Refusal, not_implemented, refuse, xml_date};

/// How far a request's date may be from the server's.
const SKEW_MAX: TimeDelta = TimeDelta::minutes(15);
/// How long a presigned URL may be good for: 7 days.
const EXPIRES_SECS_MAX: i64 = 604_800;
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";

/// All but the unreserved characters of RFC 3986 ("UriEncode()").
const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A key that may do everything.
#[derive(Clone)]
pub struct Credentials {
    /// The public id.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: String,
    /// What requests have to show as well, if the credentials are temporary.
    pub session_token: Option<String>,
}

impl Credentials {
    /// Permanent ones.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        let (access_key_id, secret_access_key) = (access_key_id.into(), secret_access_key.into());
        Self { access_key_id, secret_access_key, session_token: None }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// What a signature claims, from a header or a query.
struct Claim<'a> {
    access_key_id: &'a str,
    day: &'a str,
    region: &'a str,
    scope: String,
    date: String,
    at: Timestamp,
    signed_headers: Vec<&'a str>,
    signature: &'a str,
    payload: &'a str,
    token: Option<&'a str>,
    is_query: bool,
}

/// Looks at the signature, the time and the payload's hash.
pub(super) fn verify(call: &Call, keys: &[Credentials], region: &str, now: Timestamp) -> Result<(), Refusal> {
    let is_query = call.query("X-Amz-Signature").is_some();
    let claim = match (call.header("authorization"), is_query) {
        (Some(_), true) => return Err(refuse("InvalidArgument", "Only one auth mechanism allowed.")),
        (Some(header), false) => from_header(call, header)?,
        (None, true) => from_query(call)?,
        (None, false) => return Err(refuse("AccessDenied", "Access Denied")),
    };
    let malformed = if is_query { "AuthorizationQueryParametersError" } else { "AuthorizationHeaderMalformed" };
    if claim.region != region {
        let message = format!("the region '{}' is wrong; expecting '{region}'", claim.region);
        return Err(refuse(malformed, message).with("Region", region));
    }
    if claim.date.get(..8) != Some(claim.day) {
        return Err(refuse(malformed, "Invalid credential date. Date is not the same as X-Amz-Date."));
    }
    in_time(call, &claim, now)?;
    all_signed(call, &claim)?;
    let known = keys.iter().find(|key| key.access_key_id == claim.access_key_id);
    let message = "The AWS Access Key Id you provided does not exist in our records.";
    let key = known.ok_or_else(|| refuse("InvalidAccessKeyId", message))?;
    if key.session_token.as_deref() != claim.token {
        return Err(refuse("InvalidToken", "The provided token is malformed or otherwise invalid."));
    }
    let canonical = canonical_request(call, &claim)?;
    let to_sign = format!("{ALGORITHM}\n{}\n{}\n{}", claim.date, claim.scope, hex_sha256(canonical.as_bytes()));
    let signature = HEXLOWER.decode(claim.signature.as_bytes()).unwrap_or_default();
    let signed =
        ["aws4_request", &to_sign].iter().fold(signing_key(key, &claim), |key, text| hmac(&key, text.as_bytes()));
    if signed != signature {
        let message = "The request signature we calculated does not match the signature you provided.";
        let refusal = refuse("SignatureDoesNotMatch", message);
        return Err(refusal.with("StringToSign", to_sign).with("CanonicalRequest", canonical));
    }
    Ok(())
}

/// Compares the body with the signed hash of it.
pub(super) fn payload(call: &Call) -> Result<(), Refusal> {
    let Some(claimed) = call.header("x-amz-content-sha256") else { return Ok(()) };
    if claimed == UNSIGNED || call.has(Fault::IgnoredPayloadHash) {
        return Ok(());
    }
    if HEXLOWER_PERMISSIVE.decode(claimed.as_bytes()).is_ok_and(|hash| hash.as_slice() == &*Sha256::digest(&call.body))
    {
        return Ok(());
    }
    let message = "The provided 'x-amz-content-sha256' header does not match what was computed.";
    let refusal = refuse("XAmzContentSHA256Mismatch", message).with("ClientComputedContentSHA256", claimed);
    Err(refusal.with("S3ComputedContentSHA256", hex_sha256(&call.body)))
}

/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…` ("Using the Authorization Header").
fn from_header<'a>(call: &'a Call, header: &'a str) -> Result<Claim<'a>, Refusal> {
    let malformed =
        |what: &str| refuse("AuthorizationHeaderMalformed", format!("The authorization header is malformed; {what}."));
    let fields = header.strip_prefix(ALGORITHM).ok_or_else(|| malformed("the algorithm is not AWS4-HMAC-SHA256"))?;
    let field = |name: &str| {
        let mut found = fields.split(',').filter_map(|field| field.trim().strip_prefix(name)?.strip_prefix('='));
        found.next().ok_or_else(|| malformed(&format!("{name} is missing")))
    };
    let message = "AWS authentication requires a valid Date or x-amz-date header";
    let date = call.header("x-amz-date").ok_or_else(|| refuse("AccessDenied", message))?;
    let at = parse_date(date).ok_or_else(|| refuse("AccessDenied", message))?;
    let message = "Missing required header for this request: x-amz-content-sha256";
    let payload = call.header("x-amz-content-sha256").ok_or_else(|| refuse("InvalidRequest", message))?;
    if payload.starts_with("STREAMING-") {
        return Err(not_implemented("a streaming payload"));
    }
    if payload != UNSIGNED && HEXLOWER.decode(payload.as_bytes()).map_or(true, |hash| hash.len() != 32) {
        let message = "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a valid sha256 value.";
        return Err(refuse("InvalidArgument", message));
    }
    let token = call.header("x-amz-security-token");
    let claim = (field("Credential")?, field("SignedHeaders")?, field("Signature")?);
    claimed(claim, (date, at), payload, token, false).ok_or_else(|| malformed("the Credential is mal-formed"))
}

/// "Using Query Parameters".
fn from_query(call: &Call) -> Result<Claim<'_>, Refusal> {
    let wrong = |what: &str| refuse("AuthorizationQueryParametersError", what);
    let missing = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
        X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.";
    let field = |name: &str| call.query(name).ok_or_else(|| wrong(missing));
    if field("X-Amz-Algorithm")? != ALGORITHM {
        return Err(wrong("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let date = field("X-Amz-Date")?;
    let at = parse_date(date)
        .ok_or_else(|| wrong("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\""))?;
    let payload = call.header("x-amz-content-sha256").or_else(|| call.query("X-Amz-Content-Sha256"));
    let token = call.query("X-Amz-Security-Token");
    let claim = (field("X-Amz-Credential")?, field("X-Amz-SignedHeaders")?, field("X-Amz-Signature")?);
    claimed(claim, (date, at), payload.unwrap_or(UNSIGNED), token, true)
        .ok_or_else(|| wrong("Error parsing the X-Amz-Credential parameter"))
}

fn claimed<'a>(
    (credential, headers, signature): (&'a str, &'a str, &'a str),
    (date, at): (&'a str, Timestamp),
    payload: &'a str,
    token: Option<&'a str>,
    is_query: bool,
) -> Option<Claim<'a>> {
    let (access_key_id, scope) = credential.split_once('/')?;
    let [day, region, "s3", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else { return None };
    Some(Claim {
        access_key_id,
        day,
        region,
        scope: scope.to_owned(),
        date: date.to_owned(),
        at,
        signed_headers: headers.split(';').collect(),
        signature,
        payload,
        token,
        is_query,
    })
}

fn in_time(call: &Call, claim: &Claim<'_>, now: Timestamp) -> Result<(), Refusal> {
    let age = now - claim.at;
    if !claim.is_query {
        if age.abs() > SKEW_MAX {
            let message = "The difference between the request time and the current time is too large.";
            let refusal = refuse("RequestTimeTooSkewed", message).with("RequestTime", &*claim.date);
            return Err(refusal.with("ServerTime", xml_date(now)).with("MaxAllowedSkewMilliseconds", "900000"));
        }
        return Ok(());
    }
    let wrong = |what: &str| refuse("AuthorizationQueryParametersError", what);
    let expires = call.query("X-Amz-Expires").unwrap_or_default();
    if expires.is_empty() {
        return Err(wrong("Query-string authentication requires X-Amz-Expires."));
    }
    let seconds: i64 = expires.parse().map_err(|_| wrong("X-Amz-Expires should be a number"))?;
    if seconds < 0 {
        return Err(wrong("X-Amz-Expires must be non-negative"));
    }
    if seconds > EXPIRES_SECS_MAX {
        return Err(wrong(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
        ));
    }
    if age < -SKEW_MAX {
        return Err(refuse("AccessDenied", "Request is not yet valid"));
    }
    let seconds = if call.has(Fault::EarlyExpiry) { seconds / 2 } else { seconds };
    let end = claim.at.checked_add_signed(TimeDelta::seconds(seconds)).unwrap_or(Timestamp::MAX_UTC);
    if now >= end && !call.has(Fault::IgnoredExpiry) {
        let refusal = refuse("AccessDenied", "Request has expired").with("X-Amz-Expires", expires);
        return Err(refusal.with("Expires", xml_date(end)).with("ServerTime", xml_date(now)));
    }
    Ok(())
}

/// The host, every `x-amz-` header and the content type have to be signed, and be there.
fn all_signed(call: &Call, claim: &Claim<'_>) -> Result<(), Refusal> {
    let is_signed = |name: &str| claim.signed_headers.contains(&name);
    let must = |name: &str| name.starts_with("x-amz-") || name == "content-type";
    let names = call.headers.keys().map(|name| name.as_str()).filter(|name| must(name));
    let unsigned: Vec<_> = names.chain(["host"]).filter(|name| !is_signed(name)).collect();
    if !unsigned.is_empty() {
        let refusal = refuse("AccessDenied", "There were headers present in the request which were not signed");
        return Err(refusal.with("HeadersNotSigned", unsigned.join(", ")));
    }
    if !claim.signed_headers.is_sorted() {
        return Err(refuse("SignatureDoesNotMatch", "The signed headers are not in order."));
    }
    Ok(())
}

/// "Task 1: Create a Canonical Request".
fn canonical_request(call: &Call, claim: &Claim<'_>) -> Result<String, Refusal> {
    let encoded = |text: &str| utf8_percent_encode(text, &ENCODED).to_string();
    let segment = |segment: &str| encoded(&percent_decode_str(segment).decode_utf8_lossy());
    let path: Vec<String> = call.path.split('/').map(segment).collect();
    let pairs = call.query.iter().filter(|(name, _)| name != "X-Amz-Signature");
    let mut query: Vec<String> = pairs.map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    query.sort();
    let mut headers = String::new();
    for name in &claim.signed_headers {
        let values: Vec<_> = match *name {
            "host" => vec![Some(call.host.as_str())],
            name => call.headers.get_all(name).iter().map(|value| value.to_str().ok()).collect(),
        };
        let values: Option<Vec<_>> = values.into_iter().collect();
        let values = values.filter(|values| !values.is_empty());
        let missing = || refuse("SignatureDoesNotMatch", format!("The signed header {name} is missing."));
        let values = values.ok_or_else(missing)?.iter().map(|value| trimmed(value)).collect::<Vec<_>>().join(",");
        headers += &format!("{name}:{values}\n");
    }
    let (path, query, names) = (path.join("/"), query.join("&"), claim.signed_headers.join(";"));
    Ok(format!("{}\n{path}\n{query}\n{headers}\n{names}\n{}", call.method, claim.payload))
}

/// Without spaces around it, and one for many within.
fn trimmed(value: &str) -> String {
    value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// "Task 3: Calculate Signature", but for its last two steps.
fn signing_key(key: &Credentials, claim: &Claim<'_>) -> Vec<u8> {
    let secret = format!("AWS4{}", key.secret_access_key).into_bytes();
    [claim.day, claim.region, "s3"].iter().fold(secret, |key, text| hmac(&key, text.as_bytes()))
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return Vec::new() };
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

pub(super) fn hex_sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

fn parse_date(text: &str) -> Option<Timestamp> {
    NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok().map(|at| at.and_utc())
}
