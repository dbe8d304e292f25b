//! Buckets: what a configuration asks of each service. The scheme of a URI tells which one it is.

#[cfg(feature = "azblob")]
mod azblob;
#[cfg(feature = "gcs")]
mod gcs;
#[cfg(feature = "s3")]
mod s3;

use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::{Error, ErrorKind, Source, Staging, Storage, UrlSigner};
use zeroize::Zeroizing;

use super::file::{Beyond, Credentials, Disposed};
use super::secret::Secret;

#[cfg(feature = "azblob")]
pub(super) use self::azblob::parse as azblob;
#[cfg(feature = "gcs")]
pub(super) use self::gcs::parse as gcs;
#[cfg(feature = "s3")]
pub(super) use self::s3::parse as s3;

/// Reads a secret of the credentials, by the name of its key.
pub(super) type ReadSecret<'r> = &'r dyn Fn(&str, Option<&Secret>) -> Result<Zeroizing<String>, Error>;

/// Staged files, to be read and to be swept.
pub(super) type Files = (Arc<dyn Source>, Arc<dyn Staging>);

/// A bucket that is not open yet.
#[async_trait]
pub(super) trait Bucket: Send + Sync {
    /// What it is called in a sentence.
    fn name(&self) -> &'static str;

    /// The bucket and its service, and the prefix in it.
    fn at(&self) -> (String, &str);

    /// Its URI, below which objects are located.
    fn uri(&self) -> String;

    /// The keys of its credentials, all of which it needs if it has any.
    fn credentials(&self) -> &'static [&'static str];

    /// The same bucket, asked with these credentials.
    fn with(&self, credentials: &Credentials, read: ReadSecret<'_>) -> Result<Arc<dyn Bucket>, Error>;

    /// The same bucket, in which objects are created in this storage class, if that can be read back; `None` where
    /// there are none.
    fn storing_as(&self, _class: &str) -> Option<Result<Arc<dyn Bucket>, Error>> {
        None
    }

    /// The same bucket, which keeps what is held under legal holds of its own; `None` where there are none.
    fn locking(&self) -> Option<Arc<dyn Bucket>> {
        None
    }

    /// Whether what is held is kept under legal holds of its own.
    fn is_locking(&self) -> bool {
        false
    }

    /// Opens it, if it is found to create an object only if there is none. Where `attested`, the service's own
    /// SHA-256 may stand for reading back.
    async fn open(&self, attested: bool) -> Result<Arc<dyn Storage>, Error>;

    /// What signs links that the service checks.
    fn signer(&self, disposition: Disposed, beyond: Beyond) -> Result<Arc<dyn UrlSigner>, Error>;

    /// Whether the service can tell a SHA-256 that it has computed.
    fn can_attest(&self) -> bool {
        false
    }

    /// Staged files in it, to be read and to be swept; `None` where they cannot be read yet.
    fn files(&self) -> Option<Result<Files, Error>> {
        None
    }
}

#[cfg(not(feature = "s3"))]
pub(super) fn s3(_: &str) -> Result<Arc<dyn Bucket>, Error> {
    Err(lacks("s3"))
}

#[cfg(not(feature = "gcs"))]
pub(super) fn gcs(_: &str) -> Result<Arc<dyn Bucket>, Error> {
    Err(lacks("gcs"))
}

#[cfg(not(feature = "azblob"))]
pub(super) fn azblob(_: &str) -> Result<Arc<dyn Bucket>, Error> {
    Err(lacks("azblob"))
}

/// What is said where the code for it is not in this build.
#[allow(dead_code, reason = "where all features are there, nothing is lacking")]
pub(super) fn lacks(feature: &str) -> Error {
    let message = format!("this build has no feature `{feature}`: add it to distribution-backends in Cargo.toml");
    Error::new(ErrorKind::Unsupported, message)
}

#[cfg(any(feature = "s3", feature = "gcs", feature = "azblob"))]
fn finished(signer: crate::PresignSigner, disposition: Disposed, beyond: Beyond) -> Arc<dyn UrlSigner> {
    let signer = signer.disposition(match disposition {
        Disposed::Inline => crate::Disposition::Inline,
        Disposed::Attachment => crate::Disposition::Attachment,
    });
    match beyond {
        Beyond::Shorten => Arc::new(signer.bounded_by_credentials()),
        Beyond::Refuse => Arc::new(signer),
    }
}

/// The storage, if it is found to create objects only where there are none.
#[cfg(any(feature = "gcs", feature = "azblob"))]
async fn probed(storage: crate::OpendalStorage) -> Result<Arc<dyn Storage>, Error> {
    use crate::{Ability, Probe, SystemClock};
    use distribution_core::Clock as _;

    let probe = Probe::of(&storage, None, SystemClock.now()).await?;
    match probe.fault(Ability::CreateByPut).or(probe.fault(Ability::ReadAfterWrite)) {
        None => Ok(Arc::new(storage)),
        Some(fault) => Err(Error::new(ErrorKind::Unsupported, format!("cannot be published to: {fault}"))),
    }
}
