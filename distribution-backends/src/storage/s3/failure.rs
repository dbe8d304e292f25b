//! What a request came to when it came to no good.

use std::error::Error as StdError;

use distribution_core::{Error, ErrorKind};
use http::StatusCode;

/// Why a request was not answered as asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The service says no, and why ("Error Responses", Amazon S3 API Reference).
    Refused { status: StatusCode, code: String },
    /// No answer, or none that is understood: it may have been done.
    Lost(Box<dyn StdError + Send + Sync>),
    /// There was no connection to send it over.
    Unreached(reqwest::Error),
    /// It was never sent.
    Unsent(Error),
}

impl Failure {
    pub(crate) fn lost(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Lost(cause.into())
    }

    /// Nothing is said of its URL, which may be signed.
    pub(crate) fn unanswered(error: reqwest::Error) -> Self {
        let error = error.without_url();
        if error.is_connect() { Self::Unreached(error) } else { Self::lost(error) }
    }

    /// Whether the same request may do better in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        match self {
            Self::Refused { status, code } => {
                status.is_server_error() && *status != StatusCode::NOT_IMPLEMENTED
                    || *status == StatusCode::TOO_MANY_REQUESTS
                    || matches!(code.as_str(), "RequestTimeout" | "SlowDown" | "InternalError" | "ServiceUnavailable")
            }
            Self::Lost(_) | Self::Unreached(_) => true,
            Self::Unsent(_) => false,
        }
    }

    pub(crate) fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            Self::Lost(_) | Self::Unreached(_) | Self::Unsent(_) => None,
        }
    }

    /// The service's word for it; empty if there is none.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Lost(_) | Self::Unreached(_) | Self::Unsent(_) => "",
        }
    }

    /// Whether the service says, before it does anything, that the credentials are no longer good.
    pub(crate) fn has_stale_credentials(&self) -> bool {
        matches!(self.code(), "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "InvalidAccessKeyId")
    }

    /// Whether the object that was to be read must be restored first. A copy has a code of its own ("CopyObject", Amazon
    /// S3 API Reference).
    pub(crate) fn is_of_an_archive(&self) -> bool {
        matches!(self.code(), "InvalidObjectState" | "ObjectNotInActiveTierError")
    }

    /// Whether the service does not know this kind of request.
    pub(crate) fn is_unknown_request(&self) -> bool {
        self.status() == Some(StatusCode::NOT_IMPLEMENTED) || self.code() == "NotImplemented"
    }

    /// The same for a caller who wanted to `task`, such as `store mvp/clip.mp4`.
    pub(crate) fn into_error(self, task: &str) -> Error {
        match self {
            Self::Unsent(error) => {
                Error::new(error.kind(), format!("cannot {task}: {}", error.message())).because(error)
            }
            Self::Lost(cause) => {
                let message = format!("cannot {task}: the service gave no answer, so look and repeat");
                Error::unavailable(message).because(Cause(cause))
            }
            Self::Unreached(cause) => {
                let message = format!("cannot {task}: the service cannot be reached: check its endpoint, then repeat");
                Error::unavailable(message).because(cause)
            }
            Self::Refused { status, code } => {
                let (kind, way_out) = way_out(status, &code);
                let code = if code.is_empty() { String::new() } else { format!(" {code}") };
                Error::new(kind, format!("cannot {task}: the service answers {}{code}: {way_out}", status.as_u16()))
            }
        }
    }
}

/// What the caller does about it. An operator mends most of it, and then the same call goes through.
fn way_out(status: StatusCode, code: &str) -> (ErrorKind, &'static str) {
    use ErrorKind::{Archived, Unavailable, Unsupported};
    match (status.as_u16(), code) {
        (_, "RequestTimeTooSkewed") => (Unavailable, "set this machine's clock, then repeat"),
        (_, "NoSuchBucket") => (Unavailable, "create the bucket or correct its name, then repeat"),
        (_, "InvalidStorageClass") => (Unavailable, "it has no such storage class: correct the target's, then repeat"),
        (_, "InvalidObjectState" | "ObjectNotInActiveTierError") => (
            Archived,
            "it is kept in an archive class of the bucket and cannot be read: have it restored there (RestoreObject), \
             then repeat",
        ),
        (_, "BadDigest" | "XAmzContentSHA256Mismatch" | "InvalidDigest") => {
            (Unavailable, "the bytes were changed on their way, so repeat")
        }
        (_, "EntityTooLarge" | "InvalidRange") => (Unsupported, "it is too large for this service"),
        (501, _) | (_, "NotImplemented") => (Unsupported, "it does not know this request"),
        (401 | 403, _) | (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
            (Unavailable, "check the credentials and what they are allowed, then repeat")
        }
        (301 | 307 | 308, _) => (Unavailable, "the bucket is in another region or elsewhere: correct the target"),
        (429 | 500..=599, _) => (Unavailable, "repeat later"),
        _ => (Unavailable, "look at the service's log, then repeat"),
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Cause(#[source] Box<dyn StdError + Send + Sync>);
