//! Staged files in buckets.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{Body, ByteStream, Error, Ranges, Source, SourcePin, Staged, StagedObject, VideoUrl};
use futures::stream::{self, StreamExt};
use http::header::{CONTENT_LENGTH, ETAG, IF_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::storage::s3::S3Config;
use crate::storage::s3::client::{Call, Client};
use crate::storage::s3::headers::set;

const FIELD: &str = "final_edit.video_url";
/// How much is asked for at a time, and how often at once.
const PIECE_BYTES: u64 = 4 << 20;
const PIECES: usize = 4;

/// Staged files in configured buckets of one service; nothing else is reached.
///
/// A `video_url` may be
/// * `s3://bucket/name`, below any of the configured prefixes, as it is written: names are not
///   percent-decoded;
/// * a path such as `edits/clip.mp4`, below the first of them.
///
/// `.` and `..` segments and names that hold `?` or `#` are refused. A file is read in the state in
/// which it was opened, or not at all (its etag is asked for with every request); and where the target
/// is an [`S3Storage`](crate::S3Storage) of the same service, it need not be read at all. Works within a Tokio runtime.
///
/// ```
/// use distribution_backends::{S3Config, S3Files};
/// use distribution_core::{Source, VideoUrl};
///
/// let source = S3Files::open(S3Config::from_uri("s3://staging/edits?region=eu-central-1")?)?;
/// assert!(source.check(&VideoUrl::parse("s3://staging/edits/clip.mp4")?).is_ok());
/// assert!(source.check(&VideoUrl::parse("s3://staging/secrets/clip.mp4")?).is_err());
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone)]
pub struct S3Files {
    client: Arc<Client>,
    /// The default first.
    roots: Vec<Root>,
}

/// A bucket, and what its names must begin with: nothing, or something that ends with `/`.
#[derive(Clone, PartialEq, Eq)]
struct Root {
    bucket: String,
    prefix: String,
}

impl S3Files {
    /// Files below the bucket and prefix of `config`.
    ///
    /// # Errors
    /// [`Unsupported`](distribution_core::ErrorKind::Unsupported) if this machine has no certificates.
    pub fn open(config: S3Config) -> Result<Self, Error> {
        let client = Arc::new(Client::new(&config)?);
        Ok(Self { client, roots: vec![Root { bucket: config.bucket, prefix: config.prefix }] })
    }

    /// Files below this bucket and prefix of the same service too, which only `s3://` URLs reach.
    #[must_use]
    pub fn also(mut self, bucket: impl Into<String>, prefix: impl Into<String>) -> Self {
        let mut prefix = prefix.into();
        if !prefix.is_empty() && !prefix.ends_with('/') {
            prefix.push('/');
        }
        self.roots.push(Root { bucket: bucket.into(), prefix });
        self
    }

    /// The bucket and the name in it that the URL stands for.
    fn resolve(&self, url: &VideoUrl) -> Result<(String, String), Error> {
        let text = url.expose();
        let (bucket, name) = match text.split_once("://") {
            Some(("s3", rest)) => {
                let (bucket, name) = rest.split_once('/').ok_or_else(|| self.outside("names no object"))?;
                (bucket.to_owned(), name.to_owned())
            }
            Some(_) => return Err(self.outside("has another scheme than `s3`")),
            None if text.starts_with('/') => return Err(self.outside("is a path of a machine")),
            None => {
                let root = self.roots.first().ok_or_else(|| self.outside("has no root"))?;
                (root.bucket.clone(), format!("{}{text}", root.prefix))
            }
        };
        if name.contains(['?', '#', '\\']) || name.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(self.outside("holds `?`, `#`, a backslash, or a segment of dots"));
        }
        let file_name = name.rsplit('/').next().unwrap_or_default();
        let is_within = self.roots.iter().any(|root| root.bucket == bucket && name.starts_with(root.prefix.as_str()));
        match is_within && !file_name.is_empty() {
            true => Ok((bucket, name)),
            false => Err(self.outside("is below no configured bucket and prefix")),
        }
    }

    fn outside(&self, why: &str) -> Error {
        let roots: Vec<_> = self.roots.iter().map(|root| format!("s3://{}/{}", root.bucket, root.prefix)).collect();
        Error::invalid(FIELD, format!("{why}: allowed are names below {}", roots.join(", ")))
    }
}

