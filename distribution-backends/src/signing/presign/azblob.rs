//! Service SAS of Azure ("Create a service SAS", Azure Storage REST API, version 2020-12-06 and later). Signed
//! here and not by reqsign, whose links carry no type and no disposition, and end at a time after its own clock.

use std::fmt;

use async_trait::async_trait;
use chrono::SecondsFormat;
use data_encoding::BASE64;
use distribution_core::{Error, ErrorKind, Timestamp};
use zeroize::Zeroizing;

use super::mac::mac;
use super::{Credentials, Order, Service};
use crate::storage::AzblobConfig;
use crate::uri::query;

/// The first version that signs these fields.
const VERSION: &str = "2020-12-06";
/// To read, and nothing else.
const PERMISSIONS: &str = "r";
/// One blob.
const RESOURCE: &str = "b";
/// Azure's keys have 64 bytes.
const KEY_BYTES_MIN: usize = 32;

/// The links of one container.
pub(super) struct AzblobLinks {
    config: AzblobConfig,
    account: String,
    key: Zeroizing<Vec<u8>>,
}

impl AzblobLinks {
    pub(super) fn new(config: &AzblobConfig) -> Result<Self, Error> {
        let Some(key) = &config.key else {
            let message = "az: links need the account's key, and there is none: set AZURE_STORAGE_KEY";
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        let Some(account) = &config.account else {
            let message = "az: links need the account's name: give account=… in the URI or AZURE_STORAGE_ACCOUNT";
            return Err(Error::new(ErrorKind::Invalid, message));
        };
        // The error tells where in the key it is wrong.
        let key = BASE64.decode(key.as_bytes()).map(Zeroizing::new).ok().filter(|key| key.len() >= KEY_BYTES_MIN);
        let key = key.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "az: the account's key is not 64 bytes in base64: copy it from the portal")
        })?;
        Ok(Self { config: config.clone(), account: account.clone(), key })
    }
}

#[async_trait]
impl Service for AzblobLinks {
    async fn credentials(&self, _now: Timestamp, _until: Timestamp) -> Result<Box<dyn Credentials + '_>, Error> {
        Ok(Box::new(self))
    }
}

impl Credentials for &AzblobLinks {
    fn sign(&self, order: &Order<'_>) -> Result<String, Error> {
        let AzblobConfig { container, prefix, endpoint, .. } = &self.config;
        let resource = format!("/blob/{}/{container}/{prefix}{}", self.account, order.key);
        let end = order.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let protocols = if endpoint.starts_with("http:") { "https,http" } else { "https" };
        let (disposition, content_type) = (order.content_disposition, order.content_type);
        // No start: a link would not work yet where Azure's clock is a little behind.
        let (none, start) = ("", "");
        let (policy, addresses, snapshot, encryption_scope) = (none, none, none, none);
        let (cache_control, encoding, language) = (none, none, none);
        let text = [
            PERMISSIONS,
            start,
            &end,
            &resource,
            policy,
            addresses,
            protocols,
            VERSION,
            RESOURCE,
            snapshot,
            encryption_scope,
            cache_control,
            disposition.unwrap_or(none),
            encoding,
            language,
            content_type.unwrap_or(none),
        ];
        let signature = BASE64.encode(&mac(&self.key, &text.join("\n"))?);
        let fields = [
            ("sp", Some(PERMISSIONS)),
            ("se", Some(&end)),
            ("spr", Some(protocols)),
            ("sv", Some(VERSION)),
            ("sr", Some(RESOURCE)),
            ("rscd", disposition),
            ("rsct", content_type),
            ("sig", Some(&signature)),
        ];
        let query = query(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        // A name is of characters that need no escape.
        Ok(format!("{}/{container}/{prefix}{}?{query}", endpoint.trim_end_matches('/'), order.key))
    }
}

impl fmt::Debug for AzblobLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}
