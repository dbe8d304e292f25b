//! Whether a link works, found by fetching through it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use distribution_core::{Error, ErrorKind, Link, LinkLimits, LinkRequest, ObjectKey, SignedUrl};
use distribution_core::{Storage, Timestamp, UrlSigner, Viewer};
use futures::StreamExt as _;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, RANGE};
use reqwest::{Client, Response, StatusCode, Url};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::http;

/// How many bytes are fetched: of an MP4, the boxes that say what it is.
const FIRST_BYTES: u64 = 4_096;
const TIME_MAX: Duration = Duration::from_secs(15);

/// Fetches through links as a viewer's player would, and says what is wrong with one that does not work.
///
/// A link works if a request for its object's first bytes (4,096, or all that there are) is answered with these
/// bytes of the stored object, as part of one of its size (`206`, RFC 9110 §14.4), of the type `video/mp4`, not
/// encoded, and at once: no redirect is followed. The link is in no error and no event.
///
/// A probe tells what this machine sees. Links for other viewers or for later (`CloudFrontSigner::only_from`,
/// `not_before`) do not work from here, so they are not to be probed.
/// It needs a Tokio runtime with I/O and time enabled, asks no proxy, and trusts the system's certificates.
///
/// ```no_run
/// # async fn example(link: &distribution_core::Link) -> Result<(), distribution_core::Error> {
/// use distribution_backends::{LinkProbe, LocalDisk};
/// use distribution_core::ObjectKey;
///
/// let storage = LocalDisk::open("/srv/objects")?;
/// LinkProbe::new()?.check(link, &storage, &ObjectKey::parse("mvp/clip.mp4")?).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LinkProbe {
    client: Client,
    time_max: Duration,
}

/// A signer whose links have been tried when they are handed out: a publish or a fresh link fails where its link
/// does not work. What was published stays published, and a repeat tries again.
///
/// Each link costs one request, and a read of the storage. Of a download route, it must be up before anything is
/// published.
///
/// ```no_run
/// # fn example() -> Result<(), distribution_core::Error> {
/// use std::sync::Arc;
/// use distribution_backends::{HmacKey, HmacSigner, LinkProbe, LocalDisk, Probed};
///
/// let storage = Arc::new(LocalDisk::open("/srv/objects")?);
/// let key = HmacKey::load_or_create("/etc/distribution/link.key")?;
/// let signer = Arc::new(HmacSigner::new("https://media.example/files", key)?);
/// let signer = Probed::new(signer, storage, LinkProbe::new()?);
/// # Ok(())
/// # }
/// ```
pub struct Probed {
    signer: Arc<dyn UrlSigner>,
    storage: Arc<dyn Storage>,
    probe: LinkProbe,
}

impl LinkProbe {
    /// A probe that gives a link 15 seconds.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] if this machine has no certificates.
    pub fn new() -> Result<Self, Error> {
        let client = http::build(http::client_builder()?)?;
        Ok(Self { client, time_max: TIME_MAX })
    }

    /// The same, where a link has this long to answer with the bytes; connecting may take 10 seconds of it at most.
    #[must_use]
    pub fn time_max(self, time_max: Duration) -> Self {
        Self { time_max, ..self }
    }

    /// Tries a link to the object at `key` of `storage`.
    ///
    /// # Errors
    /// All name the object, what is wrong and a way out. [`ErrorKind::Unavailable`] if nobody answers in time, the
    /// connection breaks or the server has a fault, which a repeat may find gone; [`ErrorKind::Unsupported`] for
    /// any other answer, which it will not; [`ErrorKind::Corrupt`] if the object is missing or empty in the storage;
    /// and what the storage says.
    pub async fn check(&self, link: &Link, storage: &dyn Storage, key: &ObjectKey) -> Result<(), Error> {
        Handle::try_current().map_err(|error| {
            let message = "a link probe needs a Tokio runtime: call this from within one";
            Error::new(ErrorKind::Unsupported, message).because(error)
        })?;
        let stored = Stored::read(storage, key).await?;
        let fetched = timeout(self.time_max, self.fetch(link, &stored)).await;
        fetched.unwrap_or_else(|_| Err(stored.no_answer(self.time_max)))
    }

