//! What a server's answer means.

use std::error::Error as StdError;
use std::ops::Range;
use std::time::Duration;

use distribution_core::{Error, ErrorKind, SourcePin, VideoUrl};
use reqwest::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, LAST_MODIFIED, LOCATION};
use reqwest::{Response, StatusCode, Url};

use super::FIELD;
use super::resolve::Outside;

/// The longest tag of a pin: it is kept in the record.
const TAG_BYTES_MAX: usize = 256;

pub(super) enum Answer {
    Absent,
    File { pin: SourcePin, response: Response },
}

/// The URL that the answer sends to, if it is a redirect.
pub(super) fn redirect(from: &Url, response: &Response) -> Option<Result<Url, &'static str>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let to = header(response, &LOCATION).and_then(|to| from.join(to).ok());
    Some(to.ok_or("is redirected to what is no URL"))
}

/// Whether there is a file, and which.
pub(super) fn judge(url: &VideoUrl, response: Response, size_max: u64) -> Result<Answer, Error> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(Answer::Absent),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
            let way_out = "if the URL is presigned, it may have expired: repeat with a fresh one";
            return Err(Error::unavailable(format!("{url} may not be read (HTTP {}): {way_out}", status.as_u16())));
        }
        status => {
            let message = format!("{url} is answered with HTTP {}: repeat, or look at its server", status.as_u16());
            return Err(Error::unavailable(message));
        }
    }
    let unfit = |why: &str| Err(Error::invalid(FIELD, why));
    if response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        return unfit("is served with a content coding: have its server send the file as it is");
    }
    let Some(size) = declared_size(&response) else {
        return unfit("is served without Content-Length: have its server tell the size");
    };
    if size > size_max {
        return unfit(&format!("is {size} bytes long, the limit is {size_max}"));
    }
    let Some(tag) = tag(&response) else {
        return unfit("is served without a strong etag or Last-Modified: have its server tell one");
    };
    Ok(Answer::File { pin: SourcePin { size, tag }, response })
}

/// Whether this is the range that was asked for, of the file that was opened.
pub(super) fn judge_part(
    url: &VideoUrl,
    response: Response,
    pin: &SourcePin,
    range: &Range<u64>,
) -> Result<Response, Error> {
    let changed = || Error::unavailable(format!("{url} changed or went away while it was read: repeat the call"));
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {}
        StatusCode::OK => {
            let message = format!("{url} cannot be read in parts: its server answers ranges with the whole file");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::RANGE_NOT_SATISFIABLE => return Err(changed()),
        status => {
            let message = format!("a part of {url} is answered with HTTP {}: repeat the call", status.as_u16());
            return Err(Error::unavailable(message));
        }
    }
    let part = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), pin.size);
    let is_it = header(&response, &CONTENT_RANGE) == Some(&part) && tag(&response).as_ref() == Some(&pin.tag);
    if is_it { Ok(response) } else { Err(changed()) }
}

/// Why nothing was answered.
pub(super) fn failed(url: &VideoUrl, error: reqwest::Error) -> Error {
    if let Some(outside) = cause::<Outside>(&error) {
        return Error::invalid(FIELD, outside.to_string());
    }
    if let Some(cause) = cause::<Error>(&error) {
        return Error::unavailable(format!("cannot open {url}: {}", cause.message())).because(cause.clone());
    }
    let what = if error.is_timeout() { "its server is silent" } else { "its server cannot be reached" };
    Error::unavailable(format!("cannot open {url}: {what}")).because(error.without_url())
}

pub(super) fn too_slow(url: &VideoUrl, time_max: Duration) -> Error {
    Error::unavailable(format!(
        "reading {url} took longer than {} seconds, which its size allows",
        time_max.as_secs_f32()
    ))
}

fn declared_size(response: &Response) -> Option<u64> {
    let text = header(response, &CONTENT_LENGTH)?;
    text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()))
}

/// A strong etag (RFC 9110 §8.8.3), or else the time of modification.
fn tag(response: &Response) -> Option<String> {
    let etag = header(response, &ETAG).and_then(|etag| etag.strip_prefix('"')?.strip_suffix('"'));
    let tag = etag.map(|etag| format!("etag-{etag}"));
    let tag = tag.or_else(|| Some(format!("modified-{}", header(response, &LAST_MODIFIED)?)));
    tag.filter(|tag| tag.len() <= TAG_BYTES_MAX)
}

/// The header's value, if it is there once and printable.
fn header<'a>(response: &'a Response, name: &HeaderName) -> Option<&'a str> {
    let mut values = response.headers().get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// What of this type is among the causes.
fn cause<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
