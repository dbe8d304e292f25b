//! Looking at objects and reading them, pinned to the state in which they were found.

use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use chrono::SubsecRound as _;
use distribution_core::{ByteStream, Digest, Error, Meter, ObjectKey, ObjectStat, Timestamp};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use opendal::options::ReaderOptions;
use opendal::{BufferStream, Metadata};

use super::OpendalStorage;
use super::fault::{failed, is_absent};
use super::hashing::Hashing;

/// How much of an object is asked for at a time, and how often at once, to read all of it.
const PIECE_BYTES: usize = 8 << 20;
const PIECES: usize = 4;

impl OpendalStorage {
    /// What the service says of the object.
    pub(super) async fn look(&self, key: &ObjectKey) -> Result<Option<Metadata>, Error> {
        match self.reads.stat(key.as_str()).await {
            // A folder is no object.
            Ok(found) => Ok(found.is_file().then_some(found)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("look at", key, &error)),
        }
    }

    pub(super) async fn digest_object(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        let Some(found) = self.look(key).await? else { return Ok(None) };
        let (size, pin) = (found.content_length(), self.pin(&found));
        let is_pinned = pin.if_match.is_some() || pin.if_version_match.is_some() || size <= PIECE_BYTES as u64;
        let options = ReaderOptions { chunk: Some(PIECE_BYTES), concurrent: PIECES, ..pin };
        let digest = self.hash(key, options, size, meter).await;
        if let Ok(digest) = &digest
            && digest.size == size
            && is_pinned
        {
            return Ok(Some(*digest));
        }
        // It may have been removed meanwhile, or else have been replaced, which never happens.
        let is_same = match self.look(key).await? {
            None => return Ok(None),
            Some(now) => stat(&now) == stat(&found),
        };
        let digest = digest?;
        if digest.size != size || !is_same {
            let message = format!("{key} changed while it was read: objects must never change, repeat");
            return Err(Error::unavailable(message));
        }
        Ok(Some(digest))
    }

    async fn hash(&self, key: &ObjectKey, options: ReaderOptions, size: u64, meter: &Meter) -> Result<Digest, Error> {
        let failed = |error: opendal::Error| failed("read", key, &error);
        let mut hashing = Hashing::default();
        if size > 0 {
            let mut pieces = self.pieces(key, options, 0..size).await.map_err(failed)?;
            while let Some(piece) = pieces.try_next().await.map_err(failed)? {
                meter.add(piece.len() as u64);
                hashing.update(piece).await?;
            }
        }
        hashing.finish().await
    }

    pub(super) async fn open_object(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        let Some(found) = self.look(key).await? else { return Ok(None) };
        let size = found.content_length();
        let range = range.start.min(size)..range.end.min(size);
        if range.is_empty() {
            return Ok(Some(stream::empty().boxed()));
        }
        let missing = range.end - range.start;
        match self.pieces(key, self.pin(&found), range).await {
            Ok(pieces) => Ok(Some(bytes_of(pieces, missing, key.clone()))),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(failed("read", key, &error)),
        }
    }

    async fn pieces(
        &self,
        key: &ObjectKey,
        options: ReaderOptions,
        range: Range<u64>,
    ) -> Result<BufferStream, opendal::Error> {
        self.reads.reader_options(key.as_str(), options).await?.into_stream(range).await
    }

    /// Reads only this state of the object, where the service can tell.
    fn pin(&self, found: &Metadata) -> ReaderOptions {
        let version = found.version().filter(|_| self.can.read_with_if_version_match);
        let etag = found.etag().filter(|etag| self.can.read_with_if_match && !etag.starts_with("W/"));
        ReaderOptions {
            if_version_match: version.map(str::to_owned),
            if_match: etag.filter(|_| version.is_none()).map(str::to_owned),
            ..ReaderOptions::default()
        }
    }
}

/// What core is told of an object.
pub(super) fn stat(found: &Metadata) -> ObjectStat {
    let modified = found.last_modified().map(|at| Timestamp::from(SystemTime::from(at)).trunc_subsecs(6));
    let (size, etag) = (found.content_length(), validator(found.etag()));
    ObjectStat { size, modified, etag, ..ObjectStat::default() }
}

/// The etag as core is told it: without quotes, if it is a strong one.
pub(crate) fn validator(etag: Option<&str>) -> Option<String> {
    let etag = etag.filter(|etag| !etag.starts_with("W/")).map(|etag| etag.trim_matches('"'));
    etag.filter(|etag| !etag.is_empty() && !etag.contains('"')).map(str::to_owned)
}

/// The stream's bytes, of which `missing` must come.
fn bytes_of(pieces: BufferStream, missing: u64, key: ObjectKey) -> ByteStream {
    let bytes = stream::try_unfold((pieces, missing), move |(mut pieces, missing)| {
        let key = key.clone();
        async move {
            let piece = pieces.try_next().await.map_err(|error| failed("read", &key, &error))?;
            let len = piece.as_ref().map_or(0, |piece| piece.len() as u64);
            match (piece, missing.checked_sub(len)) {
                (None, Some(0)) => Ok(None),
                (Some(piece), Some(missing)) => Ok(Some((piece, (pieces, missing)))),
                _ => Err(Error::unavailable(format!("{key} did not come whole: repeat"))),
            }
        }
    });
    bytes.map_ok(|piece| stream::iter(Iterator::map(piece, Ok::<Bytes, Error>))).try_flatten().boxed()
}
