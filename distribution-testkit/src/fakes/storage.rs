//! Storage in memory.

use std::collections::btree_map::Entry;
use std::io::{Read as _, Seek as _};
use std::ops::Range;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use distribution_core::{
    Body, ByteStream, Checksum, Content, ContentHeaders, CreateOutcome, Digest, Digester, Error, ErrorKind, LegalHold,
    Location, Meter, ObjectKey, ObjectStat, Proof, Storage, TargetName, Unfit, Verification,
};
use futures::{StreamExt as _, stream};

use super::{flipped, in_pieces, paced};
use crate::effect::Call;
use crate::faults::{Fault, Op};
use crate::world::{MemoryObject, State, World};

/// One storage target of a [`World`]. It hashes on the way, refuses other bytes, and gives no proof
/// with `Created` unless told to, so that whoever publishes has to look.
///
/// A local file given as content is read on the calling thread.
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    world: World,
    target: TargetName,
    proof: Option<Verification>,
}

impl MemoryStorage {
    /// The target of this name.
    pub fn new(world: &World, target: &TargetName) -> Self {
        Self { world: world.clone(), target: target.clone(), proof: None }
    }

    /// The same target, but `Created` comes with a proof of what is really stored.
    pub fn with_proof(self, how: Verification) -> Self {
        Self { proof: Some(how), ..self }
    }

    async fn begin(&self, op: Op, key: &str) -> Result<Call, Error> {
        self.world.begin(op, format!("{}/{key}", self.target)).await
    }

    fn at(&self, key: &ObjectKey) -> Option<MemoryObject> {
        self.world.object(self.target.as_str(), key.as_str())
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let call = self.begin(Op::StorageCreate, key.as_str()).await?;
        let (size, expected, headers, meter) = (content.size, content.expected, content.headers, content.meter);
        let bytes = read(content.body, size, &meter).await?;
        let found = digest_of(&bytes);
        let outcome = if found.size != size {
            CreateOutcome::Unfit(Unfit::Changed)
        } else if found.checksum != expected {
            CreateOutcome::Unfit(Unfit::OtherBytes { found })
        } else {
            let appears = Appears {
                at: (self.target.to_string(), key.to_string()),
                bytes: damaged(bytes, &call),
                headers,
                proof: self.proof,
                rival: call.has(Fault::Conflict),
            };
            return call.write(move |state| Ok(appears.commit(state))).await;
        };
        call.end(Ok(outcome)).await
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        let call = self.begin(Op::StorageDigest, key.as_str()).await?;
        let object = readable(self.at(key), key);
        let digest = object.map(|object| object.map(|object| digest_of(&as_read(object.bytes, &call))));
        meter.add(digest.as_ref().ok().copied().flatten().map_or(0, |digest| digest.size));
        call.end(digest).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        let call = self.begin(Op::StorageStat, key.as_str()).await?;
        let stat = self.at(key).map(|object| ObjectStat {
            size: object.bytes.len() as u64,
            modified: Some(object.created_at),
            etag: Some(Checksum::of(&object.bytes).hex()),
            is_archived: object.is_archived,
            legal_hold: object.legal_hold,
        });
        call.end(Ok(stat)).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        let call = self.begin(Op::StorageOpen, key.as_str()).await?;
        let opened = |object: MemoryObject| {
            let wanted = cut(&object.bytes, range);
            let read = as_read(wanted.clone(), &call);
            let rest = (read.len() < wanted.len()).then(|| Err(Error::unavailable("the object ended early: repeat")));
            paced(&self.world, in_pieces(&read)).chain(stream::iter(rest)).boxed()
        };
        let stream = readable(self.at(key), key).map(|object| object.map(opened));
        call.end(stream).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        let call = self.begin(Op::StorageRemove, key.as_str()).await?;
        let at = (self.target.to_string(), key.to_string());
        call.write(move |state| match state.objects.get(&at) {
            Some(object) if object.legal_hold == LegalHold::On => {
                let message = format!("{} is under a legal hold of {}: lift it, then repeat", at.1, at.0);
                Err(Error::new(ErrorKind::Conflict, message))
            }
            Some(_) | None => {
                state.objects.remove(&at);
                Ok(())
            }
        })
        .await
    }

    fn keeps_legal_holds(&self) -> bool {
        self.world.lock().with_legal_holds.contains(self.target.as_str())
    }

