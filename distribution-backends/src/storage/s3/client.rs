//! Requests to a service that speaks S3, signed by the signer that opendal uses (SigV4).

use std::fmt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use bytes::{Bytes, BytesMut};
use distribution_core::{Error, ErrorKind};
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use reqsign_aws_v4::{Credential, RequestSigner};
use reqsign_core::Signer;
use reqwest::Client as Http;

use super::address::{Address, escaped};
use super::config::S3Config;
use super::credentials::{context, missing, provider};
use super::failure::Failure;
use super::xml;
use crate::http::{build, client_builder};
use crate::uri::query;

/// The longest answer to anything that is no object: 1,000 listed uploads are not half of it.
const ANSWER_BYTES_MAX: usize = 4 << 20;
/// How long a request may take: this, and the time that its body takes on a slow line. An answer may be as
/// slow: a service copies a part before it answers.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(180);
const BODY_BYTES_PER_SEC_MIN: u64 = 32 << 10;
/// How often a request that can be repeated is repeated, with 0.1 to 3 seconds in between.
const REPEATS_MAX: usize = 4;

/// One service, with one set of credentials.
pub(crate) struct Client {
    http: Http,
    signer: RwLock<Signer<Credential>>,
    config: S3Config,
}

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) bucket: &'a str,
    /// The object; empty for the bucket itself.
    pub(crate) name: &'a str,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What the service said to a request that it did.
pub(crate) struct Answer {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    pub(crate) fn new(config: &S3Config) -> Result<Self, Error> {
        let http = build(client_builder()?)?;
        let signer = Signer::new(context(http.clone()), provider(config), RequestSigner::new("s3", &config.region));
        Ok(Self { http, signer: RwLock::new(signer), config: config.clone() })
    }

    pub(crate) fn config(&self) -> &S3Config {
        &self.config
    }

    /// What the service is known by: it can copy between any two buckets of its own.
    pub(crate) fn service(&self) -> &str {
        self.config.endpoint.as_str()
    }

    /// Sends a request that may be sent again without harm.
    pub(crate) async fn repeat(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let delays = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(100))
            .with_max_delay(Duration::from_secs(3))
            .with_max_times(REPEATS_MAX)
            .with_jitter();
        (|| self.once(call)).retry(delays).when(Failure::is_passing).await
    }

    /// Sends a request once: an answer that is lost must not come back as somebody else's deed. Only where the
    /// service says that the credentials are no longer good is it sent again, with those there are now.
    pub(crate) async fn once(&self, call: &Call<'_>) -> Result<Answer, Failure> {
        let signer = self.signer();
        let answer = self.send(call, &signer).await;
        if answer.as_ref().is_err_and(Failure::has_stale_credentials) {
            let signer = self.renewed(signer);
            return self.send(call, &signer).await;
        }
        answer
    }

    async fn send(&self, call: &Call<'_>, signer: &Signer<Credential>) -> Result<Answer, Failure> {
        let mut request =
            http::Request::builder().method(call.method.clone()).uri(self.url(call)).body(()).map_err(|error| {
                Failure::Unsent(Error::new(ErrorKind::Invalid, "the request has no valid form").because(error))
            })?;
        *request.headers_mut() = call.headers.clone();
        let (mut parts, ()) = request.into_parts();
        signer.sign(&mut parts, None).await.map_err(unsigned)?;
        if call.body.is_empty() && matches!(call.method, Method::PUT | Method::POST) {
            // Otherwise it is left out, and services insist on it.
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let time = REQUEST_TIMEOUT + Duration::from_secs(call.body.len() as u64 / BODY_BYTES_PER_SEC_MIN);
        let request = self.http.request(parts.method, parts.uri.to_string()).headers(parts.headers).timeout(time);
        let mut response = request.body(call.body.clone()).send().await.map_err(Failure::unanswered)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(Failure::unanswered)? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(Failure::lost("the answer is longer than any that was expected"));
            }
            body.extend_from_slice(&piece);
        }
        answer(status, headers, body.freeze())
    }

    fn signer(&self) -> Signer<Credential> {
        self.signer.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A signer that has forgotten the credentials: files and environments do not tell when theirs end.
    fn renewed(&self, stale: Signer<Credential>) -> Signer<Credential> {
        let fresh = stale.with_credential_provider(provider(&self.config));
        *self.signer.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        fresh
    }

    fn url(&self, call: &Call<'_>) -> String {
        let query = query(call.query.iter().map(|(name, value)| (*name, value.as_str())));
        Address::of(&self.config.endpoint, self.config.addressing, call.bucket, call.name).url(&query)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Client").field(&self.config.endpoint.as_str()).finish()
    }
}

/// An object as a header names it (`x-amz-copy-source`).
pub(crate) fn copy_source(bucket: &str, name: &str) -> String {
    format!("{bucket}/{}", escaped(name))
}

/// A refusal may come with 200: the service answers before it is done ("CompleteMultipartUpload",
/// Amazon S3 API Reference).
fn answer(status: StatusCode, headers: HeaderMap, body: Bytes) -> Result<Answer, Failure> {
    let refusal = xml::refusal(&body);
    match (status.is_success(), refusal) {
        (true, None) => Ok(Answer { headers, body }),
        (true, Some(code)) => Err(Failure::Refused { status: StatusCode::INTERNAL_SERVER_ERROR, code }),
        (false, code) => Err(Failure::Refused { status, code: code.unwrap_or_default() }),
    }
}

fn unsigned(error: reqsign_core::Error) -> Failure {
    Failure::Unsent(missing().because(error))
}
