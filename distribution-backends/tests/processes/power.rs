//! Publishers whose file system loses its power at a random moment.

use std::fs::File;
use std::thread;
use std::time::{Duration, Instant};

use distribution_testkit::Budget;
use fastrand::Rng;
use rustix::fs::syncfs;
use tokio::runtime::Runtime;

use crate::budget::{moment, not_run, seed};
use crate::child::{Gate, Mode, Task, said};
use crate::defect::Defect;
use crate::judge::{Answers, Seen, finish};
use crate::process::Process;
use crate::site::{Host, Job, KIB, Site};
use crate::strace::{Strace, Traced};
use crate::volume::Volume;

const KINDS: [&str; 2] = ["xfs", "ext4"];
const PROCESSES: usize = 2;
const JOBS: usize = 40;

#[derive(Default)]
struct Tally {
    cuts: usize,
    /// What had been answered when the power went.
    answers: usize,
    /// What was on record and not answered.
    under_way: usize,
    violations: Vec<String>,
}

#[test]
fn proof_power_cut() {
    let cuts = Budget::chosen().pick(3, 12, 300);
    for kind in KINDS {
        let started = Instant::now();
        let tally = match Volume::new(kind) {
            Ok(volume) => cut_often(volume, cuts, None),
            Err(why) => {
                not_run(&format!("proof_power_cut on {kind}"), &why, false);
                continue;
            }
        };
        println!(
            "proof_power_cut: {} cuts on {kind}, {} answers before them all hold (records on another disk in every second one), {} publications under way finished by \
             one call each, {} violations; {:.1} s",
            tally.cuts,
            tally.answers,
            tally.under_way,
            tally.violations.len(),
            started.elapsed().as_secs_f64()
        );
        assert!(tally.violations.is_empty(), "{:#?}", tally.violations);
        assert!(tally.answers > 0 && tally.under_way > 0, "no cut came while a publish was under way");
    }
}

#[test]
fn proof_power_cut_catches_publishers_that_do_not_sync() {
    const CUTS_MAX: usize = 20;
    let name = "proof_power_cut_catches_publishers_that_do_not_sync";
    for kind in KINDS {
        for defect in [Defect::Unsynced, Defect::FolderUnsynced] {
            match Volume::new(kind) {
                Ok(volume) => {
                    let tally = cut_often(volume, CUTS_MAX, Some(defect));
                    assert!(!tally.violations.is_empty(), "{defect:?}: not caught on {kind} in {} cuts", tally.cuts);
                    let (count, first) = (tally.violations.len(), &tally.violations[0]);
                    println!(
                        "{name}: {defect:?} on {kind} at cut {}: {count} violations, such as: {first}",
                        tally.cuts
                    );
                }
                Err(why) => not_run(&format!("{name}: {defect:?} on {kind}"), &why, false),
            }
        }
    }
}

/// The moment that chance finds once in a hundred cuts: XFS that is down lets the `fsync` of a folder
/// succeed.
#[test]
fn proof_power_cut_between_link_and_sync() {
    let name = "proof_power_cut_between_link_and_sync";
    for kind in KINDS {
        let mut volume = match Volume::new(kind) {
            Ok(volume) => volume,
            Err(why) => {
                not_run(&format!("{name} on {kind}"), &why, false);
                continue;
            }
        };
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new(&volume.path().join("objects"), &dir.path().join("ledger"), &dir.path().join("staging"));
        let jobs = vec![site.stage(0, 100 * KIB, &mut Rng::with_seed(seed()))];
        syncfs(File::open(volume.path()).unwrap()).unwrap();
        let (host, gate) = (Host::new("the first"), Some(Gate::AfterOpening));
        let task = Task { site: site.clone(), host, jobs: jobs.clone(), mode: Mode::Once, gate };
        let mut process = Process::start(&task);
        assert!(process.wait_for(said::OPEN, Duration::from_secs(30)));
        let (traced, log) = (Traced::Process(process.pid()), dir.path().join("strace.log"));
        let strace = match Strace::attach(traced, "inject=linkat:delay_exit=1000000", &log) {
            Ok(strace) => strace,
            Err(why) => return not_run(name, &format!("strace: {why}"), false),
        };
        process.go();
        let started = Instant::now();
        while !std::fs::read_to_string(&log).is_ok_and(|log| log.contains("linkat(")) {
            assert!(started.elapsed() < Duration::from_secs(30), "no linkat");
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(100));
        volume.cut().unwrap();
        let mut answers = Answers::default();
        answers.hear(&process.end(Duration::from_secs(30)));
        drop(strace);
        volume.restart().unwrap();
        let found = Runtime::new().unwrap().block_on(finish(&site, &jobs, &mut answers));
        println!("{name}: on {kind}: {} violations", found.len());
        assert!(found.is_empty(), "{found:#?}");
    }
}

/// Cuts the power so often, or until something is wrong.
fn cut_often(mut volume: Volume, cuts: usize, defect: Option<Defect>) -> Tally {
    let (runtime, mut chance) = (Runtime::new().unwrap(), Rng::with_seed(seed()));
    let mut tally = Tally::default();
    while tally.cuts < cuts && tally.violations.is_empty() {
        tally.cuts += 1;
        cut_once(&mut volume, defect, &runtime, &mut chance, &mut tally);
    }
    tally
}

fn cut_once(volume: &mut Volume, defect: Option<Defect>, runtime: &Runtime, chance: &mut Rng, tally: &mut Tally) {
    let dir = tempfile::tempdir().unwrap();
    let store = volume.path().join(format!("cut-{}", tally.cuts));
    // Whoever syncs records on the same file system may save objects that nobody has synced.
    let alone = tally.cuts.is_multiple_of(2) || defect == Some(Defect::FolderUnsynced);
    let ledger = if alone { dir.path().join("ledger") } else { store.join("ledger") };
    let site = Site::new(&store.join("objects"), &ledger, &dir.path().join("staging"));
    let size = |chance: &mut Rng| 16 * KIB + chance.usize(..400 * KIB);
    let jobs: Vec<Job> = (0..JOBS).map(|n| site.stage(n, size(chance), chance)).collect();
    // The folder itself is not what is to be lost.
    syncfs(File::open(volume.path()).unwrap()).unwrap();
    let start = |n| {
        let name = format!("cut-{}-{n}", tally.cuts);
        let host = if n == 0 { Host::ahead(name) } else { Host::new(name) };
        let mut jobs = jobs.clone();
        chance.shuffle(&mut jobs);
        let host = Host { defect, ..host };
        Process::start(&Task { site: site.clone(), host, jobs, mode: Mode::UntilKilled, gate: None })
    };
    let mut processes: Vec<Process> = (0..PROCESSES).map(start).collect();
    processes[0].wait_for(said::OPEN, Duration::from_secs(30));
    thread::sleep(moment(chance, Duration::from_millis(5), Duration::from_millis(400)));
    volume.cut().unwrap();
    let mut answers = Answers::default();
    processes.into_iter().for_each(|process| answers.hear(&process.kill()));
    volume.restart().unwrap();

    tally.answers += answers.count();
    match runtime.block_on(Seen::at(&site)) {
        Err(error) => tally.violations.push(format!("the site cannot be read: {error:?}")),
        Ok(seen) => {
            tally.violations.extend(seen.violations(&answers, None));
            tally.under_way +=
                seen.records.len().saturating_sub(jobs.iter().filter(|job| answers.has(job.number)).count());
        }
    }
    tally.violations.extend(runtime.block_on(finish(&site, &jobs, &mut answers)));
    std::fs::remove_dir_all(&store).unwrap();
}
