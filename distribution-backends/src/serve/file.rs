//! An object as an answer: what every route does once the reader may have it.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::OriginalUri;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use distribution_core::{ByteStream, Error, ErrorKind, ObjectKey, ObjectStat, Storage, Timestamp};
use futures::{Stream, StreamExt as _, stream};

use super::condition::{Outcome, Validators};
use super::multipart::Multipart;
use super::pace::paced;
use super::range::Selection;
use super::retractions::Retractions;
use crate::signing::ContentDisposition;

/// When to try again if the store does not say.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);

/// The objects of a store, as answers.
pub(super) struct Files {
    pub(super) storage: Arc<dyn Storage>,
    /// Who can tell that one was taken back; else nobody is asked.
    pub(super) retractions: Option<Retractions>,
}

/// What a reader may have.
pub(super) struct Wanted {
    pub(super) key: ObjectKey,
    pub(super) disposition: ContentDisposition,
    pub(super) cache_control: String,
}

/// Why there is no object in the answer.
pub(super) enum Refusal {
    Denied,
    Missing,
    Retracted,
    /// Its store keeps it where it cannot be read.
    Archived,
    Precondition,
    Unsatisfiable {
        size: u64,
    },
    Failed(Error),
}

impl Files {
    /// The object in whole or in part, or why not. The request is a GET or HEAD that may read it.
    pub(super) async fn answer(
        &self,
        request: &Parts,
        Wanted { key, disposition, cache_control }: Wanted,
        now: Timestamp,
    ) -> Result<Response, Refusal> {
        let failed = |error: Error| {
            if error.kind() == ErrorKind::Archived {
                return Refusal::Archived;
            }
            tracing::warn!(%key, %error, "the store could not serve a download");
            Refusal::Failed(error)
        };
        if let Some(retractions) = self.retractions.as_ref().filter(|retractions| !retractions.of_dead_links) {
            retractions.check(&key).await?;
        }
        let stat = self.storage.stat(&key).await.map_err(failed)?.ok_or(Refusal::Missing)?;
        if stat.is_archived {
            return Err(Refusal::Archived);
        }
        let mut headers = describe(&stat, now);
        set(&mut headers, CONTENT_DISPOSITION, disposition.to_string());
        set(&mut headers, CACHE_CONTROL, cache_control);
        let validators = Validators::new(headers.get(ETAG), stat.modified, now);
        match validators.outcome(&request.headers) {
            Outcome::Proceed => {}
            Outcome::NotModified => return Ok(not_modified(headers, stat.size)),
            Outcome::Failed => return Err(Refusal::Precondition),
        }
        let (status, range, parts) = match Selection::of(&request.method, &request.headers, stat.size, &validators) {
            Selection::Whole => (StatusCode::OK, 0..stat.size, None),
            Selection::Part(range) => {
                let (first, last) = (range.start, range.end.saturating_sub(1));
                set(&mut headers, CONTENT_RANGE, format!("bytes {first}-{last}/{}", stat.size));
                (StatusCode::PARTIAL_CONTENT, range, None)
            }
            Selection::Parts(first, others) => {
                let parts = Multipart::new(&first, others, stat.size, MP4).map_err(failed)?;
                set(&mut headers, CONTENT_TYPE, parts.content_type());
                (StatusCode::PARTIAL_CONTENT, first, Some(parts))
            }
            Selection::Unsatisfiable => return Err(Refusal::Unsatisfiable { size: stat.size }),
        };
        let length = length_of(&range);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(parts.as_ref().map_or(length, Multipart::length)));
        if request.method == Method::HEAD {
            return Ok((status, headers, Body::empty()).into_response());
        }
        let first = self.storage.open(&key, range).await.map_err(failed)?.ok_or(Refusal::Missing)?;
        let first = exactly(length, first, key.clone());
        let body = match parts {
            None => Body::from_stream(paced(Box::pin(first))),
            Some(parts) => Body::from_stream(paced(Box::pin(parts.body(first, Arc::clone(&self.storage), key)))),
        };
        Ok((status, headers, body).into_response())
    }
}

