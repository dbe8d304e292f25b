//! The strict double on loopback, with a bucket to publish to.

use std::sync::Arc;

use bytes::Bytes;
use distribution_backends::{Probe, S3Config, S3Files, S3Storage, SystemClock};
use distribution_core::{
    Body, Checksum, Content, ContentHeaders, Digest, Meter, ObjectKey, Source as _, StagedObject, Storage as _,
    VideoUrl,
};
use distribution_testkit::s3::{Credentials, S3Double};
use futures::stream::{self, StreamExt as _};
use tokio::sync::OnceCell;

use crate::s3_server::S3Server;

pub(crate) const BUCKET: &str = "media";
pub(crate) const MIB: usize = 1 << 20;
/// More than one request takes.
pub(crate) const LARGE: usize = 17 * MIB + 7;

pub(crate) struct Target {
    pub(crate) double: S3Double,
    server: S3Server,
}

impl Target {
    pub(crate) async fn start() -> Self {
        let double = S3Double::new([Credentials::new("id", "canary-s3-secret")]).with_clock(Arc::new(SystemClock));
        double.create_bucket(BUCKET);
        double.create_bucket("staging");
        let server = S3Server::start(double.clone()).await;
        Self { double, server }
    }

    pub(crate) fn config(&self, bucket: &str) -> S3Config {
        S3Config::from_uri(&format!("s3://{bucket}/mvp?endpoint={}", self.server.endpoint()))
            .unwrap()
            .keys("id", "canary-s3-secret")
    }

    pub(crate) fn endpoint(&self) -> &str {
        self.server.endpoint()
    }

    /// The storage of a service that does everything, as one probe has found.
    pub(crate) async fn open(&self) -> S3Storage {
        self.open_found(BUCKET).await
    }

    pub(crate) async fn open_found(&self, bucket: &str) -> S3Storage {
        static PROBE: OnceCell<Probe> = OnceCell::const_new();
        let look = async || S3Storage::open(self.config(bucket)).await.unwrap().probe().clone();
        let probe = PROBE.get_or_init(look).await.clone();
        self.double.clear_log();
        // What is found of one holds for the other.
        let config = self.config(bucket);
        let probe = Probe { target: config.place(), ..probe };
        S3Storage::open_probed(config, probe).unwrap()
    }

    /// The storage, after its probe, of which nothing is left.
    pub(crate) async fn open_as(&self, config: impl FnOnce(S3Config) -> S3Config) -> S3Storage {
        let storage = S3Storage::open(config(self.config(BUCKET))).await.unwrap();
        assert!(self.double.keys(BUCKET).is_empty() && self.double.uploads(BUCKET).is_empty(), "the probe cleans up");
        self.double.clear_log();
        storage
    }

    /// An object of this service as content, which was staged by other means.
    pub(crate) async fn staged(&self, bytes: &Bytes) -> Content {
        let put = self.open_found("staging").await;
        put.create(&key("clip.mp4"), content(bytes)).await.unwrap();
        let source = S3Files::open(self.config("staging")).unwrap();
        let staged = source.open(&VideoUrl::parse("s3://staging/mvp/clip.mp4").unwrap()).await.unwrap().unwrap();
        assert_eq!(staged.pin.size, bytes.len() as u64);
        self.double.clear_log();
        Content { body: staged.body, ..content(bytes) }
    }

    /// The bytes that are stored, seen without the backend.
    pub(crate) fn stored(&self, name: &str) -> Option<Bytes> {
        self.double.object(BUCKET, &format!("mvp/{name}")).map(|object| object.bytes)
    }
}

pub(crate) fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).unwrap()
}

pub(crate) fn pattern(len: usize, seed: u8) -> Bytes {
    let period: Vec<u8> = (0..251).map(|n| n ^ seed).collect();
    let mut bytes = period.repeat(len / 251 + 1);
    bytes.truncate(len);
    bytes.into()
}

pub(crate) fn digest_of(bytes: &Bytes) -> Digest {
    Digest { checksum: Checksum::of(bytes), size: bytes.len() as u64 }
}

pub(crate) fn content(bytes: &Bytes) -> Content {
    let pieces: Vec<_> = bytes.chunks(1_000_003).map(|piece| Ok(bytes.slice_ref(piece))).collect();
    content_of(bytes, Body::Stream(stream::iter(pieces).boxed()))
}

pub(crate) fn content_of(bytes: &Bytes, body: Body) -> Content {
    Content {
        size: bytes.len() as u64,
        expected: Checksum::of(bytes),
        headers: ContentHeaders {
            content_type: "video/mp4".into(),
            content_disposition: "inline; filename=\"clip.mp4\"".into(),
            cache_control: "private, max-age=31536000, immutable".into(),
            user_metadata: [("sha256".into(), Checksum::of(bytes).hex())].into(),
        },
        body,
        meter: Meter::default(),
    }
}

/// The object that the content is, to be changed.
pub(crate) fn object_of(content: &mut Content) -> &mut StagedObject {
    let Body::Object { object, .. } = &mut content.body else { panic!("no object") };
    object
}
