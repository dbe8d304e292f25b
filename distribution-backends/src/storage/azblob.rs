//! Azure Blob Storage.

use std::env;
use std::fmt;

use distribution_core::{Error, ErrorKind};
use opendal::Operator;
use opendal::services::Azblob;
use zeroize::Zeroizing;

use super::opendal::{OpendalStorage, checked_endpoint, with_own_client};
use crate::uri::StoreUri;

/// Where an account's name and key are looked for: the first is what the `az` tool takes.
const ACCOUNT_NAMES: [&str; 2] = ["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"];
const ACCOUNT_KEYS: [&str; 2] = ["AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"];

/// A target in Azure Blob Storage, or what speaks its protocol.
///
/// Credentials are no part of its URI. They are the account's key from `AZURE_STORAGE_KEY`, or else what
/// Azure's own tools take: `AZURE_STORAGE_SAS_TOKEN`, a client secret or certificate, a workload identity,
/// or the machine's managed identity.
///
/// A small object is one `Put Blob`, a larger one blocks that one `Put Block List` commits, both with
/// `If-None-Match: *`. Azure removes blocks that were never committed after a week. It keeps the type,
/// cache control and user metadata, in whose names it has `_` for `-`; opendal sends no disposition, so links
/// have to ask for one. For accounts without a hierarchical namespace.
///
/// ```
/// use distribution_backends::AzblobConfig;
/// use distribution_core::{ObjectKey, Storage};
///
/// let config = AzblobConfig::from_uri("az://media/mvp?account=studio")?.with_key("c2VjcmV0");
/// assert!(!format!("{config:?}").contains("c2VjcmV0"));
/// let key = ObjectKey::parse("clip.mp4")?;
/// assert_eq!(config.open()?.location(&key).as_str(), "az://media/mvp/clip.mp4");
/// # Ok::<(), distribution_core::Error>(())
/// ```
#[derive(Clone)]
pub struct AzblobConfig {
    /// The container.
    pub container: String,
    /// What every key is below: empty, or ends with `/`.
    pub prefix: String,
    /// The storage account, where it is known.
    pub account: Option<String>,
    /// Where the service is reached, such as `https://account.blob.core.windows.net`.
    pub endpoint: String,
    pub(crate) key: Option<Zeroizing<String>>,
}

impl AzblobConfig {
    /// The target that `uri` names, `az://container/prefix`, with the settings `account` (else from
    /// `AZURE_STORAGE_ACCOUNT`) and `endpoint` (a URL, percent-encoded; else Azure's public cloud). Takes the
    /// account's key from `AZURE_STORAGE_KEY`, if it is there.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for anything else, such as a setting that does not exist, or where neither
    /// account nor endpoint is known.
    pub fn from_uri(uri: impl AsRef<str>) -> Result<Self, Error> {
        Self::from_uri_and(uri.as_ref(), &|name| env::var(name).ok())
    }

    /// With the account's key, in base64, instead of that from the environment.
    pub fn with_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(Zeroizing::new(key.into()));
        self
    }

    fn from_uri_and(uri: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let any = |names: [&str; 2]| names.into_iter().find_map(env).filter(|value| !value.is_empty());
        let mut uri = StoreUri::parse(uri, "az")?;
        let account = uri.take("account").or_else(|| any(ACCOUNT_NAMES));
        let endpoint = uri.take("endpoint").map(|text| checked_endpoint(&text)).transpose()?;
        let (container, prefix) = (uri.container.clone(), uri.prefix.clone());
        uri.finish()?;
        if account.as_deref().is_some_and(|account| !is_account(account)) {
            return Err(Error::new(ErrorKind::Invalid, "az: the account is no name of a-z and 0-9"));
        }
        let endpoint = match (endpoint, &account) {
            (Some(endpoint), _) => endpoint,
            (None, Some(account)) => format!("https://{account}.blob.core.windows.net"),
            (None, None) => {
                let message = "az: no account is known: give account=… in the URI or AZURE_STORAGE_ACCOUNT";
                return Err(Error::new(ErrorKind::Invalid, message));
            }
        };
        Ok(Self { container, prefix, account, endpoint, key: any(ACCOUNT_KEYS).map(Zeroizing::new) })
    }

    /// The storage. Nothing is asked of the service yet.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a configuration that cannot be one, such as a key that is not base64, or a
    /// key without an account; [`ErrorKind::Unsupported`] where this machine has no certificates.
    pub fn open(&self) -> Result<OpendalStorage, Error> {
        let mut service = Azblob::default()
            .container(&self.container)
            .root(&format!("/{}", self.prefix))
            .endpoint(&self.endpoint)
            .account_name(self.account.as_deref().unwrap_or_default());
        if let Some(key) = &self.key {
            if self.account.is_none() {
                let message = "az: there is a key but no account: give account=… in the URI or AZURE_STORAGE_ACCOUNT";
                return Err(Error::new(ErrorKind::Invalid, message));
            }
            service = service.account_key(key);
        }
        // Its error could hold the key.
        let operator = Operator::new(service).map_err(|_| {
            Error::new(ErrorKind::Invalid, "az: the account's key is not base64, or the target's URI is wrong")
        })?;
        OpendalStorage::new(with_own_client(operator)?, format!("az://{}/{}", self.container, self.prefix))
    }
}

impl fmt::Debug for AzblobConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AzblobConfig")
            .field("container", &self.container)
            .field("prefix", &self.prefix)
            .field("account", &self.account)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// 3 to 24 of `a-z` and `0-9` in Azure; emulators take more.
fn is_account(name: &str) -> bool {
    !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(uri: &str, env: &[(&str, &str)]) -> Result<AzblobConfig, Error> {
        let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        AzblobConfig::from_uri_and(uri, &env)
    }

    #[test]
    fn the_uri_comes_before_the_environment() {
        let env = [("AZURE_STORAGE_ACCOUNT", "ours"), ("AZURE_STORAGE_KEY", "c2VjcmV0")];
        let ours = config("az://media", &env).unwrap();
        assert_eq!(ours.endpoint, "https://ours.blob.core.windows.net");
        assert_eq!(ours.key.as_ref().map(|key| key.as_str()), Some("c2VjcmV0"));
        let other = config("az://media/mvp?account=other&endpoint=http%3A%2F%2F[::1]:10000%2Fother%2F", &env).unwrap();
        assert_eq!((other.account.as_deref(), other.prefix.as_str()), (Some("other"), "mvp/"));
        assert_eq!(other.endpoint, "http://[::1]:10000/other");
    }

    #[test]
    fn mistakes_are_told_without_a_secret() {
        for (wrong, env) in [
            ("az://media", ""),
            ("az://media?account=a/b", ""),
            ("az://media?account=a&account_key=c2VjcmV0", ""),
            ("az://media?account=a&sas_token=c2VjcmV0", ""),
            ("az://media?endpoint=https%3A%2F%2Fh.example", "c2VjcmV0"),
            ("az://media?account=a", "no base64 secret!"),
        ] {
            let opened = config(wrong, &[("AZURE_STORAGE_KEY", env)]).and_then(|config| config.open());
            let error = opened.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
            let text = format!("{error} {error:?}");
            assert!(!text.contains("c2VjcmV0") && !text.contains("secret"), "{text}");
        }
    }
}
