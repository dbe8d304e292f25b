//! CopyObject and UploadPartCopy.

use super::archive;
use super::call::Call;
use super::checksum::{self, Checksum};
use super::fault::Fault;
use super::lock;
use super::multipart;
use super::object::asked_algorithm;
use super::reply::{Refusal, Reply, document, element, not_implemented, refuse, xml_date};
use super::state::{Attributes, Object, Part, State, is_etag, no_such_key};
use percent_encoding::percent_decode_str;

pub(super) fn object(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    let (bucket, key, source) = source(state, call)?;
    archive::copyable(&source)?;
    if source.bytes.len() as u64 > state.limits.put_bytes_max {
        let message = "The specified copy source is larger than the maximum allowable size for a copy source";
        return Err(refuse("InvalidRequest", message));
    }
    let attributes = match call.header("x-amz-metadata-directive") {
        None | Some("COPY") if (&bucket, &key) == (&call.bucket, &call.key) => {
            let message = "This copy request is illegal because it is trying to copy an object to itself \
                without changing the object's metadata.";
            return Err(refuse("InvalidRequest", message));
        }
        // The class is not copied.
        None | Some("COPY") => {
            let described = source
                .headers
                .clone()
                .into_iter()
                .filter(|(name, _)| !archive::is_of_the_class(name) && !lock::is_of_the_version(name));
            Attributes { headers: described.chain(archive::asked(call)?).collect(), metadata: source.metadata.clone() }
        }
        Some("REPLACE") => Attributes::of(call)?,
        Some(_) => return Err(refuse("InvalidArgument", "Unknown metadata directive.")),
    };
    let checksum = copied_checksum(call, &source)?;
    state.may_write(call)?;
    let Attributes { headers, metadata } = attributes;
    let (modified, number) = (state.time(), call.number);
    let etag = checksum::etag(&source.bytes);
    let told = checksum.as_ref().map(Checksum::elements).unwrap_or_default();
    let object = Object { bytes: source.bytes, etag: etag.clone(), modified, headers, metadata, checksum, number };
    state.store(call, object)?;
    let told = element("LastModified", &xml_date(modified)) + &element("ETag", &etag) + &told;
    Ok(Reply::xml(document("CopyObjectResult", &told)))
}

/// "The checksum of the copy is computed as a full-object checksum", with the algorithm that was asked
/// for or else that of the source.
fn copied_checksum(call: &Call, source: &Object) -> Result<Option<Checksum>, Refusal> {
    let asked = asked_algorithm(call)?;
    if call.has(Fault::ChecksumUnchecked) {
        return Ok(None);
    }
    if call.has(Fault::ChecksumEchoed) {
        return Ok(source.checksum.clone());
    }
    let algorithm = asked.or_else(|| source.checksum.as_ref().map(|checksum| checksum.algorithm));
    Ok(algorithm.and_then(|algorithm| algorithm.full(&source.bytes).kept(call)))
}

pub(super) fn part(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    let number = multipart::part_number(call)?;
    multipart::upload(state, call)?;
    let (_, _, source) = source(state, call)?;
    archive::readable(&source)?;
    let size = source.bytes.len();
    let bytes = match call.header("x-amz-copy-source-range") {
        Some(range) if !call.has(Fault::IgnoredRange) => {
            let bounds = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'));
            let bounds = bounds.and_then(|(a, b)| Some((a.parse::<usize>().ok()?, b.parse::<usize>().ok()?)));
            let wrong = || {
                let message = format!("Range specified is not valid for source object of size: {size}");
                refuse("InvalidArgument", message).with("ArgumentValue", range)
            };
            let (first, last) = bounds.filter(|(first, last)| first <= last && *last < size).ok_or_else(wrong)?;
            source.bytes.slice(first..=last)
        }
        _ => source.bytes,
    };
    if bytes.len() as u64 > state.limits.put_bytes_max {
        return Err(refuse("InvalidRequest", "The specified copy source is larger than the maximum allowable size"));
    }
    let (etag, modified) = (checksum::etag(&bytes), state.time());
    let upload = multipart::upload(state, call)?;
    let checksum = upload.checksum.map(|(algorithm, _)| algorithm.full(&bytes));
    let told = checksum.as_ref().map(Checksum::elements).unwrap_or_default();
    upload.parts.insert(number, Part { bytes, etag: etag.clone(), modified, checksum });
    let told = element("LastModified", &xml_date(modified)) + &element("ETag", &etag) + &told;
    Ok(Reply::xml(document("CopyPartResult", &told)))
}

/// The object that `x-amz-copy-source` names, if it is the one that is meant.
fn source(state: &State, call: &Call) -> Result<(String, String, Object), Refusal> {
    let wrong =
        || refuse("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey");
    let named = call.header("x-amz-copy-source").unwrap_or_default();
    if named.contains('?') {
        return Err(not_implemented("versions"));
    }
    if !call.body.is_empty() {
        return Err(refuse("InvalidRequest", "A copy has no body."));
    }
    let named = percent_decode_str(named).decode_utf8().map_err(|_| wrong())?;
    let (bucket, key) = named.trim_start_matches('/').split_once('/').ok_or_else(wrong)?;
    let object = state.bucket(bucket)?.objects.get(key).ok_or_else(|| no_such_key(key))?;
    let wanted = call.header("x-amz-copy-source-if-match").filter(|_| !call.has(Fault::IgnoredSourceIfMatch));
    if wanted.is_some_and(|wanted| !is_etag(wanted, &object.etag)) {
        let message = "At least one of the pre-conditions you specified did not hold";
        return Err(refuse("PreconditionFailed", message).with("Condition", "x-amz-copy-source-If-Match"));
    }
    Ok((bucket.to_owned(), key.to_owned(), object.clone()))
}
