//! A publisher whose files cost nothing: they come from nowhere and go there.

#![expect(clippy::expect_used, reason = "a bench may end")]

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use distribution_backends::{HmacKey, HmacSigner, JsonlAudit, LogAlerts, SystemClock, holder_name};
use distribution_core::{
    Body, ByteStream, Checksum, Content, CreateOutcome, Digest, Error, Location, MetadataStore, Meter, ObjectKey,
    ObjectStat, Proof, PublishRequest, Publisher, Source, SourcePin, Staged, Storage, TargetName, Verification,
    VideoUrl,
};

use crate::common::Result;

/// What every file is.
pub(crate) const FILE: &[u8] = b"a video";

/// A publisher over these records, with a durable audit trail in a file.
pub(crate) async fn publisher(store: Arc<dyn MetadataStore>, trail: &Path) -> Result<Publisher> {
    let signer = HmacSigner::new("https://media.example", HmacKey::new("bench", [7; 32])?)?;
    let builder = Publisher::builder()
        .target(TargetName::default(), Arc::new(Nowhere), Arc::new(signer))
        .source(Arc::new(Nowhere))
        .metadata(store)
        .audit(Arc::new(JsonlAudit::open(trail).await?))
        .alerts(Arc::new(LogAlerts))
        .clock(Arc::new(SystemClock))
        .holder(holder_name());
    Ok(builder.build()?)
}

/// A request of its own for every number.
pub(crate) fn request(n: u64) -> Result<PublishRequest> {
    let mut request = crate::request::request(Checksum::of(format!("video {n}").as_bytes()))?;
    request.distribution_settings.storage_prefix = Some(format!("batch-{n}/").parse()?);
    request.distribution_settings.metadata.title = Some(format!("Clip {n}"));
    request.distribution_settings.metadata.tags = vec!["bench".to_owned(), format!("tag-{}", n % 100)];
    Ok(request)
}

struct Nowhere;

#[async_trait]
impl Source for Nowhere {
    fn check(&self, _: &VideoUrl) -> std::result::Result<(), Error> {
        Ok(())
    }

    async fn open(&self, _: &VideoUrl) -> std::result::Result<Option<Staged>, Error> {
        let body = Body::Stream(Box::pin(futures::stream::once(async { Ok(Bytes::from_static(FILE)) })));
        Ok(Some(Staged { pin: SourcePin { size: FILE.len() as u64, tag: "1".to_owned() }, body, ranges: None }))
    }
}

/// Takes everything for what it should be, tells that [`FILE`] is at every key, and keeps nothing.
#[async_trait]
impl Storage for Nowhere {
    async fn create(&self, _: &ObjectKey, content: Content) -> std::result::Result<CreateOutcome, Error> {
        let digest = Digest { checksum: content.expected, size: content.size };
        Ok(CreateOutcome::Created { proof: Some(Proof { digest, how: Verification::ReadBack }) })
    }

    async fn digest(&self, _: &ObjectKey, _: &Meter) -> std::result::Result<Option<Digest>, Error> {
        Ok(Some(digest()))
    }

    async fn stat(&self, _: &ObjectKey) -> std::result::Result<Option<ObjectStat>, Error> {
        Ok(Some(ObjectStat { size: digest().size, ..ObjectStat::default() }))
    }

    async fn open(&self, _: &ObjectKey, _: Range<u64>) -> std::result::Result<Option<ByteStream>, Error> {
        Ok(None)
    }

    async fn remove(&self, _: &ObjectKey) -> std::result::Result<(), Error> {
        Ok(())
    }

    async fn list(&self, _: &str, _: Option<&ObjectKey>, _: usize) -> std::result::Result<Vec<ObjectKey>, Error> {
        Ok(Vec::new())
    }

    fn location(&self, key: &ObjectKey) -> Location {
        Location::parse(format!("nowhere://bench/{key}")).expect("a key has no spaces")
    }
}

fn digest() -> Digest {
    Digest { checksum: Checksum::of(FILE), size: FILE.len() as u64 }
}
