//! Processes that move publications into the archive and back, and clear away what is freed, killed meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use distribution_core::{AuditEvent, Tier};
use distribution_testkit::Budget;
use fastrand::Rng;

use crate::budget::{moment, seed};
use crate::child::{Mode, Task};
use crate::judge::{Answers, Seen};
use crate::process::Process;
use crate::site::{Host, Job, KIB, Site};

/// More than the life of a link: who is so far ahead clears away what was freed just now.
const LINKS_ENDED_SECS: u32 = 80 * 3_600;

#[test]
fn proof_there_and_back_with_kills() {
    let (hosts, files, kills) = Budget::chosen().pick((2, 3, 6), (3, 6, 60), (4, 12, 1_000));
    let (started, mut chance, dir) = (Instant::now(), Rng::with_seed(seed()), tempfile::tempdir().unwrap());
    let site = Site::below(dir.path()).archived_in(&dir.path().join("cold"));
    let jobs: Vec<Job> =
        (0..files).map(|number| site.stage(number, 4 * KIB + chance.usize(..200 * KIB), &mut chance)).collect();
    let start = |number: usize, life: usize, chance: &mut Rng| {
        let mut jobs = jobs.clone();
        chance.shuffle(&mut jobs);
        let name = format!("host-{number}#{life}");
        // The last one clears away what the others have freed.
        let (host, mode) = match number == hosts {
            true => (Host { ahead_secs: LINKS_ENDED_SECS, ..Host::new(name) }, Mode::Tidy),
            false => (Host::new(name), Mode::ThereAndBack),
        };
        Process::start(&Task { site: site.clone(), host, jobs, mode, gate: None })
    };
    let mut processes: Vec<_> = (0..=hosts).map(|number| Some(start(number, 0, &mut chance))).collect();
    for killed in 1..=kills {
        std::thread::sleep(moment(&mut chance, Duration::from_millis(50), Duration::from_millis(700)));
        let number = chance.usize(..processes.len());
        let process = processes[number].take().unwrap();
        process.kill();
        processes[number] = Some(start(number, killed, &mut chance));
    }
    processes.into_iter().flatten().for_each(|process| drop(process.kill()));

    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (seen, hot) = runtime.block_on(async {
        let publisher = site.publisher(&Host::later("the finisher")).await.unwrap();
        let recovery = publisher.recover().await.unwrap();
        assert_eq!((recovery.failed, recovery.busy), (0, 0), "{recovery:?}");
        let broken = Seen::at(&site).await.unwrap().violations(&Answers::default(), None);
        assert!(broken.is_empty(), "{broken:#?}");
        // From here on there is no staged file to fall back on.
        let mut hot = 0;
        for job in &jobs {
            fs::remove_file(dir.path().join("staging").join(job.request.final_edit.video_url.expose())).unwrap();
            let seen = Seen::at(&site).await.unwrap();
            let Some(id) = seen.record(job).map(|record| record.id().clone()) else { continue };
            let asset = publisher.restore(&id).await.unwrap();
            assert_eq!(asset.published.unwrap().tier, Tier::Hot);
            publisher.publish(job.request.clone()).await.unwrap();
            hot += 1;
        }
        (Seen::at(&site).await.unwrap(), hot)
    });
    let broken = seen.violations(&Answers::default(), None);
    assert!(broken.is_empty(), "{broken:#?}");
    let count = |is: fn(&AuditEvent) -> bool| seen.evidence.audit.iter().filter(|entry| is(&entry.event)).count();
    let freed = count(|event| matches!(event, AuditEvent::HotFreed { .. }));
    let removed = count(|event| matches!(event, AuditEvent::CopyReleased { .. }));
    let restored = count(|event| matches!(event, AuditEvent::Restored { .. }));
    assert!(freed > 0 && removed > 0 && restored > 0 && hot > 0, "{freed} {removed} {restored} {hot}");
    println!(
        "proof_there_and_back_with_kills: {hosts} processes and one that clears away, {kills} kills: {freed} times into \
         the archive, {restored} times back, {removed} copies removed, all {hot} publications brought back from the \
         archive; 0 violations; {:.1} s",
        started.elapsed().as_secs_f64()
    );
}
