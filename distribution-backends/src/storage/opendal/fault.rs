//! Errors of a service, told without what they may hold: URLs, which may be signed, headers and bodies.

use std::error::Error as StdError;
use std::fmt;

use distribution_core::{Error, ErrorKind};
use opendal::ErrorKind as Fault;

/// The error for a task that failed, such as "cannot read mvp/clip.mp4: …".
pub(super) fn failed(task: &str, what: impl fmt::Display, error: &opendal::Error) -> Error {
    let cause = Cause::of(error);
    let (kind, way_out) = match error.kind() {
        _ if cause.is_of_an_archive() => (
            ErrorKind::Archived,
            "it is kept in an archive class and cannot be read: have it restored there, then repeat",
        ),
        Fault::Unsupported => (ErrorKind::Unsupported, "the service cannot do that: use another target"),
        Fault::ConfigInvalid => (ErrorKind::Invalid, "the target's configuration is wrong: look at the cause"),
        Fault::PermissionDenied => (
            ErrorKind::Unavailable,
            "the service refuses the credentials: correct them or their permissions, and repeat",
        ),
        Fault::RateLimited => (ErrorKind::Unavailable, "the service asks for fewer requests: repeat later"),
        Fault::ConditionNotMatch => (ErrorKind::Unavailable, "the object was replaced meanwhile: repeat"),
        Fault::NotFound => {
            (ErrorKind::Unavailable, "the service knows no such bucket or container: look at the target")
        }
        _ if cause.is_unsigned => {
            (ErrorKind::Unavailable, "no credentials are found: give them in the service's usual environment variables")
        }
        _ => (ErrorKind::Unavailable, "the service gives no good answer: repeat"),
    };
    Error::new(kind, format!("cannot {task} {what}: {way_out}")).because(cause)
}

/// Whether the error says that there is no such object, and not that there is no place for one. Some
/// services tell the one from the other.
pub(super) fn is_absent(error: &opendal::Error) -> bool {
    let code = Cause::of(error).code;
    let no_place = code.is_some_and(|code| matches!(code.as_str(), "ContainerNotFound" | "NoSuchBucket"));
    error.kind() == Fault::NotFound && !no_place
}

/// What may be told of an error: its kind, the service's own code for it, and where a connection broke.
#[derive(Debug)]
struct Cause {
    kind: Fault,
    code: Option<String>,
    transport: Option<&'static str>,
    is_unsigned: bool,
}

impl Cause {
    fn of(error: &opendal::Error) -> Self {
        let message = error.message();
        Self {
            kind: error.kind(),
            code: ["code: \"", "reason: \""].into_iter().find_map(|before| code_after(message, before)),
            transport: transport(error),
            is_unsigned: message.contains("sign http request") || message.contains("signing http request"),
        }
    }

    /// Whether the object must be restored before it can be read: S3 and its like ("GetObject", Amazon S3 API
    /// Reference) and Azure ("Blob service error codes") each have a code for that alone.
    fn is_of_an_archive(&self) -> bool {
        self.code.as_deref().is_some_and(|code| matches!(code, "InvalidObjectState" | "BlobArchived"))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        for more in [self.code.as_deref(), self.transport].into_iter().flatten() {
            write!(f, ", {more}")?;
        }
        Ok(())
    }
}

impl StdError for Cause {}

/// A name such as `AuthenticationFailed`, if the message holds one there; nothing else can be one.
fn code_after(message: &str, before: &str) -> Option<String> {
    const CODE_BYTES_MAX: usize = 64;
    let (_, rest) = message.split_once(before)?;
    let (code, _) = rest.split_once('"')?;
    let is_name = !code.is_empty() && code.len() <= CODE_BYTES_MAX && code.chars().all(|c| c.is_ascii_alphanumeric());
    is_name.then(|| code.to_owned())
}

fn transport(error: &opendal::Error) -> Option<&'static str> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            return Some(match error {
                error if error.is_timeout() => "no answer in time",
                error if error.is_connect() => "no connection",
                _ => "a broken connection",
            });
        }
        source = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_but_names() {
        let error = opendal::Error::new(
            Fault::PermissionDenied,
            "AzblobError { code: \"AuthenticationFailed\", message: \"token=secret\" }",
        )
        .with_context("uri", "https://host.example/c/k?sig=secret")
        .set_source(std::io::Error::other("secret"));
        let error = failed("read", "mvp/clip.mp4", &error);
        assert!(error.to_string().starts_with("cannot read mvp/clip.mp4: the service refuses the credentials"));
        let cause = StdError::source(&error).unwrap();
        assert_eq!(cause.to_string(), "PermissionDenied, AuthenticationFailed");
        assert!(!format!("{error:?} {cause:?}").contains("secret"));
        assert_eq!(code_after("code: \"a b\"", "code: \""), None);
    }

    #[test]
    fn what_must_be_restored_first_is_told_by_its_code() {
        let archived = [
            (Fault::PermissionDenied, "S3Error { code: \"InvalidObjectState\", message: \"\", request_id: \"1\" }"),
            (Fault::Unexpected, "AzblobError { code: \"BlobArchived\", message: \"\" }"),
        ];
        for (fault, message) in archived {
            let error = failed("read", "mvp/clip.mp4", &opendal::Error::new(fault, message));
            assert_eq!(error.kind(), ErrorKind::Archived, "{error}");
        }
        for message in [
            "S3Error { code: \"AccessDenied\", message: \"InvalidObjectState\" }",
            "S3Error { code: \"InvalidObjectStates\", message: \"\" }",
            "InvalidObjectState",
        ] {
            let error = failed("read", "mvp/clip.mp4", &opendal::Error::new(Fault::PermissionDenied, message));
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        }
    }

    #[test]
    fn no_place_for_objects_is_not_an_object_that_is_absent() {
        let not_found = |message: &str| opendal::Error::new(Fault::NotFound, message);
        assert!(is_absent(&not_found("AzblobError { code: \"BlobNotFound\" }")) && is_absent(&not_found("")));
        assert!(!is_absent(&not_found("AzblobError { code: \"ContainerNotFound\" }")));
        assert!(!is_absent(&opendal::Error::new(Fault::PermissionDenied, "")));
    }
}
