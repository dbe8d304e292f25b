//! Azure Blob Storage, as Azurite serves it. `DISTRIBUTION_TEST_AZURITE` names one: its endpoint, account and
//! key, with blanks between them.

use std::env;
use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use distribution_backends::opendal::services::Azblob;
use distribution_backends::opendal::{HttpTransporter, OperationContext, Operator};
use distribution_backends::{AzblobConfig, OpendalStorage};
use distribution_core::{ContentHeaders, ObjectKey, Storage};
use distribution_testkit::conformance::storage::CHECKS;
use distribution_testkit::conformance::{Harness, StorageHarness, Waivers, verify};
use futures::future::BoxFuture;
use opendal_http_transport_reqwest::ReqwestTransport;
use reqsign_azure_storage::{RequestSigner, StaticCredentialProvider};
use reqsign_core::{Context, Signer};
use tokio::runtime::Runtime;

use crate::corruption::is_noticed;
use crate::faulty::Faulty;
use crate::proxy::Proxy;
use crate::support::{self, content, key, pattern};

const WAIVED: Waivers =
    &[("keeps_headers_where_it_can", "opendal sends Azure no disposition, and a `-` in metadata is `_` there")];

/// A running Azurite.
#[derive(Clone)]
pub(crate) struct Server {
    endpoint: String,
    account: String,
    pub(crate) key: String,
}

impl Server {
    /// `None` if there is none, which in CI is a failure.
    pub(crate) fn find(proof: &str) -> Option<Self> {
        let Ok(text) = env::var("DISTRIBUTION_TEST_AZURITE") else {
            println!("NOT RUN: {proof}: DISTRIBUTION_TEST_AZURITE names no server");
            assert!(env::var_os("CI").is_none(), "{proof} must run in CI: DISTRIBUTION_TEST_AZURITE names no server");
            return None;
        };
        let [endpoint, account, key] =
            text.split_whitespace().map(str::to_owned).collect::<Vec<_>>().try_into().unwrap();
        Some(Self { endpoint, account, key })
    }

    /// A new container, and the name of it.
    pub(crate) async fn container(&self) -> String {
        static CONTAINERS: AtomicUsize = AtomicUsize::new(0);
        let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let name = format!("t{}-{nanos}-{}", std::process::id(), CONTAINERS.fetch_add(1, Ordering::Relaxed));
        let url = format!("{}/{name}?restype=container", self.endpoint);
        let request = http::Request::put(url).header("x-ms-version", "2021-12-02").header("content-length", "0");
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let credential = StaticCredentialProvider::new_shared_key(&self.account, &self.key);
        Signer::new(Context::new(), credential, RequestSigner::new()).sign(&mut parts, None).await.unwrap();
        let url = parts.uri.to_string();
        let answer = client().put(url).headers(parts.headers).send().await.unwrap();
        assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
        name
    }

    /// A container, below a prefix.
    pub(crate) fn config(&self, container: &str) -> AzblobConfig {
        AzblobConfig::from_uri(self.uri(container)).unwrap().with_key(self.key.as_str())
    }

    pub(crate) fn uri(&self, container: &str) -> String {
        let endpoint = self.endpoint.replace(':', "%3A").replace('/', "%2F");
        format!("az://{container}/below/this?account={}&endpoint={endpoint}", self.account)
    }

    /// The storage there, reached at `endpoint`.
    pub(crate) fn storage(&self, endpoint: &str, container: &str) -> OpendalStorage {
        let mut config = self.config(container);
        config.endpoint = endpoint.to_owned();
        config.open().unwrap()
    }

    /// The same place, for whoever does not ask the storage.
    pub(crate) fn operator(&self, container: &str) -> Operator {
        let service = Azblob::default()
            .container(container)
            .root("/below/this/")
            .endpoint(&self.endpoint)
            .account_name(&self.account)
            .account_key(&self.key);
        let transport = HttpTransporter::new(ReqwestTransport::new(client()));
        Operator::new(service).unwrap().with_context(OperationContext::new().with_http_transport(transport))
    }

    /// The endpoint by way of a proxy.
    async fn proxied(&self) -> (Proxy, String) {
        let (_, rest) = self.endpoint.split_once("://").unwrap();
        let (address, path) = rest.split_once('/').unwrap();
        let proxy = Proxy::to(address.parse().unwrap()).await;
        let endpoint = format!("http://{}/{path}", proxy.address);
        (proxy, endpoint)
    }
}

fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

struct Azurite {
    server: Server,
    container: String,
    proxy: Proxy,
    endpoint: String,
    operator: Operator,
    runtime: Runtime,
}

