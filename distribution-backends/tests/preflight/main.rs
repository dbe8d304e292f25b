//! What `Mp4Inspector` finds in MP4s: made ones, hostile ones, and real ones.
#![cfg(feature = "preflight")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing, reason = "tests")]

mod ffmpeg;
mod hostile;
mod large;
mod made;
mod support;
