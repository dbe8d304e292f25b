//! One multipart upload: begun, filled with parts, then completed or aborted.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use distribution_core::{Checksum, StagedObject};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use tokio::runtime::Handle;

use super::client::{Answer, Call, Client, copy_source};
use super::failure::Failure;
use super::headers::{IF_NONE_MATCH_ANY, set};
use super::xml::{self, CompleteMultipartUpload, CopyPartResult, InitiateMultipartUploadResult, Part};

/// No service has more ("Amazon S3 multipart upload limits").
pub(crate) const PARTS_MAX: u64 = 10_000;

/// An upload of which nobody sees anything before it is completed. One that is dropped is aborted as
/// far as that can be done; what a crash leaves is found by [`unfinished`](super::orphans).
pub(crate) struct Multipart {
    target: Target,
    is_open: bool,
}

#[derive(Clone)]
struct Target {
    client: Arc<Client>,
    bucket: String,
    name: String,
    id: String,
}

impl Multipart {
    /// Begins an upload of an object with these headers. Nothing is lost with a lost answer but an
    /// upload that stays unfinished.
    pub(crate) async fn begin(
        client: &Arc<Client>,
        bucket: &str,
        name: &str,
        headers: HeaderMap,
    ) -> Result<Self, Failure> {
        let query = vec![("uploads", String::new())];
        let call = Call { method: Method::POST, bucket, name, query, headers, body: Bytes::new() };
        let begun: InitiateMultipartUploadResult = xml::read(&client.repeat(&call).await?.body)?;
        Ok(Self { target: Target::new(client, bucket, name, begun.upload_id), is_open: true })
    }

    /// Aborts an upload that was begun elsewhere.
    pub(crate) async fn abort_known(client: &Arc<Client>, bucket: &str, name: &str, id: &str) -> Result<(), Failure> {
        Target::new(client, bucket, name, id.to_owned()).abort().await
    }

    /// Uploads the part with this number, from 1.
    pub(crate) async fn upload(&self, part_number: usize, bytes: Bytes) -> Result<Part, Failure> {
        let call = self.target.call(Method::PUT, Some(part_number), HeaderMap::new(), bytes);
        let answer = self.target.client.repeat(&call).await?;
        let etag = answer.headers.get(http::header::ETAG).and_then(|etag| etag.to_str().ok());
        let etag = etag.ok_or_else(|| Failure::lost("the answer to a part has no etag"))?.to_owned();
        Ok(Part { part_number, etag })
    }

    /// Has the service copy a range of an object that it has, or all of it, in the state that it had when
    /// it was opened. AWS gives no ranges of objects of up to 5 MiB.
    pub(crate) async fn copy(
        &self,
        part_number: usize,
        from: &StagedObject,
        range: Option<Range<u64>>,
    ) -> Result<Part, Failure> {
        let mut headers = HeaderMap::new();
        set(&mut headers, "x-amz-copy-source", &copy_source(&from.container, &from.name))?;
        set(&mut headers, "x-amz-copy-source-if-match", &from.etag)?;
        if let Some(range) = range {
            set(&mut headers, "x-amz-copy-source-range", &format!("bytes={}-{}", range.start, range.end - 1))?;
        }
        let call = self.target.call(Method::PUT, Some(part_number), headers, Bytes::new());
        let copied: CopyPartResult = xml::read(&self.target.client.repeat(&call).await?.body)?;
        Ok(Part { part_number, etag: copied.etag })
    }

    /// Makes the parts an object, unless there is one. Sent once: whoever gets no answer looks.
    pub(crate) async fn complete(mut self, mut parts: Vec<Part>) -> Result<Answer, Failure> {
        parts.sort_by_key(|part| part.part_number);
        let body = xml::write(&CompleteMultipartUpload { parts })?;
        let mut headers = HeaderMap::new();
        headers.insert(http::header::IF_NONE_MATCH, IF_NONE_MATCH_ANY);
        headers.insert(http::header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        headers.insert(
            HeaderName::from_static("x-amz-content-sha256"),
            HeaderValue::try_from(Checksum::of(&body).hex()).map_err(Failure::lost)?,
        );
        // From here on only the service knows whether it is open.
        self.is_open = false;
        let call = self.target.call(Method::POST, None, headers, body.into());
        let completed = self.target.client.once(&call).await;
        let completed = completed.and_then(|answer| match xml::root(&answer.body) == "CompleteMultipartUploadResult" {
            true => Ok(answer),
            false => Err(Failure::lost("the answer to the completion says nothing")),
        });
        if completed.as_ref().is_err_and(|failure| failure.status().is_some() && !failure.is_passing()) {
            self.is_open = true;
            self.abort().await;
        }
        completed
    }

    /// Gives the upload up. Where that fails, it stays unfinished, and no object comes of it.
    pub(crate) async fn abort(mut self) {
        self.is_open = false;
        if let Err(failure) = self.target.abort().await {
            tracing::debug!(code = failure.code(), "an upload could not be aborted");
        }
    }
}

impl Drop for Multipart {
    fn drop(&mut self) {
        if !self.is_open {
            return;
        }
        let target = self.target.clone();
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { target.abort().await });
        }
    }
}

impl Target {
    fn new(client: &Arc<Client>, bucket: &str, name: &str, id: String) -> Self {
        Self { client: Arc::clone(client), bucket: bucket.to_owned(), name: name.to_owned(), id }
    }

    fn call(&self, method: Method, part_number: Option<usize>, headers: HeaderMap, body: Bytes) -> Call<'_> {
        let number = part_number.map(|number| ("partNumber", number.to_string()));
        let query = number.into_iter().chain([("uploadId", self.id.clone())]).collect();
        Call { method, bucket: &self.bucket, name: &self.name, query, headers, body }
    }

    async fn abort(&self) -> Result<(), Failure> {
        self.client.repeat(&self.call(Method::DELETE, None, HeaderMap::new(), Bytes::new())).await.map(drop)
    }
}
