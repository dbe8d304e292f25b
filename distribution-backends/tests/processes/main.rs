//! Proof with real processes on the embedded parts: local disk, SQLite, JSONL.
//!
//! Publishers run as child processes (this very test binary again, see [`child`]) on one shared
//! folder, or on one bucket, and die in every way that a machine knows: killed at random moments, stopped until their
//! lease is over, killed or failed at the n-th system call, cut off from power. Then the stores are
//! opened afresh and [`judge`]d, and every answer that a child had printed must still hold.
//!
//! `PROOF=ci` and `PROOF=long` choose bigger budgets, `PROOF_SEED` other moments.

#![cfg(all(feature = "sqlite", target_os = "linux"))]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, whose helpers are tests too"
)]

mod archive;
mod budget;
mod chain;
mod child;
mod copies;
#[cfg(feature = "postgres")]
mod database;
mod defect;
#[cfg(all(feature = "s3", feature = "postgres"))]
#[allow(dead_code, reason = "shared with the tests of S3")]
#[path = "../s3/faulty_proxy.rs"]
mod faulty_proxy;
#[cfg(all(feature = "s3", feature = "postgres"))]
mod fleet;
mod herd;
mod judge;
mod play;
mod power;
mod process;
#[cfg(feature = "s3")]
mod remote;
mod rounds;
#[cfg(feature = "s3")]
#[path = "../support/s3_server.rs"]
mod s3_server;
#[cfg(feature = "s3")]
#[allow(dead_code, reason = "shared with the tests of S3")]
#[path = "../s3/server.rs"]
mod server;
mod sigkill;
mod site;
mod strace;
mod syscalls;
mod volume;
