//! Rounds of publishers that are killed at random moments, one site after the other.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use distribution_core::Phase;
use fastrand::Rng;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::budget::{moment, one_in};
use crate::child::{Mode, Task, said};
use crate::defect::Defect;
use crate::judge::{Answers, Seen, finish};
use crate::process::Process;
use crate::site::{Host, Job, KIB, MIB, Site};

/// How many publishers there are at a time.
const PROCESSES: usize = 4;
const NEW_JOBS: usize = 4;
const ROUNDS_PER_SITE: usize = 12;

/// What has happened so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kills: usize,
    pub(crate) rounds: usize,
    pub(crate) sites: usize,
    pub(crate) processes: usize,
    pub(crate) zombies: usize,
    pub(crate) zombies_past_lease: usize,
    pub(crate) answers: usize,
    pub(crate) published: usize,
    pub(crate) stages_left: usize,
    /// How many kills hit what.
    pub(crate) hit: BTreeMap<&'static str, usize>,
    pub(crate) violations: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.kills += other.kills;
        self.rounds += other.rounds;
        self.sites += other.sites;
        self.processes += other.processes;
        self.zombies += other.zombies;
        self.zombies_past_lease += other.zombies_past_lease;
        self.answers += other.answers;
        self.published += other.published;
        self.stages_left += other.stages_left;
        for (stage, kills) in other.hit {
            *self.hit.entry(stage).or_default() += kills;
        }
        self.violations.extend(other.violations);
    }
}

/// Publishers on one site after the other.
pub(crate) struct Rounds {
    pub(crate) chance: Rng,
    pub(crate) defect: Option<Defect>,
    pub(crate) tally: Tally,
    /// Where the objects are, if not on this disk.
    #[cfg(feature = "s3")]
    server: Option<crate::remote::Remote>,
    /// About how long a publisher takes for all its jobs. Learned.
    life: Duration,
    pace: Pace,
}

/// How long things take.
struct Pace {
    life_max: Duration,
    /// How long to wait until a publisher is at some work.
    work_begins: Duration,
    /// How long such work takes, of different kinds.
    work_lasts: &'static [Duration],
}

impl Pace {
    const DISK: Self = Self {
        life_max: Duration::from_secs(3),
        work_begins: Duration::from_millis(60),
        work_lasts: &[Duration::from_millis(8)],
    };
    #[cfg(feature = "s3")]
    const S3: Self = Self {
        life_max: Duration::from_secs(8),
        work_begins: Duration::from_secs(2),
        work_lasts: &[Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(250)],
    };
}

impl Rounds {
    pub(crate) fn new(seed: u64, defect: Option<Defect>) -> Self {
        Self {
            chance: Rng::with_seed(seed),
            defect,
            tally: Tally::default(),
            #[cfg(feature = "s3")]
            server: None,
            life: Duration::from_millis(300),
            pace: Pace::DISK,
        }
    }

    /// With the objects on this server.
    #[cfg(feature = "s3")]
    pub(crate) fn on(self, server: crate::remote::Remote) -> Self {
        Self { server: Some(server), life: Duration::from_secs(2), pace: Pace::S3, ..self }
    }

    /// Goes on until so many kills, or until something is wrong.
    pub(crate) fn run(mut self, kills: usize) -> Tally {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        while self.tally.kills < kills && self.tally.violations.is_empty() {
            let dir = tempfile::tempdir().unwrap();
            runtime.block_on(self.site(&dir, kills));
        }
        self.tally
    }

