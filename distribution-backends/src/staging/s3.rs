//! Staged files in buckets, listed and removed.

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{Digest, Digester, Error, Removal, StagedFile, StagedObject, Staging, Timestamp, VideoUrl};
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use http::header::IF_MATCH;
use http::{HeaderMap, Method, StatusCode};

use crate::source::S3Files;
use crate::source::s3::{Look, Root, bytes, pin_of, request};
use crate::storage::s3::client::Call;
use crate::storage::s3::failure::Failure;
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
    /// User Guide), right after a look of its own, because not every service does as it is asked. Each request is
    /// sent once: one whose answer was lost may have been done, and another after it could meet what an editor has
    /// uploaded since.
    async fn remove(&self, file: &StagedFile) -> Result<Removal, Error> {
        let found = match self.as_it_is(file).await? {
            Ok(found) => found,
            Err(removal) => return Ok(removal),
        };
        let task = format!("remove the staged {}", file.url);
        let mut headers = HeaderMap::new();
        set(&mut headers, IF_MATCH, &found.etag).map_err(|failure| failure.into_error(&task))?;
        let client = self.client();
        let mut call = request(Method::DELETE, &found.container, &found.name, headers);
        let mut answer = client.once(&call).await;
        if answer.as_ref().is_err_and(Failure::is_unknown_request) {
            // It knows no such condition, and has done nothing: all that is left is to look and be quick.
            if let Err(removal) = self.as_it_is(file).await? {
                return Ok(removal);
            }
            call.headers.clear();
            answer = client.once(&call).await;
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

impl S3Files {
    /// The object, if it is in the file's state, or else why there is nothing to remove.
    async fn as_it_is(&self, file: &StagedFile) -> Result<Result<StagedObject, Removal>, Error> {
        Ok(match self.look(&file.url).await? {
            None => Err(Removal::Gone),
            Some(Look { pin, .. }) if pin != file.pin => Err(Removal::Changed),
            Some(Look { object, .. }) => Ok(object),
        })
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
