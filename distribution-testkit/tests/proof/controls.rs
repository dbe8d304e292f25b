//! Negative controls: a part that breaks its contract is caught, so the proofs can fail.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use distribution_core::{
    Advance, AuditEntry, AuditLogId, AuditSink, Builder, ByteStream, Claim, Content, CreateOutcome, Cursor, Digest,
    Error, Found, IdempotencyKey, LinkLimits, LinkRequest, Location, MetadataStore, Meter, ObjectKey, ObjectStat,
    Proof, Query, Row, SignedUrl, Storage, TargetName, Timestamp, UrlSigner, Verification,
};
use distribution_testkit::{
    MemoryAudit, MemoryMetadata, MemoryStorage, Parts, Schedule, Simulation, TestSigner, World, every_schedule, request,
};

use crate::VIDEO;

/// Publishers whose parts are made by `broken`, in seeded orders with faults. The first complaint.
fn complaint(broken: impl Fn(&Parts, Builder) -> Builder + Clone + Send + Sync + 'static) -> Option<String> {
    (0..2_000).find_map(|seed| {
        let world = World::new();
        let run = simulation(&world, broken.clone()).crashes(1).faults(3).clock_jumps(1).run(&Schedule::seeded(seed));
        assert!(run.ended, "{run:?}");
        world.heal();
        world.keeps_promises().err().map(|complaint| format!("seed {seed}: {complaint}"))
    })
}

fn simulation(
    world: &World,
    broken: impl Fn(&Parts, Builder) -> Builder + Clone + Send + Sync + 'static,
) -> Simulation {
    world.stage("clip.mp4", VIDEO);
    let mut simulation = Simulation::new(world);
    for (name, hours) in [("a", 0), ("b", 2)] {
        let broken = broken.clone();
        simulation = simulation.process(name, move |world, holder| {
            let broken = broken.clone();
            async move {
                let parts = world.parts(&TargetName::default());
                let clock = parts.clock.ahead(TimeDelta::hours(hours));
                let publisher = broken(&parts, world.builder(&holder).clock(clock)).build().unwrap();
                for _ in 0..10 {
                    let call = publisher.publish(request("clip.mp4", VIDEO));
                    match world.timeout(Duration::from_secs(3_600), call).await {
                        Some(Ok(answer)) => return world.answered(answer),
                        Some(Err(_)) | None => world.sleep(Duration::from_secs(60)).await,
                    }
                }
            }
        });
    }
    simulation
}

#[test]
fn proof_that_a_sound_part_is_not_complained_of() {
    assert_eq!(complaint(|_, builder| builder), None);
}

macro_rules! caught {
    ($($test:ident: $broken:expr;)*) => {$(
        #[test]
        fn $test() {
            let complaint = complaint($broken).expect("it is caught");
            println!("proof: caught, {}: {complaint:.200}", stringify!($test).trim_start_matches("proof_caught_"));
        }
    )*};
}

caught! {
    proof_caught_a_store_that_ignores_the_revision: |parts, builder| {
        builder.metadata(Arc::new(Store { inner: parts.metadata.clone(), ignores_revisions: true }))
    };
    proof_caught_a_store_that_says_done_and_is_not: |parts, builder| {
        builder.metadata(Arc::new(Store { inner: parts.metadata.clone(), ignores_revisions: false }))
    };
    proof_caught_a_sink_that_drops_the_first_of_each_batch: |parts, builder| {
        builder.audit(Arc::new(Sink(parts.audit.clone())))
    };
    proof_caught_a_signer_whose_links_live_on: |parts, builder| {
        builder.target(TargetName::default(), parts.storage.clone(), Arc::new(Signer(parts.signer.clone())))
    };
    proof_caught_a_storage_that_proves_without_reading: |parts, builder| {
        builder.target(TargetName::default(), Arc::new(Shelf(parts.storage.clone())), parts.signer.clone())
    };
}

#[test]
fn proof_caught_in_one_of_all_orders() {
    let mut complaint = None;
    let (runs, _) = every_schedule(300, |schedule| {
        let world = World::new();
        let ignores = |parts: &Parts, builder: Builder| {
            builder.metadata(Arc::new(Store { inner: parts.metadata.clone(), ignores_revisions: true }))
        };
        if !simulation(&world, ignores).whole_effects().run(schedule).known {
            complaint = complaint.take().or_else(|| world.keeps_promises().err());
        }
    });
    println!("proof: caught in one of {runs} orders: {:.200}", complaint.expect("it is caught"));
}

struct Store {
    inner: Arc<MemoryMetadata>,
    /// Replaces whatever is there; or else keeps nothing but the claim.
    ignores_revisions: bool,
}

#[async_trait]
impl MetadataStore for Store {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        self.inner.claim(first).await
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        self.inner.load(id).await
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        let mut next = next.clone();
        while self.ignores_revisions
            && let Advance::Superseded(row) = self.inner.advance(&next).await?
        {
            next.revision = row.revision + 1;
        }
        Ok(Advance::Advanced)
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        self.inner.bind(key, id).await
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        self.inner.bound(key).await
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        self.inner.find(query, after, limit).await
    }
}

struct Sink(Arc<MemoryAudit>);

#[async_trait]
impl AuditSink for Sink {
    async fn append(&self, entries: &[AuditEntry]) -> Result<(), Error> {
        self.0.append(entries.get(1..).unwrap_or_default()).await
    }
}

struct Signer(Arc<TestSigner>);

#[async_trait]
impl UrlSigner for Signer {
    async fn sign(&self, link: &LinkRequest, now: Timestamp) -> Result<SignedUrl, Error> {
        let longer = LinkRequest { expires_at: link.expires_at + TimeDelta::hours(1), ..link.clone() };
        Ok(SignedUrl { expires_at: link.expires_at, ..self.0.sign(&longer, now).await? })
    }

    fn limits(&self) -> LinkLimits {
        self.0.limits()
    }
}

struct Shelf(Arc<MemoryStorage>);

#[async_trait]
impl Storage for Shelf {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let digest = Digest { checksum: content.expected, size: content.size };
        match self.0.create(key, content).await? {
            CreateOutcome::Created { .. } => {
                Ok(CreateOutcome::Created { proof: Some(Proof { digest, how: Verification::ReadBack }) })
            }
            other => Ok(other),
        }
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        self.0.digest(key, meter).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.0.stat(key).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.0.open(key, range).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.0.remove(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        self.0.list(prefix, after, limit).await
    }

    fn location(&self, key: &ObjectKey) -> Location {
        self.0.location(key)
    }
}
