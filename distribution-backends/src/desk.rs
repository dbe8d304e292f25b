//! Work that many ask for and that is done by one at a time, in groups, so that they share its cost.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use distribution_core::Error;
use tokio::sync::oneshot;

/// Where jobs wait for the worker. Whoever asks while the worker is free has to set it to work, on a
/// task or thread of its own: then a caller that is dropped, or not polled, delays nobody.
#[derive(Debug)]
pub(crate) struct Desk<W, J, T> {
    state: Mutex<State<W, J, T>>,
}

#[derive(Debug)]
struct State<W, J, T> {
    waiting: VecDeque<Job<J, T>>,
    /// `None` while it works.
    worker: Option<W>,
}

/// A job, and who waits for it.
pub(crate) type Job<J, T> = (J, Caller<T>);

#[derive(Debug)]
pub(crate) struct Caller<T>(oneshot::Sender<Result<T, Error>>);

impl<T> Caller<T> {
    pub(crate) fn answer(self, result: Result<T, Error>) {
        // Nobody listens if the call was dropped.
        let _ = self.0.send(result);
    }
}

impl<W, J, T> Desk<W, J, T> {
    pub(crate) fn new(worker: W) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(State { waiting: VecDeque::new(), worker: Some(worker) }) })
    }

    /// Has `what` done. If the worker is free, `start` is given it and must have it work until
    /// there is no group left.
    ///
    /// # Errors
    /// The job's own, or [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the runtime
    /// gave it up: it may or may not have been done.
    pub(crate) async fn ask(self: &Arc<Self>, what: J, start: impl FnOnce(Shift<W, J, T>)) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let worker = {
            let mut state = self.state();
            state.waiting.push_back((what, Caller(answer)));
            state.worker.take()
        };
        if let Some(worker) = worker {
            start(Shift { desk: Arc::clone(self), worker: Some(worker) });
        }
        answered.await.map_err(|error| Error::unavailable("the runtime is shutting down: repeat").because(error))?
    }

    fn state(&self) -> MutexGuard<'_, State<W, J, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worker at work.
#[derive(Debug)]
pub(crate) struct Shift<W, J, T> {
    desk: Arc<Desk<W, J, T>>,
    worker: Option<W>,
}

impl<W, J, T> Shift<W, J, T> {
    /// At most `jobs_max` of the jobs that wait. Without any, the worker is free again.
    pub(crate) fn next_group(&mut self, jobs_max: usize) -> Option<(&mut W, Vec<Job<J, T>>)> {
        let mut state = self.desk.state();
        if state.waiting.is_empty() {
            state.worker = self.worker.take();
            return None;
        }
        let jobs = state.waiting.len().min(jobs_max);
        let group = state.waiting.drain(..jobs).collect();
        drop(state);
        self.worker.as_mut().map(|worker| (worker, group))
    }
}

impl<W, J, T> Drop for Shift<W, J, T> {
    /// A shift that a dying runtime cuts short frees the worker, and fails those who wait.
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            let mut state = self.desk.state();
            state.worker = Some(worker);
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::task::{Context, Waker};

    use distribution_core::ErrorKind;

    use super::*;

    type Numbers = Desk<Vec<u32>, u32, usize>;

    /// Notes the numbers, and answers how many there were in the group.
    fn work(mut shift: Shift<Vec<u32>, u32, usize>) {
        while let Some((noted, group)) = shift.next_group(2) {
            let size = group.len();
            for (number, caller) in group {
                noted.push(number);
                caller.answer(Ok(size));
            }
        }
    }

    #[tokio::test]
    async fn who_asks_while_the_worker_works_is_served_by_it_in_groups() {
        let desk = Numbers::new(Vec::new());
        let mut shifts = Vec::new();
        let mut first = Box::pin(desk.ask(1, |shift| shifts.push(shift)));
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let busy = |_| panic!("the worker is taken");
        let mut others: Vec<_> = (2..=4).map(|number| Box::pin(desk.ask(number, busy))).collect();
        for other in &mut others {
            assert!(other.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        drop(others.pop());
        drop(first);
        work(shifts.remove(0));
        for (other, size) in others.into_iter().zip([2, 2]) {
            assert_eq!(other.await.unwrap(), size);
        }
        let alone = desk.ask(5, work).await.unwrap();
        assert_eq!(alone, 1);
        assert_eq!(desk.state().worker, Some(vec![1, 2, 3, 4, 5]), "a dropped job is done all the same");
    }

    #[tokio::test]
    async fn a_shift_that_is_cut_short_fails_those_who_wait_and_frees_the_worker() {
        let desk = Numbers::new(Vec::new());
        assert_eq!(desk.ask(1, drop).await.unwrap_err().kind(), ErrorKind::Unavailable);
        assert_eq!(desk.ask(2, work).await.unwrap(), 1);
        assert_eq!(desk.state().worker, Some(vec![2]));
    }
}
