//! Publishers that are killed at random moments, and broken ones, which the same rounds must catch.

use std::thread;
use std::time::Instant;

use distribution_testkit::Budget;

use crate::budget::seed;
use crate::defect::Defect;
use crate::rounds::{Rounds, Tally};

/// How many sites there are at a time: most of the time is spent in waiting for the disk.
const LANES: usize = 2;

#[test]
fn proof_sigkill() {
    let kills = Budget::chosen().pick(20, 400, 20_000);
    let started = Instant::now();
    let lanes: Vec<_> = (0..LANES as u64)
        .map(|lane| thread::spawn(move || Rounds::new(seed() << 8 | lane, None).run(kills / LANES)))
        .collect();
    let mut tally = Tally::default();
    lanes.into_iter().for_each(|lane| tally.add(lane.join().unwrap()));
    print("proof_sigkill", &tally, started);
    assert!(tally.violations.is_empty(), "{:#?}", tally.violations);
    assert!(tally.kills >= kills);
}

fn print(proof: &str, tally: &Tally, started: Instant) {
    println!(
        "{proof}: {} kills in {} rounds on {} sites (seed {}) hit {:?}; {} processes, {} stopped and continued \
         ({} past their lease); {} publications, {} equal or single answers; {} stages or uploads left; {} violations; {:.1} s",
        tally.kills,
        tally.rounds,
        tally.sites,
        seed(),
        tally.hit,
        tally.processes,
        tally.zombies,
        tally.zombies_past_lease,
        tally.published,
        tally.answers,
        tally.stages_left,
        tally.violations.len(),
        started.elapsed().as_secs_f64()
    );
}

/// The same rounds with the objects on the server that `DISTRIBUTION_TEST_S3` names.
#[cfg(feature = "s3")]
#[test]
fn proof_sigkill_on_s3() {
    let Some(server) = crate::remote::Remote::named("DISTRIBUTION_TEST_S3") else { return };
    let kills = Budget::chosen().pick(20, 120, 5_000);
    let started = Instant::now();
    let lanes: Vec<_> = (0..LANES as u64)
        .map(|lane| {
            let server = server.clone();
            let rounds = Rounds::new(seed() << 8 | lane, None).on(server);
            thread::spawn(move || rounds.run(kills / LANES))
        })
        .collect();
    let mut tally = Tally::default();
    lanes.into_iter().for_each(|lane| tally.add(lane.join().unwrap()));
    print("proof_sigkill_on_s3", &tally, started);
    assert!(tally.violations.is_empty(), "{:#?}", tally.violations);
    assert!(tally.kills >= kills);
}

#[test]
fn proof_sigkill_catches_broken_publishers() {
    let mut caught = Vec::new();
    for defect in [Defect::InPlace, Defect::Forgetful, Defect::Hasty] {
        let tally = Rounds::new(seed(), Some(defect)).run(100);
        assert!(!tally.violations.is_empty(), "{defect:?} was not caught in {} kills", tally.kills);
        caught.push(format!("{defect:?} after {} kills ({})", tally.kills, tally.violations[0]));
    }
    println!("proof_sigkill_catches_broken_publishers: {} of 3 caught: {}", caught.len(), caught.join("; "));
}
