//! A place to publish to: a prefix on a server, behind a proxy, with records and trail on this disk. And
//! what is seen there when nobody is at work.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use distribution_backends::{
    HmacKey, HmacSigner, JsonlAudit, LocalDisk, LocalFiles, Probe, S3Files, S3Storage, SqliteMetadata, SystemClock,
};
use distribution_core::{
    Alert, AlertSink, AuditEntry, Clock, ConceptId, ContentHeaders, DistributionRecord, ObjectKey, Policy,
    PublishRequest, Publisher, Record, Source, Storage, StoragePrefix, TargetName, Timestamp,
};
use distribution_testkit::checker::{Evidence, violations};
use distribution_testkit::request;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::faulty_proxy::FaultyProxy;
use crate::server::Server;
use crate::tampering::{Broken, Defect, Replace};

pub(crate) const KIB: usize = 1 << 10;
pub(crate) const MIB: usize = 1 << 20;
/// How long a lease lasts; hosts that come after a crash have a clock that is as far ahead.
const LEASE_SECS: u32 = 60;

/// How the bytes get to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Road {
    /// A local file, in one request.
    Put,
    /// A local file, in parts.
    Parts,
    /// An object of the same service, which the service copies.
    Copied,
    /// An object of another service, which is read.
    Read,
}

impl Road {
    pub(crate) const ALL: [Self; 4] = [Self::Put, Self::Parts, Self::Copied, Self::Read];

    fn bytes(self) -> usize {
        match self {
            Self::Put => 300 * KIB,
            Self::Parts => 17 * MIB,
            Self::Copied | Self::Read => MIB + 17,
        }
    }

    pub(crate) fn is_local(self) -> bool {
        matches!(self, Self::Put | Self::Parts)
    }
}

/// A server, what it was found to do, and a file that is staged for it.
pub(crate) struct Stage {
    pub(crate) server: Server,
    probe: Probe,
    pub(crate) road: Road,
    pub(crate) bytes: Vec<u8>,
    pub(crate) request: PublishRequest,
    /// What is wrong with its publishers' storage.
    pub(crate) defect: Option<Defect>,
    dir: TempDir,
    staged: String,
}

impl Stage {
    pub(crate) async fn new(server: Server, road: Road) -> Self {
        let config = server.config(server.bucket(), &unique("probe"), &server.host);
        let probe = S3Storage::open(config).await.unwrap().probe().clone();
        let mut bytes = vec![0; road.bytes()];
        fastrand::Rng::with_seed(road.bytes() as u64).fill(&mut bytes);
        let (dir, staged) = (tempfile::tempdir().unwrap(), unique("staged"));
        let url = if road.is_local() {
            std::fs::write(dir.path().join("clip.mp4"), &bytes).unwrap();
            "clip.mp4".to_owned()
        } else {
            assert!(server.put(&format!("{}/{staged}/clip.mp4", server.bucket()), &headers(), &bytes));
            format!("s3://{}/{staged}/clip.mp4", server.bucket())
        };
        let request = full_request(&url, &bytes);
        Self { server, probe, road, bytes, request, defect: None, dir, staged }
    }

    /// Takes the staged object away.
    pub(crate) async fn clear(&self) {
        let storage = self.storage(&self.staged);
        for key in storage.list("", None, 100).await.unwrap() {
            storage.remove(&key).await.unwrap();
        }
    }

    /// Past the proxy.
    fn storage(&self, prefix: &str) -> S3Storage {
        let config = self.server.config(self.server.bucket(), prefix, &self.server.host);
        S3Storage::open_probed(config.clone(), Probe { target: config.place(), ..self.probe.clone() }).unwrap()
    }

    fn source(&self, proxy: &FaultyProxy) -> Arc<dyn Source> {
        // Under another name it is another service.
        let host = match self.road {
            Road::Put | Road::Parts => return Arc::new(LocalFiles::open(self.dir.path()).unwrap()),
            Road::Copied => proxy.addr.to_string(),
            Road::Read => format!("localhost:{}", proxy.addr.port()),
        };
        Arc::new(S3Files::open(self.server.config(self.server.bucket(), &self.staged, &host)).unwrap())
    }
}

/// One place on the server, of one run.
pub(crate) struct Site<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) proxy: FaultyProxy,
    pub(crate) prefix: String,
    ledger: Ledger,
}

impl<'a> Site<'a> {
    pub(crate) async fn new(stage: &'a Stage) -> Self {
        let proxy = FaultyProxy::start(stage.server.host.clone()).await;
        Self { stage, proxy, prefix: unique("run"), ledger: Ledger::new() }
    }

