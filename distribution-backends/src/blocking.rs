//! Blocking work off the async threads, which stops when nobody waits for it any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use distribution_core::{Error, ErrorKind};
use tokio::runtime::Handle;

/// Says whether somebody still waits for the work.
#[derive(Clone, Default)]
pub(crate) struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// An error once nobody waits any more.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::unavailable("cancelled by the caller: repeat"));
        }
        Ok(())
    }
}

/// Runs `work` on a thread that may block. Dropping the future tells `work` to stop.
///
/// # Errors
/// Those of `work`, and [`ErrorKind::Unsupported`] outside of a Tokio runtime.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce(&Cancel) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let runtime = Handle::try_current().map_err(|error| {
        let message = "local files need a Tokio runtime: call this from within one";
        Error::new(ErrorKind::Unsupported, message).because(error)
    })?;
    let cancel = Cancel::default();
    let _guard = CancelOnDrop(cancel.clone());
    let task = runtime.spawn_blocking(move || {
        cancel.check()?;
        work(&cancel)
    });
    task.await.unwrap_or_else(|error| {
        // It panicked, or the runtime is shutting down: what it has done is not known.
        Err(Error::unavailable("the work on local files was interrupted: repeat").because(error))
    })
}

struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}
