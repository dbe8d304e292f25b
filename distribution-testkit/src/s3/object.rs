//! PutObject, GetObject, HeadObject, DeleteObject(s), and what there is of buckets.

use std::ops::Range;

use http::HeaderValue;
use serde::Deserialize;

use super::call::Call;
use super::checksum::{self, Algorithm, flipped};
use super::fault::{Fault, Op};
use super::reply::{Refusal, Reply, document, element, http_date, refuse};
use super::state::{Attributes, Bucket, CONTENT_TYPE, Object, State, is_etag, no_such_key};
use super::{archive, auth};

pub(super) fn create_bucket(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    if state.buckets.contains_key(&call.bucket) {
        return Err(refuse("BucketAlreadyOwnedByYou", "Your previous request to create the bucket succeeded."));
    }
    state.buckets.insert(call.bucket.clone(), Bucket::default());
    Ok(Reply::new(200).with("location", format!("/{}", call.bucket)))
}

pub(super) fn head_bucket(state: &State, call: &Call) -> Result<Reply, Refusal> {
    state.bucket(&call.bucket)?;
    Ok(Reply::new(200).with("x-amz-bucket-region", &state.region))
}

pub(super) fn put(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    state.bucket(&call.bucket)?;
    if call.body.len() as u64 > state.limits.put_bytes_max {
        return Err(refuse("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."));
    }
    let Attributes { headers, metadata } = Attributes::of(call)?;
    let checked = auth::payload(call).and_then(|()| checksum::content_md5(call)).and_then(|()| checksum::of_body(call));
    if checked.is_err() && !call.has(Fault::RefusedButStored) {
        checked.clone()?;
    }
    state.may_write(call)?;
    let etag = checksum::etag(&call.body);
    let checksum = checked.clone().unwrap_or_default();
    let (modified, number, bytes) = (state.time(), call.number, call.body.clone());
    let object = Object { bytes, etag: etag.clone(), modified, headers, metadata, checksum, number };
    state.store(call, object)?;
    let mut reply = Reply::new(200).with("etag", etag);
    for (name, value) in checked?.iter().flat_map(|checksum| checksum.headers()) {
        reply = reply.with(name, value);
    }
    Ok(reply)
}

/// GetObject and HeadObject.
pub(super) fn get(state: &State, call: &Call) -> Result<Reply, Refusal> {
    let object = state.bucket(&call.bucket)?.objects.get(&call.key);
    let is_new = |object: &Object| call.since(Fault::StaleRead).is_some_and(|since| object.number >= since);
    let object = object.filter(|object| !is_new(object)).ok_or_else(|| no_such_key(&call.key))?;
    if call.query("partNumber").is_some() {
        return Err(super::reply::not_implemented("reading a part"));
    }
    let ignored = call.has(Fault::IgnoredIfMatch);
    if call.header("if-match").is_some_and(|wanted| !is_etag(wanted, &object.etag)) && !ignored {
        let message = "At least one of the pre-conditions you specified did not hold";
        return Err(refuse("PreconditionFailed", message).with("Condition", "If-Match"));
    }
    if call.header("if-none-match").is_some_and(|known| is_etag(known, &object.etag)) {
        return Ok(Reply::new(304).with("etag", &object.etag));
    }
    if call.op == Op::GetObject {
        archive::readable(object)?;
    }
    let range = match call.header("range") {
        Some(range) if !call.has(Fault::IgnoredRange) => asked_range(range, object.bytes.len())?,
        _ => None,
    };
    let mut reply = described(call, object)?;
    if let Some(range) = range {
        let told = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), object.bytes.len());
        reply = Reply { status: 206, body: object.bytes.slice(range), ..reply.with("content-range", told) };
    } else {
        reply.body = object.bytes.clone();
        if call.header("x-amz-checksum-mode") == Some("ENABLED") {
            for (name, value) in object.checksum.iter().flat_map(|checksum| checksum.headers()) {
                reply = reply.with(name, value);
            }
        }
    }
    if call.has(Fault::FlippedBit) {
        reply.body = flipped(&reply.body);
    }
    Ok(Reply { length: (call.op == Op::HeadObject).then_some(reply.body.len()), ..reply })
}

