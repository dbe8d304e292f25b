//! Staged files from `https://` URLs of hosts on a list.

mod address;
mod answer;
mod body;
mod hosts;
mod ranges;
mod resolve;
mod settings;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Body, Error, ErrorKind, Source, Staged, VideoUrl};
use futures::StreamExt as _;
use reqwest::{Client, Response, Url};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use self::answer::Answer;
use self::hosts::Hosts;
use self::ranges::UrlRanges;
use self::settings::Settings;
use super::FIELD;

pub use self::resolve::Resolver;
pub use self::settings::HttpSourceBuilder;

/// Staged files from `https://` URLs of the hosts that were allowed, and of no other.
///
/// A request names a URL and this process, with its place in the network, fetches it. So all that is not
/// allowed is closed (server-side request forgery, CWE-918):
///
/// | refused | to open it |
/// |---|---|
/// | hosts and ports that are not on the list | [`host`](HttpSourceBuilder::host) for each |
/// | a host of which any address is not global, whenever it is connected to | [`private_host`](HttpSourceBuilder::private_host) with its range |
/// | schemes other than `https` | [`private_host_without_tls`](HttpSourceBuilder::private_host_without_tls); no other scheme |
/// | redirects | [`redirects_max`](HttpSourceBuilder::redirects_max), each held to the same rules |
/// | files without `Content-Length`, or of more bytes | [`size_max`](HttpSourceBuilder::size_max) |
/// | silence, and files that take too long for their size | [`silence_max`](HttpSourceBuilder::silence_max), [`time_max`](HttpSourceBuilder::time_max), [`bytes_per_sec_min`](HttpSourceBuilder::bytes_per_sec_min) |
/// | user names, passwords, hosts written in another way than they are read (`0x7f.1`) | nothing |
/// | content codings such as gzip, files without an etag or a time of modification | nothing: they cannot be pinned |
///
/// Proxies in the environment are not used. No cookie or credential is sent but what the URL itself holds,
/// such as the query of a presigned URL, which is no part of what identifies a publication and is neither
/// logged nor stored. Redirects leave it behind.
///
/// The pin is the strong etag, or else the time of modification (RFC 9110 §8.8), with the size.
/// A file is read with one `GET`, and looked into (by an [`Inspector`](distribution_core::Inspector)) with ranges; a
/// connection that is cut is an error, and the call is repeated from the start.
/// Works within a Tokio runtime.
///
/// ```
/// use distribution_backends::HttpSource;
/// use distribution_core::{Source, VideoUrl};
///
/// let source = HttpSource::builder()
///     .host("media.example")
///     .private_host("staging.intranet.example:8443", &["10.20.0.0/16"])
///     .build()?;
///
/// assert!(source.check(&VideoUrl::parse("https://media.example/clip.mp4?signature=…")?).is_ok());
/// let error = source.check(&VideoUrl::parse("https://169.254.169.254/latest/meta-data")?).unwrap_err();
/// assert_eq!(
///     error.message(),
///     "leads to a host that is not allowed: allowed is what begins with \
///      https://media.example/, https://staging.intranet.example:8443/"
/// );
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone)]
pub struct HttpSource(Arc<Inner>);

struct Inner {
    hosts: Hosts,
    settings: Settings,
}

impl HttpSource {
    /// A source that is allowed nothing yet.
    pub fn builder() -> HttpSourceBuilder {
        HttpSourceBuilder::new()
    }

    fn of(hosts: Hosts, settings: Settings) -> Self {
        Self(Arc::new(Inner { hosts, settings }))
    }

    /// Asks for the URL.
    async fn ask(&self, given: &VideoUrl) -> Result<Answer, Error> {
        let response = self.follow(given, None).await?;
        answer::judge(given, response, self.0.settings.size_max)
    }

    /// The answer to the URL, or to a range of it, following redirects as far as they are allowed.
    async fn follow(&self, given: &VideoUrl, range: Option<&Range<u64>>) -> Result<Response, Error> {
        let (mut url, mut client) = self.0.hosts.parse(given.expose())?;
        for _ in 0..=self.0.settings.redirects_max {
            let response = get(client, &url, range).await.map_err(|error| answer::failed(given, error))?;
            let Some(next) = answer::redirect(&url, &response) else {
                return Ok(response);
            };
            let next = next.map_err(|why| self.0.hosts.outside(why))?;
            client =
                self.0.hosts.client(&next).map_err(|error| {
                    Error::invalid(FIELD, format!("is redirected to a URL that {}", error.message()))
                })?;
            url = next;
        }
        let redirects = match self.0.settings.redirects_max {
            0 => {
                "is redirected, which is not followed: name the URL where the file is, or have redirects allowed".into()
            }
            max => format!("is redirected more than {max} times"),
        };
        Err(Error::invalid(FIELD, redirects))
    }
}

async fn get(client: &Client, url: &Url, range: Option<&Range<u64>>) -> Result<Response, reqwest::Error> {
    let mut request = client.get(url.clone()).header("accept-encoding", "identity");
    if let Some(range) = range {
        request = request.header("range", format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
    }
    request.send().await
}

#[async_trait]
impl Source for HttpSource {
    fn check(&self, url: &VideoUrl) -> Result<(), Error> {
        self.0.hosts.parse(url.expose()).map(|_| ())
    }

    async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error> {
        Handle::try_current().map_err(|error| {
            let message = "an HTTP source needs a Tokio runtime: call this from within one";
            Error::new(ErrorKind::Unsupported, message).because(error)
        })?;
        let (begun, settings) = (Instant::now(), &self.0.settings);
        let answer = timeout_at(begun + settings.time_for(0), self.ask(url)).await;
        let answer = answer.map_err(|_| answer::too_slow(url, settings.time_for(0)))??;
        let Answer::File { pin, response } = answer else { return Ok(None) };
        let time_max = settings.time_for(pin.size);
        let pieces = body::Pieces::new(url, response, pin.size, begun, time_max);
        let ranges = UrlRanges { source: self.clone(), url: url.clone(), pin: pin.clone() };
        Ok(Some(Staged { pin, body: Body::Stream(pieces.boxed()), ranges: Some(Box::new(ranges)) }))
    }
}

impl fmt::Debug for HttpSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpSource({})", self.0.hosts)
    }
}
