//! Which bucket, where, and with whose credentials.

use std::env;
use std::fmt;

use distribution_core::{Error, ErrorKind};
use reqwest::Url;
use zeroize::Zeroizing;

use super::address::Addressing;
use crate::uri::StoreUri;

const FIELD: &str = "target";

/// A bucket of S3, or of a service that speaks its protocol, and how to reach it.
///
/// ```
/// use distribution_backends::S3Config;
///
/// let config = S3Config::from_uri("s3://media/mvp?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=us-east-1")?;
/// assert!(S3Config::from_uri("s3://media?regionn=us-east-1").is_err());
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone)]
pub struct S3Config {
    pub(crate) bucket: String,
    /// What every key is below: empty, or ends with `/`.
    pub(crate) prefix: String,
    pub(crate) region: String,
    pub(crate) endpoint: Url,
    pub(crate) addressing: Addressing,
    /// Where links point to.
    pub(crate) public_endpoint: Url,
    pub(crate) public_addressing: Addressing,
    pub(crate) keys: Option<Keys>,
    /// Whether a checksum that the store has computed may stand for reading back.
    pub(crate) attested: bool,
    /// What is created is kept in it; in the service's own choice if there is none.
    pub(crate) storage_class: Option<String>,
    /// Whether it keeps what is held under legal holds of its own.
    pub(crate) object_lock: bool,
}

/// An access key, instead of what the environment has.
#[derive(Clone)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: Zeroizing<String>,
}

impl S3Config {
    /// The bucket that the URI names: `s3://bucket/prefix`, and after `?` any of
    ///
    /// * `region`: else `AWS_REGION`, `AWS_DEFAULT_REGION`, or `us-east-1` where there is an endpoint;
    /// * `endpoint`: the service's URL; else `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or AWS;
    /// * `addressing`: `path` (default where there is an endpoint), `virtual` (default for AWS, unless the
    ///   bucket's name has a dot), as in [`Addressing`];
    /// * `public_endpoint`, `public_addressing`: the same for links, if viewers reach the bucket under
    ///   another URL; here the addressing may be `bucket` too.
    ///
    /// Values are percent-encoded. Credentials are never part of it: they come from
    /// [`keys`](Self::keys), or from the usual places of AWS, in order: the environment
    /// (`AWS_ACCESS_KEY_ID`, …), `~/.aws`, SSO, a web identity, ECS, and EC2.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything else, naming the settings that there are.
    pub fn from_uri(uri: &str) -> Result<Self, Error> {
        Self::parse(uri, |name| env::var(name).ok().filter(|value| !value.is_empty())).map_err(|error| error.at(FIELD))
    }

    fn parse(uri: &str, env: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let mut uri = StoreUri::parse(uri, "s3")?;
        let region = uri.take("region").or_else(|| env("AWS_REGION")).or_else(|| env("AWS_DEFAULT_REGION"));
        let endpoint = uri.take("endpoint").or_else(|| env("AWS_ENDPOINT_URL_S3")).or_else(|| env("AWS_ENDPOINT_URL"));
        let addressing = uri.take("addressing").map(|text| addressing("addressing", &text)).transpose()?;
        if addressing == Some(Addressing::Bucket) {
            return Err(invalid("only links can have addressing `bucket`: set public_addressing"));
        }
        let public_endpoint =
            uri.take("public_endpoint").map(|url| endpoint_url("public_endpoint", &url)).transpose()?;
        let public = uri.take("public_addressing").map(|text| self::addressing("public_addressing", &text));
        let public_addressing = public.transpose()?;
        let (bucket, prefix) = (uri.container.clone(), uri.prefix.clone());
        uri.finish()?;

        let region = match (region, &endpoint) {
            (Some(region), _) => checked_region(region)?,
            (None, Some(_)) => "us-east-1".to_owned(),
            (None, None) => return Err(invalid("the region is not known: add ?region=… or set AWS_REGION")),
        };
        let is_own = endpoint.is_some() || bucket.contains('.');
        let addressing = addressing.unwrap_or(if is_own { Addressing::Path } else { Addressing::Virtual });
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let endpoint = endpoint.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com{suffix}"));
        let endpoint = endpoint_url("endpoint", &endpoint)?;
        let public_endpoint = public_endpoint.unwrap_or_else(|| endpoint.clone());
        let public_addressing = public_addressing.unwrap_or(addressing);
        for (endpoint, addressing) in [(&endpoint, addressing), (&public_endpoint, public_addressing)] {
            if addressing == Addressing::Virtual && endpoint.domain().is_none() {
                let message = "an endpoint that is an IP address has no bucket in its name: use addressing=path";
                return Err(invalid(message));
            }
        }
        Ok(Self {
            bucket,
            prefix,
            region,
            endpoint,
            addressing,
            public_endpoint,
            public_addressing,
            keys: None,
            attested: false,
            storage_class: None,
            object_lock: false,
        })
    }

    /// The same with this access key instead of what the environment has.
    #[must_use]
    pub fn keys(self, id: impl Into<String>, secret: impl Into<String>) -> Self {
        Self { keys: Some(Keys { id: id.into(), secret: Zeroizing::new(secret.into()) }), ..self }
    }

    /// The bucket and its service, as a [`Probe`](crate::Probe) of it names them.
    pub fn place(&self) -> String {
        format!("s3://{} at {}", self.bucket, self.endpoint)
    }

    /// The same, where a SHA-256 that the store has computed over the whole object that it stored may
    /// stand for reading it back, if the store is found to check what it is told. A publisher believes
    /// it only if its policy accepts [`StoreAttested`](distribution_core::Verification::StoreAttested).
    #[must_use]
    pub fn attested(self, attested: bool) -> Self {
        Self { attested, ..self }
    }

