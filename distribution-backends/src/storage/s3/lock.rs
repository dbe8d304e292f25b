//! Legal holds of a bucket ("Locking objects with Object Lock", Amazon S3 User Guide).

use bytes::Bytes;
use data_encoding::BASE64;
use distribution_core::{Checksum, Error, ErrorKind, LegalHold, ObjectKey, Storage as _};
use http::{HeaderMap, Method, StatusCode};

use super::S3Storage;
use super::client::Call;
use super::failure::Failure;
use super::headers::set;
use super::xml::{self, LegalHoldStatus};
use crate::probe::{Ability, Place, Probe, distinct, whole};
use crate::storage::opendal::runtime;

const LEGAL_HOLD: &str = "x-amz-object-lock-legal-hold";
/// Told of an object that may not be destroyed before some time.
const RETENTION: &str = "x-amz-object-lock-mode";
const VERSION_ID: &str = "x-amz-version-id";

/// What the headers of an object say.
pub(super) fn told(headers: &HeaderMap) -> LegalHold {
    match headers.get(LEGAL_HOLD).map(|status| status.as_bytes()) {
        Some(b"ON") => LegalHold::On,
        Some(_) | None => LegalHold::Off,
    }
}

/// # Errors
/// [`ErrorKind::Invalid`] if the bucket was not found to keep what is under a legal hold.
pub(super) fn check(probe: &Probe) -> Result<(), Error> {
    if probe.has(Ability::LegalHold) {
        return Ok(());
    }
    let fault = probe.fault(Ability::LegalHold).unwrap_or("nobody has looked whether it can: probe again");
    let message = format!(
        "cannot be asked of this bucket: {fault}; use a bucket with Object Lock, or leave this out, and holds are kept \
         on record only"
    );
    Err(Error::invalid("object_lock", message))
}

impl S3Storage {
    /// Of the version that is seen first, so that nobody else's comes under the hold.
    pub(super) async fn hold_object(&self, key: &ObjectKey, hold: LegalHold) -> Result<Option<LegalHold>, Error> {
        runtime()?;
        if !self.is_locking {
            let message = "legal holds are not asked of this bucket: set `object_lock`, if it has Object Lock";
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let Some(headers) = self.head(key, HeaderMap::new()).await? else { return Ok(None) };
        let before = told(&headers);
        if before == hold {
            return Ok(Some(before));
        }
        match self.put_hold(key, version(&headers), hold).await {
            Ok(()) => Ok(Some(before)),
            Err(failure) if failure.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
            Err(failure) => Err(failure.into_error(&format!("set the legal hold of {key}"))),
        }
    }

    /// The request is safe to repeat. Its checksum is asked for ("PutObjectLegalHold", Amazon S3 API Reference).
    async fn put_hold(&self, key: &ObjectKey, version: Option<String>, hold: LegalHold) -> Result<(), Failure> {
        let status = if hold == LegalHold::On { "ON" } else { "OFF" };
        let body = xml::write(&LegalHoldStatus { status })?;
        let checksum = Checksum::of(&body);
        let mut headers = HeaderMap::new();
        set(&mut headers, "x-amz-content-sha256", &checksum.hex())?;
        set(&mut headers, "x-amz-checksum-sha256", &BASE64.encode(checksum.as_bytes()))?;
        set(&mut headers, "x-amz-sdk-checksum-algorithm", "SHA256")?;
        let version = version.map(|id| ("versionId", id));
        let query = [("legal-hold", String::new())].into_iter().chain(version).collect();
        let (name, body) = (self.name(key), body.into());
        let call = Call { method: Method::PUT, bucket: &self.bucket, name: &name, query, headers, body };
        self.client.repeat(&call).await.map(drop)
    }

    /// Whether the bucket keeps what is under a legal hold, tried with an object that is destroyed in the end.
    pub(super) async fn legal_hold_fault(&self, place: &Place) -> Result<Option<String>, Error> {
        let key = place.key("legal-hold")?;
        self.create(&key, whole(&distinct(1))).await?;
        let fault = self.try_hold(&key).await;
        // Where it could not be destroyed.
        let removed = self.remove(&key).await;
        let fault = fault.map_err(|failure| failure.into_error("probe legal holds"))?;
        removed.map(|()| fault)
    }

    async fn try_hold(&self, key: &ObjectKey) -> Result<Option<String>, Failure> {
        match self.put_hold(key, None, LegalHold::On).await {
            Ok(()) => {}
            Err(failure) if failure.code() == "InvalidRequest" => return Ok(Some("it has no Object Lock".to_owned())),
            Err(failure) if failure.is_unknown_request() => {
                return Ok(Some("the service has no Object Lock".to_owned()));
            }
            Err(failure) => return Err(failure),
        }
        let seen = self.head_object(key, HeaderMap::new()).await;
        let version = seen.as_ref().ok().and_then(|headers| version(headers.as_ref()?));
        let destroyed = match &version {
            Some(version) => self.destroy(key, version).await,
            None => Ok(()),
        };
        // Whatever came of it, it is let go.
        let lifted = self.put_hold(key, version.clone(), LegalHold::Off).await;
        let headers = seen?.unwrap_or_default();
        if told(&headers) == LegalHold::Off {
            let fault = "a legal hold that was placed is not told again: allow s3:GetObjectLegalHold, if it is AWS";
            return Ok(Some(fault.to_owned()));
        }
        let Some(version) = version else { return Ok(Some("its objects have no versions".to_owned())) };
        match destroyed {
            Ok(()) => return Ok(Some("what is under a legal hold can be destroyed".to_owned())),
            Err(failure) if !is_refusal(&failure) => return Err(failure),
            Err(_) => {}
        }
        lifted?;
        match self.destroy(key, &version).await {
            Err(failure) if !is_refusal(&failure) => Err(failure),
            // It was refused before for another reason, then; unless the bucket retains all objects for a time.
            Err(_) if !headers.contains_key(RETENTION) => {
                Ok(Some("what is under no legal hold cannot be destroyed: allow s3:DeleteObjectVersion".to_owned()))
            }
            Ok(()) | Err(_) => Ok(None),
        }
    }

    /// Removes the version itself, which a removal of the object does not.
    async fn destroy(&self, key: &ObjectKey, version: &str) -> Result<(), Failure> {
        let (name, query) = (self.name(key), vec![("versionId", version.to_owned())]);
        let (method, headers, body) = (Method::DELETE, HeaderMap::new(), Bytes::new());
        let call = Call { method, bucket: &self.bucket, name: &name, query, headers, body };
        self.client.repeat(&call).await.map(drop)
    }
}

/// Whether the service does not allow it, and will not in a moment.
fn is_refusal(failure: &Failure) -> bool {
    failure.status().is_some_and(|status| status.is_client_error()) && !failure.is_passing()
}

/// The version of the object, where the bucket has such.
fn version(headers: &HeaderMap) -> Option<String> {
    headers.get(VERSION_ID)?.to_str().ok().map(str::to_owned)
}
