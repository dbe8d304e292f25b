//! The simulation: many processes over one world, in an order that a schedule chooses.

use std::future::Future;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use distribution_core::{Checksum, Digester};
use futures::future::BoxFuture;

use crate::faults::Fault;
use crate::schedule::Schedule;
use crate::time::Alarm;
use crate::world::World;

/// Processes over one world, interleaved at every effect and every wait, each crashing and coming
/// back, while the clock jumps and effects go wrong, all as a [`Schedule`] chooses: from a seed, or one
/// way after the other. No threads, no real time: the same schedule gives the same run.
///
/// ```
/// use distribution_testkit::{Schedule, Simulation, World, request};
///
/// let world = World::new();
/// world.stage("clip.mp4", "approved bytes");
/// let call = request("clip.mp4", b"approved bytes");
/// let run = Simulation::new(&world)
///     .caller("host-1", &call)
///     .caller("host-2", &call)
///     .crashes(2)
///     .faults(3)
///     .run(&Schedule::seeded(17));
/// assert_eq!(world.answers().len(), 2);
/// println!("seed 17: {run:?}");
/// ```
pub struct Simulation {
    world: World,
    processes: Vec<Process>,
    crashes_max: u32,
    jumps_max: u32,
    faults_left: Arc<AtomicU32>,
    /// Whether what each process sees is of interest.
    tracked: bool,
}

/// What a run came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The digest of all that was chosen and of every effect: equal for equal runs.
    pub trace: Checksum,
    /// How often a process was polled.
    pub polls: usize,
    /// How often a process has died.
    pub crashes: u32,
    /// How often the clock has jumped.
    pub jumps: u32,
    /// How many effects went wrong.
    pub faults: usize,
    /// Whether every process has ended, before [`Simulation::POLLS_MAX`].
    pub ended: bool,
    /// Whether the run was left where an earlier one had been, so that all that follows is tried
    /// already. Only where all schedules are tried.
    pub known: bool,
}

type Program = Box<dyn Fn(World, String) -> BoxFuture<'static, ()>>;

struct Process {
    name: String,
    program: Program,
    /// How often it has died.
    deaths: u32,
    /// What is in its memory; `None` when it has ended.
    memory: Option<BoxFuture<'static, ()>>,
    alarm: Arc<Alarm>,
    /// The digest of all that it has seen.
    history: u64,
}

/// By how much the clock jumps: within a lease, past it, past the longest, past a link's end.
const JUMPS_SECS: [u64; 4] = [20, 70, 4_000, 300_000];

impl Simulation {
    /// The most polls of one run.
    pub const POLLS_MAX: usize = 100_000;

    /// No processes yet, over this world.
    pub fn new(world: &World) -> Self {
        Self {
            world: world.clone(),
            processes: Vec::new(),
            crashes_max: 0,
            jumps_max: 0,
            faults_left: Arc::default(),
            tracked: false,
        }
    }

    /// With a process of this name that runs the program: from its start again whenever it has died.
    /// The program is given the world and the name under which it runs, which is a new one each time.
    /// What it does may follow only from what its effects and the clock have told it.
    #[must_use]
    pub fn process<F>(mut self, name: &str, program: impl Fn(World, String) -> F + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let program: Program = Box::new(move |world, name| Box::pin(program(world, name)));
        let memory = Some(program(self.world.clone(), name.to_owned()));
        self.processes.push(Process {
            name: name.to_owned(),
            program,
            deaths: 0,
            memory,
            alarm: Arc::default(),
            history: 0,
        });
        self
    }

    /// With so many crashes at most, each at any wait of any process.
    #[must_use]
    pub fn crashes(self, max: u32) -> Self {
        Self { crashes_max: max, ..self }
    }

    /// With so many jumps of the clock at most, from 20 seconds to days.
    #[must_use]
    pub fn clock_jumps(self, max: u32) -> Self {
        Self { jumps_max: max, ..self }
    }

    /// With so many faults at most, of every kind, at any effect, and besides those of a plan that the
    /// [world](World::fail) has already. They end with the run only if the world is then
    /// [healed](World::heal).
    #[must_use]
    pub fn faults(self, max: u32) -> Self {
        Self { faults_left: Arc::new(AtomicU32::new(max)), ..self }
    }

    /// Interleaves whole effects only, so that there are fewer ways to try. Each still comes before or
    /// after each other one, and a process that dies after an effect dies before its next.
    #[must_use]
    pub fn whole_effects(self) -> Self {
        self.world.lock().coarse = true;
        self
    }

