//! Driving adapters, HTTP and MCP: they translate, and decide nothing.

#[cfg(feature = "serve")]
mod download;
#[cfg(feature = "mcp")]
pub mod mcp;
#[cfg(all(feature = "serve", feature = "config"))]
mod nested;
#[cfg(feature = "serve")]
mod range;

#[cfg(feature = "serve")]
pub use download::router;
#[cfg(all(feature = "serve", feature = "config"))]
pub(crate) use nested::nested;
