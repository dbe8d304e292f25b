//! The Story MCP datastore: against the reference server, over stdio (a child of the test) and over
//! streamable HTTP, and against servers that lose, break and delay what it answers.

#![cfg(all(feature = "story-mcp", feature = "sqlite"))]
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
mod answers;
mod child;
mod conformance;
mod contract;
mod lost;
mod mirror;
mod server;
