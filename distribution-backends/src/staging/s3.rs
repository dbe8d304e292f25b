//! Staged files in buckets, listed and removed.

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{Digest, Digester, Error, Removal, StagedFile, Staging, Timestamp, VideoUrl};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use http::header::IF_MATCH;
use http::{HeaderMap, Method, StatusCode};

use crate::source::S3Files;
use crate::source::s3::{Look, Root, bytes, pin_of, request};
use crate::storage::s3::client::Call;
use crate::storage::s3::headers::set;
use crate::storage::s3::xml::{self, ListBucketResult, Listed};

/// More pages of 1,000 objects than these are no listing but a loop.
const PAGES_MAX: usize = 1_000_000;

#[async_trait]
impl Staging for S3Files {
    fn resolve(&self, url: &VideoUrl) -> Option<VideoUrl> {
        let (bucket, name) = self.place(url).ok()?;
        VideoUrl::parse(format!("s3://{bucket}/{name}")).ok()
    }

    fn list(&self) -> BoxStream<'static, Result<StagedFile, Error>> {
        let begun = Listing { files: self.clone(), roots: self.outermost(), after: None, pages: 0 };
        let pages = stream::try_unfold(begun, |mut listing| async {
            Ok::<_, Error>(listing.next_page().await?.map(|page| (stream::iter(page).map(Ok), listing)))
        });
        pages.try_flatten().boxed()
    }

    async fn digest(&self, file: &StagedFile) -> Result<Option<Digest>, Error> {
        let Some(Look { object, pin }) = self.look(&file.url).await? else { return Ok(None) };
        if pin != file.pin {
            return Ok(None);
        }
        let mut pieces = bytes(self.client(), object, pin.size);
        let mut digester = Digester::default();
        while let Some(piece) = pieces.next().await {
            digester.update(&piece?);
        }
        Ok(Some(digester.finish()))
    }

    /// Asks the service to remove the object only if it has the etag (`If-Match`, "Conditional deletes", Amazon S3
    /// User Guide), right after a look of its own, because not every service does as it is asked.
    async fn remove(&self, file: &StagedFile) -> Result<Removal, Error> {
        let Some(Look { object, pin }) = self.look(&file.url).await? else { return Ok(Removal::Gone) };
        if pin != file.pin {
            return Ok(Removal::Changed);
        }
        let task = format!("remove the staged {}", file.url);
        let mut headers = HeaderMap::new();
        set(&mut headers, IF_MATCH, &object.etag).map_err(|failure| failure.into_error(&task))?;
        let client = self.client();
        let mut call = request(Method::DELETE, &object.container, &object.name, headers);
        let mut answer = client.repeat(&call).await;
        if answer.as_ref().is_err_and(|failure| failure.status() == Some(StatusCode::NOT_IMPLEMENTED)) {
            call.headers.clear();
            answer = client.repeat(&call).await;
        }
        match answer {
            Ok(_) => Ok(Removal::Removed),
            Err(failure) => match failure.status() {
                Some(StatusCode::NOT_FOUND) => Ok(Removal::Gone),
                Some(StatusCode::PRECONDITION_FAILED) => Ok(Removal::Changed),
                _ => Err(failure.into_error(&task)),
            },
        }
    }
}

/// Where in the buckets a listing is.
struct Listing {
    files: S3Files,
    roots: Vec<Root>,
    /// The service's word for where the next page begins.
    after: Option<String>,
    pages: usize,
}

impl Listing {
    /// The next files, perhaps none; `None` if there are no more.
    async fn next_page(&mut self) -> Result<Option<Vec<StagedFile>>, Error> {
        let Some(Root { bucket, prefix }) = self.roots.last().cloned() else { return Ok(None) };
        self.pages += 1;
        if self.pages > PAGES_MAX {
            return Err(Error::unavailable(format!("the listing of {bucket} does not end: repeat later")));
        }
        let page = self.page(&bucket, &prefix).await?;
        self.after = page.next_continuation_token.filter(|_| page.is_truncated);
        if self.after.is_none() {
            self.roots.pop();
        }
        Ok(Some(page.contents.into_iter().filter_map(|listed| staged(&bucket, listed)).collect()))
    }

    async fn page(&self, bucket: &str, prefix: &str) -> Result<ListBucketResult, Error> {
        let mut query = vec![("list-type", "2".to_owned()), ("prefix", prefix.to_owned())];
        query.extend(self.after.clone().map(|after| ("continuation-token", after)));
        let call = Call { method: Method::GET, bucket, name: "", query, headers: HeaderMap::new(), body: Bytes::new() };
        let listed = self.files.client().repeat(&call).await.and_then(|answer| xml::read(&answer.body));
        listed.map_err(|failure| failure.into_error(&format!("list the staged files in {bucket}")))
    }
}

/// An object as a staged file; `None` if no URL can name it.
fn staged(bucket: &str, listed: Listed) -> Option<StagedFile> {
    let modified = listed.last_modified.parse::<Timestamp>().ok()?;
    let pin = pin_of(bucket, &listed.key, listed.size, &listed.etag, modified);
    let is_file = !listed.key.ends_with('/') && !listed.key.contains(['?', '#', '\\']);
    let url = is_file.then(|| VideoUrl::parse(format!("s3://{bucket}/{}", listed.key)).ok()).flatten()?;
    Some(StagedFile { url, pin, modified })
}
