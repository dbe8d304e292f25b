//! Presigned URLs of S3 ("Authenticating Requests: Using Query Parameters (AWS Signature Version 4)",
//! Amazon S3 API Reference). Signed here and not by reqsign, which signs at no other time than its own.

use std::fmt;

use async_trait::async_trait;
use chrono::DateTime;
use data_encoding::HEXLOWER;
use distribution_core::{Checksum, Error, ErrorKind, Timestamp};
use reqsign_aws_v4::Credential;
use reqsign_core::{Context, ProvideCredential as _, ProvideCredentialChain};
use tokio::sync::Mutex;

use super::mac::mac;
use super::{Credentials, Order, Service};
use crate::http::{build, client_builder};
use crate::storage::s3::S3Config;
use crate::storage::s3::address::Address;
use crate::storage::s3::credentials::{context, missing, provider};
use crate::uri::query;

/// The links of one bucket.
pub(super) struct S3Links {
    config: S3Config,
    context: Context,
    provider: ProvideCredentialChain<Credential>,
    /// What the provider gave last, if it told when that ends: it may have to ask a server. What ends at
    /// no time that is known may be replaced at any time.
    known: Mutex<Option<Credential>>,
}

/// Credentials, and what they sign for.
struct S3Credentials<'a> {
    links: &'a S3Links,
    credential: Credential,
}

impl S3Links {
    pub(super) fn new(config: S3Config) -> Result<Self, Error> {
        let (context, provider) = (context(build(client_builder()?)?), provider(&config));
        Ok(Self { config, context, provider, known: Mutex::new(None) })
    }

    async fn credential(&self, now: Timestamp, until: Timestamp) -> Result<Credential, Error> {
        let mut known = self.known.lock().await;
        if let Some(credential) = known.as_ref().filter(|known| end(known).is_some_and(|end| end > until)) {
            return Ok(credential.clone());
        }
        let found = self.provider.provide_credential(&self.context).await.map_err(|error| {
            Error::unavailable("no link can be signed: the credentials cannot be loaded, look at the cause")
                .because(error)
        })?;
        let credential = found
            .filter(|found| !found.access_key_id.is_empty() && !found.secret_access_key.is_empty())
            .filter(|found| end(found).is_none_or(|end| end > now));
        let credential = credential.ok_or_else(missing)?;
        *known = Some(credential.clone());
        Ok(credential)
    }
}

#[async_trait]
impl Service for S3Links {
    async fn credentials(&self, now: Timestamp, until: Timestamp) -> Result<Box<dyn Credentials + '_>, Error> {
        let credential = self.credential(now, until).await?;
        Ok(Box::new(S3Credentials { links: self, credential }))
    }
}

impl Credentials for S3Credentials<'_> {
    fn end(&self) -> Result<Option<Timestamp>, Error> {
        if self.credential.session_token.is_some() && self.credential.expires_in.is_none() {
            let message = "the credentials have a session token and do not tell when they end, so nor can a link: \
                           sign with a long-lived access key, or with a profile or role that tells";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        Ok(end(&self.credential))
    }

    fn sign(&self, order: &Order<'_>) -> Result<String, Error> {
        let S3Config { bucket, prefix, region, public_endpoint, public_addressing, .. } = &self.links.config;
        let name = format!("{prefix}{}", order.key);
        let address = Address::of(public_endpoint, *public_addressing, bucket, &name);
        let date = order.now.format("%Y%m%dT%H%M%SZ").to_string();
        let day = order.now.format("%Y%m%d").to_string();
        let scope = format!("{day}/{region}/s3/aws4_request");
        let (credential, valid_secs) = (&self.credential, (order.expires_at - order.now).num_seconds().to_string());
        let id = format!("{}/{scope}", credential.access_key_id);
        // In order, as they are signed.
        let fields = [
            ("X-Amz-Algorithm", Some("AWS4-HMAC-SHA256")),
            ("X-Amz-Credential", Some(&id)),
            ("X-Amz-Date", Some(&date)),
            ("X-Amz-Expires", Some(&valid_secs)),
            ("X-Amz-Security-Token", credential.session_token.as_deref()),
            ("X-Amz-SignedHeaders", Some("host")),
            ("response-content-disposition", order.content_disposition),
            ("response-content-type", order.content_type),
        ];
        let query = query(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let request = format!("GET\n{}\n{query}\nhost:{}\n\nhost\nUNSIGNED-PAYLOAD", address.path, address.host);
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", Checksum::of(request.as_bytes()).hex());
        let secret = format!("AWS4{}", credential.secret_access_key).into_bytes();
        let key = [&day, region, "s3", "aws4_request"].into_iter().try_fold(secret, |key, step| mac(&key, step))?;
        let signature = HEXLOWER.encode(&mac(&key, &text)?);
        Ok(address.url(&format!("{query}&X-Amz-Signature={signature}")))
    }
}

impl fmt::Debug for S3Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

fn end(credential: &Credential) -> Option<Timestamp> {
    credential.expires_in.and_then(|end| DateTime::from_timestamp(end.as_second(), 0))
}

#[cfg(test)]
mod credentials_tests;
#[cfg(test)]
mod tests {
    use distribution_core::ObjectKey;

    use super::*;

    /// The example of the Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters".
    #[test]
    fn the_example_of_aws_has_its_signature() {
        let uri = "s3://examplebucket?region=us-east-1&endpoint=https://s3.amazonaws.com&addressing=virtual";
        let links = S3Links::new(S3Config::from_uri(uri).unwrap()).unwrap();
        let credential = Credential {
            access_key_id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret_access_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            ..Credential::default()
        };
        let order = Order {
            key: &ObjectKey::parse("test.txt").unwrap(),
            now: "2013-05-24T00:00:00Z".parse().unwrap(),
            expires_at: "2013-05-25T00:00:00Z".parse().unwrap(),
            content_type: None,
            content_disposition: None,
        };
        let link = S3Credentials { links: &links, credential }.sign(&order).unwrap();
        let expected = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256\
            &X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request\
            &X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\
            &X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404";
        assert_eq!(link, expected);
    }
}
