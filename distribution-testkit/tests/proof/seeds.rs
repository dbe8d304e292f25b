//! Many publishers in orders that follow from seeds, with all that can go wrong.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use distribution_core::{Policy, PublishRequest};
use distribution_testkit::{Budget, Ended, Run, Schedule, Simulation, World, request};

use crate::VIDEO;

/// One simulated pipeline: two to four callers of one to three publications, a recoverer, and an
/// editor who stages other bytes for a while.
fn simulate(seed: u64) -> (World, Run, Vec<PublishRequest>) {
    let (world, schedule) = (World::new(), Schedule::seeded(seed));
    world.stage("clip.mp4", VIDEO);
    let requests: Vec<PublishRequest> = (0..2 + schedule.pick(3)).map(|_| some_request(&schedule)).collect();
    let mut simulation = Simulation::new(&world);
    for (n, request) in requests.iter().enumerate() {
        let policy = Policy { lease_secs: [1, 60, 600][schedule.pick(3)], ..Policy::default() };
        let ahead = TimeDelta::seconds([0, 0, 90, -90, 7_200][schedule.pick(5)]);
        simulation = simulation.caller_with(&format!("host-{n}"), request, policy, ahead);
    }
    if schedule.pick(2) == 0 {
        simulation = simulation.recoverer("recoverer", 3);
    }
    if schedule.pick(8) == 0 {
        simulation = simulation.process("editor", |world, _| async move {
            world.sleep(Duration::from_secs(1)).await;
            world.stage("clip.mp4", &b"the next edit"[..]);
            world.sleep(Duration::from_secs(5)).await;
            world.stage("clip.mp4", VIDEO);
        });
    }
    let run = simulation.crashes(3).clock_jumps(2).faults(4).run(&schedule);
    (world, run, requests)
}

/// The same bytes for one of three concepts, under one of three titles.
fn some_request(schedule: &Schedule) -> PublishRequest {
    let mut request = request("clip.mp4", VIDEO);
    request.distribution_settings.url_expiry_hours = [None, None, Some(168)][schedule.pick(3)];
    let metadata = &mut request.distribution_settings.metadata;
    metadata.title = [None, Some("first"), Some("second")][schedule.pick(3)].map(str::to_owned);
    metadata.concept_id = [None, None, Some("concept-2")][schedule.pick(3)].map(|id| id.parse().unwrap());
    request
}

/// What has to hold after a run: all have their answer, the same call succeeds again, and every
/// promise is kept. The number of answers.
fn judge(world: &World, run: &Run, requests: &[PublishRequest]) -> Result<usize, String> {
    if !run.ended {
        return Err(format!("not ended: {run:?}"));
    }
    if world.answers().len() < requests.len() {
        return Err(format!("{} callers, {} answers", requests.len(), world.answers().len()));
    }
    let answers = world.answers().len();
    world.heal();
    for request in requests {
        // Past the lease of whoever died last.
        world.advance(Duration::from_secs(3_601));
        match world.run(world.publisher("the-last").publish(request.clone())) {
            Ended::Returned(Ok(answer)) => world.answered(answer),
            other => return Err(format!("the last call: {other:?}")),
        }
    }
    world.keeps_promises().map(|()| answers)
}

#[test]
fn proof_publishers_in_seeded_orders() {
    let wanted: u64 = Budget::chosen().pick(10_000, 200_000, 10_000_000);
    let start = Instant::now();
    let (next, publishes, faults, crashes) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        while publishes.load(Ordering::Relaxed) < wanted {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            let (world, run, requests) = simulate(seed);
            let answers = judge(&world, &run, &requests).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
            publishes.fetch_add(answers as u64, Ordering::Relaxed);
            faults.fetch_add(run.faults as u64, Ordering::Relaxed);
            crashes.fetch_add(run.crashes.into(), Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    println!(
        "proof: {publishes:?} simulated publishes in {next:?} worlds, {faults:?} faults, {crashes:?} crashes, in {:.1?}",
        start.elapsed()
    );
}

#[test]
fn proof_the_same_seed_gives_the_same_run() {
    for seed in 0..100 {
        assert_eq!(simulate(seed).1, simulate(seed).1, "seed {seed}");
    }
    let traces: std::collections::BTreeSet<String> = (0..100).map(|seed| simulate(seed).1.trace.hex()).collect();
    assert!(traces.len() > 95, "other seeds give other runs: {}", traces.len());
    println!(
        "proof: 100 seeds give the same trace twice, {} of them different; seed 17: {}",
        traces.len(),
        simulate(17).1.trace
    );
}
