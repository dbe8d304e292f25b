//! An effect from its beginning to its end, with what goes wrong in between.

use std::future::pending;
use std::sync::Arc;

use distribution_core::Error;

use crate::faults::{Effect, Fault, LATE_EFFECTS, Op, Plan};
use crate::time::let_others_go_first;
use crate::world::{State, World};

/// An effect that has begun.
pub(crate) struct Call {
    world: World,
    effect: Effect,
}

/// A change of the world that is still to come.
pub(crate) struct Late {
    /// The number of the effect before which it happens.
    pub(crate) due: usize,
    /// The history of whose change it is.
    pub(crate) of: u64,
    change: Box<dyn FnOnce(&mut State) + Send>,
}

impl World {
    /// Begins an effect: lets others go first, gives it a number, asks the plan, and stops it here
    /// if nothing comes of it.
    pub(crate) async fn begin(&self, op: Op, subject: impl Into<String>) -> Result<Call, Error> {
        let_others_go_first().await;
        let (effect, plan) = self.number(op, subject.into());
        // Without the lock: the plan is the caller's code and may look at the world.
        let planned = effect.fault.or_else(|| plan.and_then(|plan| plan(&effect)));
        let fault = planned.filter(|fault| fault.fits(op));
        if let Some(logged) = self.lock().faults.log.get_mut(effect.number) {
            logged.fault = fault;
        }
        let call = Call { world: self.clone(), effect: Effect { fault, ..effect } };
        match fault {
            Some(Fault::LostRequest) => Err(call.lost()),
            Some(Fault::DiskFull) => Err(call.failed("there is no room left: make room, then repeat")),
            Some(Fault::PermissionDenied) => Err(call.failed("permission denied: grant it, then repeat")),
            Some(Fault::HangBefore | Fault::CrashBefore) => call.never().await,
            _ => Ok(call),
        }
    }

    /// Lets others go first while an effect is under way, unless only whole effects are interleaved.
    pub(crate) async fn let_others_go_first_within(&self) {
        if !self.lock().coarse {
            let_others_go_first().await;
        }
    }

    fn number(&self, op: Op, subject: String) -> (Effect, Option<Arc<Plan>>) {
        let mut state = self.lock();
        let number = state.faults.log.len();
        state.catch_up(number);
        let faults = &mut state.faults;
        let effect = Effect { number, op, subject, fault: faults.injected.get(&number).copied() };
        faults.log.push(effect.clone());
        let plan = faults.plan.clone();
        state.observe(&effect);
        (effect, plan)
    }
}

impl State {
    /// Makes the late changes that are due before effect `number`.
    pub(crate) fn catch_up(&mut self, number: usize) {
        while let Some(at) = self.late.iter().position(|late| late.due <= number) {
            let late = self.late.remove(at);
            (late.change)(self);
        }
    }
}

impl Call {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.effect.fault == Some(fault)
    }

    /// Makes the change that this effect is, as the fault wants it, and ends the effect. `change` is
    /// the effect of one request, so it may happen twice.
    pub(crate) async fn write<T>(
        self,
        mut change: impl FnMut(&mut State) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self.effect.fault {
            Some(Fault::AppliedLate) => {
                let due = self.effect.number + LATE_EFFECTS;
                let change = Box::new(move |state: &mut State| drop(change(state)));
                let mut state = self.world.lock();
                let of = state.history.unwrap_or_default();
                state.late.push(Late { due, of, change });
                drop(state);
                Err(self.lost())
            }
            Some(Fault::RepeatedBelow) => {
                let first = change(&mut self.world.lock());
                self.world.let_others_go_first_within().await;
                let repeated = first.and_then(|_| change(&mut self.world.lock()));
                self.end(repeated).await
            }
            _ => {
                let answer = change(&mut self.world.lock());
                self.end(answer).await
            }
        }
    }

    /// Ends the effect: what was done can be seen by others before the caller hears of it, if it does.
    pub(crate) async fn end<T>(self, answer: Result<T, Error>) -> Result<T, Error> {
        self.world.let_others_go_first_within().await;
        self.world.lock().observe(&self.effect);
        match self.effect.fault {
            Some(Fault::LostAnswer | Fault::Torn) => Err(self.lost()),
            Some(Fault::HangAfter | Fault::CrashAfter) => self.never().await,
            _ => answer,
        }
    }

    /// What is never answered: of a crash, whoever runs the process is told.
    async fn never<T>(self) -> T {
        if self.effect.fault.is_some_and(Fault::crashes) {
            self.world.lock().crashed = true;
        }
        pending().await
    }

    fn lost(&self) -> Error {
        self.failed("repeat")
    }

    fn failed(&self, way_out: &str) -> Error {
        Error::unavailable(format!("the testkit made effect {} fail: {way_out}", self.effect))
    }
}
