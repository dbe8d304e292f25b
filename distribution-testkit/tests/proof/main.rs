//! The proof that a publication survives anything: what can go wrong, at every step, in every order.
//! `cargo test -- --show-output proof` prints what was tried; `PROOF=ci` and `PROOF=long` try
//! more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod afterwards;
mod chains;
mod controls;
mod faults;
mod locks;
mod schedules;
mod seeds;
mod sweeps;

const VIDEO: &[u8] = b"approved bytes of a video";
