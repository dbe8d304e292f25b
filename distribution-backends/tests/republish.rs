//! One work that is edited and published over and over, and a reader who must never meet a moment without it.

#![cfg(feature = "sqlite")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use distribution_backends::{
    HmacKey, HmacSigner, JsonlAudit, LocalDisk, LocalFiles, LogAlerts, SqliteMetadata, SystemClock,
};
use distribution_core::{Clock as _, ConceptId, Meter, Publisher, Storage, TargetName};
use distribution_testkit::{Budget, request};

struct Site {
    publisher: Publisher,
    storage: Arc<LocalDisk>,
    signer: Arc<HmacSigner>,
}

async fn site(dir: &std::path::Path) -> Site {
    for name in ["objects", "staging"] {
        std::fs::create_dir(dir.join(name)).unwrap();
    }
    let signer = HmacSigner::new("https://media.example/files", HmacKey::new("k1", [7; 32]).unwrap());
    let signer = Arc::new(signer.unwrap());
    let storage = Arc::new(LocalDisk::open(dir.join("objects")).unwrap());
    let publisher = Publisher::builder()
        .target(TargetName::default(), storage.clone(), signer.clone())
        .source(Arc::new(LocalFiles::open(dir.join("staging")).unwrap()))
        .metadata(Arc::new(SqliteMetadata::open(dir.join("records.sqlite")).await.unwrap()))
        .audit(Arc::new(JsonlAudit::open(dir.join("audit.jsonl")).await.unwrap()))
        .alerts(Arc::new(LogAlerts))
        .clock(Arc::new(SystemClock))
        .holder("host")
        .build()
        .unwrap();
    Site { publisher, storage, signer }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_a_reader_never_meets_a_moment_without_the_latest() {
    let edits = Budget::chosen().pick(100, 1_000, 10_000);
    let (started, dir) = (Instant::now(), tempfile::tempdir().unwrap());
    let site = Arc::new(site(dir.path()).await);
    let (done, concept) = (Arc::new(AtomicBool::new(false)), ConceptId::parse("concept-7").unwrap());
    let reader = tokio::spawn(read(Arc::clone(&site), concept.clone(), Arc::clone(&done)));
    for edit in 0..edits {
        let bytes = format!("edit {edit}").repeat(100).into_bytes();
        std::fs::write(dir.path().join("staging/clip.mp4"), &bytes).unwrap();
        let mut request = request("clip.mp4", &bytes);
        request.distribution_settings.metadata.concept_id = Some(concept.clone());
        let answer = site.publisher.publish(request).await.unwrap();
        assert_eq!(answer.version, Some(edit + 1));
    }
    done.store(true, Ordering::Release);
    let (asked, versions, latest) = reader.await.unwrap();
    assert_eq!(latest, edits);
    assert!(versions > edits / 10, "the reader met few of them: {versions}");
    println!(
        "proof: {edits} versions of one work, a reader who asked for the latest and its link {asked} times and met \
         {versions} of them: always there, always the right bytes, never an older one; {:.1} s",
        started.elapsed().as_secs_f64()
    );
}

/// What a player does: asks for the latest, asks for a link, and reads what the link leads to.
async fn read(site: Arc<Site>, concept: ConceptId, done: Arc<AtomicBool>) -> (u64, u64, u64) {
    let (mut asked, mut versions, mut latest) = (0, 0, 0);
    loop {
        let is_last = done.load(Ordering::Acquire);
        let Some(record) = site.publisher.latest(&concept).await.unwrap() else {
            assert_eq!(latest, 0, "the latest was not found");
            tokio::task::yield_now().await;
            continue;
        };
        let issued = site.publisher.link(&record.audit_log_id, Duration::from_secs(60)).await.unwrap();
        let (path, query) = issued.link.expose().split_once('?').unwrap();
        let key = path.strip_prefix("https://media.example/files/").unwrap();
        let grant = site.signer.verify("GET", key, query, SystemClock.now()).await.unwrap();
        let found = site.storage.digest(&grant.key, &Meter::default()).await.unwrap().unwrap();
        assert_eq!(found.checksum, record.metadata.checksum, "the link leads to other bytes");
        // Its number is given the moment after it is published.
        if let Some(version) = record.published.unwrap().version {
            assert!(version >= latest, "the latest was {latest} and is {version}");
            versions += u64::from(version > latest);
            latest = version;
        }
        asked += 1;
        if is_last {
            return (asked, versions, latest);
        }
    }
}
