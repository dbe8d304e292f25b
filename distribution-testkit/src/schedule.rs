//! Schedules: where each choice that a simulation leaves open is taken, by a seed or one after the other.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Takes every choice of a [`Simulation`](crate::Simulation): who is next, what goes wrong, when. A
/// handle: clones share what was chosen. The same seed takes the same choices.
#[derive(Clone, Debug)]
pub struct Schedule(Arc<Mutex<Chooser>>);

#[derive(Debug)]
enum Chooser {
    Seeded(fastrand::Rng),
    Enumerated(Enumeration),
}

/// A path through the tree of choices: what was taken at each, of how many.
#[derive(Debug, Default)]
struct Enumeration {
    path: Vec<(usize, usize)>,
    depth: usize,
    visited: HashSet<u64>,
}

impl Schedule {
    /// The choices that follow from this seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Chooser::Seeded(fastrand::Rng::with_seed(seed)))))
    }

    /// One of 0, 1, … `options` - 1; 0 if there are none.
    pub fn pick(&self, options: usize) -> usize {
        if options < 2 {
            return 0;
        }
        match &mut *self.lock() {
            Chooser::Seeded(random) => random.usize(..options),
            Chooser::Enumerated(enumeration) => enumeration.pick(options),
        }
    }

    /// True once in so many times by a seed; both, one after the other, where all are tried.
    pub fn rarely(&self, once_in: usize) -> bool {
        match &mut *self.lock() {
            Chooser::Seeded(random) => random.usize(..once_in.max(1)) == 0,
            Chooser::Enumerated(enumeration) => enumeration.pick(2) == 1,
        }
    }

    /// Whether an earlier run has been in this state, so that all that can follow is tried already.
    pub(crate) fn knows(&self, state: impl FnOnce() -> u64) -> bool {
        match &mut *self.lock() {
            Chooser::Enumerated(enumeration) if enumeration.depth == enumeration.path.len() => {
                !enumeration.visited.insert(state())
            }
            Chooser::Seeded(_) | Chooser::Enumerated(_) => false,
        }
    }

    /// Whether all choices are tried, one after the other.
    pub(crate) fn is_enumerated(&self) -> bool {
        matches!(*self.lock(), Chooser::Enumerated(_))
    }

    fn lock(&self) -> MutexGuard<'_, Chooser> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls `run` with one schedule after the other until every choice has been taken in every way, or
/// it was called `runs_max` times. The number of runs, and whether these were all.
///
/// ```
/// let mut seen = Vec::new();
/// let (runs, all) = distribution_testkit::every_schedule(100, |schedule| {
///     seen.push((schedule.pick(2), schedule.pick(3)));
/// });
/// assert_eq!((runs, all), (6, true));
/// assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]);
/// ```
pub fn every_schedule(runs_max: usize, mut run: impl FnMut(&Schedule)) -> (usize, bool) {
    let mut enumeration = Enumeration::default();
    for runs in 1..=runs_max {
        let schedule = Schedule(Arc::new(Mutex::new(Chooser::Enumerated(enumeration))));
        run(&schedule);
        let Chooser::Enumerated(ended) =
            std::mem::replace(&mut *schedule.lock(), Chooser::Enumerated(Enumeration::default()))
        else {
            return (runs, true);
        };
        enumeration = ended;
        if !enumeration.go_on() {
            return (runs, true);
        }
    }
    (runs_max, false)
}

impl Enumeration {
    fn pick(&mut self, options: usize) -> usize {
        if self.depth == self.path.len() {
            self.path.push((0, options));
        }
        let taken = self.path.get(self.depth).map_or(0, |(taken, _)| *taken);
        self.depth += 1;
        taken
    }

    /// Takes the next way at the last choice that has one. False if there is none.
    fn go_on(&mut self) -> bool {
        self.depth = 0;
        while let Some((taken, options)) = self.path.pop() {
            if taken + 1 < options {
                self.path.push((taken + 1, options));
                return true;
            }
        }
        false
    }
}
