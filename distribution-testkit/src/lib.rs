//! Fakes with faults.

#[allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "the checks are tests, which fail by a panic"
)]
pub mod conformance;
mod fakes;
mod faults;
mod world;

pub use fakes::{
    ManualClock, MemoryAlerts, MemoryAudit, MemoryMetadata, MemorySource, MemoryStorage, Plant, TestSigner,
};
pub use faults::{Effect, Fault, Op};
pub use world::{MemoryObject, Parts, World};
