//! The stores' own legal holds in every order: what is held at the end is kept by its store, whoever held and released
//! and published at the same time; and what is not held is not kept.

use std::time::{Duration, Instant};

use distribution_core::{AuditLogId, ConceptId, HoldOn, LegalHold, PublishRequest, Reason, Record, TargetName};
use distribution_testkit::{Budget, Run, Schedule, Simulation, World, every_schedule, request};
use futures::executor::block_on;

fn concept() -> ConceptId {
    ConceptId::parse("concept-1").unwrap()
}

fn edit(n: u8, concept: &str) -> PublishRequest {
    let mut request = request(&format!("v{n}.mp4"), &[n; 8]);
    request.distribution_settings.metadata.concept_id = Some(concept.parse().unwrap());
    request
}

/// What one of several does at the same time.
#[derive(Clone, Debug)]
enum Act {
    Hold(HoldOn),
    Release(HoldOn),
    Publish(Box<PublishRequest>),
}

async fn act(world: World, holder: String, act: Act) {
    let (publisher, why) = (world.publisher(&holder), Reason::parse("because").unwrap());
    let _ = match act {
        Act::Hold(on) => publisher.hold(&on, &why).await.map(drop),
        Act::Release(on) => publisher.release(&on, &why).await.map(drop),
        Act::Publish(request) => publisher.publish(*request).await.map(drop),
    };
}

/// Two versions of a work, of which one is published; and another work with the same object. `held` is, at first.
fn start(held: &[HoldOn]) -> World {
    let world = World::new();
    world.give_legal_holds(&TargetName::default());
    (1..=2).for_each(|n| world.stage(format!("v{n}.mp4"), vec![n; 8]));
    let publisher = world.publisher("first");
    for concept in ["concept-1", "concept-2"] {
        block_on(publisher.publish(edit(1, concept))).unwrap();
    }
    for on in held {
        block_on(publisher.hold(on, &Reason::parse("before").unwrap())).unwrap();
    }
    world
}

/// The publications with their objects, whether they are held, and whether their objects are kept.
fn objects(world: &World) -> Vec<(AuditLogId, String, bool, bool)> {
    let publisher = world.publisher("judge");
    let is_in_force = |on: HoldOn| block_on(publisher.holds(&on)).unwrap().is_some();
    let of = |record: Record| {
        let concept = record.publication.concept_id.clone().unwrap();
        let is_held = record.hold.is_some() || is_in_force(HoldOn::Concept(concept));
        let of_place = |(target, key): (TargetName, distribution_core::ObjectKey)| {
            let object = world.object(target.as_str(), key.as_str()).unwrap();
            (record.id().clone(), key.to_string(), is_held, object.legal_hold == LegalHold::On)
        };
        record.proven_places().into_iter().map(of_place).collect::<Vec<_>>()
    };
    world.rows().iter().flat_map(|row| of(Record::decode(row).unwrap())).collect()
}

fn judge(world: &World, run: &Run, acts: &[Act], case: &str) {
    assert!(run.ended, "{case}: {run:?}");
    world.heal();
    if run.crashes > 0 {
        world.advance(Duration::from_secs(24 * 3_600));
        let publisher = world.publisher("scrubber");
        let recovery = block_on(publisher.recover()).unwrap();
        let scrub = block_on(publisher.scrub(None, u64::MAX)).unwrap();
        assert_eq!((recovery.failed, scrub.failed), (0, 0), "{case}: {recovery:?} {scrub:?}");
        is_right(world, false, case);
        // What a crash has left is finished by a repeat.
        for each in acts {
            block_on(act(world.clone(), "again".to_owned(), each.clone()));
        }
    }
    is_right(world, true, case);
    world.keeps_promises().unwrap_or_else(|broken| panic!("{case}: {broken}"));
}

/// What is held is kept; and, where all was repeated, nothing else.
fn is_right(world: &World, is_finished: bool, case: &str) {
    let objects = objects(world);
    for (id, key, is_held, is_kept) in &objects {
        let is_wanted = objects.iter().any(|(_, other, is_held, _)| other == key && *is_held);
        assert!(*is_kept || !is_held, "{case}: {key} of {id} is held and not kept: {:#?}", world.effects());
        assert!(!is_kept || is_wanted || !is_finished, "{case}: {key} is kept for nobody: {:#?}", world.effects());
    }
}

fn run(held: &[HoldOn], acts: &[Act], crashes: u32, schedule: &Schedule) -> (World, Run) {
    let world = start(held);
    let mut simulation = Simulation::new(&world).whole_effects().crashes(crashes);
    for (number, each) in acts.iter().cloned().enumerate() {
        simulation =
            simulation.process(&format!("host-{number}"), move |world, holder| act(world, holder, each.clone()));
    }
    let run = simulation.run(schedule);
    (world, run)
}

/// Who is at it together, and what is held before.
fn cases() -> Vec<(&'static str, Vec<HoldOn>, Vec<Act>)> {
    let world = start(&[]);
    let ids: Vec<_> = world.rows().into_iter().map(|row| row.id).collect();
    let [one, same] = [0, 1].map(|n| HoldOn::Publication(ids[n].clone()));
    let (work, next) = (HoldOn::Concept(concept()), Act::Publish(Box::new(edit(2, "concept-1"))));
    let (hold, release) = (Act::Hold, Act::Release);
    vec![
        ("a hold and a release", vec![one.clone()], vec![hold(one.clone()), release(one.clone())]),
        ("a hold and the release of its work", vec![work.clone()], vec![hold(one.clone()), release(work.clone())]),
        ("a hold of the work and a release", vec![one.clone()], vec![hold(work.clone()), release(one.clone())]),
        ("a hold and a release of one object", vec![same.clone()], vec![hold(one.clone()), release(same.clone())]),
        ("two releases of one object", vec![one.clone(), same.clone()], vec![release(one), release(same)]),
        ("a hold and a release of the work", vec![work.clone()], vec![hold(work.clone()), release(work.clone())]),
        ("a hold of the work and its next version", vec![], vec![hold(work.clone()), next.clone()]),
        ("a release of the work and its next version", vec![work.clone()], vec![release(work), next]),
    ]
}

#[test]
fn proof_what_is_held_is_kept_by_its_store_in_every_order() {
    for (number, (name, held, acts)) in cases().into_iter().enumerate() {
        for crashes in [0, 1] {
            let (start, case) = (Instant::now(), format!("{name}, {crashes} crashes"));
            let has_few_orders = crashes == 0 && !name.contains("of the work");
            let is_whole = match Budget::chosen() {
                Budget::Quick => has_few_orders && number == 0,
                Budget::Ci => has_few_orders,
                Budget::Long => true,
            };
            if is_whole {
                let (runs, all) = every_schedule(usize::MAX, |schedule| {
                    let (world, run) = run(&held, &acts, crashes, schedule);
                    if !run.known {
                        judge(&world, &run, &acts, &case);
                    }
                });
                assert!(all && runs > 100);
                println!("proof: {case}: every order, {runs} runs, in {:.1?}", start.elapsed());
                continue;
            }
            let samples = Budget::chosen().pick(100, 1_000, 0);
            for seed in 0..samples {
                let (world, run) = run(&held, &acts, crashes, &Schedule::seeded(seed));
                judge(&world, &run, &acts, &format!("{case}, seed {seed}"));
            }
            println!("proof: {case}: {samples} orders, in {:.1?}", start.elapsed());
        }
    }
}
