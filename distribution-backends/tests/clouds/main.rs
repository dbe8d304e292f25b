//! Storage in the services that opendal knows.

#![cfg(feature = "opendal")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests, whose helpers are tests too"
)]

#[path = "../support/heard.rs"]
mod a_heard;
#[cfg(feature = "azblob")]
mod azure_links;
#[cfg(feature = "azblob")]
mod azurite;
#[cfg(all(feature = "azblob", feature = "config", feature = "sqlite"))]
mod configured;
#[cfg(any(feature = "gcs", feature = "azblob"))]
mod corruption;
#[cfg(feature = "azblob")]
#[path = "../support/curl.rs"]
mod curl;
#[cfg(feature = "gcs")]
mod emulator;
#[cfg(any(feature = "gcs", feature = "azblob"))]
mod faulty;
#[cfg(any(feature = "azblob", feature = "gcs"))]
mod fetch;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(feature = "gcs")]
mod gcs_links;
#[cfg(feature = "gcs")]
mod google;
mod memory;
#[cfg(feature = "azblob")]
mod proxy;
#[cfg(any(feature = "gcs", feature = "azblob"))]
mod records;
#[cfg(any(feature = "gcs", feature = "azblob"))]
mod support;

use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}
