//! Two versions of one work, and a publication that is taken back, in every order in which those who do it can meet.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use chrono::TimeDelta;
use distribution_core::{
    Advance, AuditLogId, Claim, Cursor, Error, ErrorKind, Found, IdempotencyKey, MetadataStore, Policy, PublishRequest,
    Query, Reason, Record, Row, State, Version,
};
use distribution_testkit::{Budget, MemoryMetadata, Run, Schedule, Simulation, World, every_schedule, request};

use crate::VIDEO;

fn edit(n: u8) -> PublishRequest {
    let mut request = request(&format!("v{n}.mp4"), &[n; 8]);
    request.distribution_settings.metadata.concept_id = Some("concept-1".parse().unwrap());
    request
}

/// Two hosts with an edit each of one work.
fn two_versions(world: &World) -> Simulation {
    (0..2).for_each(|n| world.stage(format!("v{n}.mp4"), vec![n; 8]));
    Simulation::new(world).caller("a", &edit(0)).caller("b", &edit(1)).whole_effects()
}

/// The same edit by two hosts of which neither respects the other's lease: it must have one number only.
fn one_version(world: &World) -> Simulation {
    world.stage("v0.mp4", vec![0; 8]);
    let hours = TimeDelta::hours(2);
    let simulation = Simulation::new(world).caller("a", &edit(0));
    simulation.caller_with("b", &edit(0), Policy::default(), hours).whole_effects()
}

/// One publishes, another takes it back as soon as it is on record.
fn taken_back(world: &World, call: PublishRequest) -> Simulation {
    let publisher = move |world: World, holder: String| {
        let call = call.clone();
        async move {
            match world.publisher(&holder).publish(call).await {
                Ok(answer) => world.answered(answer),
                Err(error) => assert!(
                    matches!(error.kind(), ErrorKind::Retracted | ErrorKind::Unavailable | ErrorKind::Busy),
                    "{error}"
                ),
            }
        }
    };
    let person = |world: World, holder: String| async move {
        let publisher = world.publisher(&holder);
        let reason = Reason::parse("because").unwrap();
        for _ in 0..3 {
            let Some(id) = world.rows().first().map(|row| row.id.clone()) else {
                // So that it is another moment.
                let _ = publisher.latest(&"concept-2".parse().unwrap()).await;
                continue;
            };
            publisher.retract(&id, &reason).await.unwrap();
            return;
        }
    };
    Simulation::new(world).process("a", publisher).process("person", person).whole_effects()
}

fn every_order(name: &str, simulation: impl Fn(&World) -> Simulation, judge: impl Fn(&World, &Run)) {
    let (start, mut orders) = (Instant::now(), 0);
    let (runs, all) = every_schedule(usize::MAX, |schedule| {
        let world = World::new();
        let run = simulation(&world).run(schedule);
        if !run.known {
            orders += 1;
            assert!(run.ended, "{run:?}");
            judge(&world, &run);
        }
    });
    assert!(all && orders > 20, "{orders}");
    println!("proof: {name}, every order: {runs} runs, {orders} to their end, in {:.1?}", start.elapsed());
}

fn numbered(world: &World, count: u64) {
    world.keeps_promises().unwrap_or_else(|broken| panic!("{broken}: {:?}", world.effects()));
    let mut numbers: Vec<_> = world.answers().into_iter().map(|answer| answer.record.version.unwrap()).collect();
    assert_eq!(numbers.len(), 2);
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "{:?}", world.effects());
}

#[test]
fn proof_two_versions_in_every_order() {
    every_order("two versions of one work", two_versions, |world, _| numbered(world, 2));
    if Budget::chosen() != Budget::Quick {
        every_order("one version by two hosts", one_version, |world, _| numbered(world, 1));
    }
}

#[test]
fn proof_two_versions_with_a_crash_anywhere() {
    if Budget::chosen() == Budget::Long {
        every_order(
            "one version by two hosts, a crash anywhere",
            |world| one_version(world).crashes(1),
            |world, _| {
                numbered(world, 1);
            },
        );
    }
    let samples = Budget::chosen().pick(500, 8_000, 1_000_000);
    for seed in 0..samples {
        let world = World::new();
        let simulation = if seed % 2 == 0 { two_versions(&world) } else { one_version(&world) };
        let run = simulation.crashes(2).faults(2).run(&Schedule::seeded(seed));
        assert!(run.ended, "seed {seed}");
        world.heal();
        world.keeps_promises().unwrap_or_else(|broken| panic!("seed {seed}: {broken}: {:?}", world.effects()));
        numbered(&world, 2 - seed % 2);
    }
    println!("proof: one or two versions of one work in {samples} sampled orders, two crashes and two faults each");
}

/// It is settled, and is the first version of its work, if it has one and was ever published.
fn is_complete(world: &World) {
    let _ = world.run({
        let publisher = world.publisher("later");
        async move { publisher.recover().await }
    });
    world.keeps_promises().unwrap_or_else(|broken| panic!("{broken}: {:?}", world.effects()));
    let record = Record::decode(&world.rows()[0]).unwrap();
    assert!(record.state() == State::Retracted || world.answers().len() == 1);
    if let Some(published) = record.published() {
        let number = record.publication.concept_id.as_ref().map(|_| Version::Number(1));
        assert_eq!(published.version, number, "{:?}", world.effects());
    }
}

#[test]
fn proof_a_retraction_in_every_order() {
    let of_no_work = |world: &World| {
        world.stage("clip.mp4", VIDEO);
        taken_back(world, request("clip.mp4", VIDEO))
    };
    let of_a_work = |world: &World| {
        world.stage("v0.mp4", vec![0; 8]);
        taken_back(world, edit(0))
    };
    every_order("a publish and its retraction", of_no_work, |world, _| is_complete(world));
    if Budget::chosen() != Budget::Quick {
        every_order("a version and its retraction", of_a_work, |world, _| is_complete(world));
    }
}

/// Where names can change, two publications have one number: the checker says so.
#[test]
fn proof_that_a_chain_on_names_that_change_is_caught() {
    let (world, mut records) = (World::new(), Vec::new());
    for n in 0..2 {
        world.stage(format!("v{n}.mp4"), vec![n; 8]);
        let metadata = Arc::new(Obliging(MemoryMetadata::new(&world)));
        let publisher = world.builder("host").metadata(metadata).build().unwrap();
        records.push(futures::executor::block_on(publisher.publish(edit(n))).unwrap());
    }
    assert_eq!(records[0].version, records[1].version);
    let broken = world.keeps_promises().unwrap_err();
    assert!(broken.contains("P3 once") && broken.contains("is version 1 of concept-1, and so is"), "{broken}");
    println!("proof: caught, names that change: {broken}");
}

/// Gives every name to whoever asks.
struct Obliging(MemoryMetadata);

#[async_trait]
impl MetadataStore for Obliging {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        self.0.claim(first).await
    }
    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        self.0.load(id).await
    }
    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        self.0.advance(next).await
    }
    async fn bind(&self, _: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        Ok(id.clone())
    }
    async fn bound(&self, _: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        Ok(None)
    }
    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        // A version that somebody knows of would be counted.
        self.0.find(query, after, limit).await.map(|_| Found::default())
    }
}