    /// The same, where what is published is created in this storage class, such as `STANDARD_IA` or `GLACIER_IR`
    /// ("Amazon S3 storage classes", Amazon S3 User Guide). Without it none is asked for, and the service takes its
    /// default: STANDARD in S3. Opening a storage refuses `GLACIER` and `DEEP_ARCHIVE`, where nothing can be read back
    /// and so proven: let a lifecycle rule of the bucket move objects there later. One that is there is
    /// [told](distribution_core::ObjectStat::is_archived), and reading it is an error of kind
    /// [`Archived`](ErrorKind::Archived) until it is restored.
    ///
    /// The probe's own objects are created in it, too. They are small and soon removed, and some classes charge for a
    /// least size and time of each.
    #[must_use]
    pub fn storage_class(self, class: impl Into<String>) -> Self {
        Self { storage_class: Some(class.into()), ..self }
    }

    /// The same, where the bucket keeps what is [held](distribution_core::Publisher::hold) under legal holds of its own
    /// ("Locking objects with Object Lock", Amazon S3 User Guide): no rule of the bucket ends it, and nobody destroys it
    /// but who may lift legal holds, as these credentials may. Opening a storage tries whether it does, and refuses a
    /// bucket without Object Lock. On AWS, `s3:PutObjectLegalHold` and `s3:GetObjectLegalHold` must be allowed, and
    /// `s3:DeleteObjectVersion` below `distribution-probe/` in the target's prefix, where the trial is destroyed.
    ///
    /// A bucket with Object Lock keeps versions. A removal hides the object there, and what is under no hold stays until
    /// a lifecycle rule of the bucket ends old versions. A hold is on the version that is seen. Where somebody else hides
    /// it or puts something over it, a [scrub](distribution_core::Publisher::scrub) finds the object lost; the version
    /// stays held, also after a release, until that is lifted at the bucket.
    ///
    /// Without this, no legal hold is placed, and those that others have placed are respected if the service tells of
    /// them: on AWS that takes `s3:GetObjectLegalHold`.
    #[must_use]
    pub fn object_lock(self, object_lock: bool) -> Self {
        Self { object_lock, ..self }
    }
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("region", &self.region)
            .field("endpoint", &self.endpoint.as_str())
            .finish_non_exhaustive()
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn addressing(setting: &str, text: &str) -> Result<Addressing, Error> {
    match text {
        "path" => Ok(Addressing::Path),
        "virtual" => Ok(Addressing::Virtual),
        "bucket" => Ok(Addressing::Bucket),
        _ => Err(invalid(&format!("{setting} is one of `path`, `virtual` and `bucket`"))),
    }
}

/// The text is never told: somebody may have put a password into it.
fn endpoint_url(setting: &str, text: &str) -> Result<Url, Error> {
    let is_endpoint = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && (url.username(), url.password()) == ("", None)
            && (url.path(), url.query(), url.fragment()) == ("/", None, None)
    };
    let url = Url::parse(text).ok().filter(is_endpoint);
    url.ok_or_else(|| invalid(&format!("the {setting} is not like https://host:port: correct it")))
}

/// The region becomes a part of host names and signatures.
fn checked_region(region: String) -> Result<String, Error> {
    let is_sound = !region.is_empty() && region.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if is_sound { Ok(region) } else { Err(invalid("the region is not of letters, digits and `-`")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(uri: &str) -> Result<S3Config, Error> {
        S3Config::parse(uri, |_| None)
    }

    #[test]
    fn aws_needs_a_region_and_an_endpoint_brings_its_own() {
        let aws = parse("s3://media?region=eu-west-1").unwrap();
        assert_eq!(aws.endpoint.as_str(), "https://s3.eu-west-1.amazonaws.com/");
        assert_eq!(aws.addressing, Addressing::Virtual);
        assert!(parse("s3://media").is_err());

        let own = parse("s3://media/mvp?endpoint=http://127.0.0.1:9000").unwrap();
        assert_eq!((own.region.as_str(), own.addressing), ("us-east-1", Addressing::Path));
        assert_eq!(own.prefix, "mvp/");
        assert_eq!(parse("s3://a.b?region=eu-west-1").unwrap().addressing, Addressing::Path);
    }

    #[test]
    fn the_environment_fills_in_what_the_uri_leaves_out() {
        let env = |name: &str| match name {
            "AWS_REGION" => Some("eu-north-1".to_owned()),
            "AWS_ENDPOINT_URL" => Some("https://store.example".to_owned()),
            _ => None,
        };
        let config = S3Config::parse("s3://media?region=eu-west-1", env).unwrap();
        assert_eq!((config.region.as_str(), config.endpoint.host_str()), ("eu-west-1", Some("store.example")));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_being_told() {
        for wrong in [
            "s3://media?region=eu-west-1&acess_key_id=secret",
            "s3://media?endpoint=ftp://secret",
            "s3://media?endpoint=http://user:secret@host",
            "s3://media?endpoint=http://host/secret",
            "s3://media?endpoint=http://host?secret",
            "s3://media?endpoint=secret:9000",
            "s3://media?region=secret.example/",
            "s3://media?region=x&addressing=secret",
            "s3://media?region=x&addressing=bucket",
            "s3://media?endpoint=http://127.0.0.1&addressing=virtual",
        ] {
            let error = parse(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let config = parse("s3://media?region=x").unwrap().keys("id", "secret");
        assert!(!format!("{config:?}").contains("secret"));
    }
}
