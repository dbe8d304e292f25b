//! The bytes of an answer: as many as were declared, in the time that they may take, or an error.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use distribution_core::{ByteStream, Error, VideoUrl};
use futures::{Stream, StreamExt as _};
use reqwest::Response;
use tokio::time::{Instant, Sleep, sleep_until};

use super::answer;

pub(super) struct Pieces {
    /// For messages.
    url: VideoUrl,
    /// `None` after the end or an error.
    pieces: Option<ByteStream>,
    /// The bytes that are still to come.
    left: u64,
    time_max: Duration,
    deadline: Pin<Box<Sleep>>,
}

impl Pieces {
    pub(super) fn new(url: &VideoUrl, response: Response, size: u64, begun: Instant, time_max: Duration) -> Self {
        let url = url.redacted();
        let shown = url.clone();
        let pieces = response.bytes_stream().map(move |piece| {
            piece.map_err(|error| {
                Error::unavailable(format!("{shown} was cut: repeat the call")).because(error.without_url())
            })
        });
        let deadline = Box::pin(sleep_until(begun + time_max));
        Self { url, pieces: Some(pieces.boxed()), left: size, time_max, deadline }
    }

    fn judge(&mut self, piece: Option<Bytes>) -> Option<Result<Bytes, Error>> {
        let wrong = match &piece {
            Some(piece) if piece.len() as u64 > self.left => "more",
            None if self.left > 0 => "fewer",
            Some(piece) => {
                self.left -= piece.len() as u64;
                return Some(Ok(piece.clone()));
            }
            None => return None,
        };
        let message = format!("{} came with {wrong} bytes than its Content-Length: repeat the call", self.url);
        Some(Err(Error::unavailable(message)))
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let Some(pieces) = &mut this.pieces else { return Poll::Ready(None) };
        let item = if this.deadline.as_mut().poll(cx).is_ready() {
            Some(Err(answer::too_slow(&this.url, this.time_max)))
        } else {
            match ready!(pieces.poll_next_unpin(cx)) {
                Some(Err(error)) => Some(Err(error)),
                Some(Ok(piece)) => this.judge(Some(piece)),
                None => this.judge(None),
            }
        };
        if !matches!(item, Some(Ok(_))) {
            // The connection goes with it.
            this.pieces = None;
        }
        Poll::Ready(item)
    }
}
