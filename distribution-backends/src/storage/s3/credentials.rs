//! Where credentials come from: the given keys, or the usual places of AWS.

use std::time::Duration;

use bytes::Bytes;
use distribution_core::Error;
use reqsign_aws_v4::{Credential, DefaultCredentialProvider};
use reqsign_core::{Context, HttpSend, OsEnv, ProvideCredential, ProvideCredentialChain};
use reqsign_file_read_tokio::TokioFileRead;
use reqwest::Client;

use super::config::S3Config;

/// How long whoever has credentials may take to give them.
const TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn provider(config: &S3Config) -> ProvideCredentialChain<Credential> {
    let chain = ProvideCredentialChain::new();
    match &config.keys {
        Some(keys) => chain.push(Given(keys.clone())),
        None => chain.push(DefaultCredentialProvider::new()),
    }
}

/// The given keys. In place of reqsign's own, whose `Debug` shows the secret, and reqsign logs that.
struct Given(super::config::Keys);

impl ProvideCredential for Given {
    type Credential = Credential;

    async fn provide_credential(&self, _context: &Context) -> reqsign_core::Result<Option<Credential>> {
        Ok(Some(Credential {
            access_key_id: self.0.id.clone(),
            secret_access_key: self.0.secret.as_str().to_owned(),
            ..Credential::default()
        }))
    }
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Given(redacted)")
    }
}

/// What a provider may use: the environment, files, and this client.
pub(crate) fn context(http: Client) -> Context {
    Context::new().with_file_read(TokioFileRead).with_env(OsEnv).with_http_send(Requests(http))
}

/// What is to be said where there are none.
pub(crate) fn missing() -> Error {
    let message = "there are no credentials that work: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile";
    Error::unavailable(message)
}

/// Asks for credentials where they are to be had over HTTP.
#[derive(Debug)]
struct Requests(Client);

impl HttpSend for Requests {
    async fn http_send(&self, request: http::Request<Bytes>) -> reqsign_core::Result<http::Response<Bytes>> {
        let failed = |error: reqwest::Error| {
            reqsign_core::Error::unexpected("no answer to the request for credentials").with_source(error.without_url())
        };
        let mut request = reqwest::Request::try_from(request).map_err(failed)?;
        *request.timeout_mut() = Some(TIMEOUT);
        let mut response = self.0.execute(request).await.map_err(failed)?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut answer = http::Response::new(response.bytes().await.map_err(failed)?);
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        Ok(answer)
    }
}
