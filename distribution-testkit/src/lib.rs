//! For the tests of whoever uses, or extends, `distribution-core`: fakes of every port with faults, and
//! conformance suites for real backends. No runtime, no real time, no randomness.
//!
//! # Scenarios
//!
//! What is under test may be your orchestrator. A [`Scenario`] is a piece of its work that ends in a
//! publication; it is run with every [`Fault`] at every effect, with every pair of them, and dropped at
//! every wait, and has to succeed when it is repeated, with every promise kept:
//!
//! ```
//! use distribution_testkit::{Scenario, request};
//!
//! let scenario = Scenario::new(
//!     |world| world.stage("clip.mp4", "approved bytes"),
//!     // Yours is what your orchestrator does, with this world's ports.
//!     |world, host| async move {
//!         let record = world.publisher(&host).publish(request("clip.mp4", b"approved bytes")).await?;
//!         Ok(vec![record])
//!     },
//! );
//! let survived = scenario.every_fault().unwrap();
//! assert!(survived.runs > 100);
//! ```
//!
//! # Simulation
//!
//! A [`Simulation`] has many processes over one world, in an order that follows from a seed, while
//! they crash and come back, effects go wrong and the clock jumps; or in [every](every_schedule) order
//! there is. A failure is repeated by its seed.
//!
//! # Fakes and faults
//!
//! A [`World`] is all that survives a crash. Its [`Parts`] are a publisher's ports over it. Each call
//! of a port is an *effect* with a number and a name, and a plan says what goes wrong with it:
//!
//! ```
//! use distribution_testkit::{Ended, Fault, Op, World, request};
//!
//! let world = World::new();
//! world.stage("clip.mp4", "approved bytes");
//! let publisher = world.publisher("host-1");
//! let call = || world.run(publisher.publish(request("clip.mp4", b"approved bytes")));
//!
//! world.inject(2, Fault::HangAfter); // the third effect, once
//! assert!(matches!(call(), Ended::Hung));
//! // Or by name, as often as it happens, until the world is healed.
//! world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostAnswer));
//! assert!(call().returned().unwrap().is_err());
//! world.heal();
//! assert!(call().returned().unwrap().is_ok());
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
//! use distribution_testkit::{Fault, MemoryStorage, World};
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
//!     async fn cut_off(&self, cut_off: bool) -> bool {
//!         if cut_off { self.0.fail(|_| Some(Fault::LostRequest)) } else { self.0.heal() }
//!         true
//!     }
//! }
//!
//! // In a `mod` of a file below `tests/`: one `#[test]` per check.
//! distribution_testkit::storage_conformance!(Memory(World::new()));
//! # fn main() {}
//! ```
//!
//! See [`conformance`] for backends that need a runtime, for waivers, and for what races cost.
//! `examples/custom_backend.rs` of the repository is a storage and a metadata store that pass, with
//! what each guarantee asks for.
//!
//! # Object storage
//!
//! `s3::S3Double` (feature `s3`) is a strict double of Amazon S3 for tests of whoever speaks its
//! protocol, with the faults that no server has on demand.
//!
//! # The Story datastore
//!
//! `story::StoryServer` (feature `story`) is a reference server of the contract that a Story MCP server
//! has to keep, over any metadata store.
//!
//! # The checker
//!
//! [`checker`] holds what is in a world, or in real stores, against the promises, without asking the
//! code that it checks.

mod budget;
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
mod promises;
mod publisher;
#[cfg(feature = "s3")]
pub mod s3;
mod scenario;
mod schedule;
mod simulation;
#[cfg(feature = "story")]
pub mod story;
mod time;
mod world;

pub use budget::Budget;
pub use fakes::{
    ManualClock, MemoryAlerts, MemoryAudit, MemoryMetadata, MemorySource, MemoryStorage, Plant, TestSigner, TestViewer,
};
pub use faults::{Effect, Fault, LATE_EFFECTS, Op};
pub use publisher::request;
pub use scenario::{Failure, Scenario, Survived};
pub use schedule::{Schedule, every_schedule};
pub use simulation::{Run, Simulation};
pub use time::{Ended, let_others_go_first};
pub use world::{MemoryObject, Parts, World};