    async fn site(&mut self, dir: &TempDir, kills: usize) {
        self.tally.sites += 1;
        let site = self.place(dir);
        let (mut all, mut answers, mut last) = (Vec::new(), Answers::default(), None);
        for _ in 0..ROUNDS_PER_SITE {
            let mut jobs: Vec<Job> = all.iter().filter(|job: &&Job| !answers.has(job.number)).cloned().collect();
            for _ in 0..NEW_JOBS {
                let size = self.size();
                all.push(site.stage(all.len(), size, &mut self.chance));
            }
            jobs.extend(all[all.len() - NEW_JOBS..].iter().cloned());
            self.round(&site, &jobs, &mut answers, &mut last).await;
            if !self.tally.violations.is_empty() || self.tally.kills >= kills {
                break;
            }
        }
        if self.tally.violations.is_empty() {
            let found = finish(&site, &all, &mut answers).await;
            self.tally.violations.extend(found);
        }
        self.tally.published += all.len();
        self.tally.answers += answers.count();
        self.tally.stages_left += site.left_overs().await.unwrap_or(0);
        #[cfg(feature = "s3")]
        if let Some(remote) = &site.remote {
            remote.clear().await;
        }
    }

    fn place(&self, dir: &TempDir) -> Site {
        let site = Site::below(dir.path());
        #[cfg(feature = "s3")]
        if let Some(server) = &self.server {
            return site.on(server.elsewhere());
        }
        site
    }

    fn size(&mut self) -> usize {
        let size = 64 * KIB + self.chance.usize(..2 * MIB);
        #[cfg(feature = "s3")]
        if self.server.is_some() && one_in(&mut self.chance, 4) {
            // Two or three parts.
            return 16 * MIB + 12 * size;
        }
        if one_in(&mut self.chance, 16) { 8 * size } else { size }
    }

    /// Starts publishers, kills all, and looks.
    async fn round(&mut self, site: &Site, jobs: &[Job], answers: &mut Answers, last: &mut Option<Seen>) {
        self.tally.rounds += 1;
        let processes: Vec<Process> = (0..PROCESSES).map(|n| self.start(site, jobs, n)).collect();
        let before = answers.clone();
        let ends = self.play(processes);
        ends.iter().for_each(|lines| answers.hear(lines));
        match Seen::at(site).await {
            Err(error) => self.tally.violations.push(format!("the site cannot be read: {error:?}")),
            Ok(seen) => {
                self.tally.violations.extend(seen.violations(answers, last.as_ref()));
                for lines in &ends {
                    let stage = hit(lines, jobs, &before, &seen);
                    *self.tally.hit.entry(stage).or_default() += 1;
                }
                *last = Some(seen);
            }
        }
    }

    fn start(&mut self, site: &Site, jobs: &[Job], n: usize) -> Process {
        self.tally.processes += 1;
        let mut jobs = jobs.to_vec();
        self.chance.shuffle(&mut jobs);
        let name = format!("round-{}-{n}", self.tally.rounds);
        let host = if n == 0 { Host::ahead(name) } else { Host::new(name) };
        let host = Host { defect: self.defect, ..host };
        Process::start(&Task { site: site.clone(), host, jobs, mode: Mode::UntilKilled, gate: None })
    }

    /// Kills each process at a moment of its own; some are stopped for a while before.
    fn play(&mut self, processes: Vec<Process>) -> Vec<Vec<String>> {
        let mut acts = Vec::new();
        for n in 0..processes.len() {
            let mut end = self.moment();
            if one_in(&mut self.chance, 16) {
                let asleep = moment(&mut self.chance, Duration::from_millis(100), Duration::from_millis(1_400));
                self.tally.zombies += 1;
                self.tally.zombies_past_lease += usize::from(asleep > Duration::from_secs(1));
                acts.push((end, n, Act::Stop));
                acts.push((end + asleep, n, Act::Continue));
                end += asleep + self.moment();
            }
            acts.push((end, n, Act::Kill));
        }
        acts.sort_by_key(|(at, ..)| *at);
        let mut ends = Vec::new();
        let (started, mut processes) = (Instant::now(), processes.into_iter().map(Some).collect::<Vec<_>>());
        for (at, n, act) in acts {
            thread::sleep(at.saturating_sub(started.elapsed()));
            let slot = &mut processes[n];
            match act {
                Act::Stop => slot.as_ref().unwrap().signal(Signal::STOP),
                Act::Continue => slot.as_ref().unwrap().signal(Signal::CONT),
                Act::Kill => {
                    let mut process = slot.take().unwrap();
                    if one_in(&mut self.chance, 2) {
                        self.wait_for_work(&mut process);
                    }
                    ends.push(self.kill(process));
                }
            }
        }
        ends
    }

