//! Signed URLs of Google ("V4 signing process", Google Cloud Storage). Signed here and not by reqsign, which
//! signs at no other time than its own; with rustls's RSA, which is ring's.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use distribution_core::{Checksum, Error, ErrorKind, Timestamp};
use reqwest::Url;
use rustls::SignatureScheme;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Credentials, Order, Service};
use crate::blocking::blocking;
use crate::storage::GcsConfig;
use crate::storage::gcs::KEY_FILE;
use crate::uri::query;

const ENDPOINT: &str = "https://storage.googleapis.com";

/// The links of one bucket.
#[derive(Debug)]
pub(super) struct GcsLinks {
    config: GcsConfig,
    endpoint: Url,
    key_file: PathBuf,
}

/// A service account that can sign.
struct ServiceAccount<'a> {
    links: &'a GcsLinks,
    email: String,
    key: Arc<dyn SigningKey>,
}

/// A key file, as far as it is of use here.
#[derive(Deserialize)]
struct KeyFile {
    r#type: String,
    client_email: Option<String>,
    private_key: Option<String>,
}

impl GcsLinks {
    pub(super) fn new(config: &GcsConfig) -> Result<Self, Error> {
        if config.is_anonymous {
            let message = "gs: without credentials there are no links: leave `anonymous` out";
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let key_file = config.key_file().ok_or_else(no_key)?;
        let endpoint = Url::parse(config.endpoint.as_deref().unwrap_or(ENDPOINT)).ok().filter(Url::has_host);
        let endpoint = endpoint.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "gs: the endpoint is not like https://host:port: look at the target's URI")
        })?;
        Ok(Self { config: config.clone(), endpoint, key_file })
    }
}

#[async_trait]
impl Service for GcsLinks {
    /// The file is read again each time: a key that was replaced there is soon deleted, and its links with it.
    async fn credentials(&self, _now: Timestamp, _until: Timestamp) -> Result<Box<dyn Credentials + '_>, Error> {
        let path = self.key_file.clone();
        let (email, key) = blocking(move |_| load(&path)).await?;
        Ok(Box::new(ServiceAccount { links: self, email, key }))
    }
}

impl Credentials for ServiceAccount<'_> {
    fn sign(&self, order: &Order<'_>) -> Result<String, Error> {
        let GcsLinks { config: GcsConfig { bucket, prefix, .. }, endpoint, .. } = self.links;
        // Names are of characters that need no escape.
        let path = format!("{}/{bucket}/{prefix}{}", endpoint.path().trim_end_matches('/'), order.key);
        let host = endpoint.host_str().unwrap_or_default();
        let host = endpoint.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let date = order.now.format("%Y%m%dT%H%M%SZ").to_string();
        let scope = format!("{}/auto/storage/goog4_request", order.now.format("%Y%m%d"));
        let id = format!("{}/{scope}", self.email);
        let valid_secs = (order.expires_at - order.now).num_seconds().to_string();
        // In order, as they are signed.
        let fields = [
            ("X-Goog-Algorithm", Some("GOOG4-RSA-SHA256")),
            ("X-Goog-Credential", Some(&id)),
            ("X-Goog-Date", Some(&date)),
            ("X-Goog-Expires", Some(&valid_secs)),
            ("X-Goog-SignedHeaders", Some("host")),
            ("response-content-disposition", order.content_disposition),
            ("response-content-type", order.content_type),
        ];
        let query = query(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let request = format!("GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD");
        let text = format!("GOOG4-RSA-SHA256\n{date}\n{scope}\n{}", Checksum::of(request.as_bytes()).hex());
        let signature = HEXLOWER.encode(&self.signature(&text)?);
        Ok(format!("{}://{host}{path}?{query}&X-Goog-Signature={signature}", endpoint.scheme()))
    }
}

impl ServiceAccount<'_> {
    fn signature(&self, text: &str) -> Result<Vec<u8>, Error> {
        let signer = self.key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]);
        let signer = signer.ok_or_else(|| wrong_key(&self.links.key_file))?;
        signer.sign(text.as_bytes()).map_err(|error| {
            Error::new(ErrorKind::Unsupported, "gs: the service account's key does not sign").because(error)
        })
    }
}

/// No error of this may show what is in the file.
fn load(path: &Path) -> Result<(String, Arc<dyn SigningKey>), Error> {
    let text = fs::read(path).map(Zeroizing::new).map_err(|error| {
        Error::unavailable(format!("gs: the key file {path:?} cannot be read, look at the cause")).because(error)
    })?;
    let file: KeyFile = serde_json::from_slice(&text).map_err(|_| wrong_key(path))?;
    let pem = file.private_key.map(Zeroizing::new);
    if file.r#type != "service_account" {
        let message = format!(
            "gs: {path:?} has no service account's key, and links without one (signBlob) are not built: name a key \
             file in {KEY_FILE}"
        );
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let (Some(email), Some(pem)) = (file.client_email.filter(|email| !email.is_empty()), pem) else {
        return Err(wrong_key(path));
    };
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong_key(path))?;
    let key = ring::sign::any_supported_type(&key).map_err(|_| wrong_key(path))?;
    Ok((email, key))
}

fn no_key() -> Error {
    let message = format!(
        "gs: links are signed with a service account's key, and none is named (signBlob, which would do without, is \
         not built): name its JSON file in {KEY_FILE}"
    );
    Error::new(ErrorKind::Unsupported, message)
}

fn wrong_key(path: &Path) -> Error {
    let message = format!("gs: {path:?} is not the JSON key file of a service account: create another key");
    Error::new(ErrorKind::Invalid, message)
}
