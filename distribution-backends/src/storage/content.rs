//! Content in parts of one size, hashed on the way to a store that takes it in parts.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use distribution_core::{Body, ByteStream, Digest, Digester, Error, SourcePin, Unfit};
use futures::TryStreamExt;

use crate::blocking::blocking;
use crate::confined::way_out;
use crate::pin::{may_be, pin_of};
use crate::storage::buffers::{Buffer, Buffers};

/// Reads content to its end, part by part; then [`verdict`](Self::verdict) says whether it was the
/// content that is wanted.
pub(crate) struct Parts {
    wanted: Digest,
    part_bytes: usize,
    buffers: Buffers,
    origin: Origin,
    /// Gone while a thread has it, and so for good if nobody waited for that thread.
    digester: Option<Digester>,
    taken: u64,
    unfit: Option<Unfit>,
}

enum Origin {
    File { file: Option<File>, pin: SourcePin, before: SourcePin },
    Stream { stream: ByteStream, rest: Bytes },
}

impl Parts {
    /// The body in parts of `part_bytes`, the last of which may be shorter.
    ///
    /// # Errors
    /// `Unavailable` if a file cannot be looked at.
    pub(crate) async fn new(body: Body, wanted: Digest, part_bytes: usize) -> Result<Self, Error> {
        let mut unfit = None;
        let origin = match body {
            Body::File { file, pin } => {
                let (file, before) = blocking(move |_| {
                    let before = pin_of(&file).map_err(unreadable)?;
                    Ok((file, before))
                })
                .await?;
                if before.size != wanted.size {
                    unfit = Some(Unfit::Changed);
                }
                Origin::File { file: Some(file), pin, before }
            }
            body => Origin::Stream { stream: stream_of(body)?, rest: Bytes::new() },
        };
        let (buffers, digester) = (Buffers::default(), Some(Digester::default()));
        Ok(Self { wanted, part_bytes, buffers, origin, digester, taken: 0, unfit })
    }

    /// The next part; `None` at the end, or as soon as the content is known to be unfit.
    ///
    /// # Errors
    /// The stream's own; `Unavailable` if a file cannot be read.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.unfit.is_some() {
            return Ok(None);
        }
        let mut digester = self.digester.take().ok_or_else(interrupted)?;
        let left = self.wanted.size.saturating_sub(self.taken);
        let part_bytes = left.min(self.part_bytes as u64) as usize;
        let buffer = self.buffers.take(part_bytes);
        let (part, digester) = match &mut self.origin {
            Origin::File { file, .. } => {
                let source = file.take().ok_or_else(interrupted)?;
                let (source, part, digester) = blocking(move |_| {
                    let part = read_part(&source, buffer, part_bytes).map_err(unreadable)?;
                    digester.update(&part);
                    Ok((source, part, digester))
                })
                .await?;
                *file = Some(source);
                (part, digester)
            }
            Origin::Stream { stream, rest } => {
                // One byte more than is wanted is enough to know that there is more.
                let part = collect(stream, rest, buffer, part_bytes.max(1)).await?;
                blocking(move |_| {
                    digester.update(&part);
                    Ok((part, digester))
                })
                .await?
            }
        };
        self.digester = Some(digester);
        self.taken += part.len() as u64;
        if self.taken > self.wanted.size {
            // Nobody knows how much more there would be.
            self.unfit = Some(Unfit::Changed);
        } else if part.len() < part_bytes && matches!(self.origin, Origin::File { .. }) {
            self.unfit = Some(Unfit::Changed);
        }
        Ok(if part.is_empty() || self.unfit.is_some() { None } else { Some(part) })
    }

    /// Why what was read is not what is wanted, if it is not.
    ///
    /// # Errors
    /// `Unavailable` if a file can no longer be looked at.
    pub(crate) async fn verdict(self) -> Result<Option<Unfit>, Error> {
        if self.unfit.is_some() {
            return Ok(self.unfit);
        }
        let found = self.digester.ok_or_else(interrupted)?.finish();
        if found == self.wanted {
            return Ok(None);
        }
        if let Origin::File { file, pin, before } = self.origin {
            let file = file.ok_or_else(interrupted)?;
            let now = blocking(move |_| pin_of(&file).map_err(unreadable)).await?;
            if now != before || !may_be(&pin, &now) {
                return Ok(Some(Unfit::Changed));
            }
        }
        Ok(Some(Unfit::OtherBytes { found }))
    }
}

fn stream_of(body: Body) -> Result<ByteStream, Error> {
    match body {
        Body::Stream(stream) | Body::Object { bytes: stream, .. } => Ok(stream),
        _ => Err(Error::new(distribution_core::ErrorKind::Unsupported, "this kind of content is not known here")),
    }
}

/// So many bytes from where the file is, or fewer at its end.
fn read_part(mut file: &File, mut part: Buffer, part_bytes: usize) -> io::Result<Bytes> {
    (&mut file).take(part_bytes as u64).read_to_end(&mut part)?;
    Ok(part.into())
}

/// At most so many bytes of the stream, fewer only at its end; what is left of a piece stays in `rest`.
async fn collect(
    stream: &mut ByteStream,
    rest: &mut Bytes,
    mut part: Buffer,
    part_bytes: usize,
) -> Result<Bytes, Error> {
    if rest.len() >= part_bytes {
        return Ok(rest.split_to(part_bytes));
    }
    part.extend_from_slice(&std::mem::take(rest));
    while part.len() < part_bytes {
        let Some(mut piece) = stream.try_next().await? else { break };
        let fits = piece.len().min(part_bytes - part.len());
        part.extend_from_slice(&piece.split_to(fits));
        *rest = piece;
    }
    Ok(part.into())
}

fn unreadable(error: io::Error) -> Error {
    Error::unavailable(format!("cannot read the staged file: {}", way_out(&error))).because(error)
}

fn interrupted() -> Error {
    Error::unavailable("reading the staged file was interrupted: repeat")
}