    async fn set_legal_hold(&self, key: &ObjectKey, hold: LegalHold) -> Result<Option<LegalHold>, Error> {
        let call = self.begin(Op::StorageHold, key.as_str()).await?;
        if !self.keeps_legal_holds() {
            let message = format!("the target {} has no legal holds", self.target);
            return call.end(Err(Error::new(ErrorKind::Unsupported, message))).await;
        }
        let at = (self.target.to_string(), key.to_string());
        call.write(move |state| {
            let object = state.objects.get_mut(&at);
            Ok(object.map(|object| std::mem::replace(&mut object.legal_hold, hold)))
        })
        .await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        let call = self.begin(Op::StorageList, prefix).await?;
        let listed = {
            let state = self.world.lock();
            let keys = state.objects.keys().filter(|(target, _)| target == self.target.as_str()).map(|(_, key)| key);
            let keys =
                keys.filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after.as_str()));
            keys.take(limit).map(|key| ObjectKey::parse(key.as_str())).collect()
        };
        call.end(listed).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        #[expect(clippy::expect_used, reason = "neither part has a character that a location must not have")]
        Location::parse(format!("memory://{}/{key}", self.target)).expect("a target and a key make a location")
    }
}

async fn read(body: Body, size: u64, meter: &Meter) -> Result<Bytes, Error> {
    let mut bytes = BytesMut::new();
    match body {
        Body::Stream(mut pieces) | Body::Object { bytes: mut pieces, .. } => {
            while let Some(piece) = pieces.next().await {
                let piece = piece?;
                meter.add(piece.len() as u64);
                bytes.extend_from_slice(&piece);
                if bytes.len() as u64 > size {
                    break;
                }
            }
        }
        Body::File { mut file, .. } => {
            let mut all = Vec::new();
            let read = file.rewind().and_then(|()| file.take(size.saturating_add(1)).read_to_end(&mut all));
            read.map_err(|error| Error::unavailable("the staged file cannot be read: repeat").because(error))?;
            meter.add(all.len() as u64);
            bytes.extend_from_slice(&all);
        }
        _ => return Err(Error::new(ErrorKind::Unsupported, "the testkit's storage does not know this kind of body")),
    }
    Ok(bytes.freeze())
}

fn readable(object: Option<MemoryObject>, key: &ObjectKey) -> Result<Option<MemoryObject>, Error> {
    match object {
        Some(object) if object.is_archived => {
            let message = format!("{key} is in an archive class of its store: have it restored there, then repeat");
            Err(Error::new(ErrorKind::Archived, message))
        }
        object => Ok(object),
    }
}

/// An object on its way.
struct Appears {
    at: (String, String),
    bytes: Bytes,
    headers: ContentHeaders,
    proof: Option<Verification>,
    rival: bool,
}

impl Appears {
    /// The one moment in which the object appears.
    fn commit(&self, state: &mut State) -> CreateOutcome {
        let (created_at, headers) = (state.now, self.headers.clone());
        let (is_archived, legal_hold) = (false, LegalHold::Off);
        let object = |bytes| MemoryObject { bytes, headers, created_at, is_archived, legal_hold };
        let Entry::Vacant(place) = state.objects.entry(self.at.clone()) else { return CreateOutcome::AlreadyExists };
        if self.rival {
            place.insert(object(Bytes::from_static(b"a rival's bytes")));
            return CreateOutcome::AlreadyExists;
        }
        place.insert(object(self.bytes.clone()));
        CreateOutcome::Created { proof: self.proof.map(|how| Proof { digest: digest_of(&self.bytes), how }) }
    }
}

/// The bytes as they are stored.
fn damaged(bytes: Bytes, call: &Call) -> Bytes {
    if call.has(Fault::Truncate) {
        bytes.slice(..bytes.len() / 2)
    } else if call.has(Fault::Corrupt) {
        flipped(&bytes, 1)
    } else {
        bytes
    }
}

/// The stored bytes as they are read.
fn as_read(bytes: Bytes, call: &Call) -> Bytes {
    if call.has(Fault::ShortRead) {
        bytes.slice(..bytes.len() / 2)
    } else if call.has(Fault::Corrupt) {
        flipped(&bytes, 2)
    } else {
        bytes
    }
}

fn cut(bytes: &Bytes, range: Range<u64>) -> Bytes {
    let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
    let (start, end) = (within(range.start), within(range.end));
    bytes.slice(start.min(end)..end)
}

fn digest_of(bytes: &[u8]) -> Digest {
    let mut digester = Digester::default();
    digester.update(bytes);
    digester.finish()
}
