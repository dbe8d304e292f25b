//! The download routes of several targets as one.

use std::sync::Arc;

use axum::Router;
use distribution_core::{Error, ErrorKind, Publisher};

use super::DownloadRoute;
use crate::{Download, SystemClock};

/// One router for all of them, each below the path of its base; `None` for none. They tell what was taken back.
///
/// # Errors
/// `Unsupported` if the path of one is the beginning of another's.
pub(crate) fn nested(downloads: &[Download], publisher: &Publisher) -> Result<Option<Router>, Error> {
    let mut routes: Vec<(String, &Download)> = Vec::new();
    for download in downloads {
        let path = path_of(download.signer.base());
        let is_within =
            |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if let Some((_, other)) = routes.iter().find(|(other, _)| is_within(&path, other) || is_within(other, &path)) {
            let message = format!(
                "the download routes of the targets `{}` and `{}` differ in their host only: serve each by itself",
                other.target, download.target
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        routes.push((path, download));
    }
    let nested = routes.into_iter().map(|(path, download)| {
        let route = DownloadRoute::new(download.storage.clone(), download.signer.clone(), Arc::new(SystemClock));
        let (publisher, target) = (publisher.clone(), download.target.clone());
        let route = match download.signer.can_revoke() {
            true => route.retractions_of_dead_links(publisher, target),
            false => route.retractions(publisher, target),
        };
        let route = route.into_router();
        if path.is_empty() { route } else { Router::new().nest(&path, route) }
    });
    Ok(nested.reduce(Router::merge))
}

/// The path of a base, which has neither query nor fragment: empty, or begins with `/`.
fn path_of(base: &str) -> String {
    let rest = base.split_once("://").map_or(base, |(_, rest)| rest);
    rest.split_once('/').map_or_else(String::new, |(_, path)| format!("/{path}"))
}
