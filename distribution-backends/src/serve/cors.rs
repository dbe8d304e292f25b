//! Which origins' scripts may read the files (the Fetch standard's CORS protocol).

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use distribution_core::Error;

use super::range::only;

/// Origins whose scripts may read the files. Cookies are never asked for.
///
/// What an origin is answered does not depend on the link: a refusal looks the same for every one.
#[derive(Clone, Debug)]
pub struct Cors {
    /// None stands for any.
    origins: Option<Vec<HeaderValue>>,
}

impl Cors {
    /// Any origin: who has the link, or what an [`Authorizer`](super::Authorizer) asks for, can read the file.
    pub fn any() -> Self {
        Self { origins: None }
    }

    /// Exactly these origins, such as `https://studio.example`, in the form that browsers send:
    /// lower case, without a default port and without a slash at the end.
    ///
    /// # Errors
    /// [`Invalid`](distribution_core::ErrorKind::Invalid) for what is no such origin.
    pub fn origins<S: AsRef<str>>(origins: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let origins: Result<Vec<_>, Error> = origins.into_iter().map(|origin| parse(origin.as_ref())).collect();
        Ok(Self { origins: Some(origins?) })
    }

    /// What a route with this option answers; without it, there is nothing of CORS.
    pub(super) async fn around(
        cors: Option<&Self>,
        request: &Parts,
        answer: impl Future<Output = Response>,
    ) -> Response {
        let Some(cors) = cors else { return answer.await };
        if let Some(preflight) = cors.preflight(request) {
            return preflight;
        }
        let mut response = answer.await;
        cors.apply(&request.headers, response.headers_mut());
        response
    }

    /// The answer to a preflight of an origin that may read; it says nothing about the link.
    fn preflight(&self, request: &Parts) -> Option<Response> {
        let asks = request.method == Method::OPTIONS && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks {
            return None;
        }
        self.allowed(&request.headers)?;
        let mut headers = HeaderMap::new();
        self.apply(&request.headers, &mut headers);
        headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
        let allowed = "Authorization, If-Match, If-Modified-Since, If-None-Match, If-Range, If-Unmodified-Since, Range";
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, HEAD"));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(allowed));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        Some((StatusCode::NO_CONTENT, headers, Body::empty()).into_response())
    }

    /// Adds to an answer what lets the origin's script read it.
    fn apply(&self, request: &HeaderMap, answer: &mut HeaderMap) {
        if self.origins.is_some() {
            answer.append(VARY, HeaderValue::from_static("Origin"));
        }
        let Some(origin) = self.allowed(request) else { return };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag, Retry-After";
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
    }

    fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = only(request, &ORIGIN)?;
        match &self.origins {
            None => Some(HeaderValue::from_static("*")),
            Some(origins) => origins.iter().find(|allowed| *allowed == origin).cloned(),
        }
    }
}

fn parse(origin: &str) -> Result<HeaderValue, Error> {
    let sound = distribution_core::BaseUrl::parse(origin).is_ok_and(|base| base.as_str() == origin)
        && origin.split_once("://").is_some_and(|(_, host)| !host.contains('/'))
        && !(origin.starts_with("https://") && origin.ends_with(":443"))
        && !(origin.starts_with("http://") && origin.ends_with(":80"));
    HeaderValue::from_str(origin)
        .ok()
        .filter(|_| sound)
        .ok_or_else(|| Error::invalid("cors", "must be origins such as https://studio.example, in lower case"))
}
