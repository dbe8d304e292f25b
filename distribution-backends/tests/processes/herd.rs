//! Many processes at once with one request.

use std::time::{Duration, Instant};

use distribution_testkit::Budget;
use fastrand::Rng;

use crate::budget::seed;
use crate::child::{Gate, Mode, Task, said};
use crate::judge::{Answers, Seen, finish};
use crate::process::Process;
use crate::site::{Host, MIB, Site};

#[test]
fn proof_64_processes() {
    herd("proof_64_processes", Budget::chosen().pick(1, 3, 20), 4 * MIB, |site| site);
}

/// The same with a file that goes in parts to the server that `DISTRIBUTION_TEST_S3` names.
#[cfg(feature = "s3")]
#[test]
fn proof_64_processes_on_s3() {
    let Some(server) = crate::remote::Remote::named("DISTRIBUTION_TEST_S3") else { return };
    herd("proof_64_processes_on_s3", Budget::chosen().pick(1, 2, 20), 17 * MIB, |site| site.on(server.elsewhere()));
}

fn herd(proof: &str, rounds: usize, size: usize, place: impl Fn(Site) -> Site) {
    let count = Budget::chosen().pick(8, 64, 64);
    let started = Instant::now();
    for round in 0..rounds {
        let dir = tempfile::tempdir().unwrap();
        let site = place(Site::below(dir.path()));
        let jobs = vec![site.stage(round, size, &mut Rng::with_seed(seed() + round as u64))];
        let start = |n| {
            let host = Host { lease_secs: 60, ..Host::new(format!("process-{n}")) };
            let gate = Some(Gate::BeforeOpening);
            Process::start(&Task { site: site.clone(), host, jobs: jobs.clone(), mode: Mode::Insist, gate })
        };
        let mut processes: Vec<Process> = (0..count).map(start).collect();
        for process in &mut processes {
            assert!(process.wait_for(said::READY, Duration::from_secs(60)), "{:?}", process.lines());
        }
        processes.iter_mut().for_each(Process::go);
        let mut answers = Answers::default();
        for process in processes {
            let lines = process.end(Duration::from_secs(120));
            assert!(lines.iter().any(|line| line == said::DONE), "{lines:?}");
            answers.hear(&lines);
        }
        assert_eq!(answers.count(), count);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let seen = runtime.block_on(Seen::at(&site)).unwrap();
        assert_eq!((seen.records.len(), seen.evidence.objects.len(), seen.stages), (1, 1, 0));
        let found = runtime.block_on(finish(&site, &jobs, &mut answers));
        assert!(found.is_empty(), "{found:#?}");
        #[cfg(feature = "s3")]
        if let Some(remote) = &site.remote {
            runtime.block_on(remote.clear());
        }
    }
    println!(
        "{proof}: {count} processes at once with one request, {rounds} times: 1 object, 1 record, {count} \
         equal answers; {:.1} s",
        started.elapsed().as_secs_f64()
    );
}