    /// Runs until every process has ended.
    pub fn run(mut self, schedule: &Schedule) -> Run {
        let mut run =
            Run { trace: Checksum::of(b""), polls: 0, crashes: 0, jumps: 0, faults: 0, ended: false, known: false };
        let mut trace = Digester::default();
        self.tracked = schedule.is_enumerated();
        self.plan_faults(schedule);
        for process in &self.processes {
            process.alarm.set();
        }
        while run.polls < Self::POLLS_MAX {
            let ready: Vec<usize> = self.ready();
            if ready.is_empty() {
                if !self.rouse(&mut run) {
                    run.ended = true;
                    break;
                }
                continue;
            }
            if schedule.knows(|| self.fingerprint(&run)) {
                run.known = true;
                break;
            }
            if run.jumps < self.jumps_max && schedule.rarely(40) {
                run.jumps += 1;
                let secs = JUMPS_SECS.get(schedule.pick(JUMPS_SECS.len())).copied().unwrap_or_default();
                self.world.advance(Duration::from_secs(secs));
                trace.update(&secs.to_le_bytes());
                continue;
            }
            let Some(&next) = ready.get(schedule.pick(ready.len())) else { continue };
            let dies = run.crashes < self.crashes_max && schedule.rarely(40);
            trace.update(&[u8::try_from(next).unwrap_or(u8::MAX), u8::from(dies)]);
            run.polls += 1;
            if dies || self.poll(next) {
                run.crashes += 1;
                self.restart(next);
            }
        }
        self.conclude(run, trace)
    }

    fn plan_faults(&self, schedule: &Schedule) {
        let (schedule, left) = (schedule.clone(), self.faults_left.clone());
        if left.load(Relaxed) == 0 {
            return;
        }
        let own = self.world.lock().faults.plan.clone();
        self.world.fail(move |effect| {
            if let Some(fault) = own.as_ref().and_then(|own| own(effect)) {
                return Some(fault);
            }
            if left.load(Relaxed) == 0 || !schedule.rarely(12) {
                return None;
            }
            left.fetch_sub(1, Relaxed);
            let faults: Vec<Fault> = effect.op.faults().collect();
            faults.get(schedule.pick(faults.len())).copied()
        });
    }

    fn ready(&self) -> Vec<usize> {
        let ready =
            self.processes.iter().enumerate().filter(|(_, process)| process.memory.is_some() && process.alarm.is_set());
        ready.map(|(at, _)| at).collect()
    }

    /// Where all wait: moves the clock on to the next who sleeps, or kills those who wait for nothing.
    /// False if all have ended.
    fn rouse(&mut self, run: &mut Run) -> bool {
        let waiting: Vec<usize> = (0..self.processes.len())
            .filter(|at| self.processes.get(*at).is_some_and(|process| process.memory.is_some()))
            .collect();
        if waiting.is_empty() {
            return false;
        }
        if !self.world.wake_next() {
            for at in waiting {
                run.crashes += 1;
                self.restart(at);
            }
        }
        true
    }

    /// Polls a process. True if it died.
    fn poll(&mut self, at: usize) -> bool {
        let Some(process) = self.processes.get_mut(at) else { return false };
        let Some(memory) = &mut process.memory else { return false };
        process.alarm.take();
        if self.tracked {
            self.world.lock().history = Some(process.history);
        }
        let waker = Waker::from(process.alarm.clone());
        if let Poll::Ready(()) = memory.as_mut().poll(&mut Context::from_waker(&waker)) {
            process.memory = None;
        }
        // Also where it saw nothing new: it has gone on by one wait, at this time.
        let state = self.world.lock();
        let seen = (at, state.history, state.now);
        drop(state);
        process.history = digest(seen);
        self.world.take_crash()
    }

    fn restart(&mut self, at: usize) {
        let Some(process) = self.processes.get_mut(at) else { return };
        process.deaths += 1;
        process.memory = Some((process.program)(self.world.clone(), format!("{}#{}", process.name, process.deaths)));
        process.history = digest((at, process.deaths));
        process.alarm.set();
    }

    fn fingerprint(&self, run: &Run) -> u64 {
        let seen = |process: &Process| (process.history, process.memory.is_some(), process.alarm.is_set());
        let processes: Vec<_> = self.processes.iter().map(seen).collect();
        digest((self.world.fingerprint(), run.crashes, run.jumps, self.faults_left.load(Relaxed), processes))
    }

    fn conclude(&self, mut run: Run, mut trace: Digester) -> Run {
        for effect in self.world.effects() {
            run.faults += usize::from(effect.fault.is_some());
            trace.update(effect.to_string().as_bytes());
        }
        for row in self.world.rows() {
            trace.update(&row.body);
        }
        Run { trace: trace.finish().checksum, ..run }
    }
}

fn digest(of: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    hasher.finish()
}
