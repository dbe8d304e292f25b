//! The contract: what goes in, what comes out, and every way in which a request is turned down.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod access;
mod archive;
mod doctor;
mod holds;
mod locks;
mod numbers;
mod plan;
mod queries;
mod refusals;
mod repeats;
mod replicas;
mod retract;
mod support;
mod sweep;
mod tidy;
mod versions;
mod wire;
