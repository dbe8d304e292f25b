//! For the tests of whoever uses, or extends, `distribution-core`: fakes of every port with faults, and
//! conformance suites for real backends. No runtime, no real time, no randomness.
//!
//! # Fakes and faults
//!
//! A [`World`] is all that survives a crash. Its [`Parts`] are a publisher's ports over it. Each call
//! of a port is an *effect* with a number and a name, and a plan says what goes wrong with it:
//!
//! ```
//! use distribution_testkit::{Fault, Op, World, request};
//!
//! // What is under test: here, one publish. Yours is what your orchestrator does.
//! async fn scenario(world: &World) -> Result<(), distribution_core::Error> {
//!     world.stage("clip.mp4", "approved bytes");
//!     world.publisher("host-1").publish(request("clip.mp4", b"approved bytes")).await?;
//!     Ok(())
//! }
//!
//! // Run it once without faults, then again with each fault at each effect.
//! let clean = World::new();
//! futures::executor::block_on(scenario(&clean))?;
//! for effect in clean.effects() {
//!     for fault in effect.op.faults() {
//!         let world = World::new();
//!         world.inject(effect.number, fault);
//!         // The fault is for that one effect: the second run finishes what it interrupted.
//!         let _ = futures::executor::block_on(scenario(&world));
//!         futures::executor::block_on(scenario(&world))?;
//!     }
//! }
//!
//! // Or by name, as often as it happens, until the world is healed.
//! let world = World::new();
//! world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostAnswer));
//! assert!(futures::executor::block_on(scenario(&world)).is_err());
//! # Ok::<(), distribution_core::Error>(())
//! ```
//!
//! Around each effect a fake lets others go first, once before and once after. So tasks that are
//! polled in turns interleave at every effect, and a task that is dropped between two polls has
//! crashed there: before the effect, or after it and before its answer.
//!
//! # Conformance
//!
//! Each sentence of a port's documentation is a named check. This is all it takes to run those of
//! [`Storage`](distribution_core::Storage) on a backend:
//!
//! ```
//! use std::sync::Arc;
//!
//! use distribution_core::{ObjectKey, Storage};
//! use distribution_testkit::conformance::{Harness, StorageHarness};
//! use distribution_testkit::{MemoryStorage, World};
//!
//! struct Memory(World);
//!
//! impl Harness for Memory {}
//!
//! #[async_trait::async_trait]
//! impl StorageHarness for Memory {
//!     async fn open(&self) -> Arc<dyn Storage> {
//!         Arc::new(MemoryStorage::new(&self.0, &"main".parse().unwrap()))
//!     }
//!     async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
//!         self.0.corrupt("main", key.as_str(), |stored| *stored = bytes.to_vec())
//!     }
//! }
//!
//! // In a `mod` of a file below `tests/`: one `#[test]` per check.
//! distribution_testkit::storage_conformance!(Memory(World::new()));
//! # fn main() {}
//! ```
//!
//! See [`conformance`] for backends that need a runtime, and for waivers.
//!
//! # The checker
//!
//! [`checker`] holds what is in a world, or in real stores, against the promises, without asking the
//! code that it checks.

mod callers;
pub mod checker;
#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the checks are tests, which fail by a panic"
)]
pub mod conformance;
mod effect;
mod fakes;
mod faults;
mod fingerprint;
mod publisher;
mod schedule;
mod simulation;
mod time;
mod world;

pub use fakes::{
    ManualClock, MemoryAlerts, MemoryAudit, MemoryMetadata, MemorySource, MemoryStorage, Plant, TestSigner,
};
pub use faults::{Effect, Fault, LATE_EFFECTS, Op};
pub use publisher::request;
pub use schedule::{Schedule, every_schedule};
pub use simulation::{Run, Simulation};
pub use time::Ended;
pub use world::{MemoryObject, Parts, World};
