//! Several ranges in one answer (RFC 9110 §14.6, `multipart/byteranges`).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use data_encoding::HEXLOWER;
use distribution_core::{Error, ObjectKey, Storage};
use futures::{Stream, StreamExt as _, TryStreamExt as _, future, stream};

use super::file::{exactly, length_of};

/// The frame around the parts.
pub(super) struct Multipart {
    boundary: String,
    first_head: Bytes,
    others: Vec<(Bytes, Range<u64>)>,
    end: Bytes,
    length: u64,
}

impl Multipart {
    /// A frame for these parts of a representation of `size` bytes.
    ///
    /// # Errors
    /// `Unavailable` if there is no randomness: a boundary that could be foreseen could be in a file.
    pub(super) fn new(
        first: &Range<u64>,
        others: Vec<Range<u64>>,
        size: u64,
        content_type: &str,
    ) -> Result<Self, Error> {
        let mut random = [0; 24];
        getrandom::fill(&mut random).map_err(|error| Error::unavailable("no randomness to be had").because(error))?;
        let boundary = HEXLOWER.encode(&random);
        let head = |before: &str, range: &Range<u64>| {
            let (first, last) = (range.start, range.end.saturating_sub(1));
            Bytes::from(format!(
                "{before}--{boundary}\r\nContent-Type: {content_type}\r\nContent-Range: bytes \
                 {first}-{last}/{size}\r\n\r\n"
            ))
        };
        let first_head = head("", first);
        let others: Vec<_> = others.into_iter().map(|range| (head("\r\n", &range), range)).collect();
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let parts = others.iter().map(|(head, range)| length_of(range).saturating_add(head.len() as u64));
        let length = parts.fold(length_of(first), u64::saturating_add);
        let length = length.saturating_add(first_head.len() as u64).saturating_add(end.len() as u64);
        Ok(Self { boundary, first_head, others, end, length })
    }

    pub(super) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// The length of the whole body in bytes.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The body: `first` is open already, each other part is opened when those before it are sent.
    pub(super) fn body(
        self,
        first: impl Stream<Item = Result<Bytes, Error>>,
        storage: Arc<dyn Storage>,
        key: ObjectKey,
    ) -> impl Stream<Item = Result<Bytes, Error>> {
        let others = stream::iter(self.others).then(move |(head, range)| {
            let (storage, key) = (Arc::clone(&storage), key.clone());
            async move {
                let length = length_of(&range);
                let opened = storage.open(&key, range).await;
                let gone = || Error::unavailable("the object was removed while it was served");
                let bytes = opened.and_then(|bytes| bytes.ok_or_else(gone)).inspect_err(|error| {
                    tracing::warn!(%key, %error, "a download broke off");
                })?;
                Ok(literal(head).chain(exactly(length, bytes, key)))
            }
        });
        let whole = literal(self.first_head).chain(first).chain(others.try_flatten()).chain(literal(self.end));
        // Nothing comes after an error, whoever goes on asking.
        whole.scan(false, |broken, item| {
            let next = (!*broken).then_some(item);
            *broken |= next.as_ref().is_some_and(Result::is_err);
            future::ready(next)
        })
    }
}

fn literal(bytes: Bytes) -> impl Stream<Item = Result<Bytes, Error>> {
    stream::once(future::ready(Ok(bytes)))
}
