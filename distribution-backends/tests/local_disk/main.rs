//! What `LocalDisk` and `LocalFiles` promise beyond the ports: traps in the file system, failures of
//! the disk, races and cancellation.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, whose helpers are tests too"
)]

mod create;
mod failures;
mod files;
mod list;
mod read;
mod streams;
mod support;
mod traps;