impl Azurite {
    fn new(server: &Server) -> Self {
        let runtime = crate::runtime();
        let (container, (proxy, endpoint)) =
            runtime.block_on(async { (server.container().await, server.proxied().await) });
        let operator = server.operator(&container);
        Self { server: server.clone(), container, proxy, endpoint, operator, runtime }
    }
}

impl Harness for Azurite {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }

    fn trials(&self) -> usize {
        6
    }
}

#[async_trait]
impl StorageHarness for Azurite {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(self.server.storage(&self.endpoint, &self.container))
    }

    fn large_bytes(&self) -> usize {
        8 << 20
    }

    async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
        self.operator.write(key.as_str(), bytes.to_vec()).await.is_ok()
    }

    async fn cut_off(&self, cut_off: bool) -> bool {
        self.proxy.cut(cut_off);
        true
    }

    async fn headers(&self, key: &ObjectKey) -> Option<ContentHeaders> {
        let found = self.operator.stat(key.as_str()).await.unwrap();
        let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
        let metadata = found.user_metadata().into_iter().flatten();
        Some(ContentHeaders {
            content_type: text(found.content_type()),
            content_disposition: text(found.content_disposition()),
            cache_control: text(found.cache_control()),
            user_metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }

    fn waived(&self) -> Waivers {
        WAIVED
    }
}

#[test]
fn proof_of_azurite() {
    let Some(server) = Server::find("proof_of_azurite") else { return };
    let only = env::var("ONLY").ok();
    for check in CHECKS.iter().filter(|check| only.as_deref().is_none_or(|only| check.name == only)) {
        let start = std::time::Instant::now();
        verify(CHECKS, check.name, WAIVED, &Azurite::new(&server));
        println!("{} {:?}", check.name, start.elapsed());
    }
    println!("proof: azurite: {} checks, {} waived", CHECKS.len(), WAIVED.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_on_the_way_to_azurite() {
    let Some(server) = Server::find("faults_on_the_way_to_azurite") else { return };
    let container = server.container().await;
    let network = Faulty::new(ReqwestTransport::new(client()));
    let context = OperationContext::new().with_http_transport(HttpTransporter::new(network.clone()));
    let operator = server.operator(&container).with_context(context);
    let storage = OpendalStorage::new(operator, format!("az://{container}/below/this")).unwrap();
    for size in [100_000, 17 << 20] {
        let faults = support::creates_survive_every_fault(&storage, &network, size).await;
        println!("proof: azurite: {faults} faults in creating {size} bytes");
    }
    support::reads_survive_every_fault(&storage, &network, 17 << 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn azurite_passes_the_probe_and_corruption_is_noticed() {
    let Some(server) = Server::find("azurite_passes_the_probe_and_corruption_is_noticed") else { return };
    let container = server.container().await;
    let storage = server.storage(&server.endpoint, &container);
    support::finds_nothing_wrong(&storage).await;
    is_noticed(storage, server.operator(&container)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_azurite_keeps_of_the_headers() {
    let Some(server) = Server::find("what_azurite_keeps_of_the_headers") else { return };
    let container = server.container().await;
    let (storage, operator) = (server.storage(&server.endpoint, &container), server.operator(&container));
    for size in [9, 9 << 20] {
        let (key, bytes) = (key(&format!("{size}.mp4")), pattern(size, 0));
        storage.create(&key, content(&bytes, &bytes)).await.unwrap();
        let kept = operator.stat(key.as_str()).await.unwrap();
        assert_eq!((kept.content_type(), kept.cache_control()), (Some("video/mp4"), Some("private")));
        assert_eq!(kept.user_metadata().unwrap().get("audit_log_id"), Some("dist_0"));
    }
}

#[tokio::test]
async fn a_wrong_key_is_told_in_words_and_is_no_absence() {
    let Some(server) = Server::find("a_wrong_key_is_told_in_words_and_is_no_absence") else { return };
    let container = server.container().await;
    let wrong = Server { key: "d3Jvbmc=".into(), ..server };
    let storage = wrong.storage(&wrong.endpoint, &container);
    let error = storage.stat(&key("mvp/clip.mp4")).await.unwrap_err();
    let text = format!("{error} {:?}", error.source());
    assert!(text.contains("refuses the credentials") && !text.contains("d3Jvbmc="), "{text}");
    let right = Server::find("").unwrap();
    let nowhere = right.storage(&right.endpoint, "no-such-container");
    let bytes = pattern(1, 0);
    let errors = [
        nowhere.stat(&key("a.mp4")).await.unwrap_err(),
        nowhere.create(&key("a.mp4"), content(&bytes, &bytes)).await.unwrap_err(),
        nowhere.list("", None, 1).await.unwrap_err(),
    ];
    assert!(errors.iter().all(|error| error.to_string().contains("no such bucket or container")), "{errors:?}");
}
