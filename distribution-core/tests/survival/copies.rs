//! Where the store's service copies what is staged, nobody has read it before it is proven.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{
    Body, ByteStream, Checksum, Content, CreateOutcome, Digest, Error, ErrorKind, Location, Meter, ObjectKey,
    ObjectStat, Publisher, Source, Staged, StagedObject, Storage, TargetName, VideoUrl,
};
use distribution_testkit::World;
use futures::executor::block_on;
use futures::stream::{self, StreamExt as _};

use crate::support::{VIDEO, check, staged, video};

/// What is staged, as objects of a service.
struct Objects(Arc<dyn Source>);

#[async_trait]
impl Source for Objects {
    fn check(&self, url: &VideoUrl) -> Result<(), Error> {
        self.0.check(url)
    }

    async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error> {
        let staged = self.0.open(url).await?;
        Ok(staged.map(|Staged { pin, body, ranges }| {
            let Body::Stream(bytes) = body else { panic!("the world's files are streams") };
            let text = |text: &str| text.to_owned();
            let (service, container, name) = (text("service"), text("staging"), text(url.expose()));
            let object = StagedObject { service, container, name, etag: pin.tag.clone() };
            Staged { pin, body: Body::Object { object, bytes }, ranges }
        }))
    }
}

/// A store whose service copies such objects: as the bytes that it takes them for.
struct Copies {
    storage: Arc<dyn Storage>,
    copied: Bytes,
    /// For each object that was stored, whether it was copied unread.
    unread: Mutex<Vec<bool>>,
}

#[async_trait]
impl Storage for Copies {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let is_object = matches!(content.body, Body::Object { .. });
        self.unread.lock().unwrap().push(is_object);
        let content = match is_object {
            true => {
                let body = Body::Stream(stream::iter([Ok(self.copied.clone())]).boxed());
                let (size, expected) = (self.copied.len() as u64, Checksum::of(&self.copied));
                Content { size, expected, body, ..content }
            }
            false => content,
        };
        let outcome = self.storage.create(key, content).await?;
        // A copy proves nothing.
        Ok(match outcome {
            CreateOutcome::Created { .. } => CreateOutcome::Created { proof: None },
            outcome => outcome,
        })
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        self.storage.digest(key, meter).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.storage.stat(key).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.storage.open(key, range).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.storage.remove(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        self.storage.list(prefix, after, limit).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        self.storage.location(key)
    }
}

/// A publisher whose store takes what is staged for `copied`.
fn publisher(world: &World, copied: &'static [u8]) -> (Publisher, Arc<Copies>) {
    let parts = world.parts(&TargetName::default());
    let storage = parts.storage;
    let copies = Arc::new(Copies { storage, copied: Bytes::from_static(copied), unread: Mutex::default() });
    let builder = world.builder("a").target(TargetName::default(), copies.clone(), parts.signer);
    (builder.source(Arc::new(Objects(parts.source))).build().unwrap(), copies)
}

#[test]
fn a_good_copy_is_published_unread() {
    let world = staged();
    let (publisher, copies) = publisher(&world, VIDEO);
    check(&world, &block_on(publisher.publish(video())).unwrap(), "a copy");
    assert_eq!(*copies.unread.lock().unwrap(), [true]);
}

#[test]
fn after_a_bad_copy_the_next_attempt_reads() {
    let world = staged();
    let (publisher, copies) = publisher(&world, b"copied wrongly by it");
    check(&world, &block_on(publisher.publish(video())).unwrap(), "read after a bad copy");
    assert_eq!(*copies.unread.lock().unwrap(), [true, false]);
}

#[test]
fn what_is_staged_and_was_not_approved_is_found_out_by_reading() {
    const OTHER: &[u8] = b"other bytes of the video";
    let world = World::new();
    world.stage("clip.mp4", OTHER);
    let (publisher, copies) = publisher(&world, OTHER);
    let error = block_on(publisher.publish(video())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    assert_eq!(*copies.unread.lock().unwrap(), [true, false]);
    assert!(world.answers().is_empty(), "no link");
}
