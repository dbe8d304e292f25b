//! Uploads that were begun and never finished: a crash leaves them, and the service charges for them.

use bytes::Bytes;
use distribution_core::{Error, ObjectKey, Timestamp};
use http::{HeaderMap, Method};

use super::S3Storage;
use super::client::Call;
use super::multipart::Multipart;
use super::xml::{self, ListMultipartUploadsResult, Upload};

/// More pages of 1,000 uploads than this are no listing but a loop.
const PAGES_MAX: usize = 1_000;

/// An upload that nobody has finished. Its parts take up space and are seen by nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfinishedUpload {
    /// The object that it was to become.
    pub key: ObjectKey,
    /// When it was begun, by the service's clock.
    pub begun_at: Timestamp,
    id: String,
}

impl S3Storage {
    /// At most `limit` uploads of keys that begin with `prefix` (below the target's own) that were begun
    /// before `begun_before` and are not finished. Choose a time that no publish lasts, such as a day: what
    /// is still at work must be left alone. The service does not tell who has begun them: all uploads to
    /// such keys are found, so name a prefix to which nobody else uploads.
    ///
    /// A rule of the bucket does the same without being called (`AbortIncompleteMultipartUpload` of its
    /// lifecycle configuration, Amazon S3 User Guide); have one wherever the service can.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the service does not tell.
    pub async fn unfinished_uploads(
        &self,
        prefix: &str,
        begun_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<UnfinishedUpload>, Error> {
        let (mut found, mut after) = (Vec::new(), (String::new(), String::new()));
        for _ in 0..PAGES_MAX {
            let page = self.page_of_uploads(prefix, &after).await?;
            let ours = page.uploads.into_iter().filter_map(|upload| self.unfinished(upload));
            found.extend(ours.filter(|upload| upload.begun_at < begun_before));
            if found.len() >= limit || !page.is_truncated {
                found.truncate(limit);
                return Ok(found);
            }
            let next = (page.next_key_marker, page.next_upload_id_marker);
            if next.0.is_empty() || next == after {
                break;
            }
            after = next;
        }
        Err(Error::unavailable(format!("the listing of uploads in {} does not end: repeat later", self.bucket)))
    }

    /// Aborts the upload: the service removes its parts. One that was finished meanwhile stays the
    /// object that it became.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the service does not do it.
    pub async fn abort_upload(&self, upload: &UnfinishedUpload) -> Result<(), Error> {
        let task = format!("abort an upload of {}", upload.key);
        let aborted = Multipart::abort_known(&self.client, &self.bucket, &self.name(&upload.key), &upload.id).await;
        match aborted {
            Err(failure) if failure.code() != "NoSuchUpload" => Err(failure.into_error(&task)),
            _ => Ok(()),
        }
    }

    async fn page_of_uploads(
        &self,
        prefix: &str,
        after: &(String, String),
    ) -> Result<ListMultipartUploadsResult, Error> {
        let mut query = vec![("uploads", String::new()), ("prefix", format!("{}{prefix}", self.prefix))];
        if !after.0.is_empty() {
            query.extend([("key-marker", after.0.clone()), ("upload-id-marker", after.1.clone())]);
        }
        let (method, headers, body) = (Method::GET, HeaderMap::new(), Bytes::new());
        let call = Call { method, bucket: &self.bucket, name: "", query, headers, body };
        let listed = self.client.repeat(&call).await.and_then(|answer| xml::read(&answer.body));
        listed.map_err(|failure| failure.into_error("list unfinished uploads"))
    }

    /// One of ours; what has another kind of name is somebody else's.
    fn unfinished(&self, upload: Upload) -> Option<UnfinishedUpload> {
        let key = ObjectKey::parse(upload.key.strip_prefix(&self.prefix)?).ok()?;
        let begun_at = upload.initiated.parse::<Timestamp>().ok()?;
        Some(UnfinishedUpload { key, begun_at, id: upload.upload_id })
    }
}
