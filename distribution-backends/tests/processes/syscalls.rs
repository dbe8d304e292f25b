//! One publish, in which the n-th system call of each name and thread fails or is the last one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use distribution_backends::LocalDisk;
use distribution_core::{Meter, Storage as _};
use distribution_testkit::Budget;
use fastrand::Rng;
use tokio::runtime::Runtime;

use crate::budget::{not_run, seed};
use crate::child::{Gate, Mode, Task, said};
use crate::judge::{Answers, finish, is_whole, key_of};
use crate::process::Process;
use crate::site::{Host, Job, KIB, Site};
use crate::strace::{CALLS, Strace, Traced, calls, is_astray, threads};

const LANES: usize = 4;
/// What one publish may take before it counts as hanging: a call that waits for a lock gives up after
/// 10 seconds, and there may be a few of them.
const HANGS: Duration = Duration::from_secs(60);

/// What is done to which call.
#[derive(Clone, Debug)]
struct Injection {
    gate: Gate,
    /// Which thread; `None` for every thread that there is or will be.
    thread: Option<String>,
    call: String,
    n: usize,
    what: &'static str,
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thread = self.thread.as_deref().unwrap_or("every thread");
        write!(f, "{:?}: {thread}: {} no. {}: {}", self.gate, self.call, self.n, self.what)
    }
}

#[derive(Debug, Default)]
struct Tally {
    /// How often it met a call that only the runtime needs, since threads share their work otherwise in
    /// every run: a lost wake-up is not what is tried here.
    astray: AtomicUsize,
    tried: AtomicUsize,
    /// How often the call was made, so that something was injected.
    hit: AtomicUsize,
    /// How often the first call gave no record.
    failed: AtomicUsize,
    violations: Mutex<Vec<String>>,
}

#[test]
fn proof_syscalls() {
    let budget = Budget::chosen();
    let started = Instant::now();
    let mut injections = match survey() {
        Ok(injections) => injections,
        Err(why) => return not_run("proof_syscalls", &why, !exists()),
    };
    let all = injections.len();
    Rng::with_seed(seed()).shuffle(&mut injections);
    injections.truncate(budget.pick(16, usize::MAX, usize::MAX));
    let limit = budget.pick(Duration::from_secs(20), Duration::from_secs(400), Duration::from_secs(3_600));
    let (tally, next) = (Tally::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let runtime = Runtime::new().unwrap();
                while let Some(injection) = injections.get(next.fetch_add(1, Ordering::Relaxed))
                    && started.elapsed() < limit
                {
                    attempt(injection, &tally, &runtime);
                }
            });
        }
    });
    let [tried, hit, failed] = [&tally.tried, &tally.hit, &tally.failed].map(|count| count.load(Ordering::Relaxed));
    let violations = tally.violations.lock().unwrap();
    println!(
        "proof_syscalls: {tried} of {all} injections tried ({:?} more went astray), {hit} hit a call, {failed} made the \
         first call fail, {} violations; {:.1} s",
        tally.astray,
        violations.len(),
        started.elapsed().as_secs_f64()
    );
    assert!(violations.is_empty(), "{violations:#?}");
    assert!(hit * 2 > tried && failed > 0, "the injections miss");
    let in_time = budget == Budget::Quick || tried + tally.astray.load(Ordering::Relaxed) == injections.len();
    assert!(in_time, "there was no time for all injections");
}

/// Runs one publish for each gate without faults, and lists what can be done to its calls.
fn survey() -> Result<Vec<Injection>, String> {
    let mut injections = Vec::new();
    for gate in [Gate::BeforeOpening, Gate::AfterOpening] {
        let dir = tempfile::tempdir().unwrap();
        let (_, _, mut process) = start(&Site::below(dir.path()), gate);
        let names: BTreeMap<u32, String> = threads(process.pid()).into_iter().map(|(name, id)| (id, name)).collect();
        let traced = Traced::Process(process.pid());
        let strace = match Strace::attach(traced, &format!("trace={CALLS}"), &dir.path().join("strace.log")) {
            Ok(strace) => strace,
            Err(_) if !exists() => return Err("strace is not installed".to_owned()),
            Err(why) => return Err(format!("strace cannot attach: {why}")),
        };
        process.go();
        let lines = process.end(HANGS);
        assert!(lines.iter().any(|line| line.starts_with(said::ANSWER)), "{lines:?}");
        let mut seen: BTreeMap<(Option<String>, String), Vec<bool>> = BTreeMap::new();
        for ((id, call), worth) in calls(&strace.log()) {
            let thread = match (gate, names.get(&id)) {
                (Gate::BeforeOpening, _) => None,
                (Gate::AfterOpening, Some(name)) => Some(name.clone()),
                (Gate::AfterOpening, None) => continue,
            };
            let known = seen.entry((thread, call)).or_default();
            for (n, is_worth) in worth.into_iter().enumerate() {
                match known.get_mut(n) {
                    Some(known) => *known &= is_worth,
                    None => known.push(is_worth),
                }
            }
        }
        for ((thread, call), worth) in seen {
            for n in worth.iter().enumerate().filter_map(|(n, is_worth)| is_worth.then_some(n + 1)) {
                let (thread, call) = (thread.clone(), call.clone());
                injections.extend(ways(&call).map(|what| Injection {
                    gate,
                    thread: thread.clone(),
                    call: call.clone(),
                    n,
                    what,
                }));
            }
        }
    }
    Ok(injections)
}

