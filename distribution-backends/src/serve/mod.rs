//! Driving adapters, HTTP and MCP: they translate, and decide nothing.

#[cfg(feature = "serve")]
mod authenticated;
#[cfg(feature = "serve")]
mod condition;
#[cfg(feature = "serve")]
mod cors;
#[cfg(feature = "serve")]
mod download;
#[cfg(feature = "serve")]
mod file;
#[cfg(feature = "mcp")]
pub mod mcp;
#[cfg(feature = "serve")]
mod multipart;
#[cfg(all(feature = "serve", feature = "config"))]
mod nested;
#[cfg(feature = "serve")]
mod pace;
#[cfg(feature = "serve")]
mod range;
#[cfg(feature = "serve")]
mod retractions;

#[cfg(feature = "serve")]
pub use authenticated::{AuthenticatedRoute, Authorizer, BearerToken, Verdict, Wanted, authenticated};
#[cfg(feature = "serve")]
pub use cors::Cors;
#[cfg(feature = "serve")]
pub use download::{DownloadRoute, router};
#[cfg(all(feature = "serve", feature = "config"))]
pub(crate) use nested::nested;
