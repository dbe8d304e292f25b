//! The simulation itself.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use std::time::Instant;

use distribution_testkit::{Run, Schedule, Simulation, World, every_schedule, request};

const VIDEO: &[u8] = b"approved bytes of a video";

fn run(seed: u64) -> (World, Run) {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    let call = request("clip.mp4", VIDEO);
    let simulation = Simulation::new(&world).caller("a", &call).caller("b", &call).caller("c", &call).recoverer("r", 3);
    let run = simulation.crashes(3).clock_jumps(2).faults(3).run(&Schedule::seeded(seed));
    (world, run)
}

#[test]
fn speed() {
    let start = Instant::now();
    let mut polls = 0;
    let n = 3_000;
    for seed in 0..n {
        let (world, run) = run(seed);
        assert!(run.ended, "{seed} {run:?}");
        assert_eq!(world.answers().len(), 3, "{seed} {run:?}");
        polls += run.polls;
    }
    println!("{n} runs, {} polls a run, {:?} a run", polls / n as usize, start.elapsed() / n as u32);
}
#[test]
fn enumerate() {
    for (crashes, faults, jumps) in [(0, 0, 0), (1, 0, 0), (2, 0, 0), (0, 1, 0), (1, 1, 0), (1, 0, 1)] {
        let start = Instant::now();
        let mut ends = 0;
        let (runs, all) = every_schedule(400_000, |schedule| {
            let world = World::new();
            world.stage("clip.mp4", VIDEO);
            let call = request("clip.mp4", VIDEO);
            let run = Simulation::new(&world)
                .caller("a", &call)
                .caller_with("b", &call, Default::default(), chrono::TimeDelta::hours(2))
                .crashes(crashes)
                .faults(faults)
                .clock_jumps(jumps)
                .whole_effects()
                .run(schedule);
            ends += usize::from(run.ended);
            assert!(run.ended || run.known);
        });
        println!("{crashes} {faults} {jumps}: {runs} {all} {ends} {:?}", start.elapsed());
    }
}
