//! What survives: faults at every effect, crashes at every wait, and company.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

mod company;
mod copies;
mod faults;
mod leases;
mod recovery;
mod renewals;
mod support;
mod verdicts;
