//! The same checks as those of every storage and source, over HTTP.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use distribution_backends::{Probe, S3Files, S3Storage};
use distribution_core::{ContentHeaders, ObjectKey, Source, Staging, Storage, VideoUrl};
use distribution_testkit::Budget;
use distribution_testkit::conformance::storage::CHECKS;
use distribution_testkit::conformance::{Harness, SourceHarness, StagingHarness, StorageHarness, verify};
use futures::future::BoxFuture;
use tokio::runtime::Runtime;

use crate::locks::{locking, vault};
use crate::proxy::Proxy;
use crate::server::Server;

/// A fresh prefix on a server, behind a proxy.
struct Remote {
    place: Option<Place>,
    runtime: Runtime,
}

struct Place {
    server: Server,
    bucket: String,
    /// Whether it has Object Lock.
    is_locking: bool,
    prefix: String,
    proxy: Proxy,
}

impl Remote {
    fn new(variable: &str) -> Self {
        Self::of(variable, false)
    }

    fn of(variable: &str, is_locking: bool) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let place = Server::named(variable).map(|server| {
            let bucket = if is_locking { vault(&server) } else { server.bucket().to_owned() };
            let mut random = [0; 6];
            getrandom::fill(&mut random).unwrap();
            let proxy = runtime.block_on(Proxy::start(server.host.clone()));
            let prefix = format!("p-{}", data_encoding::HEXLOWER.encode(&random));
            Place { server, bucket, is_locking, prefix, proxy }
        });
        Self { place, runtime }
    }

    fn place(&self) -> &Place {
        self.place.as_ref().unwrap()
    }
}

impl Place {
    fn path(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.bucket, self.prefix)
    }

    fn config(&self) -> distribution_backends::S3Config {
        let config = self.server.config(&self.bucket, &self.prefix, &self.proxy.addr.to_string());
        config.object_lock(self.is_locking)
    }
}

impl Harness for Remote {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }

    fn missing(&self) -> Option<String> {
        self.place.is_none().then(|| "no server is named, see .ci/servers".to_owned())
    }

    fn trials(&self) -> usize {
        Budget::chosen().pick(4, 6, 24)
    }
}

#[async_trait]
impl StorageHarness for Remote {
    async fn open(&self) -> Arc<dyn Storage> {
        // Once for all: what one finds holds for the next.
        static PROBE: OnceLock<Probe> = OnceLock::new();
        let config = self.place().config();
        if self.place().is_locking {
            return Arc::new(locking(config).await);
        }
        let storage = match PROBE.get() {
            Some(probe) => {
                let probe = Probe { target: config.place(), ..probe.clone() };
                S3Storage::open_probed(config, probe).unwrap()
            }
            None => S3Storage::open(config).await.unwrap(),
        };
        PROBE.get_or_init(|| storage.probe().clone());
        Arc::new(storage)
    }

    fn large_bytes(&self) -> usize {
        16 << 20
    }

    async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
        let place = self.place();
        let headers = headers_of(&place.server.head(&place.path(key.as_str())));
        place.server.put(&place.path(key.as_str()), &headers, bytes)
    }

    async fn cut_off(&self, cut_off: bool) -> bool {
        self.place().proxy.cut_off(cut_off);
        true
    }

    async fn is_destroyed(&self, key: &ObjectKey) -> Option<bool> {
        let place = self.place();
        let path = format!("{}?prefix={}%2F{}&versions=", place.bucket, place.prefix, key.as_str().replace('/', "%2F"));
        let versions = place.server.curl(&[], &path, b"");
        assert!(versions.contains("ListVersionsResult"), "{versions}");
        Some(!versions.contains("<Version>"))
    }

    async fn headers(&self, key: &ObjectKey) -> Option<ContentHeaders> {
        Some(headers_of(&self.place().server.head(&self.place().path(key.as_str()))))
    }
}

fn headers_of(fields: &BTreeMap<String, String>) -> ContentHeaders {
    let field = |name: &str| fields.get(name).cloned().unwrap_or_default();
    let meta = |(name, value): (&String, &String)| Some((name.strip_prefix("x-amz-meta-")?.to_owned(), value.clone()));
    ContentHeaders {
        content_type: field("content-type"),
        content_disposition: field("content-disposition"),
        cache_control: field("cache-control"),
        user_metadata: fields.iter().filter_map(meta).collect(),
    }
}

#[async_trait]
impl StagingHarness for Remote {
    async fn staging(&self) -> Arc<dyn Staging> {
        Arc::new(S3Files::open(self.place().config()).unwrap())
    }

    /// Ceph answers 200 to a PUT that loses a race, also one against a conditional DELETE of what was there before
    /// (`rgw_rados.cc`, "we lost in a race"). No client can help it; what this one sends is judged in `staged.rs`.
    fn may_lose_writes(&self) -> bool {
        true
    }
}

#[async_trait]
impl SourceHarness for Remote {
    async fn open(&self) -> Arc<dyn Source> {
        Arc::new(S3Files::open(self.place().config()).unwrap())
    }

    fn url(&self, name: &str) -> VideoUrl {
        VideoUrl::parse(name).unwrap()
    }

    async fn stage(&self, name: &str, bytes: &[u8]) {
        let text = |text: &str| text.to_owned();
        let headers = ContentHeaders {
            content_type: text("video/mp4"),
            content_disposition: text("inline"),
            cache_control: text("no-cache"),
            user_metadata: BTreeMap::new(),
        };
        assert!(self.place().server.put(&self.place().path(name), &headers, bytes));
    }

    async fn cut_off(&self, cut_off: bool) -> bool {
        self.place().proxy.cut_off(cut_off);
        true
    }

    fn refused(&self) -> Vec<VideoUrl> {
        let elsewhere = ["s3://other/clip.mp4", "s3://other", "https://host.example/clip.mp4", "/etc/passwd"];
        let mut refused: Vec<_> = elsewhere.map(str::to_owned).into();
        if let Some(place) = &self.place {
            let bucket = &place.bucket;
            refused.extend([
                format!("s3://{bucket}/other/clip.mp4"),
                format!("s3://{bucket}/{}", place.prefix),
                format!("s3://{bucket}/{}/../other/clip.mp4", place.prefix),
                format!("s3://{bucket}/{}/clip.mp4?versionId=1", place.prefix),
            ]);
        }
        refused.iter().map(|url| VideoUrl::parse(url).unwrap()).collect()
    }
}

mod proof_of_s3_storage {
    distribution_testkit::storage_conformance!(super::Remote::new("DISTRIBUTION_TEST_S3"));
}

/// A bucket with Object Lock: what differs from one without. Ceph's are not safe to publish to, see `locks.rs`.
#[test]
fn proof_that_a_bucket_keeps_what_is_under_a_legal_hold() {
    for name in ["keeps_what_is_under_a_legal_hold", "removes_once_and_again", "survives_reopening"] {
        verify(CHECKS, name, &[], &Remote::of("DISTRIBUTION_TEST_S3", true));
    }
}

mod proof_of_s3_files {
    distribution_testkit::source_conformance!(super::Remote::new("DISTRIBUTION_TEST_S3"));
}

mod proof_of_s3_staging {
    distribution_testkit::staging_conformance!(super::Remote::new("DISTRIBUTION_TEST_S3"));
}
