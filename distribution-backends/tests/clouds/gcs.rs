//! Google Cloud Storage, by a double: no emulator of it that can be had here keeps preconditions.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distribution_backends::OpendalStorage;
use distribution_backends::opendal::services::Gcs;
use distribution_backends::opendal::{HttpTransport, HttpTransporter, OperationContext, Operator};
use distribution_core::{Body, Content, ContentHeaders, ObjectKey, Storage};
use distribution_testkit::conformance::{Harness, StorageHarness, Waivers};
use futures::future::BoxFuture;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::corruption::{Intruder, is_noticed};
use crate::faulty::{Fault, Faulty};
use crate::google::{ENDPOINT, Google};
use crate::support::{self, content, key, pattern};

/// Objects in the double, below `mvp/`, by way of this transport.
pub(crate) fn storage(transport: impl HttpTransport) -> OpendalStorage {
    let service = Gcs::default().bucket("bucket").root("/below/").endpoint(ENDPOINT).skip_signature();
    let context = OperationContext::new().with_http_transport(HttpTransporter::new(transport));
    let operator = Operator::new(service).unwrap().with_context(context);
    OpendalStorage::new(operator, "gs://bucket/below").unwrap()
}

struct Harnessed {
    google: Google,
    runtime: Runtime,
}

impl Harnessed {
    fn new() -> Self {
        Self { google: Google::default(), runtime: crate::runtime() }
    }
}

impl Harness for Harnessed {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }
}

#[async_trait]
impl StorageHarness for Harnessed {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(storage(self.google.clone()))
    }

    fn large_bytes(&self) -> usize {
        8 << 20
    }

    async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
        self.google.replace(&format!("below/{key}"), bytes)
    }

    async fn headers(&self, key: &ObjectKey) -> Option<ContentHeaders> {
        let kept = self.google.metadata(&format!("below/{key}"));
        let text = |name: &str| kept[name].as_str().unwrap_or_default().to_owned();
        let metadata = kept["metadata"].as_object().into_iter().flatten();
        Some(ContentHeaders {
            content_type: text("contentType"),
            content_disposition: text("contentDisposition"),
            cache_control: text("cacheControl"),
            user_metadata: metadata.map(|(name, value)| (name.clone(), string(value))).collect(),
        })
    }

    fn waived(&self) -> Waivers {
        &[
            ("keeps_headers_where_it_can", "opendal sends Google no disposition"),
            ("out_of_reach_is_an_error", "the double is never out of reach"),
        ]
    }
}

fn string(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[async_trait]
impl Intruder for Google {
    async fn read(&self, key: &ObjectKey) -> Vec<u8> {
        self.object(&format!("below/{key}")).unwrap().to_vec()
    }

    async fn write(&self, key: &ObjectKey, bytes: Option<Vec<u8>>) {
        self.rot(&format!("below/{key}"), bytes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corruption_is_noticed() {
    let google = Google::default();
    is_noticed(storage(google.clone()), google).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creates_survive_every_fault() {
    let google = Google::default();
    let network = Faulty::new(google.clone());
    let storage = storage(network.clone());
    // In one piece and in three.
    for size in [100_000, 17 << 20] {
        let faults = support::creates_survive_every_fault(&storage, &network, size).await;
        println!("proof: gcs: {faults} faults in creating {size} bytes");
        assert!(faults >= 10);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_survive_every_fault() {
    let network = Faulty::new(Google::default());
    support::reads_survive_every_fault(&storage(network.clone()), &network, 17 << 20).await;
}

#[tokio::test]
async fn a_commit_is_never_sent_again() {
    let network = Faulty::new(Google::default());
    let (storage, key, bytes) = (storage(network.clone()), key("mvp/clip.mp4"), pattern(100_000, 0));
    for fault in [Fault::AnswerLost, Fault::Unavailable, Fault::Lost, Fault::Refused, Fault::AnswerCut] {
        network.fail(Some((1, fault)));
        let _ = storage.create(&key, content(&bytes, &bytes)).await;
        // Begun, committed, aborted, and perhaps looked for.
        let requests = network.requests();
        assert_eq!(requests[..3], ["POST", "PUT", "DELETE"], "{fault:?}");
        assert!(requests[3..].iter().all(|method| method == "GET"), "{fault:?}: {requests:?}");
        storage.remove(&key).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_given_up_is_aborted() {
    let google = Google::default();
    let (storage, key, bytes) = (storage(google.clone()), key("mvp/clip.mp4"), pattern(17 << 20, 0));
    let other = pattern(17 << 20, 1);
    storage.create(&key, content(&bytes, &other)).await.unwrap();
    assert_eq!(google.unfinished(), 0, "unfit");
    // Dropped when most of it is sent.
    let pieces = bytes.chunks(1 << 20).map(|piece| Ok(bytes.slice_ref(piece))).collect::<Vec<_>>();
    let stalled = stream::iter(pieces).chain(stream::pending());
    let content = Content { body: Body::Stream(stalled.boxed()), ..content(&bytes, &bytes) };
    tokio::time::timeout(Duration::from_millis(500), storage.create(&key, content)).await.unwrap_err();
    let aborted = async {
        while google.unfinished() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), aborted).await.unwrap();
    assert_eq!(google.object("below/mvp/clip.mp4"), None);
}

#[tokio::test]
async fn a_read_that_breaks_never_goes_on_in_another_object() {
    let google = Google::default();
    let network = Faulty::new(google.clone());
    let (storage, key) = (storage(network.clone()), key("mvp/clip.mp4"));
    let (bytes, other) = (pattern(1 << 20, 0), pattern(1 << 20, 1));
    storage.create(&key, content(&bytes, &bytes)).await.unwrap();
    network.fail(Some((1, Fault::AnswerCut)));
    let mut stream = storage.open(&key, 0..u64::MAX).await.unwrap().unwrap();
    let start = stream.try_next().await.unwrap().unwrap();
    assert_eq!(start, bytes[..start.len()]);
    assert!(google.replace("below/mvp/clip.mp4", &other));
    assert!(stream.try_collect::<Vec<_>>().await.is_err(), "half of one object and half of another");
}

#[tokio::test]
async fn what_is_asked_of_google() {
    let google = Google::default();
    let (storage, key, bytes) = (storage(google.clone()), key("mvp/clip.mp4"), pattern(9, 0));
    storage.create(&key, content(&bytes, &bytes)).await.unwrap();
    let kept = google.metadata("below/mvp/clip.mp4");
    assert_eq!(kept["contentType"], "video/mp4");
    assert_eq!(kept["cacheControl"], "private");
    assert_eq!(kept["metadata"]["audit-log-id"], "dist_0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_finds_nothing_wrong() {
    support::finds_nothing_wrong(&storage(Google::default())).await;
}

mod proof_of_gcs {
    distribution_testkit::storage_conformance!(super::Harnessed::new());
}
