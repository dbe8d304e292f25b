//! Where objects or staged files are: a directory of this machine, or a bucket.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use distribution_core::{Error, ErrorKind};
use percent_encoding::percent_decode_str;

use super::bucket::{self, Bucket};
use super::document::Places;

#[derive(Clone)]
pub(super) enum Place {
    Disk(PathBuf),
    Bucket(Arc<dyn Bucket>),
}

impl Place {
    /// Where the text says it is; a relative path is below `base`.
    ///
    /// # Errors
    /// `Invalid` for what is neither; `Unsupported` where this build cannot reach it.
    pub(super) fn parse(text: &str, base: &Path) -> Result<Self, Error> {
        match text.split_once("://") {
            Some(("s3", _)) => bucket::s3(text).map(Self::Bucket),
            Some(("gs", _)) => bucket::gcs(text).map(Self::Bucket),
            Some(("az", _)) => bucket::azblob(text).map(Self::Bucket),
            _ => path(text, base).map(Self::Disk),
        }
    }

    /// The same place, in which objects are created in this storage class.
    pub(super) fn storing_as(&self, class: &str, at: &str, places: &Places) -> Result<Self, Error> {
        let stored = match self {
            Self::Disk(_) => None,
            Self::Bucket(bucket) => bucket.storing_as(class),
        };
        match stored {
            Some(bucket) => bucket.map(Self::Bucket).map_err(|error| places.locate(at, error)),
            None => Err(places.invalid(at, format!("is of no use for {}, only for an s3:// bucket", self.name()))),
        }
    }

    /// The same place, which keeps what is held under legal holds of its own.
    pub(super) fn locking(&self, at: &str, places: &Places) -> Result<Self, Error> {
        let locking = match self {
            Self::Disk(_) => None,
            Self::Bucket(bucket) => bucket.locking(),
        };
        let useless = || places.invalid(at, format!("is of no use for {}, only for an s3:// bucket", self.name()));
        locking.map(Self::Bucket).ok_or_else(useless)
    }

    /// Whether one of the two is in the other, or both are the same, as far as their names tell.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Disk(one), Self::Disk(other)) => {
                let (one, other) = (plain(one), plain(other));
                one.starts_with(&other) || other.starts_with(&one)
            }
            (Self::Bucket(one), Self::Bucket(other)) => {
                let ((bucket, prefix), (other, other_prefix)) = (one.at(), other.at());
                bucket == other && (prefix.starts_with(other_prefix) || other_prefix.starts_with(prefix))
            }
            _ => false,
        }
    }

    /// What it is called in a sentence.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Disk(_) => "a local disk",
            Self::Bucket(bucket) => bucket.name(),
        }
    }
}

/// The path without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            _ => plain.push(part),
        }
        plain
    })
}

/// A path, or a `file:` URL (RFC 8089); relative to `base`.
///
/// # Errors
/// `Invalid` for another scheme, a host, or nothing at all.
pub(super) fn path(text: &str, base: &Path) -> Result<PathBuf, Error> {
    let invalid = |message: &str| Err(Error::new(ErrorKind::Invalid, message));
    if text.is_empty() || text.contains('\0') {
        return invalid("must be a path");
    }
    if let Some(rest) = text.strip_prefix("file://") {
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        if !path.starts_with('/') || path.contains(['?', '#']) {
            return invalid("must be an absolute path of this machine behind `file://`, such as file:///srv/media");
        }
        let path: Vec<u8> = percent_decode_str(path).collect();
        return Ok(PathBuf::from(OsStr::from_bytes(&path)));
    }
    let before = text.split_once(':').map_or("", |(before, _)| before);
    if before.len() > 1 && before.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return invalid("must be a path, or begin with `file:///`, `s3://`, `gs://` or `az://`");
    }
    Ok(base.join(text))
}
