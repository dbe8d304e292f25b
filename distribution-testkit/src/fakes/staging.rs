//! The staging area in memory.

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{
    Checksum, Digest, Error, Removal, Source, SourcePin, StagedFile, Staging, Timestamp, VideoUrl,
};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::checker::Evidence;
use crate::fakes::MemorySource;
use crate::faults::{Fault, Op};
use crate::world::{self, World};

/// The staged files of a [`World`] as a whole.
#[derive(Clone, Debug)]
pub struct MemoryStaging {
    world: World,
}

/// A staged file that a [`MemoryStaging`] has removed, and all that could be seen at that moment.
#[derive(Clone, Debug)]
pub struct Cleared {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: Bytes,
    /// When, by the world's clock.
    pub at: Timestamp,
    /// How many were reading it.
    pub readers: usize,
    /// The world just before.
    pub evidence: Evidence,
}

impl MemoryStaging {
    /// The staging area of this world.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }
}

#[async_trait]
impl Staging for MemoryStaging {
    fn resolve(&self, url: &VideoUrl) -> Option<VideoUrl> {
        MemorySource::new(&self.world).check(url).ok().map(|()| url.redacted())
    }

    fn list(&self) -> BoxStream<'static, Result<StagedFile, Error>> {
        let world = self.world.clone();
        let listed = async move {
            let call = world.begin(Op::StagingList, "").await?;
            let files: Vec<_> = world.lock().staged.iter().filter_map(told).collect();
            call.end(Ok(stream::iter(files).map(Ok))).await
        };
        stream::once(listed).try_flatten().boxed()
    }

    async fn digest(&self, file: &StagedFile) -> Result<Option<Digest>, Error> {
        let name = file.url.redacted().expose().to_owned();
        let call = self.world.begin(Op::StagingDigest, name.as_str()).await?;
        let read = self.world.lock().staged.get(&name).filter(|is| pin(is) == file.pin).map(|is| is.bytes.clone());
        let read = read.map(|bytes| if call.has(Fault::Corrupt) { super::flipped(&bytes, 2) } else { bytes });
        let digest = |bytes: Bytes| Digest { checksum: Checksum::of(&bytes), size: bytes.len() as u64 };
        call.end(Ok(read.map(digest))).await
    }

    async fn remove(&self, file: &StagedFile) -> Result<Removal, Error> {
        let name = file.url.redacted().expose().to_owned();
        let call = self.world.begin(Op::StagingRemove, name.as_str()).await?;
        let file = file.clone();
        call.write(move |state| {
            let Some(is) = state.staged.get(&name) else { return Ok(Removal::Gone) };
            if pin(is) != file.pin {
                return Ok(Removal::Changed);
            }
            let (bytes, at, evidence) = (is.bytes.clone(), state.now, state.evidence());
            let readers = state.readers.get(&file.pin.tag).copied().unwrap_or_default();
            state.cleared.push(Cleared { name: name.clone(), bytes, at, readers, evidence });
            state.staged.remove(&name);
            Ok(Removal::Removed)
        })
        .await
    }
}

fn pin(file: &world::StagedFile) -> SourcePin {
    SourcePin { size: file.bytes.len() as u64, tag: file.tag.clone() }
}

fn told((name, file): (&String, &world::StagedFile)) -> Option<StagedFile> {
    let url = VideoUrl::parse(name.as_str()).ok()?;
    Some(StagedFile { url, pin: pin(file), modified: file.modified })
}
