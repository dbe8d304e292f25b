//! Virtual time: sleeping by the world's clock, and running calls that may never end.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::Timestamp;
use futures::future::{Either, select};

use crate::world::World;

/// How a call ended that was [run](World::run).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// It returned this.
    Returned(T),
    /// It waits for an answer that never comes. It is given up.
    Hung,
    /// Its process died of [`Fault::CrashBefore`](crate::Fault::CrashBefore) or
    /// [`Fault::CrashAfter`](crate::Fault::CrashAfter): drop what else was in its memory.
    Crashed,
}

impl World {
    /// Sleeps for as long by the virtual clock, which stands still until somebody moves it:
    /// [`advance`](Self::advance), [`run`](Self::run) or a [`Simulation`](crate::Simulation).
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let until = self.now().checked_add_signed(TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX));
        Sleep { world: self.clone(), until: until.unwrap_or(Timestamp::MAX_UTC), timer: None }
    }

    /// Waits for the call, but gives it up (drops it) after as long by the virtual clock: then `None`.
    pub async fn timeout<T>(&self, within: Duration, call: impl Future<Output = T>) -> Option<T> {
        match select(pin!(call), pin!(self.sleep(within))).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(((), _)) => None,
        }
    }

    /// Runs the call on this thread, moving the clock on whenever there is nothing else to wait for.
    /// Unlike `block_on`, it comes back from faults that hang or crash.
    pub fn run<T>(&self, call: impl Future<Output = T>) -> Ended<T> {
        let mut call = pin!(call);
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(alarm.clone());
        loop {
            alarm.take();
            if let Poll::Ready(output) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Ended::Returned(output);
            }
            if self.take_crash() {
                return Ended::Crashed;
            }
            if !alarm.is_set() && !self.wake_next() {
                return Ended::Hung;
            }
        }
    }

    /// Polls the call so many times at most, moving the clock on as [`run`](Self::run) does, and then
    /// drops it. What it returned, if it did.
    pub(crate) fn run_for<T>(&self, polls: usize, call: impl Future<Output = T>) -> Option<T> {
        let mut call = pin!(call);
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(alarm.clone());
        for _ in 0..polls {
            alarm.take();
            if let Poll::Ready(output) = call.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(output);
            }
            if !alarm.is_set() && !self.wake_next() {
                return None;
            }
        }
        None
    }

    /// Whether a process has died since this was asked last.
    pub(crate) fn take_crash(&self) -> bool {
        std::mem::take(&mut self.lock().crashed)
    }

    /// Moves the clock on to the next who sleeps. False if nobody does.
    pub(crate) fn wake_next(&self) -> bool {
        let next = self.lock().timers.keys().next().map(|(until, _)| *until);
        let Some(until) = next else { return false };
        self.advance((until - self.now()).to_std().unwrap_or_default());
        true
    }
}

impl<T> Ended<T> {
    /// What it returned, if it did.
    pub fn returned(self) -> Option<T> {
        match self {
            Self::Returned(output) => Some(output),
            Self::Hung | Self::Crashed => None,
        }
    }
}

struct Sleep {
    world: World,
    until: Timestamp,
    timer: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let world = self.world.clone();
        let mut state = world.lock();
        if state.now >= self.until {
            return Poll::Ready(());
        }
        let timer = *self.timer.get_or_insert_with(|| {
            state.timers_made += 1;
            state.timers_made
        });
        state.timers.insert((self.until, timer), cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.world.lock().timers.remove(&(self.until, timer));
        }
    }
}

/// Notes that somebody wants to be polled.
#[derive(Default)]
pub(crate) struct Alarm(AtomicBool);

impl Alarm {
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::AcqRel)
    }

    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.set();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.set();
    }
}

/// Waits once, and wants to be polled again at once: a point at which a task can be interleaved with
/// others, or dropped. Each effect of a fake has them; a process of a [`Simulation`](crate::Simulation),
/// or a backend under test, may have more of its own.
///
/// ```
/// use std::sync::Mutex;
///
/// use distribution_testkit::let_others_go_first;
///
/// let steps = Mutex::new(Vec::new());
/// let task = async |name| {
///     steps.lock().unwrap().push((name, "begins"));
///     let_others_go_first().await;
///     steps.lock().unwrap().push((name, "ends"));
/// };
/// futures::executor::block_on(futures::future::join(task("a"), task("b")));
/// assert_eq!(*steps.lock().unwrap(), [("a", "begins"), ("b", "begins"), ("a", "ends"), ("b", "ends")]);
/// ```
pub async fn let_others_go_first() {
    let mut gone = false;
    poll_fn(|context| {
        if gone {
            return Poll::Ready(());
        }
        gone = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
