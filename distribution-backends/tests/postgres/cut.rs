//! The connection is cut after every byte of the beginning, and at some later ones, in both directions,
//! while a publish runs: none fails for good, and each is done once.

use std::sync::Arc;

use distribution_backends::{PostgresConfig, PostgresMetadata};
use distribution_core::MetadataStore;
use distribution_testkit::checker::{unsettled, violations};
use distribution_testkit::{Budget, World, request};
use fastrand::Rng;

use crate::proxy::{Direction, Proxy};
use crate::server::Schema;

const EVERY_BYTE_OF: usize = 4096;
const LATER: usize = 100;
/// One for the cut, some for connections that turn out to be cut as well, one that succeeds.
const CALLS_MAX: usize = 6;
const AT_ONCE: usize = 4;

struct Cutter {
    schema: Schema,
    proxy: Proxy,
    /// On another road.
    witness: PostgresMetadata,
}

/// What has come of one publish.
struct Course {
    failed: usize,
    was_cut: bool,
    to_server: usize,
    to_client: usize,
}

impl Cutter {
    async fn new() -> Option<Self> {
        let schema = Schema::new()?;
        let (witness, proxy) = (schema.open().await, Proxy::start(schema.address()).await);
        Some(Self { schema, proxy, witness })
    }

    /// A publish over connections of its own, of which the first bytes count, too.
    async fn publish(&self, name: &str, cut: Option<(Direction, usize)>) -> Course {
        let uri = self.schema.uri.replace(self.schema.address(), &self.proxy.addr.to_string());
        let config = PostgresConfig::from_uri(&uri).unwrap().schema(&self.schema.name);
        let store = PostgresMetadata::open(config).await.unwrap();
        let world = World::new();
        world.stage("clip.mp4", name.to_owned());
        let publisher = world.builder("host").metadata(Arc::new(store.clone())).build().unwrap();
        let mut request = request("clip.mp4", name.as_bytes());
        request.idempotency_key = Some(distribution_core::IdempotencyKey::parse(name).unwrap());

        self.proxy.arm(cut);
        let (mut failed, mut told) = (0, None);
        while told.is_none() {
            match publisher.publish(request.clone()).await {
                Ok(record) => told = Some(record),
                Err(error) => {
                    failed += 1;
                    assert!(error.is_retryable(), "{cut:?}: a false failure: {error}");
                    assert!(failed < CALLS_MAX, "{cut:?}: it does not come to an end: {error}");
                }
            }
        }
        let told = told.unwrap();
        let course = Course {
            failed,
            was_cut: cut.is_some() && !self.proxy.is_armed(),
            to_server: self.proxy.bytes(Direction::ToServer),
            to_client: self.proxy.bytes(Direction::ToClient),
        };
        self.proxy.arm(None);
        let again = publisher.publish(request).await.unwrap();
        assert_eq!(again, told, "{cut:?}: a repeat is told something else");
        world.answered(told.clone());
        world.answered(again);
        assert_eq!(world.objects().len(), 1, "{cut:?}");

        let mut evidence = world.evidence();
        evidence.rows = vec![self.witness.load(&told.audit_log_id).await.unwrap().expect("the record is there")];
        let found = violations(&evidence);
        assert!(found.is_empty() && unsettled(&evidence).is_empty(), "{cut:?}: {found:?}");
        course
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_that_a_cut_connection_neither_fails_nor_doubles_a_publish() {
    let Some(cutter) = Cutter::new().await else { return };
    let whole = cutter.publish("uncut", None).await;
    assert_eq!(whole.failed, 0);
    let step = Budget::chosen().pick(64, 1, 1);
    let mut cuts = Vec::new();
    for (direction, bytes) in [(Direction::ToServer, whole.to_server), (Direction::ToClient, whole.to_client)] {
        let mut rng = Rng::with_seed(1);
        // Each run of the quick budget tries others.
        let first = fastrand::usize(0..step);
        cuts.extend((first..EVERY_BYTE_OF.min(bytes)).step_by(step).map(|after| (direction, after)));
        let later = EVERY_BYTE_OF.min(bytes)..bytes.max(EVERY_BYTE_OF + 1);
        cuts.extend((0..LATER.div_ceil(step)).map(|_| (direction, rng.usize(later.clone()))));
    }
    let (count, cuts) = (cuts.len(), Arc::new(std::sync::Mutex::new(cuts)));
    let workers = (0..AT_ONCE).map(|n| {
        let cuts = Arc::clone(&cuts);
        tokio::spawn(async move {
            let cutter = Cutter::new().await.unwrap();
            let (mut done, mut struck, mut failed) = (0, 0, 0);
            loop {
                let next = cuts.lock().unwrap().pop();
                let Some(cut) = next else { return (struck, failed) };
                done += 1;
                let course = cutter.publish(&format!("{n}-{done}"), Some(cut)).await;
                struck += usize::from(course.was_cut);
                failed += course.failed;
            }
        })
    });
    let (mut struck, mut failed) = (0, 0);
    for worker in futures::future::join_all(workers).await {
        let worker = worker.unwrap();
        (struck, failed) = (struck + worker.0, failed + worker.1);
    }
    assert!(struck * 100 >= count * 95, "only {struck} of {count} cuts happened");
    assert!(failed > 0);
    println!(
        "proof: postgres, cut connections: {struck} cuts in streams of {} bytes to the server and {} back, {failed} \
         calls told to repeat, every publish done once",
        whole.to_server, whole.to_client
    );
}
