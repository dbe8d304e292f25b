//! Where the MCP SDK works: on a thread of its own, whose `tracing` events go nowhere. It logs whole messages, with
//! the signed URLs in them, and what servers say, at all levels from `trace` to `error`.

use std::future::pending;
use std::sync::{Mutex, PoisonError};
use std::thread;

use distribution_core::Error;
use tokio::runtime::{Builder, Handle};
use tokio::task::JoinSet;
use tracing::dispatcher::{self, Dispatch};

/// What `work` comes to there, and all that it spawns. It ends when this is dropped.
///
/// # Errors
/// `Unavailable` if there can be no such thread.
pub(crate) async fn quietly<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Error> {
    on(&thread()?, work).await
}

/// What `work` comes to on this runtime. It ends when this is dropped.
///
/// # Errors
/// `Unavailable` if it panics, or the runtime ends before.
pub(crate) async fn on<T: Send + 'static>(
    runtime: &Handle,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, Error> {
    let mut works = JoinSet::new();
    works.spawn_on(work, runtime);
    let done = works.join_next().await.and_then(Result::ok);
    done.ok_or_else(|| Error::unavailable("the work was ended from outside, or met a defect of this library: repeat"))
}

/// One for the process, made when it is first needed.
fn thread() -> Result<Handle, Error> {
    static THREAD: Mutex<Option<Handle>> = Mutex::new(None);
    let mut known = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    let handle = match &*known {
        Some(handle) => handle.clone(),
        None => known.insert(start()?).clone(),
    };
    // As long as nobody listens, events may still go to `log`, from this library and all others: a listener for this
    // thread alone would end that.
    if dispatcher::has_been_set() {
        handle.spawn(async { std::mem::forget(dispatcher::set_default(&Dispatch::none())) });
    }
    Ok(handle)
}

fn start() -> Result<Handle, Error> {
    let failed = |error| Error::unavailable("no thread can be made for the MCP SDK: look at the cause").because(error);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let handle = runtime.handle().clone();
    let named = thread::Builder::new().name("distribution-mcp".to_owned());
    named.spawn(move || runtime.block_on(pending::<()>())).map_err(failed)?;
    Ok(handle)
}
