//! Google Cloud Storage.

use std::env;
use std::path::PathBuf;

use distribution_core::{Error, ErrorKind};
use opendal::Operator;
use opendal::services::Gcs;
use reqsign_core::{Context, ProvideCredential, ProvideCredentialChain};
use reqsign_google::{Credential, FileCredentialProvider};

use super::opendal::{OpendalStorage, checked_endpoint, with_own_client};
use crate::uri::StoreUri;

/// Names a key file, as Google's own tools have it.
pub(crate) const KEY_FILE: &str = "GOOGLE_APPLICATION_CREDENTIALS";
/// What the credentials are to be good for.
const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_write";

/// A target in Google Cloud Storage.
///
/// Credentials are never part of it. They are the application default credentials of Google's own
/// tools: the file that `GOOGLE_APPLICATION_CREDENTIALS` names, those of `gcloud auth
/// application-default login`, or those of the machine from its metadata service.
///
/// An object goes through a resumable upload that begins with `ifGenerationMatch=0`, one piece after
/// the other, and appears when the last one has been taken; S3-like parts are never used, since their
/// completion takes no condition. What an abandoned upload has sent is never shown, and Google removes it
/// after a week. Google keeps the type, cache control and user metadata; opendal sends no disposition,
/// so links have to ask for one.
///
/// ```
/// use distribution_backends::GcsConfig;
/// use distribution_core::{ObjectKey, Storage};
///
/// let storage = GcsConfig::from_uri("gs://media/mvp")?.open()?;
/// assert_eq!(storage.location(&ObjectKey::parse("clip.mp4")?).as_str(), "gs://media/mvp/clip.mp4");
/// assert!(GcsConfig::from_uri("gs://media?bukket=typo").is_err());
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcsConfig {
    /// The bucket.
    pub bucket: String,
    /// What every key is below: empty, or ends with `/`.
    pub prefix: String,
    /// Where the service is reached, if it is not Google's own place.
    pub endpoint: Option<String>,
    /// Whether requests go without credentials, as to an emulator.
    pub is_anonymous: bool,
    /// The JSON key file of a service account, instead of what the environment has.
    pub key_file: Option<PathBuf>,
}

impl GcsConfig {
    /// The target that `uri` names, `gs://bucket/prefix`, with the settings `endpoint` (a URL,
    /// percent-encoded) and `anonymous` (`true` or `false`).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything else, such as a setting that does not exist.
    pub fn from_uri(uri: impl AsRef<str>) -> Result<Self, Error> {
        let mut uri = StoreUri::parse(uri.as_ref(), "gs")?;
        let endpoint = uri.take("endpoint").map(|text| checked_endpoint(&text)).transpose()?;
        let is_anonymous = match uri.take("anonymous").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Error::new(ErrorKind::Invalid, "gs: anonymous is `true` or `false`")),
        };
        let (bucket, prefix) = (uri.container.clone(), uri.prefix.clone());
        uri.finish()?;
        Ok(Self { bucket, prefix, endpoint, is_anonymous, key_file: None })
    }

    /// With the JSON key file of a service account instead of what the environment has.
    #[must_use]
    pub fn with_key_file(self, path: impl Into<PathBuf>) -> Self {
        Self { key_file: Some(path.into()), ..self }
    }

    /// The storage. Nothing is asked of the service yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a configuration that cannot be one, [`ErrorKind::Unsupported`] where
    /// this machine has no certificates.
    pub fn open(&self) -> Result<OpendalStorage, Error> {
        let mut service = Gcs::default().bucket(&self.bucket).root(&format!("/{}", self.prefix));
        if let Some(endpoint) = &self.endpoint {
            service = service.endpoint(endpoint);
        }
        if let Some(path) = self.key_file() {
            let file = FileCredentialProvider::new(path.to_string_lossy()).with_scope(SCOPE);
            let provider = ProvideCredentialChain::new().push(KeyFile(file));
            service = service.credential_provider_chain(provider).disable_vm_metadata().disable_config_load();
        }
        if self.is_anonymous {
            service = service.skip_signature().disable_vm_metadata().disable_config_load();
        }
        let operator = Operator::new(service).map_err(|_| {
            Error::new(ErrorKind::Invalid, "gs: the bucket or endpoint cannot be right: look at the target's URI")
        })?;
        OpendalStorage::new(with_own_client(operator)?, format!("gs://{}/{}", self.bucket, self.prefix))
    }
}

impl GcsConfig {
    /// The file with a key, if there is one.
    pub(crate) fn key_file(&self) -> Option<PathBuf> {
        let named = self.key_file.clone().or_else(|| env::var_os(KEY_FILE).map(PathBuf::from));
        named.filter(|path| !path.as_os_str().is_empty())
    }
}

/// A key file, of which no error tells what is in it: reqsign's do, and it logs them.
#[derive(Debug)]
struct KeyFile(FileCredentialProvider);

impl ProvideCredential for KeyFile {
    type Credential = Credential;

    async fn provide_credential(&self, context: &Context) -> reqsign_core::Result<Option<Credential>> {
        let given = self.0.provide_credential(context).await;
        given.map_err(|_| reqsign_core::Error::credential_invalid("the key file cannot be read, or is none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_mistakes_told() {
        let config = GcsConfig::from_uri("gs://media/mvp/?endpoint=http%3A%2F%2F127.0.0.1%3A9023&anonymous=true");
        let expected = GcsConfig {
            bucket: "media".into(),
            prefix: "mvp/".into(),
            endpoint: Some("http://127.0.0.1:9023".into()),
            is_anonymous: true,
            key_file: None,
        };
        assert_eq!(config.unwrap(), expected);
        for wrong in
            ["gs://", "s3://media", "gs://media?anonymous=yes", "gs://media?endpoint=media", "gs://m?key=secret"]
        {
            let error = GcsConfig::from_uri(wrong).unwrap_err();
            assert!(error.kind() == ErrorKind::Invalid && !error.to_string().contains("secret"), "{wrong}: {error}");
        }
    }
}
