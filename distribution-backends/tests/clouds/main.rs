//! Storage in the services that opendal knows.

#![cfg(feature = "opendal")]
#![allow(clippy::unwrap_used, reason = "tests")]

mod memory;
