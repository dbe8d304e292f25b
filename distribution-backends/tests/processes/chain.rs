//! Many processes that publish the versions of one work and are killed meanwhile, while somebody asks for the latest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use distribution_core::{Checksum, ConceptId, Meter, ObjectKey};
use distribution_testkit::Budget;
use fastrand::Rng;

use crate::budget::seed;
use crate::judge::{Seen, finish};
use crate::play::play;
use crate::site::{Host, Job, KIB, Site};

/// What a reader has seen.
#[derive(Debug, Default)]
struct Read {
    asked: usize,
    latest: u64,
}

#[test]
fn proof_chain_of_versions() {
    let (rounds, hosts, revisions, kills) = Budget::chosen().pick((1, 3, 10, 3), (3, 8, 50, 24), (50, 8, 50, 24));
    let (started, mut killed, mut asked) = (Instant::now(), 0, 0);
    for round in 0..rounds {
        let (kills, read) = publish(hosts, revisions, kills, seed() + round);
        (killed, asked) = (killed + kills, asked + read.asked);
    }
    println!(
        "proof_chain_of_versions: {revisions} revisions of one work by {hosts} processes, {rounds} times with {killed} \
         kills (from seed {}): versions 1 to {revisions}, each once; the latest was asked for {asked} times, was always \
         there with a link to proven bytes, and never went down; {:.1} s",
        seed(),
        started.elapsed().as_secs_f64()
    );
}

/// Has all of them publish all revisions of one work; how many were killed, and what a reader has seen.
fn publish(hosts: usize, revisions: usize, kills: usize, seed: u64) -> (usize, Read) {
    let (dir, mut chance) = (tempfile::tempdir().unwrap(), Rng::with_seed(seed));
    let (site, concept) = (Site::below(dir.path()), ConceptId::parse("concept-7").unwrap());
    let edit = |number| {
        let size = 4 * KIB + chance.usize(..60 * KIB);
        let mut job = site.stage(number, size, &mut chance);
        job.request.distribution_settings.metadata.concept_id = Some(concept.clone());
        job
    };
    let jobs: Vec<Job> = (0..revisions).map(edit).collect();

    let done = Arc::new(AtomicBool::new(false));
    let reader = thread::spawn({
        let (site, concept, done) = (site.clone(), concept.clone(), Arc::clone(&done));
        move || read(&site, &concept, &done)
    });
    let (mut answers, killed) = play(&site, &vec![jobs.clone(); hosts], kills, &mut chance);
    done.store(true, Ordering::Release);
    let read = reader.join().unwrap();

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let found = runtime.block_on(finish(&site, &jobs, &mut answers));
    assert!(found.is_empty(), "{found:#?}");
    let seen = runtime.block_on(Seen::at(&site)).unwrap();
    let number = |job: &Job| seen.record(job).unwrap().published().unwrap().version.unwrap().number().unwrap();
    let mut numbers: Vec<u64> = jobs.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=revisions as u64).collect::<Vec<_>>());
    assert_eq!(read.latest, revisions as u64);
    (killed, read)
}

/// Asks for the latest and a link to it, over and over, until all is done and once more.
fn read(site: &Site, concept: &ConceptId, done: &AtomicBool) -> Read {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (publisher, storage) = (site.publisher(&Host::new("reader")).await.unwrap(), site.storage().unwrap());
        let mut read = Read::default();
        loop {
            let is_last = done.load(Ordering::Acquire);
            match publisher.latest(concept).await.unwrap() {
                None => assert_eq!(read.latest, 0, "the latest was not found"),
                Some(record) => {
                    let published = record.published.unwrap();
                    // It has its number, or will have it in a moment.
                    let version = published.version.unwrap_or(read.latest);
                    assert!(version >= read.latest, "the latest was {} and is {version}", read.latest);
                    read.latest = version;
                    publisher.link(&record.audit_log_id, Duration::from_secs(3_600)).await.unwrap();
                    let key = published.storage_location.as_str().rsplit_once("objects/").unwrap().1;
                    let key = ObjectKey::parse(key).unwrap();
                    let found = storage.digest(&key, &Meter::default()).await.unwrap().map(|digest| digest.checksum);
                    assert_eq!(found, Some(record.metadata.checksum), "a link to other bytes");
                    assert_ne!(found, Some(Checksum::of(b"")));
                    read.asked += 1;
                }
            }
            if is_last {
                return read;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
}