/// All headers of an object, with those that the query overrides.
fn described(call: &Call, object: &Object) -> Result<Reply, Refusal> {
    let mut headers = object.headers.clone();
    for (name, value) in &call.query {
        let Some(name) = name.strip_prefix("response-") else { continue };
        if HeaderValue::from_str(value).is_err() {
            return Err(refuse("InvalidArgument", "Header value cannot be represented using ISO-8859-1."));
        }
        headers.insert(name.to_owned(), value.clone());
    }
    if call.has(Fault::OtherContentType) {
        headers.insert("content-type".to_owned(), CONTENT_TYPE.to_owned());
    }
    let mut reply = Reply::new(200)
        .with("etag", &object.etag)
        .with("last-modified", http_date(object.modified))
        .with("accept-ranges", "bytes");
    for (name, value) in headers {
        reply = reply.with(name, value);
    }
    for (name, value) in &object.metadata {
        reply = reply.with(format!("x-amz-meta-{name}"), value);
    }
    Ok(reply)
}

/// What the `Range` asks for (RFC 9110, 14.1.2); `None` for all, which is what S3 makes of one that it
/// does not understand, such as one of several ranges.
fn asked_range(header: &str, size: usize) -> Result<Option<Range<usize>>, Refusal> {
    let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Ok(None);
    };
    let range = match (first.parse::<usize>(), last.parse::<usize>()) {
        (Ok(first), Ok(last)) if first <= last => first..size.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(length)) if first.is_empty() => size.saturating_sub(length)..size,
        _ => return Ok(None),
    };
    if range.is_empty() {
        let refusal = refuse("InvalidRange", "The requested range is not satisfiable").with("RangeRequested", header);
        let refusal = refusal.with("ActualObjectSize", size.to_string());
        return Err(refusal.header("content-range", format!("bytes */{size}")));
    }
    Ok(Some(range))
}

pub(super) fn delete(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    let ignored = call.has(Fault::IgnoredDelete);
    if call.header("if-match").is_some() && !call.has(Fault::IgnoredIfMatch) {
        state.may_write(call)?;
    }
    let bucket = state.bucket_mut(&call.bucket)?;
    if !ignored {
        bucket.hide(&call.key);
    }
    Ok(Reply::new(204))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Delete {
    #[serde(default)]
    quiet: bool,
    object: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    key: String,
    #[serde(rename = "ETag")]
    etag: Option<String>,
}

/// DeleteObjects.
pub(super) fn delete_many(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    let has_digest = call.headers.contains_key("content-md5") || checksum::of_body(call)?.is_some();
    if !has_digest {
        return Err(refuse("InvalidRequest", "Missing required header for this request: Content-MD5"));
    }
    checksum::content_md5(call)?;
    let Delete { quiet, object } = parse_xml(&call.body)?;
    if object.is_empty() || object.len() > 1_000 {
        return Err(malformed_xml());
    }
    let ignored = call.has(Fault::IgnoredDelete);
    let bucket = state.bucket_mut(&call.bucket)?;
    let mut told = String::new();
    for Named { key, etag } in object {
        let there = bucket.objects.get(&key);
        let differs = |wanted: &String| there.is_none_or(|there| !is_etag(wanted, &there.etag));
        let named = element("Key", &key);
        if etag.as_ref().is_some_and(differs) {
            let refusal = refuse("PreconditionFailed", "At least one of the pre-conditions you specified did not hold");
            told += &format!("<Error>{named}{}</Error>", refusal.elements());
            continue;
        }
        if !ignored {
            bucket.hide(&key);
        }
        if !quiet {
            told += &format!("<Deleted>{named}</Deleted>");
        }
    }
    Ok(Reply::xml(document("DeleteResult", &told)))
}

pub(super) fn parse_xml<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Refusal> {
    quick_xml::de::from_reader(body).map_err(|_| malformed_xml())
}

pub(super) fn malformed_xml() -> Refusal {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    refuse("MalformedXML", message)
}

/// The algorithm of `x-amz-checksum-algorithm`, if there is one.
pub(super) fn asked_algorithm(call: &Call) -> Result<Option<Algorithm>, Refusal> {
    call.header("x-amz-checksum-algorithm").map(Algorithm::parse).transpose()
}
