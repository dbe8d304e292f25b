//! The whole road on real parts: local disk, SQLite, HMAC links, JSONL audit, the download route.

#![cfg(all(feature = "serve", feature = "sqlite"))]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::to_bytes;
use axum::http::{Request, StatusCode};
use distribution_backends::{
    HmacKey, HmacSigner, JsonlAudit, LocalDisk, LocalFiles, LogAlerts, SqliteMetadata, SystemClock, holder_name, serve,
};
use distribution_core::{
    AuditEvent, Checksum, ConceptId, DistributionRecord, Error, ErrorKind, MetadataStore, ObjectKey, PublishRequest,
    Publisher, Query, Storage, StoragePrefix, TargetName, Trail,
};
use distribution_testkit::request;
use tempfile::TempDir;
use tower::ServiceExt;

const VIDEO: &[u8] = b"approved bytes of a video";
const BASE: &str = "http://media.example";

struct Host {
    dir: TempDir,
    publisher: Publisher,
    routes: axum::Router,
}

impl Host {
    async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for name in ["objects", "staging"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("staging/clip.mp4"), VIDEO).unwrap();
        let (publisher, routes) = start(dir.path()).await;
        Self { dir, publisher, routes }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn publish(&self, request: PublishRequest) -> Result<DistributionRecord, Error> {
        self.publisher.publish(request).await
    }

    fn objects(&self) -> BTreeSet<PathBuf> {
        files(&self.path("objects"))
    }
}

/// A process on the parts in this folder.
async fn start(dir: &Path) -> (Publisher, axum::Router) {
    let storage = Arc::new(LocalDisk::open(dir.join("objects")).unwrap());
    let key = HmacKey::load_or_create(dir.join("link.key")).unwrap();
    let signer = Arc::new(HmacSigner::new(BASE, key).unwrap());
    let clock = Arc::new(SystemClock);
    let publisher = Publisher::builder()
        .target(TargetName::default(), storage.clone(), signer.clone())
        .source(Arc::new(LocalFiles::open(dir.join("staging")).unwrap()))
        .metadata(Arc::new(SqliteMetadata::open(dir.join("records.sqlite")).await.unwrap()))
        .audit(Arc::new(JsonlAudit::open(dir.join("audit.jsonl")).await.unwrap()))
        .alerts(Arc::new(LogAlerts))
        .clock(clock.clone())
        .holder(holder_name())
        .build()
        .unwrap();
    (publisher, serve::router(storage, signer, clock))
}

