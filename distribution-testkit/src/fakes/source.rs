//! Staged files in memory.

use std::ops::Range;

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{Body, ByteStream, Error, Ranges, Source, SourcePin, Staged, VideoUrl};
use futures::{StreamExt as _, stream};

use super::{flipped, in_pieces, paced};
use crate::effect::Call;
use crate::faults::{Fault, Op};
use crate::world::{StagedFile, World};

/// The staged files of a [`World`]. It takes relative paths without `..`, and URLs with one of the
/// schemes `https`, `s3`, `gs`, `az` and `file`; a URL's query is not part of the file's name.
#[derive(Clone, Debug)]
pub struct MemorySource {
    world: World,
}

/// What goes wrong with the next read of a staged file, half way through.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plant {
    /// The file turns into these bytes, the source notices, and the body ends in an error.
    Changes(Bytes),
    /// The file turns into these bytes, nobody notices, and the rest of the body is theirs.
    Tears(Bytes),
    /// The body ends without an error, as if that were all.
    EndsEarly,
    /// The body ends in an error. The file is as it was.
    Fails,
}

impl MemorySource {
    const SCHEMES: [&str; 5] = ["https", "s3", "gs", "az", "file"];

    /// The staged files of this world.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }

    fn body(&self, name: String, mut file: StagedFile, call: &Call) -> ByteStream {
        if call.has(Fault::ShortRead) {
            file.plant = Some(Plant::EndsEarly);
        }
        let mut pieces = in_pieces(&if call.has(Fault::Corrupt) { flipped(&file.bytes, 2) } else { file.bytes });
        let Some(plant) = file.plant else {
            return paced(&self.world, pieces);
        };
        pieces.truncate(pieces.len() / 2);
        let read: usize = pieces.iter().map(Bytes::len).sum();
        let world = self.world.clone();
        // Lazily, so that it happens when the reader gets there.
        let rest = stream::once(async move {
            match plant {
                Plant::EndsEarly => stream::empty().boxed(),
                Plant::Fails => failed("the staged file cannot be read any further: repeat"),
                Plant::Changes(bytes) => {
                    world.stage(name, bytes);
                    failed("the staged file changed while it was read: repeat")
                }
                Plant::Tears(bytes) => {
                    world.stage(name, bytes.clone());
                    paced(&world, in_pieces(&bytes.slice(read.min(bytes.len())..)))
                }
            }
        });
        paced(&self.world, pieces).chain(rest.flatten()).boxed()
    }
}

#[async_trait]
impl Source for MemorySource {
    fn check(&self, url: &VideoUrl) -> Result<(), Error> {
        let known = match url.scheme() {
            Some(scheme) => Self::SCHEMES.contains(&scheme),
            None => !url.expose().split('/').any(|segment| matches!(segment, "" | "." | "..")),
        };
        if known {
            return Ok(());
        }
        let schemes = Self::SCHEMES.join(", ");
        let message = format!("must be a relative path without `..`, or a URL with one of the schemes {schemes}");
        Err(Error::invalid("final_edit.video_url", message))
    }

    async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error> {
        let name = url.redacted().expose().to_owned();
        let call = self.world.begin(Op::SourceOpen, name.as_str()).await?;
        let opened = self.check(url).map(|()| {
            // A plant is for one read.
            let file = self.world.lock().staged.get_mut(&name).map(|file| {
                let opened = file.clone();
                file.plant = None;
                opened
            });
            file.map(|file| Staged {
                pin: SourcePin { size: file.bytes.len() as u64, tag: file.tag.clone() },
                ranges: Some(Box::new(OneState(file.bytes.clone()))),
                body: Body::Stream(self.body(name, file, &call)),
            })
        });
        call.end(opened).await
    }
}

/// The file as it was when it was opened.
struct OneState(Bytes);

#[async_trait]
impl Ranges for OneState {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, Error> {
        let range = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let range = range.filter(|(start, end)| start <= end && *end <= self.0.len());
        let (start, end) = range.ok_or_else(|| Error::unavailable("the staged file has no such bytes"))?;
        Ok(self.0.slice(start..end))
    }
}

fn failed(message: &'static str) -> ByteStream {
    stream::once(async move { Err(Error::unavailable(message)) }).boxed()
}
