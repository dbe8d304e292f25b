//! Publishers over one world, with the checker looking after every step.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use distribution_core::{
    DistributionRecord, Error, ErrorKind, KeyTemplate, Policy, PublishRequest, Publisher, QcReport, VideoUrl,
};
use distribution_testkit::checker::{Evidence, Violation, unsettled, violations, violations_since};
use distribution_testkit::{Fault, World, request};
use proptest_state_machine::StateMachineTest;

use crate::publisher_calls::{Call, FILES, Staged, Transition};
use crate::run;

/// Part of a staged file's URL, which nobody may keep.
const SECRET: &str = "c4n4ry";
/// More than any call takes that does not hang.
const POLLS_MAX: usize = 1_000;

#[test]
fn proof_that_publishers_keep_the_promises_in_any_sequence() {
    run::<Company>("publishers in any sequence", 30, [64, 10_000, 300_000]);
}

/// Three publishers. The last one's keys do not tell files apart by their bytes.
pub(crate) struct Company {
    world: World,
    publishers: [Publisher; 3],
    faults: Faults,
    before: Evidence,
}

/// Faults that wait for an effect that they fit, not before that number.
type Faults = Arc<Mutex<Vec<(usize, Fault)>>>;

impl StateMachineTest for Company {
    type SystemUnderTest = Self;
    type Reference = Staged;

    fn init_test(staged: &Staged) -> Self {
        let world = World::new();
        for (name, bytes) in &staged.0 {
            world.stage(*name, *bytes);
        }
        let publishers = [0, 1, 2].map(|holder| publisher(&world, holder));
        let (before, faults) = (world.evidence(), Faults::default());
        let company = Self { world, publishers, faults, before };
        company.plan_faults();
        company
    }

    fn apply(mut company: Self, staged: &Staged, transition: Transition) -> Self {
        match transition {
            Transition::Publish { call, polls } => company.publish(call, polls),
            Transition::Race { calls, turns } => company.race(calls, &turns),
            Transition::Fault { ahead, fault } => company.fault(ahead, fault),
            Transition::Advance { secs } => company.world.advance(Duration::from_secs(secs.into())),
            Transition::Stage { file, .. } => company.stage(file, staged),
            Transition::Plant { file, plant } => drop(company.world.plant(FILES[file].0, plant)),
            Transition::Restart { holder } => company.restart(holder),
            Transition::Recover { holder } => company.recover(holder),
            Transition::Settle => company.settle(),
        }
        company.look();
        company
    }

    fn check_invariants(company: &Self, staged: &Staged) {
        for (name, _) in FILES {
            assert_eq!(company.world.staged(name).as_deref(), staged.0.get(name).copied(), "P6: {name}");
        }
    }

    fn teardown(mut company: Self, _: Staged) {
        company.settle();
        company.look();
    }
}

impl Company {
    fn publish(&mut self, call: Call, polls: Option<u16>) {
        let publisher = self.publishers[call.holder].clone();
        let publish = publisher.publish(wanted(&self.world, call));
        match polled(publish, polls.map_or(POLLS_MAX, usize::from)) {
            Some(outcome) => self.told(outcome),
            // Given up is one thing, dead is another.
            None if polls.is_none() => self.restart(call.holder),
            None => {}
        }
    }

    fn race(&mut self, calls: [Call; 2], turns: &[u8]) {
        let publishers = calls.map(|call| self.publishers[call.holder].clone());
        let [a, b] = [0, 1].map(|n| publishers[n].publish(wanted(&self.world, calls[n])));
        let (mut a, mut b) = (pin!(a), pin!(b));
        let mut told = [false; 2];
        // In turns when the turns are used up.
        for turn in turns.iter().copied().chain(std::iter::repeat(0b0101_0101)).take(POLLS_MAX / 4) {
            if turn == 0 {
                self.world.advance(Duration::from_mins(1));
            }
            for n in (0..8).map(|bit| usize::from(turn & (1 << bit) != 0)) {
                let next = if n == 0 { a.as_mut() } else { b.as_mut() };
                if !told[n]
                    && let Poll::Ready(outcome) = poll(next)
                {
                    told[n] = true;
                    self.told(outcome);
                }
            }
        }
    }

