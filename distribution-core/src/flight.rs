//! Single flight: equal requests in one process are carried out once, and all get the answer.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};

use crate::error::Error;
use crate::object::Checksum;
use crate::progress::{Progress, Stage};

/// The flights under way, by what they carry out. A flight lives as long as somebody waits for it,
/// and moves whenever any of them is polled.
pub(crate) struct Flights<T: Clone> {
    under_way: Mutex<HashMap<Checksum, Flight<T>>>,
}

struct Flight<T: Clone> {
    outcome: WeakShared<BoxFuture<'static, T>>,
    watchers: Arc<Watchers>,
}

impl<T: Clone> Default for Flights<T> {
    fn default() -> Self {
        Self { under_way: Mutex::default() }
    }
}

impl<T: Clone + 'static> Flights<Result<T, Error>> {
    /// Joins the flight with this name, or starts it.
    pub(crate) fn join(
        &self,
        name: Checksum,
        watcher: Arc<dyn Progress>,
        start: impl FnOnce(Arc<Watchers>) -> BoxFuture<'static, Result<T, Error>>,
    ) -> Shared<BoxFuture<'static, Result<T, Error>>> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, flight| flight.outcome.upgrade().is_some_and(|outcome| outcome.peek().is_none()));
        if let Some(flight) = under_way.get(&name)
            && let Some(outcome) = flight.outcome.upgrade()
        {
            flight.watchers.add(watcher);
            return outcome;
        }
        let watchers = Arc::new(Watchers::default());
        watchers.add(watcher);
        // A part that panics must not take those along who wait for the same, or come later.
        let outcome = AssertUnwindSafe(start(watchers.clone())).catch_unwind();
        let outcome = outcome.map(|outcome| outcome.unwrap_or_else(|_| Err(interrupted()))).boxed().shared();
        if let Some(weak) = outcome.downgrade() {
            under_way.insert(name, Flight { outcome: weak, watchers });
        }
        outcome
    }
}

fn interrupted() -> Error {
    Error::unavailable("a part of the publisher panicked: repeat the call, and look at the part")
}

/// All who watch one flight. Who joins late is first told how far it is.
#[derive(Default)]
pub(crate) struct Watchers(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    watchers: Vec<Arc<dyn Progress>>,
    stage: Option<Stage>,
    bytes: u64,
}

impl Watchers {
    fn add(&self, watcher: Arc<dyn Progress>) {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stage) = watched.stage {
            watcher.stage(stage);
            watcher.advance(watched.bytes);
        }
        watched.watchers.push(watcher);
    }
}

impl Progress for Watchers {
    fn stage(&self, stage: Stage) {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (watched.stage, watched.bytes) = (Some(stage), 0);
        watched.watchers.iter().for_each(|watcher| watcher.stage(stage));
    }

    fn advance(&self, bytes: u64) {
        let mut watched = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        watched.bytes = watched.bytes.saturating_add(bytes);
        watched.watchers.iter().for_each(|watcher| watcher.advance(bytes));
    }
}
