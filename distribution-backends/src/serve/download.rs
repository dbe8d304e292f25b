//! The download route: serves the objects of a store to whoever has a link.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{OriginalUri, Request};
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use bytes::Bytes;
use distribution_core::{ByteStream, Clock, Error, ObjectKey, ObjectStat, Storage, Timestamp};
use futures::{Stream, StreamExt as _, stream};

use super::range::Selection;
use crate::signing::{Denied, Grant, HmacSigner};

/// When to try again if the store does not say.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(5);

/// The route that `signer`'s links lead to: GET and HEAD, whole or one range (RFC 9110 §14).
///
/// Mount it where the signer's base says: nested below the base's path, or as it is where the base
/// has none. It looks at the raw path that is left below the mount and at the raw query, which it
/// neither logs nor repeats.
///
/// * What is no living link gets 403, always the same, whatever is wrong with it or its method.
/// * A link whose object is not there gets 404; a store out of reach, 503 with `Retry-After`.
/// * The body is read from the store as fast as the client takes it. If the store fails on the way,
///   the connection breaks: what is cut off never looks complete.
///
/// How long a slow client may take is for the host to limit.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::Router;
/// use distribution_backends::{HmacSigner, serve};
/// use distribution_core::{Clock, Error, Storage};
///
/// fn host(storage: Arc<dyn Storage>, signer: HmacSigner, clock: Arc<dyn Clock>) -> Router {
///     // The signer's base is https://media.example/files.
///     Router::new().nest_service("/files", serve::router(storage, Arc::new(signer), clock))
/// }
/// ```
pub fn router(storage: Arc<dyn Storage>, signer: Arc<HmacSigner>, clock: Arc<dyn Clock>) -> Router {
    let download = Arc::new(Download { storage, signer, clock });
    // Every path and method, so that no answer of axum's own tells them apart.
    let route = any(move |request: Request| {
        let (download, (request, _)) = (Arc::clone(&download), request.into_parts());
        async move { download.answer(&request).await.unwrap_or_else(Refusal::into_response) }
    });
    Router::new().route("/", route.clone()).route("/{*key}", route)
}

struct Download {
    storage: Arc<dyn Storage>,
    signer: Arc<HmacSigner>,
    clock: Arc<dyn Clock>,
}

/// Why there is no object in the answer.
enum Refusal {
    Denied,
    Missing,
    Unsatisfiable { size: u64 },
    Failed(Error),
}

impl Download {
    async fn answer(&self, request: &Parts) -> Result<Response, Refusal> {
        let now = self.clock.now();
        let Grant { key, expires_at } = self.verify(request, now)?;
        let failed = |error: Error| {
            tracing::warn!(%key, %error, "the store could not serve a download");
            Refusal::Failed(error)
        };
        let stat = self.storage.stat(&key).await.map_err(failed)?.ok_or(Refusal::Missing)?;
        let mut headers = describe(&key, &stat, now, expires_at);
        let (status, range) = match Selection::of(&request.method, &request.headers, stat.size, headers.get(ETAG)) {
            Selection::Whole => (StatusCode::OK, 0..stat.size),
            Selection::Part(range) => {
                let (first, last) = (range.start, range.end.saturating_sub(1));
                set(&mut headers, CONTENT_RANGE, format!("bytes {first}-{last}/{}", stat.size));
                (StatusCode::PARTIAL_CONTENT, range)
            }
            Selection::Unsatisfiable => return Err(Refusal::Unsatisfiable { size: stat.size }),
        };
        let length = range.end.saturating_sub(range.start);
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if request.method == Method::HEAD {
            return Ok((status, headers, Body::empty()).into_response());
        }
        let body = self.storage.open(&key, range).await.map_err(failed)?.ok_or(Refusal::Missing)?;
        Ok((status, headers, Body::from_stream(exactly(length, body, key))).into_response())
    }

    fn verify(&self, request: &Parts, now: Timestamp) -> Result<Grant, Refusal> {
        let query = request.uri.query().unwrap_or_default();
        let path_key = raw_key(request).ok_or(Refusal::Denied)?;
        self.signer.verify(request.method.as_str(), path_key, query, now).map_err(|Denied| Refusal::Denied)
    }
}

impl Refusal {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        harden(&mut headers);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let (status, text) = match self {
            Self::Denied => (StatusCode::FORBIDDEN, "this link is not valid, or no longer\n"),
            Self::Missing => (StatusCode::NOT_FOUND, "there is no such file, or no longer\n"),
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
fn raw_key(request: &Parts) -> Option<&str> {
    let left = request.uri.path();
    let came = request.extensions.get::<OriginalUri>().map_or(left, |OriginalUri(uri)| uri.path());
    let mount = came.strip_suffix(left)?;
    if mount.ends_with('/') { None } else { left.strip_prefix('/') }
}

/// The headers of an object, whole or in part.
fn describe(key: &ObjectKey, stat: &ObjectStat, now: Timestamp, expires_at: Timestamp) -> HeaderMap {
    let mut headers = HeaderMap::new();
    harden(&mut headers);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    // The key's alphabet has nothing that would need escapes (RFC 6266).
    set(&mut headers, CONTENT_DISPOSITION, format!("inline; filename=\"{}\"", key.file_name()));
    // A browser's copy lives no longer than the link, and nobody on the way recodes it.
    let left_secs = (expires_at - now).num_seconds();
    set(&mut headers, CACHE_CONTROL, format!("private, no-transform, max-age={left_secs}"));
    if let Some(etag) = stat.etag.as_deref().filter(|etag| is_opaque_tag(etag)) {
        set(&mut headers, ETAG, format!("\"{etag}\""));
    }
    if let Some(modified) = stat.modified {
        // IMF-fixdate, and never in the future (RFC 9110 §5.6.7, §8.8.2.1).
        set(&mut headers, LAST_MODIFIED, modified.min(now).format("%a, %d %b %Y %H:%M:%S GMT").to_string());
    }
    headers
}

/// What keeps a browser from guessing the type, and the link out of other sites' logs.
fn harden(headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// Sets a header to text that is visible ASCII by construction; other text would be left out.
fn set(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

/// Whether the text can stand between the quotes of an `ETag` (RFC 9110 §8.8.3).
fn is_opaque_tag(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && b != b'"')
}

/// The same bytes, or an error if the store gives more or fewer than were announced.
fn exactly(length: u64, body: ByteStream, key: ObjectKey) -> impl Stream<Item = Result<Bytes, Error>> {
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
