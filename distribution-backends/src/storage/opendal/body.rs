//! Content as pieces of the size in which it is sent.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use distribution_core::{Body, ByteStream, Error, ErrorKind, SourcePin};
use futures::TryStreamExt as _;
use opendal::Buffer;

use crate::blocking::blocking;
use crate::pin::{may_be, pin_of};

/// The pieces of a body, in order.
pub(super) enum Pieces {
    File(Arc<StagedFile>, u64),
    Stream(ByteStream, Bytes),
}

/// A local file, and the state in which it was found to be the one that is meant.
pub(super) struct StagedFile {
    file: File,
    pin: SourcePin,
    before: SourcePin,
}

impl Pieces {
    /// `None` if the body is a file that is not the one meant any more.
    pub(super) async fn of(body: Body) -> Result<Option<Self>, Error> {
        match body {
            Body::File { file, pin } => {
                let found = blocking(move |_| {
                    let before = pin_of(&file).map_err(unreadable)?;
                    Ok((before.size == pin.size).then_some(StagedFile { file, pin, before }))
                });
                Ok(found.await?.map(|file| Self::File(Arc::new(file), 0)))
            }
            Body::Stream(stream) | Body::Object { bytes: stream, .. } => Ok(Some(Self::Stream(stream, Bytes::new()))),
            _ => Err(Error::new(ErrorKind::Unsupported, "this storage does not know this kind of content")),
        }
    }

    /// The next piece of `len` bytes, fewer only at the end; `None` behind it.
    pub(super) async fn next(&mut self, len: usize) -> Result<Option<Buffer>, Error> {
        let piece = match self {
            Self::File(staged, at) => {
                let (staged, from) = (Arc::clone(staged), *at);
                let piece = blocking(move |_| read_piece(&staged.file, from, len).map_err(unreadable)).await?;
                *at += piece.len() as u64;
                Buffer::from(piece)
            }
            Self::Stream(stream, rest) => gather(stream, rest, len).await?,
        };
        Ok((!piece.is_empty()).then_some(piece))
    }

    /// Whether what was read is one state of what was meant.
    pub(super) async fn were_steady(self) -> Result<bool, Error> {
        let Self::File(staged, _) = self else { return Ok(true) };
        blocking(move |_| {
            let now = pin_of(&staged.file).map_err(unreadable)?;
            Ok(now == staged.before && may_be(&staged.pin, &now))
        })
        .await
    }
}

async fn gather(stream: &mut ByteStream, rest: &mut Bytes, len: usize) -> Result<Buffer, Error> {
    let mut gathered = Vec::new();
    let mut missing = len;
    while missing > 0 {
        if rest.is_empty() {
            match stream.try_next().await? {
                Some(bytes) => *rest = bytes,
                None => break,
            }
        }
        let bytes = rest.split_to(rest.len().min(missing));
        missing -= bytes.len();
        gathered.push(bytes);
    }
    Ok(Buffer::from(gathered))
}

fn read_piece(file: &File, from: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut piece = vec![0; len];
    let mut filled = 0;
    while let Some(rest) = piece.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, from + filled as u64) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(filled);
    Ok(piece)
}

fn unreadable(error: io::Error) -> Error {
    Error::unavailable("cannot read the staged file: look at the cause and repeat").because(error)
}
