//! A body that is read no faster than its reader takes it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use distribution_core::Error;
use futures::task::AtomicWaker;
use futures::{Stream, StreamExt as _};

/// How many bytes may wait to be sent before the next piece is read.
const WAITING_BYTES: usize = 64 << 10;
/// Goes by itself: it is small enough for any connection, and tells that pieces are let go once sent.
const FIRST_BYTES: usize = 4 << 10;

/// The same bytes, of which few wait to be sent: hyper would take 400 KiB for a client that takes nothing.
///
/// It counts what is not dropped yet. Whoever keeps the very first piece collects them, and gets all: to
/// collect them is no reason to wait for ever.
pub(super) fn paced<S>(body: S) -> Paced<S> {
    Paced { body, rest: Bytes::new(), shared: Arc::default(), is_first: true, has_yielded: false }
}

/// See [`paced`].
pub(super) struct Paced<S> {
    body: S,
    /// What was cut off the first piece.
    rest: Bytes,
    shared: Arc<Shared>,
    is_first: bool,
    has_yielded: bool,
}

#[derive(Default)]
struct Shared {
    waiting_bytes: AtomicUsize,
    /// Whether a piece was let go.
    lets_go: AtomicBool,
    waker: AtomicWaker,
}

impl<S: Stream<Item = Result<Bytes, Error>> + Unpin> Stream for Paced<S> {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if !self.may_go_on(cx) {
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match ready!(self.body.poll_next_unpin(cx)) {
                Some(Ok(piece)) => self.rest = piece,
                end => return Poll::Ready(end),
            }
        }
        self.has_yielded = false;
        let length = if self.is_first { FIRST_BYTES.min(self.rest.len()) } else { self.rest.len() };
        self.is_first = false;
        let bytes = self.rest.split_to(length);
        self.shared.waiting_bytes.fetch_add(length, Ordering::AcqRel);
        let piece = Piece { bytes, shared: Arc::clone(&self.shared) };
        Poll::Ready(Some(Ok(Bytes::from_owner(piece))))
    }
}

impl<S> Paced<S> {
    fn may_go_on(&mut self, cx: &Context<'_>) -> bool {
        let is_full = || self.shared.waiting_bytes.load(Ordering::Acquire) >= WAITING_BYTES;
        if !is_full() {
            return true;
        }
        // What is let go between the first look and this is seen by the second one.
        self.shared.waker.register(cx.waker());
        if !is_full() {
            return true;
        }
        if self.shared.lets_go.load(Ordering::Acquire) {
            return false;
        }
        // Nothing was let go so far. It may not have had a chance to be sent: one is given.
        if !self.has_yielded {
            self.has_yielded = true;
            cx.waker().wake_by_ref();
            return false;
        }
        true
    }
}

/// Bytes that say when they are let go.
struct Piece {
    bytes: Bytes,
    shared: Arc<Shared>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.shared.lets_go.store(true, Ordering::Release);
        self.shared.waiting_bytes.fetch_sub(self.bytes.len(), Ordering::AcqRel);
        self.shared.waker.wake();
    }
}