    async fn fetch(&self, link: &Link, stored: &Stored<'_>) -> Result<(), Error> {
        // The parser's error does not hold what it parsed.
        let url =
            Url::parse(link.expose()).map_err(|error| stored.unfit("is no URL: correct its base").because(error))?;
        let range = format!("bytes=0-{}", stored.last());
        let request = self.client.get(url).header(RANGE, range).header(ACCEPT_ENCODING, "identity");
        let response = request.send().await.map_err(|error| stored.unreachable(error))?;
        stored.judge_head(&response)?;
        let (mut body, mut first) = (response.bytes_stream(), Vec::new());
        while let Some(piece) = body.next().await {
            first.extend_from_slice(&piece.map_err(|error| stored.unreachable(error))?);
            if first.len() > stored.first.len() {
                return Err(stored.unfit("sends more bytes than it was asked for: have its server honour ranges"));
            }
        }
        stored.judge_bytes(&first)
    }
}

impl Probed {
    /// The same links, each tried against this storage, which must be the one whose objects are signed for.
    pub fn new(signer: Arc<dyn UrlSigner>, storage: Arc<dyn Storage>, probe: LinkProbe) -> Self {
        Self { signer, storage, probe }
    }
}

#[async_trait]
impl UrlSigner for Probed {
    async fn sign(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error> {
        let signed = self.signer.sign(link, now).await?;
        self.probe.check(&signed.link, &*self.storage, &link.key).await?;
        Ok(signed)
    }

    async fn revoke(&self, key: &ObjectKey) -> Result<(), Error> {
        self.signer.revoke(key).await
    }

    fn limits(&self) -> LinkLimits {
        self.signer.limits()
    }
}

/// The eyes of [`Publisher::doctor`](distribution_core::Publisher::doctor), by the system's clock.
#[async_trait]
impl Viewer for LinkProbe {
    async fn watch(&self, link: &Link, storage: &dyn Storage, key: &ObjectKey) -> Result<(), Error> {
        self.check(link, storage, key).await
    }

    async fn is_let_in(&self, link: &Link) -> Result<bool, Error> {
        let status = self.first_byte(link).await?.status();
        if status.is_server_error() {
            return Err(Error::unavailable(format!("a link's server has a fault (HTTP {}): repeat", status.as_u16())));
        }
        Ok(status.is_success() || status == StatusCode::RANGE_NOT_SATISFIABLE)
    }

    async fn metadata(&self, link: &Link) -> Result<Option<BTreeMap<String, String>>, Error> {
        let response = self.first_byte(link).await?;
        match response.status() {
            status if status.is_success() => Ok(metadata(response.headers())),
            status => {
                Err(Error::unavailable(format!("the link is not answered with a file (HTTP {})", status.as_u16())))
            }
        }
    }

    async fn wait_until(&self, at: Timestamp) {
        sleep((at - Utc::now()).to_std().unwrap_or_default()).await;
    }
}

impl LinkProbe {
    /// The answer to a request for one byte.
    async fn first_byte(&self, link: &Link) -> Result<Response, Error> {
        let request = self.client.get(link.expose()).header(RANGE, "bytes=0-0").timeout(self.time_max);
        let unanswered =
            |error: reqwest::Error| Error::unavailable("a link's server does not answer").because(error.without_url());
        request.send().await.map_err(unanswered)
    }
}

/// The metadata of an object, if the answer is of a service that tells of it: one that has other headers of its own.
/// Those of CloudFront say nothing of what is behind it.
fn metadata(headers: &HeaderMap) -> Option<BTreeMap<String, String>> {
    let names = || headers.keys().map(HeaderName::as_str).filter(|name| !name.starts_with("x-amz-cf-"));
    let service =
        ["x-amz-", "x-goog-", "x-ms-"].into_iter().find(|service| names().any(|name| name.starts_with(service)))?;
    let told = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(service)?.strip_prefix("meta-")?;
        Some((name.to_owned(), value.to_str().ok()?.to_owned()))
    });
    Some(told.collect())
}

impl fmt::Debug for LinkProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkProbe").field("time_max", &self.time_max).finish_non_exhaustive()
    }
}

impl fmt::Debug for Probed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probed").field("probe", &self.probe).finish_non_exhaustive()
    }
}

/// What the link must give.
struct Stored<'a> {
    key: &'a ObjectKey,
    size: u64,
    /// At least one byte.
    first: Vec<u8>,
}

