//! What the service says of an object, with what opendal does not tell: the storage class, and a legal hold.

use bytes::Bytes;
use chrono::DateTime;
use distribution_core::{Error, ObjectKey, ObjectStat};
use http::header::{CONTENT_LENGTH, ETAG, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::S3Storage;
use super::class::is_archived;
use super::client::Call;
use super::failure::Failure;
use super::lock;
use crate::storage::opendal::{runtime, validator};

impl S3Storage {
    pub(super) async fn stat_object(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        runtime()?;
        let Some(headers) = self.head(key, HeaderMap::new()).await? else { return Ok(None) };
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let size = text(CONTENT_LENGTH).and_then(|size| size.parse().ok());
        let size = size.ok_or_else(|| {
            Error::unavailable(format!("cannot look at {key}: the service does not tell its size, so repeat"))
        })?;
        let modified = text(LAST_MODIFIED).and_then(|date| DateTime::parse_from_rfc2822(date).ok());
        Ok(Some(ObjectStat {
            size,
            modified: modified.map(|at| at.to_utc()),
            etag: validator(text(ETAG)),
            is_archived: is_archived(&headers),
            legal_hold: lock::told(&headers),
        }))
    }

    /// The SHA-256 that the service has of the object, in base64, if it has one.
    pub(super) async fn attested(&self, key: &ObjectKey) -> Result<Option<String>, Error> {
        let mode = (HeaderName::from_static("x-amz-checksum-mode"), HeaderValue::from_static("ENABLED"));
        let headers = self.head(key, HeaderMap::from_iter([mode])).await?.unwrap_or_default();
        let sha256 = headers.get("x-amz-checksum-sha256").and_then(|sha256| sha256.to_str().ok());
        Ok(sha256.map(str::to_owned))
    }

    /// The headers of the object; `None` if it is not there.
    pub(super) async fn head(&self, key: &ObjectKey, headers: HeaderMap) -> Result<Option<HeaderMap>, Error> {
        self.head_object(key, headers).await.map_err(|failure| failure.into_error(&format!("look at {key}")))
    }

    pub(super) async fn head_object(&self, key: &ObjectKey, headers: HeaderMap) -> Result<Option<HeaderMap>, Failure> {
        let (method, name, query, body) = (Method::HEAD, self.name(key), Vec::new(), Bytes::new());
        let call = Call { method, bucket: &self.bucket, name: &name, query, headers, body };
        match self.client.repeat(&call).await {
            Ok(answer) => Ok(Some(answer.headers)),
            // The answer to HEAD has no body, so a missing bucket looks the same as a missing object.
            Err(failure) if failure.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}
