//! Driving adapters over HTTP: they translate, and decide nothing.

mod download;
#[cfg(feature = "config")]
mod nested;
mod range;

pub use download::router;
#[cfg(feature = "config")]
pub(crate) use nested::nested;
