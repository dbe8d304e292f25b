//! Hosts that publish their batches into one bucket with records in one database, and are killed meanwhile.

use std::time::Instant;

use distribution_testkit::Budget;
use fastrand::Rng;

use crate::budget::seed;
use crate::database::Database;
use crate::faulty_proxy::FaultyProxy;
use crate::judge::{Seen, finish};
use crate::play::play;
use crate::remote::Remote;
use crate::site::{Job, KIB, Site};

#[test]
fn proof_fleet_on_s3_and_postgres() {
    let (Some(server), Some(database)) = (Remote::named("DISTRIBUTION_TEST_S3"), Database::named()) else { return };
    let (hosts, each, kills) = Budget::chosen().pick((2, 10, 2), (8, 60, 15), (8, 200, 40));
    let started = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let proxy = runtime.block_on(FaultyProxy::start(server.host().to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let remote = server.elsewhere().by(proxy.addr.to_string());
    let site = Site::below(dir.path()).on(remote.clone()).with(database);

    let mut chance = Rng::with_seed(seed());
    let (shared, batches) = batches(&site, hosts, each, &mut chance);
    proxy.arm(&[]);
    let (mut answers, killed) = play(&site, &batches, kills, &mut chance);

    let all: Vec<Job> = shared.iter().chain(batches.iter().flat_map(|batch| &batch[shared.len()..])).cloned().collect();
    let found = runtime.block_on(finish(&site, &all, &mut answers));
    assert!(found.is_empty(), "{found:#?}");
    let seen = runtime.block_on(Seen::at(&site)).unwrap();
    assert_eq!((seen.records.len(), seen.evidence.objects.len()), (all.len(), all.len()));
    let mut created = proxy.created();
    let uploads = created.len();
    created.sort_unstable();
    created.dedup();
    assert_eq!((uploads, created.len()), (all.len(), all.len()), "an upload for each publication, and no other");
    println!(
        "proof_fleet_on_s3_and_postgres: {hosts} processes with {each} requests each, half of them the same, and \
         {killed} kills (seed {}): {} publications, {uploads} uploads counted at the server, {} equal or single \
         answers, 0 violations; {:.1} s",
        seed(),
        all.len(),
        answers.count(),
        started.elapsed().as_secs_f64()
    );
    runtime.block_on(remote.clear());
}

/// What all have, and what each host has: that first.
fn batches(site: &Site, hosts: usize, each: usize, chance: &mut Rng) -> (Vec<Job>, Vec<Vec<Job>>) {
    let mut number = 0;
    let mut stage = |count: usize| {
        let staged = (0..count).map(|_| {
            number += 1;
            site.stage(number, 4 * KIB + chance.usize(..60 * KIB), chance)
        });
        staged.collect::<Vec<_>>()
    };
    let shared = stage(each / 2);
    let batches = (0..hosts).map(|_| [shared.clone(), stage(each - each / 2)].concat()).collect();
    (shared, batches)
}
