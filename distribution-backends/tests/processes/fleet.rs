//! Hosts that publish their batches into one bucket with records in one database, and are killed meanwhile.

use std::time::{Duration, Instant};

use distribution_testkit::Budget;
use fastrand::Rng;

use crate::budget::{moment, seed};
use crate::child::{Mode, Task, said};
use crate::database::Database;
use crate::faulty_proxy::FaultyProxy;
use crate::judge::{Answers, Seen, finish};
use crate::process::Process;
use crate::remote::Remote;
use crate::site::{Host, Job, KIB, Site};

/// How long the whole may take.
const LIMIT: Duration = Duration::from_secs(900);

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

/// Has each host publish its batch, kills so many at moments of chance, and starts them again.
fn play(site: &Site, batches: &[Vec<Job>], kills: usize, chance: &mut Rng) -> (Answers, usize) {
    let (started, mut killed, mut answers) = (Instant::now(), 0, Answers::default());
    let start = |host: usize, life: usize, chance: &mut Rng| {
        let mut jobs = batches[host].clone();
        chance.shuffle(&mut jobs);
        let host = Host::new(format!("host-{host}#{life}"));
        Process::start(&Task { site: site.clone(), host, jobs, mode: Mode::Insist, gate: None })
    };
    let mut processes: Vec<_> = (0..batches.len()).map(|host| Some(start(host, 0, chance))).collect();
    let mut done = vec![false; batches.len()];
    while done.iter().any(|done| !done) {
        assert!(started.elapsed() < LIMIT, "the hosts do not come to an end");
        std::thread::sleep(moment(chance, Duration::from_millis(20), Duration::from_millis(600)));
        let host = chance.usize(..processes.len());
        let mut process = processes[host].take().unwrap();
        if killed < kills && !process.has_ended() {
            killed += 1;
            answers.hear(&process.kill());
            process = start(host, killed, chance);
        }
        processes[host] = Some(process);
        for (process, done) in processes.iter_mut().flatten().zip(&mut done) {
            *done = process.has_ended();
            assert!(!*done || process.has_said(said::DONE), "a host gave up: {:?}", process.lines());
        }
    }
    processes.into_iter().flatten().for_each(|process| answers.hear(&process.end(Duration::ZERO)));
    (answers, killed)
}