fn exists() -> bool {
    std::process::Command::new("strace").arg("--version").output().is_ok()
}

/// What is worth doing to a call of this name.
fn ways(call: &str) -> impl Iterator<Item = &'static str> {
    let takes_room = ["openat", "write", "pwrite64", "fallocate", "ftruncate", "mkdir", "mkdirat", "link", "linkat"];
    let needs_rights = ["openat", "mkdir", "mkdirat", "link", "linkat", "unlink", "unlinkat", "newfstatat", "statx"];
    let waits = ["openat", "read", "pread64", "write", "pwrite64", "fsync", "fdatasync", "fallocate", "flock", "fcntl"];
    let when = move |calls: &[&str], what| calls.contains(&call).then_some(what);
    let ways = [
        Some("error=EIO"),
        Some("signal=SIGKILL"),
        when(&takes_room, "error=ENOSPC"),
        when(&needs_rights, "error=EACCES"),
        when(&waits, "error=EINTR"),
    ];
    ways.into_iter().flatten()
}

fn start(site: &Site, gate: Gate) -> (Job, Vec<Job>, Process) {
    let job = site.stage(2, 600 * KIB, &mut Rng::with_seed(seed()));
    let jobs = vec![job.clone()];
    let host = Host::new("the first");
    let task = Task { site: site.clone(), host, jobs: jobs.clone(), mode: Mode::Once, gate: Some(gate) };
    let mut process = Process::start(&task);
    let word = if gate == Gate::BeforeOpening { said::READY } else { said::OPEN };
    assert!(process.wait_for(word, HANGS), "{:?}", process.lines());
    (job, jobs, process)
}

fn attempt(injection: &Injection, tally: &Tally, runtime: &Runtime) {
    // A thread with nothing to do ends after ten seconds, which is not long on a busy machine.
    let attached = (0..5).any(|_| try_once(injection, tally, runtime));
    assert!(attached, "strace does not attach: {injection}");
}

/// False if there was nothing to attach to.
fn try_once(injection: &Injection, tally: &Tally, runtime: &Runtime) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let site = Site::below(dir.path());
    let (job, jobs, mut process) = start(&site, injection.gate);
    let traced = match &injection.thread {
        None => Traced::Process(process.pid()),
        Some(thread) => match threads(process.pid()).get(thread) {
            Some(id) => Traced::Thread(*id),
            None => return false,
        },
    };
    let Injection { call, what, n, .. } = injection;
    let expression = format!("inject={call}:{what}:when={n}");
    let Ok(strace) = Strace::attach(traced, &expression, &dir.path().join("strace.log")) else { return false };
    process.go();
    let mut found = watch(&mut process, &site, &job, runtime);
    let lines = process.kill();
    let mut answers = Answers::default();
    answers.hear(&lines);
    let log = strace.log();
    if is_astray(&log) {
        tally.astray.fetch_add(1, Ordering::Relaxed);
        return true;
    }
    tally.tried.fetch_add(1, Ordering::Relaxed);
    tally.hit.fetch_add(usize::from(log.contains("INJECTED") || log.contains("killed by SIGKILL")), Ordering::Relaxed);
    tally.failed.fetch_add(usize::from(!answers.has(job.number)), Ordering::Relaxed);
    found.extend(runtime.block_on(finish(&site, &jobs, &mut answers)));
    let found = found.into_iter().map(|violation| format!("{injection}: {violation}; it said {lines:?}"));
    tally.violations.lock().unwrap().extend(found);
    true
}

/// Watches the object's key until the process has ended: what is seen there is whole.
fn watch(process: &mut Process, site: &Site, job: &Job, runtime: &Runtime) -> Vec<String> {
    let (disk, key, started) = (LocalDisk::open(&site.objects).unwrap(), key_of(job), Instant::now());
    let mut found = Vec::new();
    let mut seen = false;
    loop {
        let ended = process.has_ended();
        if !seen && let Some(digest) = runtime.block_on(disk.digest(&key, &Meter::default())).unwrap() {
            seen = true;
            if !is_whole(key.as_str(), &digest.checksum) {
                found.push(format!("{key} was seen in part: {digest:?}"));
            }
        }
        if ended {
            return found;
        }
        if started.elapsed() > HANGS {
            found.push("the call hangs".to_owned());
            return found;
        }
        thread::sleep(Duration::from_millis(1));
    }
}
