//! Sweepers among publishers, in orders that follow from seeds, with all that can go wrong and clocks that are
//! years off: no staged file is removed but when it may be.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use distribution_core::{
    Advance, AuditLogId, Checksum, Claim, Cursor, Digest, Error, Found, IdempotencyKey, MetadataStore, PublishRequest,
    Query, Removal, Row, StagedFile, Staging, SweepPolicy, VideoUrl,
};
use distribution_testkit::checker::violations_of_removal;
use distribution_testkit::{Budget, MemoryMetadata, MemoryStaging, Run, Schedule, Simulation, World, request};
use futures::stream::BoxStream;

use crate::VIDEO;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What a run is made with; the negative controls have worse.
#[derive(Clone)]
struct Makings {
    staging: fn(&World) -> Arc<dyn Staging>,
    metadata: fn(&World) -> Arc<dyn MetadataStore>,
    policy: SweepPolicy,
    /// Nothing goes wrong, and the second publisher comes at the moment of a sweep.
    calm: bool,
}

fn sound() -> Makings {
    Makings {
        staging: |world| Arc::new(MemoryStaging::new(world)),
        metadata: |world| Arc::new(MemoryMetadata::new(world)),
        policy: SweepPolicy::default(),
        calm: false,
    }
}

/// Two publishers of the same bytes, the second perhaps days later, and two sweepers, any of them with a clock that
/// is wrong; and now and then an editor who stages other bytes.
fn simulate(seed: u64, makings: &Makings) -> (World, Run) {
    let (world, schedule) = (World::new(), Schedule::seeded(seed));
    world.stage("clip.mp4", VIDEO);
    let skew = |schedule: &Schedule| match schedule.pick(6) {
        _ if makings.calm => TimeDelta::zero(),
        0 => TimeDelta::days(3_650),
        1 => TimeDelta::days(-3_650),
        2 => TimeDelta::seconds(200),
        _ => TimeDelta::zero(),
    };
    let mut simulation = Simulation::new(&world);
    let times = [DAY * 7, DAY * 7 + HOUR, Duration::ZERO];
    for (n, later) in [(0, Duration::ZERO), (1, times[schedule.pick(if makings.calm { 1 } else { 3 })])] {
        let (makings, ahead, looks) = (makings.clone(), skew(&schedule), schedule.pick(40));
        let call = request_for(["concept-1", "concept-2"][n]);
        simulation = simulation.process(&format!("host-{n}"), move |world, holder| {
            publish(world, holder, makings.clone(), call.clone(), ahead, (later, looks))
        });
    }
    for n in 0..2 {
        let (makings, ahead) = (makings.clone(), skew(&schedule));
        simulation = simulation
            .process(&format!("sweeper-{n}"), move |world, holder| sweep(world, holder, makings.clone(), ahead));
    }
    if schedule.pick(4) == 0 {
        simulation = simulation.process("editor", |world, _| async move {
            world.sleep(DAY * 8).await;
            world.stage("clip.mp4", &b"the next edit"[..]);
        });
    }
    let simulation = if makings.calm { simulation } else { simulation.crashes(2).clock_jumps(2).faults(3) };
    let run = simulation.run(&schedule);
    world.heal();
    (world, run)
}

fn request_for(concept: &str) -> PublishRequest {
    let mut request = request("clip.mp4", VIDEO);
    request.distribution_settings.metadata.concept_id = Some(concept.parse().unwrap());
    request
}

async fn publish(
    world: World,
    holder: String,
    makings: Makings,
    call: PublishRequest,
    ahead: TimeDelta,
    (later, looks): (Duration, usize),
) {
    world.sleep(later).await;
    let parts = world.parts(&distribution_core::TargetName::default());
    let builder = world.builder(&holder).clock(parts.clock.ahead(ahead)).metadata((makings.metadata)(&world));
    let publisher = builder.build().unwrap();
    // So that it comes at any step of the sweep: each look is one effect.
    let nobody = AuditLogId::parse("dist_00000000000000000000000000").unwrap();
    for _ in 0..looks {
        let _ = publisher.record(&nobody).await;
    }
    for _ in 0..20 {
        match world.timeout(HOUR, publisher.publish(call.clone())).await {
            Some(Ok(answer)) => return world.answered(answer),
            Some(Err(error)) if error.field().is_some() => world.stage("clip.mp4", VIDEO),
            Some(Err(_)) | None => world.sleep(Duration::from_secs(60)).await,
        }
    }
}

