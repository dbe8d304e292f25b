//! Bytes that rot between being stored and being proven are noticed, on every backend.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::OpendalStorage;
use distribution_backends::opendal::{Operator, services::Memory};
use distribution_core::{
    AlertKind, AuditEvent, ByteStream, Content, CreateOutcome, Digest, Error, ErrorKind, Location, Meter, ObjectKey,
    ObjectStat, Publisher, State, Storage, TargetName,
};
use distribution_testkit::{World, request};

use crate::support::pattern;

/// What becomes of a stored object.
#[derive(Clone, Copy, Debug)]
enum Rot {
    OneBit,
    Truncated,
    Swapped,
    Gone,
}

/// How to change an object behind a storage's back.
#[async_trait]
pub(crate) trait Intruder: Send + Sync + 'static {
    async fn read(&self, key: &ObjectKey) -> Vec<u8>;
    /// `None` removes it.
    async fn write(&self, key: &ObjectKey, bytes: Option<Vec<u8>>);
}

#[async_trait]
impl Intruder for Operator {
    async fn read(&self, key: &ObjectKey) -> Vec<u8> {
        Operator::read(self, key.as_str()).await.unwrap().to_vec()
    }

    async fn write(&self, key: &ObjectKey, bytes: Option<Vec<u8>>) {
        match bytes {
            Some(bytes) => Operator::write(self, key.as_str(), bytes).await.map(|_| ()).unwrap(),
            None => self.delete(key.as_str()).await.unwrap(),
        }
    }
}

/// A storage in which everything rots as soon as it is stored.
struct Rotting {
    inner: OpendalStorage,
    intruder: Arc<dyn Intruder>,
    rot: Rot,
}

#[async_trait]
impl Storage for Rotting {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let outcome = self.inner.create(key, content).await?;
        let mut bytes = self.intruder.read(key).await;
        let middle = bytes.len() / 2;
        let changed = match self.rot {
            Rot::OneBit => {
                bytes[middle] ^= 4;
                Some(bytes)
            }
            Rot::Truncated => {
                bytes.pop();
                Some(bytes)
            }
            Rot::Swapped => Some(bytes.into_iter().rev().collect()),
            Rot::Gone => None,
        };
        self.intruder.write(key, changed).await;
        Ok(outcome)
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        self.inner.digest(key, meter).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.inner.stat(key).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.inner.open(key, range).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.inner.remove(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        self.inner.list(prefix, after, limit).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        self.inner.location(key)
    }
}

/// Publishes into a storage where everything rots, in every way: nothing is published, nobody gets a
/// link, and there is an alert. In the same place without rot, it then succeeds.
pub(crate) async fn is_noticed(inner: OpendalStorage, intruder: impl Intruder) {
    let intruder: Arc<dyn Intruder> = Arc::new(intruder);
    // In more than one part.
    let video = pattern((8 << 20) + 4_099, 3);
    for rot in [Rot::OneBit, Rot::Truncated, Rot::Swapped, Rot::Gone] {
        let world = World::new();
        let name = format!("{rot:?}.mp4");
        world.stage(name.as_str(), video.clone());
        let rotting = Rotting { inner: inner.clone(), intruder: Arc::clone(&intruder), rot };
        let error = publisher(&world, Arc::new(rotting)).publish(request(&name, &video)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{rot:?}: {error}");
        assert!(world.alerts().iter().any(|alert| alert.kind == AlertKind::Corrupt), "{rot:?}");
        assert!(world.rows().iter().all(|row| row.index.state == State::Rejected), "{rot:?}");
        let is_link =
            |event: &AuditEvent| matches!(event, AuditEvent::Published { .. } | AuditEvent::LinkGranted { .. });
        assert!(!world.audit().iter().any(|entry| is_link(&entry.event)), "{rot:?}");

        let mended = publisher(&world, Arc::new(inner.clone())).publish(request(&name, &video)).await.unwrap();
        assert_eq!(mended.metadata.checksum, distribution_core::Checksum::of(&video), "{rot:?}");
    }
}

fn publisher(world: &World, storage: Arc<dyn Storage>) -> Publisher {
    let parts = world.parts(&TargetName::default());
    let builder = world.builder("a").target(TargetName::default(), storage, parts.signer);
    builder.build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_memory() {
    let operator = Operator::new(Memory::default()).unwrap();
    is_noticed(OpendalStorage::new(operator.clone(), "memory://test").unwrap(), operator).await;
}
