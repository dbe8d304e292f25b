//! PostgreSQL: against the real server that `DISTRIBUTION_TEST_POSTGRES` names
//! (`postgres://user@host:port/database`), and others that the tests start with the programs in
//! `DISTRIBUTION_TEST_POSTGRES_BIN`. `.ci/servers` starts the one and prints both.

#![cfg(feature = "postgres")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

#[path = "../support/heard.rs"]
mod a_heard;
mod audit;
mod cluster;
mod config;
mod conformance;
mod cut;
mod faults;
#[path = "../support/finds.rs"]
mod finds;
mod killed;
mod proxy;
#[path = "../support/rows.rs"]
mod rows;
mod server;
mod store;
