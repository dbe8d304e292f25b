//! The download route: serves the objects of a store to whoever has a link.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::any;
use distribution_core::{Clock, Publisher, Storage, TargetName, Timestamp};

use super::cors::Cors;
use super::file::{Files, Refusal, Wanted, raw_key};
use super::retractions::Retractions;
use crate::signing::{Grant, HmacSigner, Refused};

/// The route that `signer`'s links lead to: GET and HEAD, whole or in ranges (RFC 9110 §14),
/// with the preconditions of RFC 9110 §13.
///
/// Mount it where the signer's base says: nested below the base's path, or as it is where the base
/// has none. It looks at the raw path that is left below the mount and at the raw query, which it
/// neither logs nor repeats.
///
/// * What is no living link gets 403, always the same, whatever is wrong with it or its method.
/// * A link whose object is not there gets 404; a store or revocations out of reach, 503 with `Retry-After`.
/// * A link to what was taken back gets 410, where the route [can tell](DownloadRoute::retractions); one to what its
///   store keeps in an archive class, 409.
/// * A link that is revoked gets the same 403 from then on; a download that is under way goes on.
/// * The body is read from the store as fast as the client takes it. If the store fails on the way,
///   the connection breaks: what is cut off never looks complete.
///
/// How long a slow client may take is for the host to limit.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::Router;
/// use distribution_backends::{HmacSigner, serve};
/// use distribution_core::{Clock, Error, Storage};
///
/// fn host(storage: Arc<dyn Storage>, signer: HmacSigner, clock: Arc<dyn Clock>) -> Router {
///     // The signer's base is https://media.example/files.
///     Router::new().nest_service("/files", serve::router(storage, Arc::new(signer), clock))
/// }
/// ```
pub fn router(storage: Arc<dyn Storage>, signer: Arc<HmacSigner>, clock: Arc<dyn Clock>) -> Router {
    DownloadRoute::new(storage, signer, clock).into_router()
}

/// [`router`] with what a host may choose.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::Router;
/// use distribution_backends::{HmacSigner, serve};
/// use distribution_core::{Clock, Error, Storage};
///
/// # fn host(storage: Arc<dyn Storage>, signer: HmacSigner, clock: Arc<dyn Clock>) -> Result<Router, Error> {
/// let route = serve::DownloadRoute::new(storage, Arc::new(signer), clock)
///     .cors(serve::Cors::origins(["https://studio.example"])?)
///     .into_router();
/// # Ok(route)
/// # }
/// ```
pub struct DownloadRoute {
    files: Files,
    signer: Arc<HmacSigner>,
    clock: Arc<dyn Clock>,
    cors: Option<Cors>,
}

impl DownloadRoute {
    /// As [`router`] has it: to no other origin's scripts.
    pub fn new(storage: Arc<dyn Storage>, signer: Arc<HmacSigner>, clock: Arc<dyn Clock>) -> Self {
        Self { files: Files { storage, retractions: None }, signer, clock, cors: None }
    }

    /// Lets scripts of other origins read the files. Without, there is no answer of CORS at all.
    pub fn cors(mut self, cors: Cors) -> Self {
        self.cors = Some(cors);
        self
    }

    /// Answers for what was [taken back](Publisher::retract) that it was, with 410, whether or not its links still
    /// work. It costs a look at the records for each request. While they are out of reach nothing is served from here.
    pub fn retractions(mut self, publisher: Publisher, target: TargetName) -> Self {
        self.files.retractions = Some(Retractions { publisher, target, of_dead_links: false });
        self
    }

    /// The same, asked of links only that do not work any more, so that those that do are served while the records are
    /// out of reach: for a signer with revocations, since taking back revokes them.
    #[cfg(feature = "config")]
    pub(crate) fn retractions_of_dead_links(mut self, publisher: Publisher, target: TargetName) -> Self {
        self.files.retractions = Some(Retractions { publisher, target, of_dead_links: true });
        self
    }

    /// The route.
    pub fn into_router(self) -> Router {
        let download = Arc::new(self);
        // Every path and method, so that no answer of axum's own tells them apart.
        let route = any(move |request: Request| {
            let (download, (request, _)) = (Arc::clone(&download), request.into_parts());
            async move { download.answer(&request).await }
        });
        Router::new().route("/", route.clone()).route("/{*key}", route)
    }

    async fn answer(&self, request: &Parts) -> Response {
        let file = async { self.file(request).await.unwrap_or_else(Refusal::into_response) };
        Cors::around(self.cors.as_ref(), request, file).await
    }

    async fn file(&self, request: &Parts) -> Result<Response, Refusal> {
        let now = self.clock.now();
        let Grant { key, disposition, expires_at, .. } = self.verify(request, now).await?;
        // A browser's copy lives no longer than the link, and nobody on the way recodes it.
        let left_secs = (expires_at - now).num_seconds();
        let cache_control = format!("private, no-transform, max-age={left_secs}");
        self.files.answer(request, Wanted { key, disposition, cache_control }, now).await
    }

    async fn verify(&self, request: &Parts, now: Timestamp) -> Result<Grant, Refusal> {
        let query = request.uri.query().unwrap_or_default();
        let path_key = raw_key(request).ok_or(Refusal::Denied)?;
        match self.signer.verify(request.method.as_str(), path_key, query, now).await {
            Ok(grant) => Ok(grant),
            Err(Refused::Denied) => Err(Refusal::Denied),
            // Taking a publication back revokes its links: who has one is told why it does not work.
            Err(Refused::Revoked(key)) => match &self.files.retractions {
                Some(retractions) => retractions.check(&key).await.and(Err(Refusal::Denied)),
                None => Err(Refusal::Denied),
            },
            Err(Refused::Unknown(error)) => {
                tracing::warn!(%path_key, %error, "whether a link was revoked is not known");
                Err(Refusal::Failed(error))
            }
        }
    }
}
