//! Progress of long work: what an observer is told, and the meter that backends feed.

use std::fmt;
use std::sync::Arc;

/// What a publish is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Copying the staged file into storage; of so many bytes.
    Transfer {
        /// The staged file's size in bytes.
        total: u64,
    },
    /// Reading the stored object back.
    Prove,
    /// Copying to other targets, and reading those copies back.
    Replicate,
    /// Delivering the audit trail.
    Audit,
    /// Signing the link.
    Sign,
}

/// Watches one publish. Called from the threads that do the work, so it must return at once.
pub trait Progress: Send + Sync + 'static {
    /// A stage begins, perhaps not for the first time.
    fn stage(&self, stage: Stage);
    /// So many more bytes of the stage are done.
    fn advance(&self, bytes: u64);
}

/// Watches nothing.
impl Progress for () {
    fn stage(&self, _: Stage) {}
    fn advance(&self, _: u64) {}
}

/// Counts the bytes of one transfer or proof for whoever watches it. Cheap to clone.
///
/// ```
/// use distribution_core::Meter;
///
/// let meter = Meter::default();
/// meter.add(4096);
/// ```
#[derive(Clone)]
pub struct Meter(Arc<dyn Fn(u64) + Send + Sync>);

impl Meter {
    /// A meter that calls `add` with each number of bytes.
    pub fn new(add: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(add))
    }

    /// So many more bytes are done.
    pub fn add(&self, bytes: u64) {
        (self.0)(bytes);
    }
}

impl Default for Meter {
    /// A meter that nobody reads.
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}
