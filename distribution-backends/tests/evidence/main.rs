//! What is promised of evidence: whatever is done to a chain is found, and nothing else is.
#![cfg(feature = "evidence")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stdout, reason = "tests")]

mod chains;
mod checkpoints;
mod corpus;
mod keys;
mod receipts;
mod sinks;
mod trails;
