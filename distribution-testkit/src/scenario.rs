//! Scenarios: one piece of work, run again with everything that can go wrong in it.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use distribution_core::{DistributionRecord, Error, ErrorKind, PublishRequest};
use futures::future::BoxFuture;

use crate::faults::{Effect, Fault};
use crate::time::Ended;
use crate::world::World;

/// A piece of work that ends in a publication, such as what an orchestrator does after final QC, and
/// the ways to make sure that it survives anything. Each way runs the work from the start, in a world
/// of its own, with something going wrong; then repeats it, as a caller would, until it succeeds; and
/// holds the world against the promises (see [`checker`](crate::checker)).
///
/// ```
/// use distribution_testkit::{Scenario, request};
///
/// let scenario = Scenario::new(
///     // Before: what is staged.
///     |world| world.stage("clip.mp4", "approved bytes"),
///     // The work itself. Yours is what your orchestrator does, with this world's ports.
///     |world, host| async move {
///         let record = world.publisher(&host).publish(request("clip.mp4", b"approved bytes")).await?;
///         Ok(vec![record])
///     },
/// );
/// let proof = scenario.every_fault().unwrap();
/// assert!(proof.runs > 50);
/// println!("{proof:?}");
/// ```
pub struct Scenario {
    before: Box<dyn Fn(&World)>,
    work: Work,
}

type Work = Box<dyn Fn(World, String) -> BoxFuture<'static, Result<Vec<DistributionRecord>, Error>>>;

/// What was tried, and survived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Survived {
    /// How many runs.
    pub runs: usize,
    /// How many effects the work has when nothing goes wrong, and is repeated once.
    pub effects: usize,
}

/// A run that was not survived, in one line that says how to repeat it.
#[derive(Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong in the run, such as `3 storage.create default/clip.mp4 (LostAnswer)`.
    pub case: String,
    /// What came of it.
    pub outcome: String,
}

/// How often the work is repeated before it counts as lost.
const REPEATS_MAX: usize = 10;
/// How many polls of the work are dropped after before it counts as endless.
const DROPS_MAX: usize = 10_000;
/// How long a caller waits before it repeats, if it is not told.
const WAIT: Duration = Duration::from_secs(1);

impl Scenario {
    /// `before` prepares a new world; `work` is run on it, perhaps many times, each time as a process
    /// of the given name. It succeeds with the answers that it was given, one for each file that it is
    /// to publish, and must have the same ones however often it is repeated.
    pub fn new<F>(before: impl Fn(&World) + 'static, work: impl Fn(World, String) -> F + 'static) -> Self
    where
        F: Future<Output = Result<Vec<DistributionRecord>, Error>> + Send + 'static,
    {
        Self { before: Box::new(before), work: Box::new(move |world, name| Box::pin(work(world, name))) }
    }

    /// The work of publishing what was staged before.
    pub fn publish(before: impl Fn(&World) + 'static, request: PublishRequest) -> Self {
        Self::new(before, move |world, host| {
            let request = request.clone();
            async move { Ok(vec![world.publisher(&host).publish(request).await?]) }
        })
    }

    /// Every fault at every effect.
    ///
    /// # Errors
    /// The first run that was not survived; also if the work fails without any fault.
    pub fn every_fault(&self) -> Result<Survived, Failure> {
        self.every_fault_that(|_, _| true)
    }

    /// Those faults at those effects that are meant.
    ///
    /// # Errors
    /// As [`every_fault`](Self::every_fault).
    pub fn every_fault_that(&self, is_meant: impl Fn(&Effect, Fault) -> bool) -> Result<Survived, Failure> {
        let clean = self.run(&[])?;
        let mut survived = Survived { runs: 1, effects: clean.len() };
        let is_meant =
            |(number, fault): &(usize, Fault)| clean.get(*number).is_some_and(|effect| is_meant(effect, *fault));
        for (number, fault) in faults_from(&clean, 0).into_iter().filter(is_meant) {
            self.run(&[(number, fault)])?;
            survived.runs += 1;
        }
        Ok(survived)
    }

    /// Every pair of faults: every one at every effect, and every one at every effect that followed.
    ///
    /// # Errors
    /// As [`every_fault`](Self::every_fault).
    pub fn every_pair_of_faults(&self) -> Result<Survived, Failure> {
        let clean = self.run(&[])?;
        let mut survived = Survived { runs: 1, effects: clean.len() };
        for first in faults_from(&clean, 0) {
            let after_first = self.run(&[first])?;
            survived.runs += 1;
            for second in faults_from(&after_first, first.0 + 1) {
                self.run(&[first, second])?;
                survived.runs += 1;
            }
        }
        Ok(survived)
    }

