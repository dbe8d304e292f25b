//! Every order in which two publishers can meet.

use std::collections::BTreeSet;
use std::time::Instant;

use chrono::TimeDelta;
use distribution_core::Policy;
use distribution_testkit::{Budget, Run, Schedule, Simulation, World, every_schedule, request};

use crate::VIDEO;

/// Two hosts with the same request, neither of which respects the other's lease, because their clocks
/// are hours apart: so both are at work at every step.
fn two_publishers(world: &World) -> Simulation {
    world.stage("clip.mp4", VIDEO);
    let call = request("clip.mp4", VIDEO);
    let hours = TimeDelta::hours(2);
    Simulation::new(world).caller("a", &call).caller_with("b", &call, Policy::default(), hours).whole_effects()
}

fn judge(world: &World, run: &Run, callers: usize, case: &str) {
    assert!(run.ended && world.answers().len() == callers, "{case}: {run:?}");
    world.heal();
    world.keeps_promises().unwrap_or_else(|broken| panic!("{case}: {broken}: {:?}", world.effects()));
}

fn every_order(name: &str, limit: impl Fn(Simulation) -> Simulation) {
    let (start, mut orders) = (Instant::now(), 0);
    let (runs, all) = every_schedule(usize::MAX, |schedule| {
        let world = World::new();
        let run = limit(two_publishers(&world)).run(schedule);
        if !run.known {
            orders += 1;
            judge(&world, &run, 2, name);
        }
    });
    assert!(all && orders > 100);
    println!(
        "proof: two publishers, every order, {name}: {runs} runs, {orders} to their end, in {:.1?}",
        start.elapsed()
    );
}

/// Where all are too many for the time there is.
fn sampled_orders(name: &str, samples: u64, limit: impl Fn(Simulation) -> Simulation) {
    let (start, mut faults, mut crashes) = (Instant::now(), BTreeSet::new(), 0);
    for seed in 0..samples {
        let world = World::new();
        let run = limit(two_publishers(&world)).run(&Schedule::seeded(seed));
        crashes += run.crashes;
        faults.extend(world.effects().iter().filter_map(|e| e.fault.map(|fault| format!("{} {fault:?}", e.op))));
        judge(&world, &run, 2, &format!("{name}, seed {seed}"));
    }
    let kinds = faults.len();
    println!(
        "proof: two publishers, {samples} sampled orders, {name}: {crashes} crashes, {kinds} faults by kind and effect, \
         in {:.1?}",
        start.elapsed()
    );
}

#[test]
fn proof_two_publishers_in_every_order() {
    every_order("nothing goes wrong", |simulation| simulation);
}

#[test]
fn proof_two_publishers_in_every_order_with_a_crash_anywhere() {
    if Budget::chosen() == Budget::Quick {
        sampled_orders("a crash anywhere", 500, |simulation| simulation.crashes(1));
    } else {
        every_order("a crash anywhere", |simulation| simulation.crashes(1));
    }
}

#[test]
fn proof_two_publishers_in_every_order_with_two_crashes_anywhere() {
    if Budget::chosen() == Budget::Quick {
        sampled_orders("two crashes anywhere", 500, |simulation| simulation.crashes(2));
    } else {
        every_order("two crashes anywhere", |simulation| simulation.crashes(2));
    }
}

#[test]
fn proof_two_publishers_with_a_fault_anywhere() {
    match Budget::chosen() {
        Budget::Quick => sampled_orders("a fault of any kind", 500, |simulation| simulation.faults(1)),
        Budget::Ci => sampled_orders("a fault of any kind", 20_000, |simulation| simulation.faults(1)),
        Budget::Long => every_order("a fault of any kind", |simulation| simulation.faults(1)),
    }
}

/// How a run ended, as far as it can be seen.
fn end(world: &World) -> String {
    let keys: Vec<_> = world.objects().into_keys().collect();
    format!("{keys:?} {:?} {:?}", world.rows(), world.audit())
}

/// Not every order is run to its end: one that comes to where another has been is left. This is
/// justified if sampled orders, all run to their end, end as some of them.
#[test]
fn proof_every_order_covers_the_sampled_ones() {
    let (crashes, samples) = if Budget::chosen() == Budget::Quick { (0, 300) } else { (1, 20_000) };
    let (mut ends, mut sampled) = (BTreeSet::new(), BTreeSet::new());
    every_schedule(usize::MAX, |schedule| {
        let world = World::new();
        if !two_publishers(&world).crashes(crashes).run(schedule).known {
            ends.insert(end(&world));
        }
    });
    for seed in 0..samples {
        let world = World::new();
        two_publishers(&world).crashes(crashes).run(&Schedule::seeded(seed));
        let end = end(&world);
        assert!(ends.contains(&end), "seed {seed} ends as no enumerated order does: {end}");
        sampled.insert(end);
    }
    let (some, all) = (sampled.len(), ends.len());
    println!("proof: {samples} sampled orders, {crashes} crashes: {some} ends, all among the {all} of every order");
    assert!(some > 3);
}

/// A process that does nothing but publish, without a timeout around it, is in every order too.
#[test]
fn proof_every_order_of_plain_processes() {
    let mut ended = 0;
    let (runs, all) = every_schedule(usize::MAX, |schedule| {
        let world = World::new();
        world.stage("clip.mp4", VIDEO);
        let mut simulation = Simulation::new(&world).whole_effects();
        for name in ["a", "b"] {
            simulation = simulation.process(name, |world, holder| async move {
                if let Ok(answer) = world.publisher(&holder).publish(request("clip.mp4", VIDEO)).await {
                    world.answered(answer);
                }
            });
        }
        let run = simulation.run(schedule);
        ended += usize::from(run.ended);
        assert!(run.known || !world.answers().is_empty(), "{run:?}");
    });
    println!("proof: two plain processes, every order: {runs} runs, {ended} to their end");
    assert!(all && runs > 50 && ended > 10, "{runs} {ended}");
}

#[test]
fn proof_three_publishers_in_sampled_orders() {
    let samples = Budget::chosen().pick(300, 20_000, 3_000_000);
    let start = Instant::now();
    let mut crashes = 0;
    for seed in 0..samples {
        let world = World::new();
        let call = request("clip.mp4", VIDEO);
        let third = two_publishers(&world).caller_with("c", &call, Policy::default(), TimeDelta::hours(-2));
        let run = third.crashes(2).run(&Schedule::seeded(seed));
        crashes += run.crashes;
        judge(&world, &run, 3, &format!("seed {seed}"));
    }
    println!("proof: three publishers in {samples} sampled orders with {crashes} crashes, in {:.1?}", start.elapsed());
}