async fn sweep(world: World, holder: String, makings: Makings, ahead: TimeDelta) {
    let parts = world.parts(&distribution_core::TargetName::default());
    let builder = world.builder(&holder).clock(parts.clock.ahead(ahead)).metadata((makings.metadata)(&world));
    let publisher = builder.build().unwrap();
    for wait in [Duration::ZERO, DAY * 7, HOUR, DAY] {
        world.sleep(wait).await;
        let mut sweep = publisher.sweep((makings.staging)(&world), makings.policy.clone());
        let pass = async { while let Ok(Some(_)) = sweep.next().await {} };
        world.timeout(HOUR, pass).await;
    }
}

/// The first thing that is not as it has to be.
fn complaint(world: &World, run: &Run) -> Option<String> {
    if !run.ended {
        return Some(format!("not ended: {run:?}"));
    }
    for cleared in world.cleared() {
        let bytes = Digest { checksum: Checksum::of(&cleared.bytes), size: cleared.bytes.len() as u64 };
        let retention = SweepPolicy::default().retention;
        let found = violations_of_removal(&cleared.evidence, &cleared.name, bytes, cleared.at, retention);
        if let Some(violation) = found.first() {
            return Some(violation.to_string());
        }
        if cleared.readers > 0 {
            return Some(format!("{} was removed while it was read", cleared.name));
        }
    }
    None
}

#[test]
fn proof_no_sweep_removes_what_is_needed() {
    let seeds = Budget::chosen().pick(3_000, 10_000, 1_000_000);
    let (mut cleared, mut faults, mut crashes) = (0, 0, 0);
    for seed in 0..seeds {
        let (world, run) = simulate(seed, &sound());
        if let Some(complaint) = complaint(&world, &run) {
            panic!("seed {seed}: {complaint}\n{:#?}", world.effects());
        }
        cleared += world.cleared().len();
        (faults, crashes) = (faults + run.faults, crashes + run.crashes);
    }
    assert!(cleared as u64 > seeds / 10, "sweeps do remove something: {cleared}");
    println!("proof: {seeds} worlds with sweepers, {cleared} files removed, {faults} faults, {crashes} crashes");
}

#[test]
fn proof_a_sweep_that_is_wrong_is_caught() {
    let wrongs: [(&str, Makings); 4] = [
        (
            "no tombstones",
            Makings { metadata: |world| Arc::new(Forgetful(MemoryMetadata::new(world))), calm: true, ..sound() },
        ),
        ("no pins", Makings { staging: |world| Arc::new(Blind(MemoryStaging::new(world))), ..sound() }),
        (
            "no retention",
            Makings { policy: SweepPolicy { retention: TimeDelta::days(1), ..SweepPolicy::default() }, ..sound() },
        ),
        (
            "stale lists",
            Makings { metadata: |world| Arc::new(OnlyOne(MemoryMetadata::new(world))), calm: true, ..sound() },
        ),
    ];
    for (name, makings) in wrongs {
        let caught = (0..20_000).find_map(|seed| {
            let (world, run) = simulate(seed, &makings);
            complaint(&world, &run).map(|complaint| format!("seed {seed}: {complaint}"))
        });
        println!("proof: caught, {name}: {}", caught.unwrap_or_else(|| panic!("{name} is not caught")));
    }
}

/// Forgets tombstones.
struct Forgetful(MemoryMetadata);
/// Finds only the first of several publications.
struct OnlyOne(MemoryMetadata);

macro_rules! metadata {
    ($name:ident, $bound:expr, $find:expr) => {
        #[async_trait]
        impl MetadataStore for $name {
            async fn claim(&self, first: &Row) -> Result<Claim, Error> {
                self.0.claim(first).await
            }
            async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
                self.0.load(id).await
            }
            async fn advance(&self, next: &Row) -> Result<Advance, Error> {
                self.0.advance(next).await
            }
            async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
                self.0.bind(key, id).await
            }
            async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
                self.0.bound(key).await.map($bound)
            }
            async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
                self.0.find(query, after, limit).await.map($find)
            }
        }
    };
}
metadata!(Forgetful, |_| None, |found| found);
metadata!(OnlyOne, |bound| bound, |mut found: Found| {
    found.rows.reverse();
    found.rows.truncate(1);
    found
});

/// Removes whatever has the name by now.
struct Blind(MemoryStaging);

#[async_trait]
impl Staging for Blind {
    fn resolve(&self, url: &VideoUrl) -> Option<VideoUrl> {
        self.0.resolve(url)
    }
    fn list(&self) -> BoxStream<'static, Result<StagedFile, Error>> {
        self.0.list()
    }
    async fn digest(&self, file: &StagedFile) -> Result<Option<Digest>, Error> {
        self.0.digest(file).await
    }
    async fn remove(&self, file: &StagedFile) -> Result<Removal, Error> {
        use futures::StreamExt as _;
        let mut now = self.0.list();
        while let Some(is) = now.next().await {
            let is = is?;
            if is.url == file.url {
                return self.0.remove(&is).await;
            }
        }
        Ok(Removal::Gone)
    }
}
