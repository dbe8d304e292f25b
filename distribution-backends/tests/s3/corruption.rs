//! Bytes that are damaged at rest or while they are read back are never published, on any backend.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use distribution_backends::{LocalDisk, LocalFiles};
use distribution_core::{Alert, AlertKind, Error, ErrorKind, ObjectKey, PublishRequest, Publisher, State, Storage};
use distribution_testkit::Budget;
use distribution_testkit::checker::{Promise, violations};
use distribution_testkit::s3::{Fault, Op};

use crate::server::Server;
use crate::site::{Ledger, Road, Seen, Site, Stage, full_request};
use crate::tampering::{Damage, Defect, Moment, Replace, Tampering};

/// More than there are attempts.
const ALWAYS: usize = usize::MAX;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_s3_corruption_on_the_server() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    let roads: &[Road] = Budget::chosen().pick(&[Road::Put], &Road::ALL, &Road::ALL);
    corruption("proof_s3_corruption_on_the_server", server, roads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_s3_corruption_on_the_double() {
    let (server, double, _served) = Server::double().await;
    let roads: &[Road] = Budget::chosen().pick(&[Road::Put], &[Road::Put, Road::Copied], &Road::ALL);
    corruption("proof_s3_corruption_on_the_double", server.clone(), roads).await;

    // What no server does on demand: it stores other bytes under the ETag and checksum of what was sent.
    let started = Instant::now();
    let mut cases = 0;
    for &road in roads {
        let stage = Stage::new(server.clone(), road).await;
        for fault in [Fault::StoredFlipped, Fault::StoredTruncated, Fault::StoredSwapped] {
            let site = Site::new(&stage).await;
            let publisher = site.publisher("host", 0).await;
            double.always(Op::PutObject, fault);
            double.always(Op::CompleteMultipartUpload, fault);
            let error = publisher.publish(stage.request.clone()).await.unwrap_err();
            double.heal();
            Case { what: format!("{road:?} {fault:?}"), error }.is_refused(&site.seen().await, &site.alerts());
            mended(&publisher, &stage.request, 3).await;
            site.clear().await;
            cases += 1;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    println!("proof_s3_corruption_by_the_double: {cases} of {cases} caught in what it stored itself; {seconds:.1} s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_s3_corruption_catches_a_broken_storage() {
    let (server, double, _served) = Server::double().await;
    let mut stage = Stage::new(server, Road::Put).await;
    stage.defect = Some(Defect::Believing);
    let site = Site::new(&stage).await;
    double.always(Op::PutObject, Fault::StoredFlipped);
    let record = site.publisher("host", 0).await.publish(stage.request.clone()).await.unwrap();
    let broken = site.seen().await.violations(&[record]);
    assert!(broken.iter().any(|violation| violation.starts_with("P1")), "{broken:?}");
    println!("proof_s3_corruption_catches_a_broken_storage: Believing: {}", broken[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_corruption_on_local_disk() {
    let started = Instant::now();
    let mut told = Told::default();
    for damage in Damage::ALL {
        for (moment, times) in [(Moment::AtRest, 1), (Moment::AtRest, ALWAYS), (Moment::OnReadBack, ALWAYS)] {
            let disk = Disk::new();
            let what = format!("{damage:?} {moment:?} {times}");
            let tampered = disk.tampered(damage, moment, times);
            let publisher = disk.publisher(tampered).await;
            let outcome = publisher.publish(disk.request.clone()).await;
            let seen = disk.ledger.seen(&*disk.storage).await;
            told.judge(&what, outcome, times, &seen, &disk.ledger.alerts());
            mended(&disk.publisher(disk.storage.clone()).await, &disk.request, if times == 1 { 1 } else { 3 }).await;
        }
        let disk = Disk::new();
        let publisher = disk.publisher(disk.storage.clone()).await;
        publisher.publish(disk.request.clone()).await.unwrap();
        let key = disk.ledger.seen(&*disk.storage).await.records[0].object_key();
        (disk.replace())(&key, &damage.to(&disk.bytes));
        let again = publisher.publish(disk.request.clone()).await.map(drop);
        told.after(damage, again, &disk.ledger.seen(&*disk.storage).await, &disk.ledger.alerts());
    }
    told.print("proof_corruption_on_local_disk", started);
}

async fn corruption(proof: &str, server: Server, roads: &[Road]) {
    let started = Instant::now();
    let mut told = Told::default();
    for &road in roads {
        let stage = Stage::new(server.clone(), road).await;
        for damage in Damage::ALL {
            for times in [1, ALWAYS] {
                at_rest(&stage, damage, times, &mut told).await;
            }
            on_read_back(&stage, damage, &mut told).await;
            after_publish(&stage, damage, &mut told).await;
        }
        stage.clear().await;
    }
    told.print(proof, started);
}

/// The object is replaced as soon as it is stored.
async fn at_rest(stage: &Stage, damage: Damage, times: usize, told: &mut Told) {
    let site = Arc::new(Site::new(stage).await);
    let what = format!("{:?} {damage:?} at rest {times}", stage.road);
    let tampered = Tampering {
        sound: Arc::new(site.storage()),
        bytes: stage.bytes.clone(),
        damage,
        moment: Moment::AtRest,
        times: AtomicUsize::new(times),
        replace: site.replacer(),
    };
    let outcome = site.publisher_on(Arc::new(tampered), "host", 0).await.publish(stage.request.clone()).await;
    told.judge(&what, outcome, times, &site.seen().await, &site.alerts());
    mended(&site.publisher("another host", 1).await, &stage.request, if times == 1 { 1 } else { 3 }).await;
    site.clear().await;
}

/// The bytes are altered on their way back.
async fn on_read_back(stage: &Stage, damage: Damage, told: &mut Told) {
    let site = Site::new(stage).await;
    site.proxy.alter(Some((site.prefix.clone(), Box::new(move |bytes| damage.to(bytes)))));
    let publisher = site.publisher("host", 0).await;
    let outcome = publisher.publish(stage.request.clone()).await;
    site.proxy.alter(None);
    let what = format!("{:?} {damage:?} on read-back", stage.road);
    let (seen, alerts) = (site.seen().await, site.alerts());
    // An answer that is too short is no answer: nothing is known, and nothing is published.
    if damage == Damage::Truncated {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error}");
        assert!(alerts.iter().any(|alert| alert.kind == AlertKind::Unavailable), "{what}: {alerts:?}");
        assert_eq!(seen.records[0].state(), State::InProgress, "{what}");
        told.nothing_given(&what, &seen);
        mended(&publisher, &stage.request, 0).await;
    } else {
        told.judge(&what, outcome, ALWAYS, &seen, &alerts);
        mended(&publisher, &stage.request, 3).await;
    }
    site.clear().await;
}

/// The object is replaced after it was published.
async fn after_publish(stage: &Stage, damage: Damage, told: &mut Told) {
    let site = Site::new(stage).await;
    let publisher = site.publisher("host", 0).await;
    publisher.publish(stage.request.clone()).await.unwrap();
    site.replace(site.seen().await.records[0].object_key().as_str(), &damage.to(&stage.bytes));
    let again = publisher.publish(stage.request.clone()).await.map(drop);
    told.after(damage, again, &site.seen().await, &site.alerts());
    site.clear().await;
}

/// Once the damage ends, the same call publishes: at the key of the next attempt.
async fn mended(publisher: &Publisher, request: &PublishRequest, attempt: u32) {
    let record = publisher.publish(request.clone()).await.unwrap();
    let suffix = if attempt == 0 { ".mp4".to_owned() } else { format!("-r{attempt}.mp4") };
    assert!(record.storage_location.as_str().ends_with(&suffix), "{} {suffix}", record.storage_location);
}

/// What was tried.
#[derive(Default)]
struct Told {
    /// Calls that were given nothing, because the damage lasted.
    refused: usize,
    /// Calls that published at the next key, because it did not.
    moved_on: usize,
    /// What showed damage to what was published already, by the damage.
    after: BTreeMap<String, &'static str>,
}

impl Told {
    fn judge(
        &mut self,
        what: &str,
        outcome: Result<distribution_core::DistributionRecord, Error>,
        times: usize,
        seen: &Seen,
        alerts: &[Alert],
    ) {
        let what = what.to_owned();
        if times == ALWAYS {
            self.refused += 1;
            return Case { what, error: outcome.unwrap_err() }.is_refused(seen, alerts);
        }
        self.moved_on += 1;
        // The damaged object is not the published one.
        let record = outcome.unwrap();
        assert!(record.storage_location.as_str().ends_with("-r1.mp4"), "{what}: {}", record.storage_location);
        assert!(alerts.iter().any(|alert| alert.kind == AlertKind::Corrupt), "{what}: {alerts:?}");
        let broken = seen.violations(&[record]);
        assert!(broken.is_empty(), "{what}: {broken:?}");
    }

    fn nothing_given(&mut self, what: &str, seen: &Seen) {
        self.refused += 1;
        nothing_given(what, seen);
    }

    fn after(&mut self, damage: Damage, again: Result<(), Error>, seen: &Seen, alerts: &[Alert]) {
        let found = violations(&seen.evidence);
        assert!(found.iter().any(|violation| violation.promise == Promise::P1), "{damage:?}: {found:?}");
        let refused = match again {
            Ok(()) => "seen by a check of all bytes",
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{damage:?}: {error}");
                assert!(alerts.iter().any(|alert| alert.kind == AlertKind::Corrupt), "{damage:?}: {alerts:?}");
                "refused by the next call"
            }
        };
        assert!(damage != Damage::Truncated || refused == "refused by the next call");
        self.after.insert(format!("{damage:?}"), refused);
    }

    fn print(&self, proof: &str, started: Instant) {
        println!(
            "{proof}: damage that lasts, at rest and on read-back, {} times: no record, no link, an alert; damage once, {} \
             times: an alert, and published at the next key; damage after the publication: {:?}; {:.1} s",
            self.refused,
            self.moved_on,
            self.after,
            started.elapsed().as_secs_f64()
        );
    }
}

/// A publish with a store that keeps nothing right.
struct Case {
    what: String,
    error: Error,
}

impl Case {
    fn is_refused(&self, seen: &Seen, alerts: &[Alert]) {
        let Self { what, error } = self;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
        assert!(alerts.iter().any(|alert| alert.kind == AlertKind::Corrupt), "{what}: {alerts:?}");
        assert_eq!(seen.records[0].state(), State::Rejected, "{what}: the attempts are used up");
        assert_eq!(seen.keys().len(), 3, "{what}: {:?}", seen.keys());
        nothing_given(what, seen);
    }
}

fn nothing_given(what: &str, seen: &Seen) {
    let events = seen.events();
    let given = events.iter().any(|event| event.contains("published") || event.contains("link_granted"));
    assert!(!given, "{what}: {events:?}");
    let broken = seen.violations(&[]);
    assert!(broken.is_empty(), "{what}: {broken:?}");
}

/// A local disk.
struct Disk {
    dir: tempfile::TempDir,
    ledger: Ledger,
    storage: Arc<LocalDisk>,
    bytes: Vec<u8>,
    request: PublishRequest,
}

impl Disk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for name in ["objects", "staging"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        let bytes = b"approved bytes ".repeat(10_000);
        std::fs::write(dir.path().join("staging/clip.mp4"), &bytes).unwrap();
        let storage = Arc::new(LocalDisk::open(dir.path().join("objects")).unwrap());
        let request = full_request("clip.mp4", &bytes);
        Self { dir, ledger: Ledger::new(), storage, bytes, request }
    }

    async fn publisher(&self, storage: Arc<dyn Storage>) -> Publisher {
        let source = Arc::new(LocalFiles::open(self.dir.path().join("staging")).unwrap());
        self.ledger.publisher(storage, source, "host", 0).await
    }

    fn tampered(&self, damage: Damage, moment: Moment, times: usize) -> Arc<dyn Storage> {
        let (sound, bytes, replace) = (self.storage.clone(), self.bytes.clone(), self.replace());
        Arc::new(Tampering { sound, bytes, damage, moment, times: AtomicUsize::new(times), replace })
    }

    fn replace(&self) -> Replace {
        let objects = self.dir.path().join("objects");
        Box::new(move |key: &ObjectKey, bytes: &[u8]| {
            let path = objects.join(key.as_str());
            // It may be kept from being written.
            std::fs::remove_file(&path).unwrap();
            std::fs::write(path, bytes).unwrap();
        })
    }
}