    fn recover(&mut self, holder: usize) {
        let publisher = self.publishers[holder].clone();
        if polled(publisher.recover(), POLLS_MAX).is_none() {
            self.restart(holder);
        }
    }

    fn restart(&mut self, holder: usize) {
        self.publishers[holder] = publisher(&self.world, holder);
    }

    fn told(&self, outcome: Result<DistributionRecord, Error>) {
        match outcome {
            Ok(record) => self.world.answered(record),
            // A record that breaks a promise, or a step that cannot be: the code's own fault, not the world's.
            Err(error) => {
                assert!(!["breaks", "no such step"].iter().any(|bug| error.message().contains(bug)), "{error}")
            }
        }
    }

    fn plan_faults(&self) {
        let faults = self.faults.clone();
        self.world.fail(move |effect| {
            let mut faults = faults.lock().unwrap();
            let next = faults.iter().position(|(from, fault)| *from <= effect.number && fault.fits(effect.op))?;
            Some(faults.remove(next).1)
        });
    }

    fn fault(&self, ahead: usize, fault: Fault) {
        self.faults.lock().unwrap().push((self.world.effects().len() + ahead, fault));
    }

    fn stage(&mut self, file: usize, staged: &Staged) {
        let (name, _) = FILES[file];
        match staged.0.get(name) {
            Some(bytes) => self.world.stage(name, *bytes),
            None => self.world.unstage(name),
        }
        self.before.staged = None;
    }

    /// Whatever has happened: when all is well again, every call succeeds, and nothing is left to do.
    fn settle(&mut self) {
        self.faults.lock().unwrap().clear();
        self.world.heal();
        self.plan_faults();
        for (name, bytes) in FILES {
            self.world.stage(name, bytes);
        }
        self.before.staged = None;
        self.world.advance(Duration::from_hours(2));
        for holder in [1, 2] {
            for file in 0..FILES.len() {
                let call = Call { holder, file, title: 7, approved_secs: None, passed: true, hours: 72 };
                let publisher = self.publishers[holder].clone();
                let outcome = polled(publisher.publish(wanted(&self.world, call)), POLLS_MAX).expect("P7: it ends");
                // Without a digest in the key, the two clips want the same place.
                let conflict = outcome.as_ref().is_err_and(|error| holder == 2 && error.kind() == ErrorKind::Conflict);
                assert!(outcome.is_ok() || conflict, "P7: {call:?}: {outcome:?}");
                self.told(outcome);
            }
        }
        assert_eq!(unsettled(&self.world.evidence()), [], "P7");
    }

    fn look(&mut self) {
        let now = self.world.evidence().with_secret(SECRET);
        assert_eq!(lines(violations(&now)), [""; 0]);
        assert_eq!(lines(violations_since(&self.before, &now)), [""; 0]);
        self.before = now;
    }
}

fn lines(violations: Vec<Violation>) -> Vec<String> {
    violations.iter().map(ToString::to_string).collect()
}

/// What the future comes to; `None` if it is not done after so many polls, and is dropped.
fn polled<T>(future: impl Future<Output = T>, polls: usize) -> Option<T> {
    let mut future = pin!(future);
    (0..polls).find_map(|_| match poll(future.as_mut()) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    })
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn publisher(world: &World, holder: usize) -> Publisher {
    let name = ["a", "b", "plain"][holder];
    let key_template = match name {
        "plain" => KeyTemplate::parse("{stem}.mp4").unwrap(),
        _ => KeyTemplate::default(),
    };
    world.builder(name).policy(Policy { key_template, ..Policy::default() }).build().unwrap()
}

fn wanted(world: &World, call: Call) -> PublishRequest {
    let (name, bytes) = FILES[call.file];
    let mut request = request(name, bytes);
    if request.final_edit.video_url.scheme().is_some() {
        request.final_edit.video_url = VideoUrl::parse(format!("{name}?sig={SECRET}")).unwrap();
    }
    let expires_at = call.approved_secs.map(|secs| world.now() + Duration::from_secs(secs.into()));
    request.qc_report = if call.passed { QcReport { expires_at, ..QcReport::pass() } } else { QcReport::default() };
    request.distribution_settings.metadata.title = Some(call.title.to_string());
    request.distribution_settings.url_expiry_hours = Some(call.hours);
    request
}
