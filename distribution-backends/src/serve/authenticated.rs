//! The route for those who say who they are: no signature in the URL, the host decides.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::Request;
use axum::http::header::{ALLOW, AUTHORIZATION, CACHE_CONTROL, VARY, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use distribution_core::{Clock, Error, ObjectKey, Publisher, Storage, TargetName};
use hmac::Mac as _;

use super::cors::Cors;
use super::file::{self, Files, Refusal, harden, raw_key};
use super::range::only;
use super::retractions::Retractions;
use crate::{ContentDisposition, HmacKey};

/// Says who may read which object: the host's own sessions, tokens or roles.
///
/// [`BearerToken`] is the smallest one.
#[async_trait]
pub trait Authorizer: Send + Sync {
    /// Whether the reader may have the object. Asked for every request, before the store is.
    ///
    /// # Errors
    /// Whatever keeps it from deciding: the reader gets 503 if it is worth another try and 500
    /// otherwise, and no file.
    async fn authorize(&self, wanted: &Wanted<'_>) -> Result<Verdict, Error>;
}

/// What a reader wants.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Wanted<'a> {
    /// GET or HEAD.
    pub method: &'a Method,
    /// All headers of the request. They hold credentials: don't log them.
    pub headers: &'a HeaderMap,
    /// The object.
    pub key: &'a ObjectKey,
}

/// What an [`Authorizer`] decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The reader may have the object.
    Allow,
    /// Nobody knows who the reader is: 401 with this `WWW-Authenticate` (RFC 9110 §11.6.1).
    Challenge(HeaderValue),
    /// This reader may not have it: 403.
    Deny,
}

/// The route to objects that `authorizer` lets its readers have: GET and HEAD as
/// [`router`](super::router) has them, at the path of the object's key and without a signature.
///
/// * 401 and 403 are the authorizer's, and are the same whether or not the object is there.
/// * Answers are private, are kept by a browser only to be asked about again, and vary by
///   `Authorization`.
/// * A query is ignored; a path that is no key gets 404; another method gets 405.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::Router;
/// use distribution_backends::serve::{self, BearerToken};
/// use distribution_core::{Clock, Error, Storage};
///
/// fn host(storage: Arc<dyn Storage>, token: &str, clock: Arc<dyn Clock>) -> Result<Router, Error> {
///     let authorizer = Arc::new(BearerToken::new(token)?);
///     Ok(Router::new().nest_service("/members", serve::authenticated(storage, authorizer, clock)))
/// }
/// ```
pub fn authenticated(storage: Arc<dyn Storage>, authorizer: Arc<dyn Authorizer>, clock: Arc<dyn Clock>) -> Router {
    AuthenticatedRoute::new(storage, authorizer, clock).into_router()
}

/// [`authenticated`] with what a host may choose.
///
/// ```
/// use std::sync::Arc;
///
/// use axum::Router;
/// use distribution_backends::serve::{AuthenticatedRoute, BearerToken, Cors};
/// use distribution_core::{Clock, Error, Storage};
///
/// # fn host(storage: Arc<dyn Storage>, authorizer: BearerToken, clock: Arc<dyn Clock>) -> Result<Router, Error> {
/// let route = AuthenticatedRoute::new(storage, Arc::new(authorizer), clock)
///     .cors(Cors::origins(["https://studio.example"])?)
///     .into_router();
/// # Ok(route)
/// # }
/// ```
pub struct AuthenticatedRoute {
    files: Files,
    authorizer: Arc<dyn Authorizer>,
    clock: Arc<dyn Clock>,
    cors: Option<Cors>,
}

impl AuthenticatedRoute {
    /// As [`authenticated`] has it: to no other origin's scripts.
    pub fn new(storage: Arc<dyn Storage>, authorizer: Arc<dyn Authorizer>, clock: Arc<dyn Clock>) -> Self {
        Self { files: Files { storage, retractions: None }, authorizer, clock, cors: None }
    }

