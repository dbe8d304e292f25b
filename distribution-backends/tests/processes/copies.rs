//! Many processes that publish to three targets and are killed meanwhile; then copies that are lost.

use std::fs;
use std::time::Instant;

use distribution_testkit::Budget;
use fastrand::Rng;

use crate::budget::seed;
use crate::judge::{Answers, Seen, finish, key_of};
use crate::play::play;
use crate::site::{Host, Job, KIB, Site};

#[test]
fn proof_copies_on_other_targets() {
    let (hosts, files, kills) = Budget::chosen().pick((2, 6, 3), (6, 40, 60), (8, 200, 1_000));
    let (started, mut chance, dir) = (Instant::now(), Rng::with_seed(seed()), tempfile::tempdir().unwrap());
    let folders = ["eu", "us"].map(|name| dir.path().join(name));
    let site = Site::below(dir.path()).copied_to(&folders);
    let jobs: Vec<Job> = (0..files)
        .map(|number| {
            let size = 4 * KIB + chance.usize(..600 * KIB);
            site.stage(number, size, &mut chance)
        })
        .collect();
    let (mut answers, killed) = play(&site, &vec![jobs.clone(); hosts], kills, &mut chance);

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let found = runtime.block_on(finish(&site, &jobs, &mut answers));
    assert!(found.is_empty(), "{found:#?}");
    let count = |seen: &Seen, job: &Job| seen.record(job).unwrap().replica_count();
    let seen = runtime.block_on(Seen::at(&site)).unwrap();
    assert!(jobs.iter().all(|job| count(&seen, job) == 3), "a copy that was not counted");

    // Of each file one copy is lost: here, there or at the second place, with other bytes or without any.
    let places = [site.objects.as_path(), &folders[0], &folders[1]];
    for (number, job) in jobs.iter().enumerate() {
        let path = places[number % 3].join(key_of(job).as_str());
        if number % 2 == 0 {
            fs::remove_file(path).unwrap();
        } else {
            let mut bytes = fs::read(&path).unwrap();
            bytes[0] ^= 1;
            fs::remove_file(&path).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
    let scrub = runtime.block_on(async {
        let publisher = site.publisher(&Host::later("the scrubber")).await.unwrap();
        publisher.scrub(None, u64::MAX).await.unwrap()
    });
    let files = files as u64;
    assert_eq!((scrub.sound, scrub.lost, scrub.repaired, scrub.failed), (files * 2, files, files, 0), "{scrub:?}");
    let seen = runtime.block_on(Seen::at(&site)).unwrap();
    // What is damaged still lies at its old place, and nobody is sent there.
    let broken = seen.violations(&Answers::default(), None);
    let broken: Vec<_> = broken.iter().filter(|line| !line.contains("is visible with other bytes")).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(jobs.iter().all(|job| count(&seen, job) == 3));
    println!(
        "proof_copies_on_other_targets: {files} files on three targets by {hosts} processes with {killed} kills, all \
         copies proven; one of each lost, found and made anew; 0 violations; {:.1} s",
        started.elapsed().as_secs_f64()
    );
}
