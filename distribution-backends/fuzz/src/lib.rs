//! What is fuzzed: one function a module. Each panics if something that must hold does not.

pub mod checker;
pub mod events;
pub mod key_template;
pub mod link;
#[cfg(feature = "preflight")]
pub mod preflight;
pub mod record;
pub mod request;
mod take;
