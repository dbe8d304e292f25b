//! Uploads that were begun and never finished: a crash leaves them, and the service charges for them.

use bytes::Bytes;
use distribution_core::{Error, ObjectKey, Timestamp, Unfinished};
use http::{HeaderMap, Method};

use super::S3Storage;
use super::client::Call;
use super::multipart::Multipart;
use super::xml::{self, ListMultipartUploadsResult, Upload};

/// More pages of 1,000 uploads than this are no listing but a loop.
const PAGES_MAX: usize = 1_000;

impl S3Storage {
    /// The service does not tell who has begun an upload: all uploads of keys below the target's prefix are found,
    /// so have a prefix to which nobody else uploads.
    ///
    /// A rule of the bucket does the same without being called (`AbortIncompleteMultipartUpload` of its
    /// lifecycle configuration, Amazon S3 User Guide); have one wherever the service can.
    pub(super) async fn unfinished_uploads(
        &self,
        begun_before: Timestamp,
        limit: usize,
    ) -> Result<Vec<Unfinished>, Error> {
        let (mut found, mut after) = (Vec::new(), (String::new(), String::new()));
        for _ in 0..PAGES_MAX {
            let page = self.page_of_uploads(&after).await?;
            let ours = page.uploads.into_iter().filter_map(|upload| self.own(upload));
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

    /// Aborts the upload: the service removes its parts.
    pub(super) async fn abort_upload(&self, upload: &Unfinished) -> Result<(), Error> {
        let key = ObjectKey::parse(upload.name.as_str())?;
        let task = format!("abort an upload of {key}");
        let aborted = Multipart::abort_known(&self.client, &self.bucket, &self.name(&key), &upload.token).await;
        match aborted {
            Err(failure) if failure.code() != "NoSuchUpload" => Err(failure.into_error(&task)),
            _ => Ok(()),
        }
    }

    async fn page_of_uploads(&self, after: &(String, String)) -> Result<ListMultipartUploadsResult, Error> {
        let mut query = vec![("uploads", String::new()), ("prefix", self.prefix.clone())];
        if !after.0.is_empty() {
            query.extend([("key-marker", after.0.clone()), ("upload-id-marker", after.1.clone())]);
        }
        let (method, headers, body) = (Method::GET, HeaderMap::new(), Bytes::new());
        let call = Call { method, bucket: &self.bucket, name: "", query, headers, body };
        let listed = self.client.repeat(&call).await.and_then(|answer| xml::read(&answer.body));
        listed.map_err(|failure| failure.into_error("list unfinished uploads"))
    }

    /// One of ours; what has another kind of name is somebody else's.
    fn own(&self, upload: Upload) -> Option<Unfinished> {
        let key = ObjectKey::parse(upload.key.strip_prefix(&self.prefix)?).ok()?;
        let begun_at = upload.initiated.parse::<Timestamp>().ok()?;
        Some(Unfinished { name: key.to_string(), begun_at, token: upload.upload_id })
    }
}