impl<'a> Stored<'a> {
    async fn read(storage: &dyn Storage, key: &'a ObjectKey) -> Result<Self, Error> {
        let missing = || Error::corrupt(format!("{key} is not in its storage: restore it, then repeat"));
        let size = storage.stat(key).await?.ok_or_else(missing)?.size;
        let wanted = size.min(FIRST_BYTES);
        let mut body = storage.open(key, 0..wanted).await?.ok_or_else(missing)?;
        let mut first = Vec::new();
        while let Some(piece) = body.next().await {
            first.extend_from_slice(&piece?);
        }
        if first.is_empty() || first.len() as u64 != wanted {
            return Err(Error::corrupt(format!("{key} is empty or shorter than its storage says: restore it")));
        }
        Ok(Self { key, size, first })
    }

    /// The last byte that is asked for.
    fn last(&self) -> usize {
        self.first.len().saturating_sub(1)
    }

    fn judge_head(&self, response: &Response) -> Result<(), Error> {
        self.judge_status(response.status())?;
        if header(response, &CONTENT_ENCODING).is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
            return Err(self.unfit("is answered with a content coding: have its server send the file as it is"));
        }
        self.judge_range(header(response, &CONTENT_RANGE).unwrap_or_default())?;
        let media_type = header(response, &CONTENT_TYPE).and_then(|value| value.split(';').next());
        if !media_type.is_some_and(|found| found.trim().eq_ignore_ascii_case("video/mp4")) {
            let message = "is not answered with the type video/mp4: have the server, or the stored object, say so";
            return Err(self.unfit(message));
        }
        Ok(())
    }

    fn judge_status(&self, status: StatusCode) -> Result<(), Error> {
        let what = match status.as_u16() {
            206 => return Ok(()),
            200 => {
                "is answered whole, not with the range that was asked for: have its server honour ranges, without \
                    which players cannot seek"
            }
            300..=399 => "is redirected: correct its base, so that it leads to the object itself",
            401 | 403 => {
                "is refused: look whether its server knows the key that signed it and may read the object, and at both \
                 clocks"
            }
            404 | 410 => "leads to no object: look at its base, and whether its server reads this storage",
            408 | 425 | 429 | 500.. => {
                let message = format!(
                    "the link to {} has a server with a fault (HTTP {}): repeat later",
                    self.key,
                    status.as_u16()
                );
                return Err(Error::unavailable(message));
            }
            _ => "is not understood by its server: look at its base",
        };
        let (reason, way_out) = what.split_once(": ").unwrap_or((what, ""));
        Err(self.unfit(&format!("{reason} (HTTP {}): {way_out}", status.as_u16())))
    }

    /// Whether the range is of an object of this size (RFC 9110 §14.4).
    fn judge_range(&self, text: &str) -> Result<(), Error> {
        let (range, total) = text.split_once('/').unwrap_or_default();
        if let Ok(total) = total.parse::<u64>()
            && total != self.size
        {
            let message = format!(
                "leads to an object of {total} bytes, and the stored one has {}: look at its base, and empty the \
                 caches on its way",
                self.size
            );
            return Err(self.unfit(&message));
        }
        let expected = format!("bytes 0-{}", self.last());
        if !range.eq_ignore_ascii_case(&expected) || total != self.size.to_string() {
            let message = format!("is not answered with `{expected}/{}`: have its server honour ranges", self.size);
            return Err(self.unfit(&message));
        }
        Ok(())
    }

    fn judge_bytes(&self, first: &[u8]) -> Result<(), Error> {
        if first.len() < self.first.len() {
            return Err(self.unfit("sends fewer bytes than it was asked for: have its server honour ranges"));
        }
        if first != self.first {
            let message = "leads to other bytes than the stored object has: look at its base, and empty the caches on \
                           its way";
            return Err(self.unfit(message));
        }
        Ok(())
    }

    fn unfit(&self, what: &str) -> Error {
        Error::new(ErrorKind::Unsupported, format!("the link to {} {what}", self.key))
    }

    fn no_answer(&self, time_max: Duration) -> Error {
        let message = format!(
            "the link to {} did not give its first bytes within {} seconds: look at its server, then repeat",
            self.key,
            time_max.as_secs_f32()
        );
        Error::unavailable(message)
    }

    fn unreachable(&self, error: reqwest::Error) -> Error {
        let what = match () {
            () if error.is_builder() => return self.unfit("is no URL that can be fetched: correct its base"),
            () if error.is_connect() => "has a server that cannot be reached: look at its name, port and certificate",
            () => "broke while it was fetched: repeat",
        };
        Error::unavailable(format!("the link to {} {what}", self.key)).because(error.without_url())
    }
}

/// The header's value, if it is there once and printable.
fn header<'r>(response: &'r Response, name: &HeaderName) -> Option<&'r str> {
    let mut values = response.headers().get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}
