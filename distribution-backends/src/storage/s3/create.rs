//! Storing an object: one request where it is small, parts where it is large, and a copy within the
//! service where the bytes are there already. Each ends in one commit that fails if the name is taken.

use std::ops::Range;
use std::pin::pin;

use bytes::Bytes;
use data_encoding::BASE64;
use distribution_core::{
    Body, Checksum, Content, CreateOutcome, Digest, Error, ErrorKind, Meter, ObjectKey, Proof, StagedObject,
    Storage as _, Unfit, Verification,
};
use futures::stream::{self, FuturesUnordered, StreamExt as _, TryStreamExt as _};
use http::header::IF_NONE_MATCH;
use http::{HeaderMap, Method, StatusCode};

use super::S3Storage;
use super::class;
use super::client::{Answer, Call, copy_source};
use super::failure::Failure;
use super::headers::{IF_NONE_MATCH_ANY, object_headers, set};
use super::multipart::{Multipart, PARTS_MAX};
use super::xml::{self, CopyObjectResult, Part};
use crate::probe::Ability;
use crate::storage::content::Parts;

/// Up to here an object is one request. Its bytes are in memory meanwhile.
pub(super) const PUT_BYTES_MAX: u64 = 16 << 20;
/// The size of a part, unless there would be too many.
const PART_BYTES: u64 = 16 << 20;
const PART_BYTES_MAX: u64 = 64 << 20;
/// How many bytes of parts are on their way at a time, unless two parts are more.
const IN_FLIGHT_BYTES: u64 = 64 << 20;
/// The size of a part that the service copies, unless there would be too many; 5 GiB is the most.
const COPY_PART_BYTES: u64 = 256 << 20;
const COPIES_IN_FLIGHT: usize = 4;
/// The largest object that is copied in one request ("CopyObject", Amazon S3 API Reference).
const COPY_BYTES_MAX: u64 = 5 << 30;

/// An object on its way.
pub(super) struct Creation<'a> {
    pub(super) storage: &'a S3Storage,
    pub(super) key: &'a ObjectKey,
    pub(super) wanted: Digest,
    pub(super) headers: HeaderMap,
    pub(super) meter: Meter,
}

/// An upload that lacks nothing but its completion.
pub(super) struct Ready {
    upload: Multipart,
    parts: Vec<Part>,
}

impl S3Storage {
    pub(super) async fn store(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let Content { size, expected: checksum, headers, body, meter } = content;
        let wanted = Digest { checksum, size };
        let mut headers = object_headers(&headers).map_err(|failure| failure.into_error(&format!("store {key}")))?;
        class::ask_for(self.class.as_ref(), &mut headers);
        let creation = Creation { storage: self, key, wanted, headers, meter };
        let body = match body {
            Body::Object { object, bytes } if self.copies(&object, size) => match creation.copy(&object).await? {
                Some(outcome) => return Ok(outcome),
                None => Body::Stream(bytes),
            },
            body => body,
        };
        if size <= PUT_BYTES_MAX && self.roads.put { creation.put(body).await } else { creation.upload(body).await }
    }

    /// Whether the service may copy the object itself. An empty one has no part that could be copied.
    fn copies(&self, object: &StagedObject, size: u64) -> bool {
        size > 0 && self.roads.copy_parts && object.service == self.client.service()
    }
}