    /// Through the proxy.
    pub(crate) fn storage(&self) -> S3Storage {
        let stage = self.stage;
        let config = stage.server.config(stage.server.bucket(), &self.prefix, &self.proxy.addr.to_string());
        S3Storage::open_probed(config.clone(), Probe { target: config.place(), ..stage.probe.clone() }).unwrap()
    }

    /// A process on this site; `age` is how many leases are over for it.
    pub(crate) async fn publisher(&self, holder: &str, age: u32) -> Publisher {
        let sound = Arc::new(self.storage());
        let storage: Arc<dyn Storage> = match self.stage.defect {
            Some(defect) => Arc::new(Broken { sound, bytes: self.stage.bytes.clone(), defect }),
            None => sound,
        };
        self.publisher_on(storage, holder, age).await
    }

    pub(crate) async fn publisher_on(&self, storage: Arc<dyn Storage>, holder: &str, age: u32) -> Publisher {
        self.ledger.publisher(storage, self.stage.source(&self.proxy), holder, age).await
    }

    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.ledger.alerts()
    }

    pub(crate) async fn seen(&self) -> Seen {
        self.proxy.settle().await;
        self.ledger.seen(&self.stage.storage(&self.prefix)).await
    }

    /// The object's bytes, by other means than the library's.
    pub(crate) fn fetch(&self, key: &str) -> Vec<u8> {
        tokio::task::block_in_place(|| self.stage.server.get(&self.path(key)))
    }

    /// Another object in the place of one, behind everybody's back.
    pub(crate) fn replace(&self, key: &str, bytes: &[u8]) {
        assert!(tokio::task::block_in_place(|| self.stage.server.put(&self.path(key), &headers(), bytes)));
    }

    /// The same, to be done later.
    pub(crate) fn replacer(&self) -> Replace {
        let (server, prefix) = (self.stage.server.clone(), self.prefix.clone());
        Box::new(move |key: &ObjectKey, bytes: &[u8]| {
            let path = format!("{}/{prefix}/{key}", server.bucket());
            assert!(tokio::task::block_in_place(|| server.put(&path, &headers(), bytes)));
        })
    }

    fn path(&self, key: &str) -> String {
        format!("{}/{}/{key}", self.stage.server.bucket(), self.prefix)
    }

    /// Removes all objects and unfinished uploads, and says how many of these there were.
    pub(crate) async fn clear(&self) -> usize {
        let storage = self.stage.storage(&self.prefix);
        for key in storage.list("", None, 1_000).await.unwrap() {
            storage.remove(&key).await.unwrap();
        }
        let left = storage.unfinished(SystemClock.now() + Duration::from_secs(3_600), 1_000).await.unwrap();
        for upload in &left {
            storage.discard(upload).await.unwrap();
        }
        left.len()
    }
}

/// Records, trail and alerts.
pub(crate) struct Ledger {
    dir: TempDir,
    alerts: Arc<Heard>,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), alerts: Arc::default() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) async fn publisher(
        &self,
        storage: Arc<dyn Storage>,
        source: Arc<dyn Source>,
        holder: &str,
        age: u32,
    ) -> Publisher {
        let signer = HmacSigner::new("http://media.example", HmacKey::new("k1", [7; 32]).unwrap()).unwrap();
        Publisher::builder()
            .target(TargetName::default(), storage, Arc::new(signer))
            .source(source)
            .metadata(Arc::new(SqliteMetadata::open(self.path().join("records.sqlite")).await.unwrap()))
            .audit(Arc::new(JsonlAudit::open(self.path().join("audit.jsonl")).await.unwrap()))
            .alerts(Arc::clone(&self.alerts) as Arc<dyn AlertSink>)
            .clock(Arc::new(Ahead(age * (LEASE_SECS + 1))))
            .holder(holder)
            .policy(Policy { lease_secs: LEASE_SECS, ..Policy::default() })
            .build()
            .unwrap()
    }

    pub(crate) fn alerts(&self) -> Vec<Alert> {
        self.alerts.0.lock().unwrap().clone()
    }

    pub(crate) async fn seen(&self, storage: &dyn Storage) -> Seen {
        let metadata = SqliteMetadata::open(self.path().join("records.sqlite")).await.unwrap();
        let trail = JsonlAudit::read(self.path().join("audit.jsonl")).unwrap();
        let trail: Vec<AuditEntry> = trail.map(Result::unwrap).collect();
        let evidence = Evidence::of(storage, &metadata, trail).await.unwrap();
        metadata.close().await.unwrap();
        let records = evidence.rows.iter().map(|row| Record::decode(row).unwrap()).collect();
        Seen { evidence, records }
    }
}

