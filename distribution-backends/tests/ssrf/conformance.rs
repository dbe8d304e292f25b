//! An HTTP source keeps every guarantee of its port: no waivers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use distribution_backends::HttpSource;
use distribution_core::{Checksum, Source, VideoUrl};
use distribution_testkit::conformance::{Harness, SourceHarness};
use futures::future::BoxFuture;
use tokio::runtime::Runtime;

use crate::server::{Server, file, part, status};

/// A web server with a staging area.
struct Web {
    server: Server,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    is_away: Arc<AtomicBool>,
    runtime: Runtime,
}

impl Web {
    fn new() -> Self {
        let files = Arc::new(Mutex::new(BTreeMap::<String, Vec<u8>>::new()));
        let is_away = Arc::new(AtomicBool::new(false));
        let (staged, away) = (Arc::clone(&files), Arc::clone(&is_away));
        let server = Server::start("127.0.0.1", move |mut exchange| {
            if away.load(Ordering::SeqCst) {
                return;
            }
            let found = staged.lock().unwrap().get(&exchange.path).cloned();
            let etag = |bytes: &[u8]| Checksum::of(bytes).hex();
            exchange.say(match (found, exchange.range) {
                (Some(bytes), Some(range)) => part(&etag(&bytes), &bytes, range),
                (Some(bytes), None) => file(&etag(&bytes), &bytes),
                (None, _) => status("404 Not Found", "").into_bytes(),
            });
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { server, files, is_away, runtime }
    }
}

impl Harness for Web {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }
}

#[async_trait]
impl SourceHarness for Web {
    async fn open(&self) -> Arc<dyn Source> {
        let host = self.server.address.to_string();
        Arc::new(HttpSource::builder().private_host_without_tls(&host, &["127.0.0.1/32"]).build().unwrap())
    }

    fn url(&self, name: &str) -> VideoUrl {
        VideoUrl::parse(self.server.url(name)).unwrap()
    }

    async fn stage(&self, name: &str, bytes: &[u8]) {
        self.files.lock().unwrap().insert(format!("/{name}"), bytes.to_owned());
    }

    async fn cut_off(&self, cut_off: bool) -> bool {
        self.is_away.store(cut_off, Ordering::SeqCst);
        true
    }

    fn refused(&self) -> Vec<VideoUrl> {
        ["https://media.example/x", "http://127.0.0.1/x", "clip.mp4", "file:///etc/passwd", "s3://bucket/x"]
            .map(|url| VideoUrl::parse(url).unwrap())
            .into()
    }
}

mod proof_of_http_source {
    distribution_testkit::source_conformance!(super::Web::new());
}
