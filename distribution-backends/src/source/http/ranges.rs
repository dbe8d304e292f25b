//! Parts of a file, each by a request of its own (RFC 9110 §14).

use std::ops::Range;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use distribution_core::{Error, Ranges, SourcePin, VideoUrl};
use futures::StreamExt as _;
use tokio::time::timeout;

use super::{HttpSource, answer};

/// Parts of the file at a URL, in the state that it had when it was opened.
pub(super) struct UrlRanges {
    pub(super) source: HttpSource,
    pub(super) url: VideoUrl,
    pub(super) pin: SourcePin,
}

#[async_trait]
impl Ranges for UrlRanges {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let time_max = self.source.0.settings.time_for(range.end - range.start);
        let read = timeout(time_max, self.ask(&range)).await;
        read.unwrap_or_else(|_| Err(answer::too_slow(&self.url, time_max)))
    }
}

impl UrlRanges {
    async fn ask(&self, range: &Range<u64>) -> Result<Bytes, Error> {
        let response = self.source.follow(&self.url, Some(range)).await?;
        let response = answer::judge_part(&self.url, response, &self.pin, range)?;
        let (mut pieces, mut bytes) = (response.bytes_stream(), BytesMut::new());
        let wanted = range.end - range.start;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| {
                Error::unavailable(format!("{} was cut: repeat the call", self.url)).because(error.without_url())
            })?;
            bytes.extend_from_slice(&piece);
            if bytes.len() as u64 > wanted {
                break;
            }
        }
        if bytes.len() as u64 != wanted {
            let message = format!("{} answers a range with another: repeat the call", self.url);
            return Err(Error::unavailable(message));
        }
        Ok(bytes.freeze())
    }
}
