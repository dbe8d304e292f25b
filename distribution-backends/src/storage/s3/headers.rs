//! What an object is served with, as request headers.

use distribution_core::{ContentHeaders, Error, ErrorKind};
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::failure::Failure;

/// Only if nothing is there (RFC 9110 §13.1.2).
pub(crate) const IF_NONE_MATCH_ANY: HeaderValue = HeaderValue::from_static("*");

/// The headers of a request that makes an object.
pub(crate) fn object_headers(content: &ContentHeaders) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    set(&mut headers, CONTENT_TYPE, &content.content_type)?;
    set(&mut headers, CONTENT_DISPOSITION, &content.content_disposition)?;
    set(&mut headers, CACHE_CONTROL, &content.cache_control)?;
    for (name, value) in &content.user_metadata {
        set(&mut headers, format!("x-amz-meta-{name}"), value)?;
    }
    Ok(headers)
}

/// Sets a header whose name or value came from elsewhere.
pub(crate) fn set(headers: &mut HeaderMap, name: impl TryInto<HeaderName>, value: &str) -> Result<(), Failure> {
    let unfit =
        || Failure::Unsent(Error::new(ErrorKind::Invalid, "a header of the object is not of ASCII on one line"));
    let name = name.try_into().map_err(|_| unfit())?;
    headers.insert(name, HeaderValue::from_str(value).map_err(|_| unfit())?);
    Ok(())
}