    /// Lets scripts of other origins read the files, if they bring what the authorizer asks for in a header:
    /// cookies are not sent from elsewhere. A preflight is answered without asking the authorizer.
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

    /// The route.
    pub fn into_router(self) -> Router {
        let guarded = Arc::new(self);
        let route = any(move |request: Request| {
            let (guarded, (request, _)) = (Arc::clone(&guarded), request.into_parts());
            async move { guarded.answer(&request).await }
        });
        Router::new().route("/", route.clone()).route("/{*key}", route)
    }

    async fn answer(&self, request: &Parts) -> Response {
        let file = async {
            let mut response = self.file(request).await.unwrap_or_else(Refusal::into_response);
            response.headers_mut().append(VARY, HeaderValue::from_name(AUTHORIZATION));
            response
        };
        Cors::around(self.cors.as_ref(), request, file).await
    }

    async fn file(&self, request: &Parts) -> Result<Response, Refusal> {
        if !matches!(request.method, Method::GET | Method::HEAD) {
            let allow = (ALLOW, HeaderValue::from_static("GET, HEAD"));
            return Ok(refuse(StatusCode::METHOD_NOT_ALLOWED, Some(allow), "files are only read here\n"));
        }
        let key = raw_key(request).and_then(|key| ObjectKey::parse(key).ok()).ok_or(Refusal::Missing)?;
        let wanted = Wanted { method: &request.method, headers: &request.headers, key: &key };
        let verdict = self.authorizer.authorize(&wanted).await.map_err(|error| {
            tracing::warn!(%key, %error, "the authorizer could not decide");
            Refusal::Failed(error)
        })?;
        match verdict {
            Verdict::Allow => {
                let disposition = ContentDisposition::inline(key.file_name());
                let cache_control = "private, no-cache, no-transform".into();
                let wanted = file::Wanted { key, disposition, cache_control };
                self.files.answer(request, wanted, self.clock.now()).await
            }
            Verdict::Challenge(challenge) => {
                let challenge = (WWW_AUTHENTICATE, challenge);
                Ok(refuse(StatusCode::UNAUTHORIZED, Some(challenge), "say who you are\n"))
            }
            Verdict::Deny => Ok(refuse(StatusCode::FORBIDDEN, None, "this file is not for you\n")),
        }
    }
}

fn refuse(status: StatusCode, header: Option<(axum::http::HeaderName, HeaderValue)>, text: &'static str) -> Response {
    let mut headers = HeaderMap::from_iter(header);
    harden(&mut headers);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    (status, headers, text).into_response()
}

/// Lets in who has one token (RFC 6750 §2.1), to every object.
///
/// The token itself is not kept, and a guess takes as long however much of it is right.
///
/// ```
/// use distribution_backends::serve::BearerToken;
///
/// assert!(BearerToken::new("0123456789abcdef0123456789abcdef").is_ok());
/// assert!(BearerToken::new("guess me").is_err());
/// ```
pub struct BearerToken {
    key: HmacKey,
    /// The token's MAC under a key that nobody else has.
    mac: [u8; 32],
}

impl BearerToken {
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for a token of under 32 characters or with
    /// others than visible ASCII.
    pub fn new(token: &str) -> Result<Self, Error> {
        if token.len() < 32 || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Error::invalid("token", "must be at least 32 characters of visible ASCII"));
        }
        let key = HmacKey::random("bearer")?;
        let mac = key.mac().chain_update(token).finalize().into_bytes().into();
        Ok(Self { key, mac })
    }
}

#[async_trait]
impl Authorizer for BearerToken {
    async fn authorize(&self, wanted: &Wanted<'_>) -> Result<Verdict, Error> {
        let sent = only(wanted.headers, &AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
        let Some((_, token)) = sent.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
            return Ok(Verdict::Challenge(HeaderValue::from_static("Bearer")));
        };
        let known = self.key.mac().chain_update(token).verify_slice(&self.mac).is_ok();
        let unknown = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        Ok(if known { Verdict::Allow } else { Verdict::Challenge(unknown) })
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken")
    }
}
