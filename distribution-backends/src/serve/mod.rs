//! Driving adapters over HTTP: they translate, and decide nothing.

mod download;
mod range;

pub use download::router;
