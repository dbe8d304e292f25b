//! The download route: what it answers, and what that looks like on the wire.
#![cfg(feature = "serve")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may panic")]

#[path = "../support/heard.rs"]
mod a_heard;
mod answers;
mod authenticated;
mod conditions;
mod curl;
mod failures;
mod forgeries;
mod load;
mod options;
mod pace;
mod parts;
mod refusals;
mod retracted;
mod shelf;
mod wire;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use distribution_backends::{HmacKey, HmacSigner, serve};
use distribution_core::{Clock, LinkRequest, ObjectKey, Timestamp, UrlSigner};
use futures::executor::block_on;
use tower::ServiceExt as _;

use crate::shelf::Shelf;

pub(crate) const BASE: &str = "http://media.example/files";
pub(crate) const KEY: &str = "mvp/clip-0123456789ab.mp4";
pub(crate) const NOW: &str = "2026-01-02T00:00:00Z";

pub(crate) fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

pub(crate) struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> Timestamp {
        at(NOW)
    }
}

pub(crate) fn signer(base: &str) -> HmacSigner {
    HmacSigner::new(base, HmacKey::new("k1", [7; 32]).unwrap()).unwrap()
}

/// Path and query of a link that works for 72 hours from [`NOW`].
pub(crate) fn link(key: &str) -> String {
    link_until(key, "2026-01-05T00:00:00Z", NOW)
}

pub(crate) fn link_until(key: &str, expires_at: &str, now: &str) -> String {
    signed(&signer(BASE), key, expires_at, now)
}

/// The link of this signer to [`KEY`].
pub(crate) fn link_of(signer: &HmacSigner) -> String {
    signed(signer, KEY, "2026-01-05T00:00:00Z", NOW)
}

fn signed(signer: &HmacSigner, key: &str, expires_at: &str, now: &str) -> String {
    let wanted = LinkRequest { key: ObjectKey::parse(key).unwrap(), expires_at: at(expires_at) };
    let signed = block_on(signer.sign(&wanted, at(now))).unwrap();
    signed.link.expose().strip_prefix("http://media.example").unwrap().to_owned()
}

/// The route below `/files`, as a host would mount it.
pub(crate) fn mounted(shelf: &Arc<Shelf>) -> Router {
    Router::new().nest_service("/files", route(shelf, BASE))
}

pub(crate) fn route(shelf: &Arc<Shelf>, base: &str) -> Router {
    serve::router(shelf.clone(), Arc::new(signer(base)), Arc::new(Stopped))
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `None` if the body broke off.
    pub(crate) body: Option<Bytes>,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) async fn ask(router: &Router, method: Method, link: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::builder().method(method).uri(link);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (parts, body) = response.into_parts();
    Answer { status: parts.status, headers: parts.headers, body: to_bytes(body, usize::MAX).await.ok() }
}

pub(crate) async fn get(router: &Router, link: &str, headers: &[(&str, &str)]) -> Answer {
    ask(router, Method::GET, link, headers).await
}