#[async_trait]
impl Source for S3Files {
    fn check(&self, url: &VideoUrl) -> Result<(), Error> {
        self.resolve(url).map(|_| ())
    }

    async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error> {
        let (bucket, name) = self.resolve(url)?;
        let task = format!("look at the staged {}", url.redacted());
        let call = request(Method::HEAD, &bucket, &name, HeaderMap::new());
        let found = match self.client.repeat(&call).await {
            Ok(answer) => answer.headers,
            // The answer to HEAD has no body, so a missing bucket looks the same as a missing object.
            Err(failure) if failure.status() == Some(StatusCode::NOT_FOUND) => return Ok(None),
            Err(failure) => return Err(failure.into_error(&task)),
        };
        let text = |header| found.get(header).and_then(|value: &HeaderValue| value.to_str().ok());
        let size = text(CONTENT_LENGTH).and_then(|size| size.parse::<u64>().ok());
        let (Some(size), Some(etag)) = (size, text(ETAG)) else {
            return Err(Error::unavailable(format!("cannot {task}: the service tells no size or etag, so repeat")));
        };
        let (pin, etag) = (SourcePin { size, tag: format!("etag-{}", etag.trim_matches('"')) }, etag.to_owned());
        let object = StagedObject { service: self.client.service().to_owned(), container: bucket, name, etag };
        let bytes = bytes(Arc::clone(&self.client), object.clone(), size);
        let ranges = Box::new(ObjectRanges { client: Arc::clone(&self.client), object: object.clone() });
        Ok(Some(Staged { pin, body: Body::Object { object, bytes }, ranges: Some(ranges) }))
    }
}

impl fmt::Debug for S3Files {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.roots.iter().map(|root| format!("s3://{}/{}", root.bucket, root.prefix))).finish()
    }
}

/// The object's bytes, a few pieces at a time, all of one state.
fn bytes(client: Arc<Client>, object: StagedObject, size: u64) -> ByteStream {
    let starts = stream::iter((0..size).step_by(PIECE_BYTES as usize));
    let pieces = starts.map(move |start| {
        let (client, object) = (Arc::clone(&client), object.clone());
        async move { piece(&client, &object, start..size.min(start + PIECE_BYTES)).await }
    });
    pieces.buffered(PIECES).boxed()
}

/// Parts of an object, in the state in which it was opened.
struct ObjectRanges {
    client: Arc<Client>,
    object: StagedObject,
}

#[async_trait]
impl Ranges for ObjectRanges {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        piece(&self.client, &self.object, range).await
    }
}

async fn piece(client: &Client, object: &StagedObject, range: Range<u64>) -> Result<Bytes, Error> {
    let failed = |why: &str| Error::unavailable(format!("cannot read the staged {}: {why}", object.name));
    let mut headers = HeaderMap::new();
    let pinned = set(&mut headers, IF_MATCH, &object.etag)
        .and_then(|()| set(&mut headers, "range", &format!("bytes={}-{}", range.start, range.end - 1)));
    pinned.map_err(|failure| failure.into_error("read the staged file"))?;
    let call = request(Method::GET, &object.container, &object.name, headers);
    let answer = client.repeat(&call).await.map_err(|failure| match failure.status() {
        Some(StatusCode::PRECONDITION_FAILED | StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE) => {
            failed("it changed or went away while it was read, so repeat")
        }
        _ => failure.into_error(&format!("read the staged {}", object.name)),
    })?;
    if answer.body.len() as u64 != range.end - range.start {
        return Err(failed("the service answers a range with another, so repeat"));
    }
    Ok(answer.body)
}

fn request<'a>(method: Method, bucket: &'a str, name: &'a str, headers: HeaderMap) -> Call<'a> {
    Call { method, bucket, name, query: Vec::new(), headers, body: Bytes::new() }
}