/// The headers of an object, whole or in part.
fn describe(stat: &ObjectStat, now: Timestamp) -> HeaderMap {
    let mut headers = HeaderMap::new();
    harden(&mut headers);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MP4));
    if let Some(etag) = stat.etag.as_deref().filter(|etag| is_opaque_tag(etag)) {
        set(&mut headers, ETAG, format!("\"{etag}\""));
    }
    if let Some(modified) = stat.modified {
        // IMF-fixdate, and never in the future (RFC 9110 §5.6.7, §8.8.2.1).
        set(&mut headers, LAST_MODIFIED, modified.min(now).format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    }
    headers
}

const MP4: &str = "video/mp4";

impl Refusal {
    pub(super) fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        harden(&mut headers);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let (status, text) = match self {
            Self::Denied => (StatusCode::FORBIDDEN, "this link is not valid, or no longer\n"),
            Self::Missing => (StatusCode::NOT_FOUND, "there is no such file, or no longer\n"),
            Self::Retracted => (StatusCode::GONE, "this file was taken back\n"),
            Self::Archived => (StatusCode::CONFLICT, "this file is in an archive, and must be restored first\n"),
            Self::Precondition => {
                (StatusCode::PRECONDITION_FAILED, "the file is another one than the request is for\n")
            }
            Self::Unsatisfiable { size } => {
                set(&mut headers, CONTENT_RANGE, format!("bytes */{size}"));
                headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
                (StatusCode::RANGE_NOT_SATISFIABLE, "the file ends before this range\n")
            }
            Self::Failed(error) if error.is_retryable() => {
                let wait = error.retry_after().unwrap_or(RETRY_AFTER_DEFAULT);
                let wait_secs = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
                headers.insert(RETRY_AFTER, HeaderValue::from(wait_secs.max(1)));
                (StatusCode::SERVICE_UNAVAILABLE, "the file is out of reach for now: try again\n")
            }
            Self::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the file cannot be served\n"),
        };
        (status, headers, text).into_response()
    }
}

/// The raw path below the mount, without the slash between them.
///
/// axum takes a nested route's prefix away and, of `/files//clip.mp4`, one slash too many, so that
/// two paths would lead to one object: the path as it came must be the mount and what is left.
pub(super) fn raw_key(request: &Parts) -> Option<&str> {
    let left = request.uri.path();
    let came = request.extensions.get::<OriginalUri>().map_or(left, |OriginalUri(uri)| uri.path());
    let mount = came.strip_suffix(left)?;
    if mount.ends_with('/') { None } else { left.strip_prefix('/') }
}

/// 304 has the headers that a cache needs and no body. A `Content-Length` may only be the whole file's
/// (RFC 9110 §8.6), and axum would add that of the empty body.
fn not_modified(mut headers: HeaderMap, size: u64) -> Response {
    headers.remove(CONTENT_TYPE);
    headers.remove(CONTENT_DISPOSITION);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    (StatusCode::NOT_MODIFIED, headers, Body::empty()).into_response()
}

pub(super) fn length_of(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}

/// What keeps a browser from guessing the type, and the link out of other sites' logs.
pub(super) fn harden(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Sets a header to text that is visible ASCII by construction; other text would be left out.
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// Whether the text can stand between the quotes of an `ETag` (RFC 9110 §8.8.3).
fn is_opaque_tag(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && b != b'"')
}

/// The same bytes, or an error if the store gives more or fewer than were announced.
pub(super) fn exactly(length: u64, body: ByteStream, key: ObjectKey) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::try_unfold((length, body, key), |(left, mut body, key)| async move {
        let step = match body.next().await {
            Some(Ok(bytes)) => match left.checked_sub(bytes.len() as u64) {
                Some(left) => Ok(Some((bytes, left))),
                None => Err(Error::corrupt("the store gave more bytes than it has")),
            },
            Some(Err(error)) => Err(error),
            None if left == 0 => Ok(None),
            None => Err(Error::unavailable("the store's bytes ended early")),
        };
        match step {
            Ok(step) => Ok(step.map(|(bytes, left)| (bytes, (left, body, key)))),
            Err(error) => {
                tracing::warn!(%key, %error, "a download broke off");
                Err(error)
            }
        }
    })
}
