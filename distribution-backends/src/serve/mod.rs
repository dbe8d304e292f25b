//! Driving adapters over HTTP: they translate, and decide nothing.

mod authenticated;
mod condition;
mod cors;
mod disposition;
mod download;
mod file;
mod multipart;
#[cfg(feature = "config")]
mod nested;
mod range;

pub use authenticated::{Authorizer, BearerToken, Verdict, Wanted, authenticated};
pub use cors::Cors;
pub use disposition::Disposition;
pub use download::{DownloadRoute, router};
#[cfg(feature = "config")]
pub(crate) use nested::nested;