/// Every file below, hidden ones too.
fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.insert(entry.path());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_can_be_fetched_by_its_link() {
    let host = Host::new().await;
    let record = host.publish(request("clip.mp4", VIDEO)).await.unwrap();

    let link = record.public_url.expose().strip_prefix(BASE).unwrap().to_owned();
    let get = |uri: &str| host.routes.clone().oneshot(Request::get(uri).body(axum::body::Body::empty()).unwrap());
    let response = get(&link).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(to_bytes(response.into_body(), usize::MAX).await.unwrap(), VIDEO);
    assert_eq!(get(link.split('?').next().unwrap()).await.unwrap().status(), StatusCode::FORBIDDEN);

    let trail: Vec<_> = JsonlAudit::read(host.path("audit.jsonl")).unwrap().map(Result::unwrap).collect();
    assert_eq!(trail.iter().map(|entry| entry.id.sequence).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(matches!(trail.last().unwrap().event, AuditEvent::LinkGranted { .. }));
    let signature = link.split("s=").nth(1).unwrap();
    for file in files(host.dir.path()) {
        let bytes = fs::read(&file).unwrap();
        let holds = bytes.windows(signature.len()).any(|window| window == signature.as_bytes());
        assert!(!holds, "{} holds the link's signature", file.display());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_after_a_restart_is_the_same_record_and_copies_nothing() {
    let host = Host::new().await;
    let first = host.publish(request("clip.mp4", VIDEO)).await.unwrap();
    fs::remove_file(host.path("staging/clip.mp4")).unwrap();
    let (restarted, _) = start(host.dir.path()).await;
    assert_eq!(restarted.publish(request("clip.mp4", VIDEO)).await.unwrap(), first);
    assert_eq!(host.objects().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_at_once_in_two_processes_publish_each_file_once() {
    let host = Host::new().await;
    let (other, _) = start(host.dir.path()).await;
    for n in 0..8_usize {
        fs::write(host.path(&format!("staging/{n}.mp4")), VIDEO.repeat(n + 1)).unwrap();
    }
    let calls = (0..64_usize).map(|n| {
        let publisher = if n % 2 == 0 { host.publisher.clone() } else { other.clone() };
        tokio::spawn(async move {
            let request = request(&format!("{}.mp4", n % 8), &VIDEO.repeat(n % 8 + 1));
            loop {
                match publisher.publish(request.clone()).await {
                    Err(error) if error.kind() == ErrorKind::Busy => tokio::task::yield_now().await,
                    outcome => return outcome.unwrap().audit_log_id,
                }
            }
        })
    });
    let mut ids = BTreeSet::new();
    for call in calls.collect::<Vec<_>>() {
        ids.insert(call.await.unwrap());
    }
    assert_eq!((ids.len(), host.objects().len()), (8, 8));
    let entries = JsonlAudit::read(host.path("audit.jsonl")).unwrap().map(Result::unwrap);
    let published = entries.filter(|entry| matches!(entry.event, AuditEvent::Published { .. })).count();
    assert_eq!(published, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_bytes_and_missing_verdicts_leave_nothing_at_the_key() {
    let host = Host::new().await;
    let wrong = host.publish(request("clip.mp4", b"what QC saw")).await.unwrap_err();
    assert_eq!((wrong.kind(), wrong.field()), (ErrorKind::Rejected, Some("final_edit.checksum")));
    let mut failed = request("clip.mp4", VIDEO);
    failed.qc_report.status = "fail".into();
    assert_eq!(host.publish(failed).await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(host.publish(request("../clip.mp4", VIDEO)).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(host.publish(request("gone.mp4", VIDEO)).await.unwrap_err().kind(), ErrorKind::Rejected);

    assert!(host.objects().is_empty(), "not even a stage file");
    assert_eq!(fs::read(host.path("staging/clip.mp4")).unwrap(), VIDEO);
    let entries: Vec<_> = JsonlAudit::read(host.path("audit.jsonl")).unwrap().map(Result::unwrap).collect();
    assert!(entries.iter().any(|entry| entry.id.trail == Trail::Refusals));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_grows_while_it_is_copied_is_rejected_by_name() {
    let host = Host::new().await;
    let video = VIDEO.repeat(1 << 20);
    let path = host.path("staging/growing.mp4");
    fs::write(&path, &video).unwrap();
    let publisher = host.publisher.clone();
    struct Grow(PathBuf);
    impl distribution_core::Progress for Grow {
        fn stage(&self, _: distribution_core::Stage) {}
        fn advance(&self, _: u64) {
            fs::write(&self.0, b"overwritten").unwrap();
        }
    }
    let error =
        publisher.publish_watched(request("growing.mp4", &video), Arc::new(Grow(path.clone()))).await.unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Rejected, Some("final_edit.video_url")), "{error}");
    assert!(host.objects().is_empty());

    fs::write(&path, &video).unwrap();
    assert!(host.publish(request("growing.mp4", &video)).await.is_ok(), "once it is whole again, it is published");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_names_never_leave_the_root() {
    let host = Host::new().await;
    let names = [
        "..",
        "../up",
        "/abs",
        "a\0b",
        "a\nb",
        "a\\..\\b",
        "🎬",
        "é",
        "e\u{301}",
        "CON",
        ".hidden",
        "   ",
        "%2e%2e",
        ".stage-00",
        "a/../../b",
        "-r1",
        &"x".repeat(4096),
    ];
    let mut published = 0;
    for name in names {
        let before = files(host.dir.path());
        let mut hostile = request("clip.mp4", VIDEO);
        hostile.distribution_settings.metadata.title = Some(name.to_owned());
        hostile.distribution_settings.storage_prefix = StoragePrefix::parse(format!("{name}/")).ok();
        hostile.distribution_settings.metadata.concept_id = ConceptId::parse(name).ok();
        match host.publish(hostile).await {
            Ok(_) => published += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}: {error}"),
        }
        for file in files(host.dir.path()).difference(&before) {
            assert!(
                file.starts_with(host.path("objects")) || file.parent() == Some(host.dir.path()),
                "{}",
                file.display()
            );
        }
    }
    assert!(published > 5, "{published}");
    // As staged names, they are files of the staging folder or nothing.
    for name in names {
        let outcome = host.publish(request(name_or(name, "x"), VIDEO)).await;
        assert!(matches!(outcome.unwrap_err().kind(), ErrorKind::Invalid | ErrorKind::Rejected), "{name:?}");
    }
}

/// A URL cannot even be made of some names.
fn name_or<'a>(name: &'a str, other: &'a str) -> &'a str {
    if distribution_core::VideoUrl::parse(name).is_ok() { name } else { other }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rot_at_rest_before_the_proof_is_noticed() {
    let host = Host::new().await;
    // Somebody else's file is where the object belongs.
    let key = ObjectKey::parse(format!("clip-{}.mp4", &Checksum::of(VIDEO).hex()[..12])).unwrap();
    fs::write(host.path("objects").join(key.as_str()), b"rotten").unwrap();
    let record = host.publish(request("clip.mp4", VIDEO)).await.unwrap();
    assert!(record.storage_location.as_str().ends_with("-r1.mp4"), "{}", record.storage_location);
    assert_eq!(fs::read(host.path("objects").join(key.as_str())).unwrap(), b"rotten", "nothing is overwritten");

    let storage = LocalDisk::open(host.path("objects")).unwrap();
    let retried = ObjectKey::parse(key.as_str().replace(".mp4", "-r1.mp4")).unwrap();
    let stored = storage.digest(&retried, &Default::default()).await.unwrap().unwrap();
    assert_eq!(stored.checksum, Checksum::of(VIDEO));
    let records = SqliteMetadata::open(host.path("records.sqlite")).await.unwrap();
    assert!(records.find(&Query { settled: Some(false), ..Query::default() }, None, 10).await.unwrap().rows.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_were_removed_under_a_publisher_are_missed() {
    let host = Host::new().await;
    for name in ["records.sqlite", "records.sqlite-wal", "records.sqlite-shm"] {
        fs::remove_file(host.path(name)).unwrap();
    }
    for _ in 0..2 {
        let error = host.publish(request("clip.mp4", VIDEO)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.message().contains("records.sqlite"), "{error}");
    }
}

#[test]
fn outside_of_a_runtime_the_parts_say_so() {
    let dir = TempDir::new().unwrap();
    let records = futures::executor::block_on(SqliteMetadata::open(dir.path().join("records.sqlite")));
    assert_eq!(records.unwrap_err().kind(), ErrorKind::Unsupported);
    let audit = futures::executor::block_on(JsonlAudit::open(dir.path().join("audit.jsonl")));
    assert_eq!(audit.unwrap_err().kind(), ErrorKind::Unsupported);
    let key = HmacKey::load_or_create(dir.path().join("missing/link.key")).unwrap_err();
    assert!(key.message().contains("directory is missing"), "{key}");
}
