//! Hosts that publish their batches, are killed meanwhile, and start again.

use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::budget::moment;
use crate::child::{Mode, Task, said};
use crate::judge::Answers;
use crate::process::Process;
use crate::site::{Host, Job, Site};

/// How long the whole may take.
const LIMIT: Duration = Duration::from_secs(900);

/// Has each host publish its batch, kills so many at moments of chance, and starts them again.
pub(crate) fn play(site: &Site, batches: &[Vec<Job>], kills: usize, chance: &mut Rng) -> (Answers, usize) {
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
