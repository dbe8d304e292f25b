//! The connection is cut after every byte of the beginning, and at some later ones, in both directions,
//! while a publish runs: none fails for good, and each is done once.

use std::sync::Arc;

use distribution_backends::{PostgresConfig, PostgresMetadata};
use distribution_core::{DistributionRecord, IdempotencyKey, MetadataStore, PublishRequest, Publisher};
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
        // So long that the answers, too, are longer than what is cut at every byte.
        request.distribution_settings.metadata.extra.insert("notes".into(), "note".repeat(300).into());
        request.idempotency_key = Some(IdempotencyKey::parse(name).unwrap());

        self.proxy.arm(cut);
        let mut failed = 0;
        let told = call(&publisher, &request, cut, &mut failed).await;
        // A repeat, which reads the record; and one that changes it.
        assert_eq!(
            call(&publisher, &request, cut, &mut failed).await,
            told,
            "{cut:?}: a repeat is told something else"
        );
        request.distribution_settings.metadata.title = Some("amended".into());
        let amended = call(&publisher, &request, cut, &mut failed).await;
        assert_eq!(amended.audit_log_id, told.audit_log_id);
        let course = Course {
            failed,
            was_cut: cut.is_some() && !self.proxy.is_armed(),
            to_server: self.proxy.bytes(Direction::ToServer),
            to_client: self.proxy.bytes(Direction::ToClient),
        };
        self.proxy.arm(None);
        assert_eq!(publisher.publish(request).await.unwrap(), amended, "{cut:?}: a repeat is told something else");
        let id = told.audit_log_id.clone();
        world.answered(told);
        world.answered(amended);
        assert_eq!(world.objects().len(), 1, "{cut:?}");

        let mut evidence = world.evidence();
        evidence.rows = vec![self.witness.load(&id).await.unwrap().expect("the record is there")];
        let found = violations(&evidence);
        assert!(found.is_empty() && unsettled(&evidence).is_empty(), "{cut:?}: {found:?}");
        course
    }
}

/// Repeats the call until it succeeds, and counts how often it did not.
async fn call(
    publisher: &Publisher,
    request: &PublishRequest,
    cut: Option<(Direction, usize)>,
    failed: &mut usize,
) -> DistributionRecord {
    loop {
        match publisher.publish(request.clone()).await {
            Ok(record) => return record,
            Err(error) => {
                *failed += 1;
                assert!(error.is_retryable(), "{cut:?}: a false failure: {error}");
                assert!(*failed < CALLS_MAX, "{cut:?}: it does not come to an end: {error}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proof_that_a_cut_connection_neither_fails_nor_doubles_a_publish() {
    let Some(cutter) = Cutter::new().await else { return };
    let whole = cutter.publish("uncut", None).await;
    assert_eq!(whole.failed, 0);
    let step = Budget::chosen().pick(64, 8, 1);
    let mut cuts = Vec::new();
    for (direction, bytes) in [(Direction::ToServer, whole.to_server), (Direction::ToClient, whole.to_client)] {
        let mut rng = Rng::with_seed(1);
        // Each run of the quick budget tries others.
        let first = fastrand::usize(0..step);
        cuts.extend((first..EVERY_BYTE_OF).step_by(step).map(|after| (direction, after)));
        assert!(bytes > EVERY_BYTE_OF, "{direction:?}: the publish is too short: {bytes} bytes");
        let later = EVERY_BYTE_OF..bytes;
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