    /// The call dropped at every wait, by a process that lives on and repeats it.
    ///
    /// # Errors
    /// As [`every_fault`](Self::every_fault).
    pub fn every_drop(&self) -> Result<Survived, Failure> {
        let effects = self.run(&[])?.len();
        for runs in 0..DROPS_MAX {
            let case = format!("dropped after {runs} polls");
            let world = self.world();
            if let Some(outcome) = world.run_for(runs, (self.work)(world.clone(), "host".to_owned())) {
                let survived = Survived { runs, effects };
                return outcome.map(|_| survived).map_err(|error| Failure { case, outcome: error.to_string() });
            }
            self.finish(&world, "host", &case)?;
        }
        let case = format!("dropped after {DROPS_MAX} polls");
        Err(Failure { case, outcome: "the work does not end: is there a loop without a limit in it?".to_owned() })
    }

    /// One run: with these faults, then repeated until it succeeds, then held against the promises.
    fn run(&self, faults: &[(usize, Fault)]) -> Result<Vec<Effect>, Failure> {
        let case = faults.iter().map(|(number, fault)| format!("{fault:?} at effect {number}")).collect::<Vec<_>>();
        let case = if case.is_empty() { "without any fault".to_owned() } else { case.join(", ") };
        let world = self.world();
        for (number, fault) in faults {
            world.inject(*number, *fault);
        }
        self.finish(&world, "host", &case)?;
        let effects = world.effects();
        for (number, fault) in faults {
            if effects.get(*number).is_none_or(|effect| effect.fault != Some(*fault)) {
                let outcome = format!("{fault:?} did not happen: does the work differ from run to run?");
                return Err(Failure { case, outcome });
            }
        }
        Ok(effects)
    }

    fn world(&self) -> World {
        let world = World::new();
        (self.before)(&world);
        world
    }

    /// Repeats the work until it succeeds; then once more, on another host, which must give the same
    /// answers; and there is one for each publication that was begun.
    fn finish(&self, world: &World, host: &str, case: &str) -> Result<(), Failure> {
        let failure = |outcome: String| Failure { case: case.to_owned(), outcome };
        let staged = world.evidence().staged;
        let answers = self.persist(world, host).map_err(&failure)?;
        answers.iter().for_each(|answer| world.answered(answer.clone()));
        let again = self.persist(world, "another-host").map_err(&failure)?;
        world.heal();
        if again != answers {
            return Err(failure(format!("a repeat was told {again:?} instead of {answers:?}")));
        }
        if answers.len() != world.rows().len() {
            return Err(failure(format!("{} answers to {} publications", answers.len(), world.rows().len())));
        }
        if world.evidence().staged != staged {
            return Err(failure("staging was touched".to_owned()));
        }
        world.keeps_promises().map_err(failure)
    }

    fn persist(&self, world: &World, host: &str) -> Result<Vec<DistributionRecord>, String> {
        let (mut last, mut deaths) = (String::new(), 0);
        for _ in 0..REPEATS_MAX {
            // A process that comes back after a crash is another one.
            let name = if deaths == 0 { host.to_owned() } else { format!("{host}#{deaths}") };
            let wait = match world.run((self.work)(world.clone(), name)) {
                Ended::Returned(Ok(answers)) => return Ok(answers),
                Ended::Returned(Err(error)) if is_final(&error) => return Err(error.to_string()),
                Ended::Returned(Err(error)) => {
                    last = error.to_string();
                    error.retry_after().unwrap_or(WAIT)
                }
                Ended::Hung => WAIT,
                Ended::Crashed => {
                    deaths += 1;
                    WAIT
                }
            };
            world.advance(wait);
        }
        Err(format!("not finished after {REPEATS_MAX} calls: {last}"))
    }
}

/// Whether a repeat of the same call cannot help, not even after somebody has looked at the store or
/// the staged file.
pub(crate) fn is_final(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Invalid
        | ErrorKind::Conflict
        | ErrorKind::Refused
        | ErrorKind::Retracted
        | ErrorKind::Archived
        | ErrorKind::Unsupported => true,
        ErrorKind::Busy | ErrorKind::Unavailable | ErrorKind::Rejected | ErrorKind::Corrupt => false,
    }
}

fn faults_from(effects: &[Effect], from: usize) -> Vec<(usize, Fault)> {
    let later = effects.iter().filter(|effect| effect.number >= from);
    later.flat_map(|effect| effect.op.faults().map(|fault| (effect.number, fault))).collect()
}

impl std::error::Error for Failure {}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.case, self.outcome)
    }
}

/// The same line, so that `unwrap` shows it as it is.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