    /// Waits until it is at some work, and then a little: most of its life is waiting.
    fn wait_for_work(&mut self, process: &mut Process) {
        const WORK: [&str; 5] = ["BEGIN", "AT transfer", "AT bytes", "AT audit", "AT sign"];
        let word = WORK[self.chance.usize(..WORK.len())];
        let (started, before) = (Instant::now(), process.lines().len());
        while started.elapsed() < self.pace.work_begins
            && !process.lines().iter().skip(before).any(|line| line.starts_with(word))
        {
            thread::sleep(Duration::from_micros(200));
        }
        let lasts = self.pace.work_lasts[self.chance.usize(..self.pace.work_lasts.len())];
        thread::sleep(moment(&mut self.chance, Duration::ZERO, lasts));
    }

    fn kill(&mut self, mut process: Process) -> Vec<String> {
        if process.has_ended() {
            let lines = process.lines();
            self.tally.violations.push(format!("a publisher gave up: {lines:?}"));
            return lines;
        }
        self.tally.kills += 1;
        let lines = process.kill();
        // So that most kills hit work, and some hit repeats.
        let done = lines.iter().any(|line| line == said::DONE);
        let life = if done { self.life.mul_f64(0.85) } else { self.life.mul_f64(1.03) };
        self.life = life.clamp(Duration::from_millis(30), self.pace.life_max);
        lines
    }

    fn moment(&mut self) -> Duration {
        // The start is short and worth more than its share.
        let life = if one_in(&mut self.chance, 5) { self.life / 6 } else { self.life };
        moment(&mut self.chance, Duration::ZERO, life)
    }
}

enum Act {
    Stop,
    Continue,
    Kill,
}

/// What a kill has hit: by the last that the process said, and by what was left.
fn hit(lines: &[String], jobs: &[Job], before: &Answers, seen: &Seen) -> &'static str {
    if !lines.iter().any(|line| line == said::OPEN) {
        return if lines.iter().any(|line| line == said::READY) { "opening" } else { "starting" };
    }
    let begun = lines.iter().rposition(|line| line.starts_with(said::BEGIN));
    let ended = lines.iter().rposition(|line| line.starts_with(said::ANSWER) || line.starts_with(said::ERROR));
    let Some(begun) = begun.filter(|begun| ended.is_none_or(|ended| ended < *begun)) else {
        let waits = ended.is_some_and(|ended| lines[ended].starts_with(said::ERROR));
        return if waits { "waiting for another" } else { "between calls" };
    };
    let number: usize = lines[begun].rsplit(' ').next().unwrap().parse().unwrap();
    if before.has(number) || lines.iter().any(|line| line.starts_with(&format!("{} {number} ", said::ANSWER))) {
        return "repeating";
    }
    let job = jobs.iter().find(|job| job.number == number).unwrap();
    let at = lines[begun..].iter().rev().find_map(|line| line.strip_prefix(said::AT)).map_or("", str::trim);
    let Some(record) = seen.record(job) else { return "claiming" };
    let id = record.id();
    let stored = seen.has_object(record);
    match (&record.phase, at) {
        (Phase::Claimed { .. }, "") => "claiming",
        (Phase::Claimed { .. }, "transfer") if !stored => "beginning to copy",
        (Phase::Claimed { .. }, _) if !stored => "copying, syncing",
        (Phase::Claimed { .. }, _) => "linked, not on record",
        (Phase::Stored { .. }, _) => "found, not proven",
        (Phase::Replicating { .. }, _) => "copying to other targets",
        (Phase::Published(_), _) if record.trail.waiting.is_empty() => "answering, or overtaken",
        (Phase::Published(_), _) => match seen.evidence.audit.iter().any(|entry| entry.id.audit_log_id == *id) {
            true => "audited, not on record",
            false => "on record, not audited",
        },
        (Phase::Rejected { .. }, _) => "rejected",
        (Phase::Retracted(_), _) => "retracted",
    }
}
