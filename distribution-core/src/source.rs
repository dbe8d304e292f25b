//! The source port: from a `video_url` to the staged file.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;

use crate::error::Error;
use crate::object::SourcePin;
use crate::request::VideoUrl;
use crate::storage::Body;

/// Where staged files are read from. A `video_url` is only a name: what it may reach is the
/// source's configuration, never the request's choice.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Whether this source may be asked for the URL at all. Looks at the text only and touches nothing.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) at `final_edit.video_url` for a URL outside of what is
    /// configured, saying what is allowed.
    fn check(&self, url: &VideoUrl) -> Result<(), Error>;

    /// Opens the staged file; `None` if it is not there.
    ///
    /// The bytes that come are those of one state of the file, which `pin` names, or the body ends
    /// in an error, or the store notices by the pin.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) at `final_edit.video_url` for one that leads outside of
    /// what is configured: nothing is read. [`Unavailable`](crate::ErrorKind::Unavailable) if the file may be
    /// there but cannot be read.
    async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error>;
}

/// A staged file, ready to be read once.
pub struct Staged {
    /// Which state of the file this is.
    pub pin: SourcePin,
    /// Its bytes.
    pub body: Body,
    /// Parts of it, for an [`Inspector`](crate::Inspector); `None` where it can only be read from its start.
    pub ranges: Option<Box<dyn Ranges>>,
}

/// Parts of a staged file, all of the state that its pin names.
#[async_trait]
pub trait Ranges: Send + Sync {
    /// The bytes in `range`, all of them.
    ///
    /// # Errors
    /// [`Unavailable`](crate::ErrorKind::Unavailable) if they cannot be read, or if the file has changed since it
    /// was opened. [`Unsupported`](crate::ErrorKind::Unsupported) if it turns out that parts cannot be had;
    /// [`Invalid`](crate::ErrorKind::Invalid) if they would come from outside of what is configured.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error>;
}
