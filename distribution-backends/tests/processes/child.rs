//! What a child process does, and how it tells.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{ArchiveMode, DistributionRecord, Error, Progress, Publisher, Query, Stage};
use serde::{Deserialize, Serialize};
use tokio::runtime::{Builder, Runtime};

use crate::site::{Host, Job, Site};

/// The test that is a child's body, and where it finds its task.
pub(crate) const BODY: &str = "child::body";
pub(crate) const TASK: &str = "PROCESSES_TASK";
/// No child outlives its parent by more than this.
const LIFE: Duration = Duration::from_secs(180);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) site: Site,
    pub(crate) host: Host,
    pub(crate) jobs: Vec<Job>,
    pub(crate) mode: Mode,
    pub(crate) gate: Option<Gate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mode {
    /// Each job once, on as few threads as can be, each with one kind of work.
    Once,
    /// Each job until it is published.
    Insist,
    /// Each job until it is published, and then all of them again and again.
    UntilKilled,
    /// Each job into the archive and back, again and again.
    ThereAndBack,
    /// Removes what was freed, again and again.
    Tidy,
}

/// Where it waits for a line on its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Gate {
    BeforeOpening,
    AfterOpening,
}

/// What a child says, a line each.
pub(crate) mod said {
    pub(crate) const READY: &str = "READY";
    pub(crate) const OPEN: &str = "OPEN";
    pub(crate) const BEGIN: &str = "BEGIN";
    pub(crate) const AT: &str = "AT";
    pub(crate) const ANSWER: &str = "ANSWER";
    pub(crate) const ERROR: &str = "ERROR";
    pub(crate) const DONE: &str = "DONE";
}

#[test]
#[ignore = "the body of the processes that the other tests start"]
fn body() {
    let Ok(task) = std::env::var(TASK) else { return };
    let task: Task = serde_json::from_str(&task).unwrap();
    std::thread::spawn(|| {
        std::thread::sleep(LIFE);
        std::process::exit(3);
    });
    // Where the system lets only parents trace, `strace` is none.
    let _ = rustix::process::set_ptracer(rustix::process::PTracer::Any);
    // The test harness may have begun a line.
    println!();
    let opened = runtime(task.mode).block_on(live(task));
    if let Err(error) = opened {
        say(&format!("{} open {}: {error}", said::ERROR, error.kind()));
    }
    std::process::exit(0);
}

fn runtime(mode: Mode) -> Runtime {
    let mut builder = match mode {
        Mode::Once => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    if mode == Mode::Once {
        builder.max_blocking_threads(1);
    } else {
        builder.worker_threads(1);
    }
    builder.thread_keep_alive(LIFE).enable_all().build().unwrap()
}

async fn live(task: Task) -> Result<(), Error> {
    say(said::READY);
    wait_at(&task, Gate::BeforeOpening);
    let publisher = match task.mode {
        Mode::Once => task.site.publisher(&task.host).await?,
        _ => insist(|| task.site.publisher(&task.host)).await?,
    };
    say(said::OPEN);
    wait_at(&task, Gate::AfterOpening);
    match task.mode {
        Mode::Once => {
            for job in &task.jobs {
                let _ = publish(&publisher, job).await;
            }
        }
        Mode::Insist => {
            for job in &task.jobs {
                insist(|| publish(&publisher, job)).await?;
            }
        }
        Mode::UntilKilled => until_killed(&publisher, task.jobs).await,
        Mode::ThereAndBack => there_and_back(&publisher, &task.jobs).await,
        Mode::Tidy => tidy(&publisher).await,
    }
    say(said::DONE);
    Ok(())
}

fn wait_at(task: &Task, gate: Gate) {
    if task.gate == Some(gate) {
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }
}

async fn insist<T, F: Future<Output = Result<T, Error>>>(work: impl Fn() -> F) -> Result<T, Error> {
    const ATTEMPTS_MAX: usize = 8_000;
    let mut attempts = 0;
    loop {
        attempts += 1;
        match work().await {
            Err(error) if error.is_retryable() && attempts < ATTEMPTS_MAX => pause(&error).await,
            outcome => return outcome,
        }
    }
}

async fn pause(error: &Error) {
    const PAUSE_MAX: Duration = Duration::from_millis(5);
    tokio::time::sleep(error.retry_after().map_or(PAUSE_MAX, |wanted| wanted.min(PAUSE_MAX))).await;
}

async fn until_killed(publisher: &Publisher, mut jobs: Vec<Job>) {
    let all = jobs.clone();
    while !jobs.is_empty() {
        let mut left = Vec::new();
        for job in jobs {
            if let Err(error) = publish(publisher, &job).await {
                pause(&error).await;
                left.push(job);
            }
        }
        jobs = left;
    }
    say(said::DONE);
    loop {
        for job in &all {
            let _ = publish(publisher, job).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

async fn there_and_back(publisher: &Publisher, jobs: &[Job]) {
    loop {
        for job in jobs {
            // Who was there before may have been killed when it was in the archive.
            let _ = publish(publisher, job).await;
            let query = Query { checksum: Some(job.request.final_edit.checksum), ..Query::default() };
            let Ok(page) = publisher.records(&query, None, 1).await else { continue };
            let [record] = &page.records[..] else { continue };
            let _ = publisher.archive(&record.audit_log_id, ArchiveMode::FreeHot).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = publisher.restore(&record.audit_log_id).await;
        }
    }
}

async fn tidy(publisher: &Publisher) {
    loop {
        let mut pass = publisher.tidy(TimeDelta::zero());
        while let Ok(Some(left_over)) = pass.next().await {
            say(&format!("{} {left_over}", said::AT));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn publish(publisher: &Publisher, job: &Job) -> Result<DistributionRecord, Error> {
    let number = job.number;
    say(&format!("{} {number}", said::BEGIN));
    let outcome = publisher.publish_watched(job.request.clone(), Arc::new(Tell::default())).await;
    match &outcome {
        Ok(record) => say(&format!("{} {number} {}", said::ANSWER, serde_json::to_string(record).unwrap())),
        Err(error) => say(&format!("{} {number} {}: {error}", said::ERROR, error.kind())),
    }
    outcome
}

/// One write, so that a line is there whole or torn, never mixed with another.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that is gone hears nothing.
    let _ = out.write_all(format!("{line}\n").as_bytes());
    let _ = out.flush();
}

/// Says how far a publish is.
#[derive(Default)]
struct Tell {
    moved: AtomicBool,
}

impl Progress for Tell {
    fn stage(&self, stage: Stage) {
        let name = match stage {
            Stage::Transfer { .. } => "transfer",
            Stage::Prove => "prove",
            Stage::Audit => "audit",
            Stage::Sign => "sign",
            _ => "other",
        };
        say(&format!("{} {name}", said::AT));
    }

    fn advance(&self, _: u64) {
        if !self.moved.swap(true, Ordering::Relaxed) {
            say(&format!("{} bytes", said::AT));
        }
    }
}