impl Creation<'_> {
    /// One request, signed with the SHA-256 that the bytes must have: the service refuses others.
    async fn put(self, body: Body) -> Result<CreateOutcome, Error> {
        let mut parts = Parts::new(body, self.wanted, PUT_BYTES_MAX as usize).await?;
        let bytes = parts.next().await?.unwrap_or_default();
        // There is no second part, but there may be a byte too many.
        parts.next().await?;
        if let Some(unfit) = parts.verdict().await? {
            return Ok(CreateOutcome::Unfit(unfit));
        }
        let put = self.put_request(bytes).await;
        if put.is_ok() {
            self.meter.add(self.wanted.size);
        }
        let attested = match &put {
            // It is stored, whatever becomes of this look.
            Ok(_) if self.storage.roads.attests_put => self.storage.attested(self.key).await.ok().flatten(),
            _ => None,
        };
        self.conclude(put, attested).await
    }

    pub(super) async fn put_request(&self, body: Bytes) -> Result<Answer, Failure> {
        let mut headers = self.headers.clone();
        let checksum = self.wanted.checksum;
        headers.insert(IF_NONE_MATCH, IF_NONE_MATCH_ANY);
        set(&mut headers, "x-amz-content-sha256", &checksum.hex())?;
        set(&mut headers, "x-amz-checksum-sha256", &BASE64.encode(checksum.as_bytes()))?;
        // Without it some services take the checksum as it comes.
        set(&mut headers, "x-amz-sdk-checksum-algorithm", "SHA256")?;
        self.send(headers, body).await
    }

    /// Sent once: whoever gets no answer looks.
    async fn send(&self, headers: HeaderMap, body: Bytes) -> Result<Answer, Failure> {
        let name = self.storage.name(self.key);
        let (method, bucket) = (Method::PUT, self.storage.bucket.as_str());
        self.storage.client.once(&Call { method, bucket, name: &name, query: Vec::new(), headers, body }).await
    }

    /// Parts side by side, so that a slow one does not hold up the others.
    async fn upload(self, body: Body) -> Result<CreateOutcome, Error> {
        if !self.storage.roads.upload || self.part_bytes() > PART_BYTES_MAX {
            return Err(self.too_large());
        }
        if self.is_taken().await? {
            return Ok(CreateOutcome::AlreadyExists);
        }
        match self.ready(body).await? {
            Ok(ready) => self.complete(ready).await,
            Err(unfit) => Ok(CreateOutcome::Unfit(unfit)),
        }
    }

    /// Whether its name is taken, which saves moving the bytes: most often by itself, when the answer to an
    /// earlier commit was lost.
    async fn is_taken(&self) -> Result<bool, Error> {
        Ok(self.storage.stat(self.key).await?.is_some())
    }

    fn part_bytes(&self) -> u64 {
        self.wanted.size.div_ceil(PARTS_MAX).max(PART_BYTES)
    }

    /// Uploads the content; or says why it is not what is wanted.
    pub(super) async fn ready(&self, body: Body) -> Result<Result<Ready, Unfit>, Error> {
        let part_bytes = self.part_bytes();
        let parts = Parts::new(body, self.wanted, part_bytes as usize).await?;
        let upload = self.begin().await?;
        match self.fill(&upload, parts, (IN_FLIGHT_BYTES / part_bytes).max(2) as usize).await {
            Ok(Ok(parts)) => Ok(Ok(Ready { upload, parts })),
            Ok(Err(unfit)) => {
                upload.abort().await;
                Ok(Err(unfit))
            }
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }

    pub(super) async fn complete(&self, ready: Ready) -> Result<CreateOutcome, Error> {
        self.conclude(ready.upload.complete(ready.parts).await, None).await
    }

    /// Uploads all parts; or says why the content is not what is wanted.
    async fn fill(
        &self,
        upload: &Multipart,
        mut parts: Parts,
        in_flight: usize,
    ) -> Result<Result<Vec<Part>, Unfit>, Error> {
        let (mut uploads, mut done) = (FuturesUnordered::new(), Vec::new());
        for number in 1.. {
            let next = {
                // What is on its way goes on while the next part is read.
                let mut next = pin!(parts.next());
                loop {
                    tokio::select! {
                        part = &mut next, if uploads.len() < in_flight => break part?,
                        Some(part) = uploads.next() => done.push(part?),
                    }
                }
            };
            let Some(bytes) = next else { break };
            uploads.push(self.upload_part(upload, number, bytes));
        }
        done.extend(uploads.try_collect::<Vec<_>>().await?);
        if let Some(unfit) = parts.verdict().await? {
            return Ok(Err(unfit));
        }
        if done.is_empty() {
            done.push(self.upload_part(upload, 1, Bytes::new()).await?);
        }
        Ok(Ok(done))
    }

    async fn upload_part(&self, upload: &Multipart, number: usize, bytes: Bytes) -> Result<Part, Error> {
        let len = bytes.len() as u64;
        let part = upload.upload(number, bytes).await.map_err(|failure| self.failed(failure))?;
        self.meter.add(len);
        Ok(part)
    }

    /// Has the service copy the object, pinned to its etag; `None` if it will not, and its bytes must
    /// be taken.
    async fn copy(&self, object: &StagedObject) -> Result<Option<CreateOutcome>, Error> {
        if self.storage.roads.attests_copy && self.wanted.size <= COPY_BYTES_MAX {
            let copied = self.copy_request(object).await;
            return self.copied(object, copied).await;
        }
        if self.is_taken().await? {
            return Ok(Some(CreateOutcome::AlreadyExists));
        }
        match self.ready_copy(object).await? {
            Ok(ready) => self.complete(ready).await.map(Some),
            Err(failure) => self.copied(object, Err(failure)).await,
        }
    }

    /// Has the service copy the parts; or says why it did not.
    pub(super) async fn ready_copy(&self, object: &StagedObject) -> Result<Result<Ready, Failure>, Error> {
        let upload = self.begin().await?;
        let size = self.wanted.size;
        let part_bytes = size.div_ceil(PARTS_MAX).max(COPY_PART_BYTES);
        let starts = (0..size).step_by(part_bytes as usize).enumerate();
        let copies = starts.map(|(n, start)| {
            let range = start..size.min(start + part_bytes);
            self.copy_part(&upload, n + 1, object, range)
        });
        match stream::iter(copies.collect::<Vec<_>>()).buffer_unordered(COPIES_IN_FLIGHT).try_collect().await {
            Ok(parts) => Ok(Ok(Ready { upload, parts })),
            Err(failure) => {
                upload.abort().await;
                Ok(Err(failure))
            }
        }
    }

    async fn copy_part(
        &self,
        upload: &Multipart,
        number: usize,
        from: &StagedObject,
        range: Range<u64>,
    ) -> Result<Part, Failure> {
        let len = range.end - range.start;
        let part = upload.copy(number, from, Some(range).filter(|_| len < self.wanted.size)).await?;
        self.meter.add(len);
        Ok(part)
    }

    /// One request, in which the service computes the SHA-256 of what it stores.
    async fn copy_request(&self, from: &StagedObject) -> Result<Answer, Failure> {
        let mut headers = self.headers.clone();
        headers.insert(IF_NONE_MATCH, IF_NONE_MATCH_ANY);
        set(&mut headers, "x-amz-copy-source", &copy_source(&from.container, &from.name))?;
        set(&mut headers, "x-amz-copy-source-if-match", &from.etag)?;
        set(&mut headers, "x-amz-metadata-directive", "REPLACE")?;
        set(&mut headers, "x-amz-checksum-algorithm", "SHA256")?;
        self.send(headers, Bytes::new()).await
    }

    /// What a copy came to, where it is not that of an upload.
    async fn copied(
        &self,
        object: &StagedObject,
        copied: Result<Answer, Failure>,
    ) -> Result<Option<CreateOutcome>, Error> {
        match copied {
            // Its key is taken, or the staged object is no longer in the state that it was pinned to.
            Err(failure) if failure.status() == Some(StatusCode::PRECONDITION_FAILED) => {
                let taken = self.storage.stat(self.key).await?.is_some();
                Ok(Some(if taken { CreateOutcome::AlreadyExists } else { CreateOutcome::Unfit(Unfit::Changed) }))
            }
            Err(failure) if matches!(failure.code(), "NoSuchKey" | "InvalidRange") => {
                Ok(Some(CreateOutcome::Unfit(Unfit::Changed)))
            }
            // Its bytes could not be read either.
            Err(failure) if failure.is_of_an_archive() => Err(failure.into_error(&format!("copy {}", object.name))),
            // Its own credentials may read what the target's may not; and services differ in what they copy.
            Err(failure)
                if failure.status().is_some_and(|status| status.is_client_error()) && !failure.is_passing()
                    || failure.is_unknown_request() =>
            {
                tracing::info!(from = %object.container, code = failure.code(), "read instead of copied by the service");
                Ok(None)
            }
            Ok(answer) => {
                let sha256 = xml::read::<CopyObjectResult>(&answer.body).ok().and_then(|copied| copied.sha256);
                self.conclude(Ok(answer), sha256).await.map(Some)
            }
            Err(failure) => self.conclude(Err(failure), None).await.map(Some),
        }
    }

    async fn begin(&self) -> Result<Multipart, Error> {
        let (storage, name) = (self.storage, self.storage.name(self.key));
        let begun = Multipart::begin(&storage.client, &storage.bucket, &name, self.headers.clone()).await;
        begun.map_err(|failure| self.failed(failure))
    }

    /// What the answer to the commit means; `sha256` is what the service says that it has stored.
    async fn conclude(
        &self,
        committed: Result<Answer, Failure>,
        sha256: Option<String>,
    ) -> Result<CreateOutcome, Error> {
        let failure = match committed {
            Ok(_) => return Ok(CreateOutcome::Created { proof: sha256.and_then(|sha256| self.proof(&sha256)) }),
            Err(failure) => failure,
        };
        let looks_taken = failure.code() == "NoSuchUpload" || failure.status() == Some(StatusCode::CONFLICT);
        if failure.status() == Some(StatusCode::PRECONDITION_FAILED)
            || looks_taken && self.storage.stat(self.key).await?.is_some()
        {
            return Ok(CreateOutcome::AlreadyExists);
        }
        Err(self.failed(failure))
    }

    /// Only a SHA-256 of the whole object is one: that of parts ends with `-` and their number.
    pub(super) fn proof(&self, sha256: &str) -> Option<Proof> {
        let bytes = BASE64.decode(sha256.as_bytes()).ok()?.try_into().ok()?;
        let digest = Digest { checksum: Checksum::from_bytes(bytes), size: self.wanted.size };
        Some(Proof { digest, how: Verification::StoreAttested })
    }

    fn failed(&self, failure: Failure) -> Error {
        failure.into_error(&format!("store {}", self.key))
    }

    fn too_large(&self) -> Error {
        let Self { storage, key, wanted, .. } = self;
        let fault = storage.probe.fault(Ability::CreateByUpload).filter(|_| !storage.roads.upload);
        let limit = if fault.is_some() { PUT_BYTES_MAX } else { PARTS_MAX * PART_BYTES_MAX };
        let why = fault.map(|fault| format!(", because in parts {fault}")).unwrap_or_default();
        let message = format!(
            "cannot store {key}: it has {} bytes, and this service can safely be given {limit} at most{why}",
            wanted.size
        );
        Error::new(ErrorKind::Unsupported, message)
    }
}
