//! The staging port: the staged files as a whole, so that what is published can be cleared away.

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde::Serialize;

use crate::error::Error;
use crate::object::{Digest, SourcePin};
use crate::request::VideoUrl;
use crate::time::Timestamp;

/// Where staged files lie, for [`Publisher::sweep`](crate::Publisher::sweep) only: publishing never removes one.
/// What it tells of a file agrees with the publisher's [`Source`](crate::Source): the same pin for the same state.
#[async_trait]
pub trait Staging: Send + Sync + 'static {
    /// The URL by which [`list`](Self::list) tells of the file that `url` names, by the text alone; `None` if that
    /// is none of these.
    fn resolve(&self, url: &VideoUrl) -> Option<VideoUrl>;

    /// Every file that is there from now until it is told of, each once, in any order. After an error nothing
    /// more comes.
    fn list(&self) -> BoxStream<'static, Result<StagedFile, Error>>;

    /// The same for a sweep that removes: what a removal that died has left half done is put right on the way. A
    /// plan uses [`list`](Self::list), which changes nothing.
    fn list_and_mend(&self) -> BoxStream<'static, Result<StagedFile, Error>> {
        self.list()
    }

    /// Reads the file's every byte, if it is in that state; `None` if it is not, or is gone.
    async fn digest(&self, file: &StagedFile) -> Result<Option<Digest>, Error>;

    /// Removes the file if it is in that state, and otherwise changes nothing.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable): it may have been removed.
    async fn remove(&self, file: &StagedFile) -> Result<Removal, Error>;
}

/// A staged file, as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StagedFile {
    /// Where it is; its one URL, of all that may name it.
    pub url: VideoUrl,
    /// Which state of it this is.
    #[serde(skip)]
    pub pin: SourcePin,
    /// When its bytes were written, by the clock of the store.
    pub modified: Timestamp,
}

/// What became of a [`Staging::remove`] that gave an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It was there, and is no more.
    Removed,
    /// It was not there any more.
    Gone,
    /// It is there, in another state.
    Changed,
}