/// What is there.
pub(crate) struct Seen {
    pub(crate) evidence: Evidence,
    pub(crate) records: Vec<Record>,
}

impl Seen {
    /// The keys of all objects.
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.evidence.objects.values().map(|object| object.key.as_str()).collect()
    }

    /// The kinds of events in the trail, in order.
    pub(crate) fn events(&self) -> Vec<String> {
        let name = |entry: &AuditEntry| serde_json::to_value(&entry.event).unwrap()["event"].to_string();
        let mut trail: Vec<_> = self.evidence.audit.iter().collect();
        trail.sort_by_key(|entry| entry.id.sequence);
        trail.into_iter().map(name).collect()
    }

    /// Every promise that is broken, with what callers were told, a line each.
    pub(crate) fn violations(&self, answers: &[DistributionRecord]) -> Vec<String> {
        let mut evidence = self.evidence.clone();
        for answer in answers {
            let signature = answer.public_url.expose().split_once("s=").unwrap().1;
            evidence = evidence.with_answer(answer.clone(), SystemClock.now()).with_secret(signature);
        }
        violations(&evidence).iter().map(ToString::to_string).collect()
    }
}

/// What local disk answers to the same request.
pub(crate) struct LocalAnswer {
    pub(crate) answer: Value,
    pub(crate) key: String,
    pub(crate) events: Vec<String>,
}

impl LocalAnswer {
    pub(crate) async fn to(bytes: &[u8]) -> Self {
        let (ledger, dir) = (Ledger::new(), tempfile::tempdir().unwrap());
        let [objects, staging] = ["objects", "staging"].map(|name| dir.path().join(name));
        for dir in [&objects, &staging] {
            std::fs::create_dir(dir).unwrap();
        }
        std::fs::write(staging.join("clip.mp4"), bytes).unwrap();
        let disk = Arc::new(LocalDisk::open(&objects).unwrap());
        let source = Arc::new(LocalFiles::open(&staging).unwrap());
        let publisher = ledger.publisher(disk.clone(), source, "local", 0).await;
        let record = publisher.publish(full_request("clip.mp4", bytes)).await.unwrap();
        let seen = ledger.seen(&*disk).await;
        Self { answer: comparable(&record), key: seen.records[0].object_key().to_string(), events: seen.events() }
    }
}

/// What must be the same wherever a file is published: all but where it is, and when it was.
pub(crate) fn comparable(record: &DistributionRecord) -> Value {
    let mut answer = serde_json::to_value(record).unwrap();
    let fields = answer.as_object_mut().unwrap();
    for field in ["storage_location", "public_url", "expires_at", "published_at"] {
        assert!(fields.remove(field).is_some_and(|value| !value.is_null()));
    }
    let key = record.storage_location.as_str().rsplit_once("mvp/").unwrap().1;
    fields.insert("file_name".into(), json!(key));
    // The link's end is a whole second.
    let life = record.expires_at.unwrap() - record.published_at + chrono::TimeDelta::seconds(1);
    fields.insert("link_hours".into(), json!(life.num_hours()));
    answer
}

pub(crate) fn full_request(url: &str, bytes: &[u8]) -> PublishRequest {
    let mut request = request(url, bytes);
    let settings = &mut request.distribution_settings;
    settings.storage_prefix = Some(StoragePrefix::parse("mvp/").unwrap());
    settings.metadata.title = Some("A clip, published".to_owned());
    settings.metadata.concept_id = Some(ConceptId::parse("concept-7").unwrap());
    settings.metadata.tags = vec!["s3".to_owned(), "proof".to_owned()];
    settings.metadata.extra.insert("shot".to_owned(), json!(12));
    request
}

fn headers() -> ContentHeaders {
    ContentHeaders {
        content_type: "video/mp4".to_owned(),
        content_disposition: "inline".to_owned(),
        cache_control: "no-cache".to_owned(),
        user_metadata: BTreeMap::new(),
    }
}

pub(crate) fn unique(name: &str) -> String {
    let mut random = [0; 6];
    getrandom::fill(&mut random).unwrap();
    format!("{name}-{}", data_encoding::HEXLOWER.encode(&random))
}

struct Ahead(u32);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + Duration::from_secs(self.0.into())
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<Alert>>);

impl AlertSink for Heard {
    fn raise(&self, alert: Alert) {
        self.0.lock().unwrap().push(alert);
    }
}
