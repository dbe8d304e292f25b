//! The HTTP client of one part: its own connections, time limits everywhere, and nothing that the
//! process's environment or another library can change.

use std::sync::Arc;
use std::time::Duration;

use distribution_core::{Error, ErrorKind};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};
use rustls::ClientConfig;
use rustls::crypto::ring;
use rustls_platform_verifier::BuilderVerifierExt as _;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that follows no redirect, asks no proxy, changes no body, and trusts the system's
/// certificates. Whoever sends with it sets the time that the request may take: the one setting for all of
/// them, `read_timeout`, would count the time that a body takes to be sent.
pub(crate) fn client_builder() -> Result<ClientBuilder, Error> {
    let tls = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(|error| {
            let message = "the system's certificates cannot be loaded: install its package of CA certificates";
            Error::new(ErrorKind::Unsupported, message).because(error)
        })?;
    Ok(Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .redirect(Policy::none())
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .connect_timeout(CONNECT_TIMEOUT))
}

/// The client that the builder makes.
pub(crate) fn build(builder: ClientBuilder) -> Result<Client, Error> {
    builder.build().map_err(|error| {
        Error::new(ErrorKind::Unsupported, "no HTTP client can be made here: look at the cause").because(error)
    })
}
