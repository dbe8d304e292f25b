//! ListObjectsV2, ListMultipartUploads, ListParts.

use data_encoding::HEXLOWER;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::call::Call;
use super::checksum::Checksum;
use super::fault::Fault;
use super::multipart;
use super::reply::{Refusal, Reply, document, element, not_implemented, refuse, xml_date};
use super::state::{Object, State};

const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/');

/// Where a page of objects ends: at a key, or at a common prefix with all that is below it.
enum Item<'a> {
    Key(&'a str, &'a Object),
    Prefix(&'a str),
}

impl Item<'_> {
    fn token(&self) -> String {
        let (kind, text) = match self {
            Self::Key(key, _) => ("k", key),
            Self::Prefix(prefix) => ("p", prefix),
        };
        HEXLOWER.encode(format!("{kind}{text}").as_bytes())
    }
}

pub(super) fn objects(state: &State, call: &Call) -> Result<Reply, Refusal> {
    let max = page_size(state, call, "max-keys")?;
    let prefix = call.query("prefix").unwrap_or_default();
    let delimiter = call.query("delimiter").unwrap_or_default();
    let token = call.query("continuation-token").map(parse_token).transpose()?;
    let (below, after) = match &token {
        Some((is_prefix, text)) => (is_prefix.then_some(text.as_str()), Some(text.as_str())),
        None => (None, call.query("start-after")),
    };
    let since = call.since(Fault::StaleList);
    let objects = state.bucket(&call.bucket)?.objects.iter();
    let mut items: Vec<Item<'_>> = Vec::new();
    let mut truncated = false;
    for (key, object) in objects {
        let is_past =
            after.is_none_or(|after| key.as_str() > after) && below.is_none_or(|below| !key.starts_with(below));
        let is_old = since.is_none_or(|since| object.number < since);
        let Some(rest) = key.strip_prefix(prefix).filter(|_| is_past && is_old) else { continue };
        let cut =
            Some(delimiter).filter(|delimiter| !delimiter.is_empty()).and_then(|cut| Some(rest.find(cut)? + cut.len()));
        let common = cut.and_then(|cut| key.get(..prefix.len() + cut));
        if let (Some(common), Some(Item::Prefix(last))) = (common, items.last())
            && common == *last
        {
            continue;
        }
        if items.len() == max {
            truncated = max > 0;
            break;
        }
        items.push(common.map_or(Item::Key(key, object), Item::Prefix));
    }
    let next = items.last().filter(|_| truncated).map(Item::token);
    told(call, max, &items, next)
}

fn told(call: &Call, max: usize, items: &[Item<'_>], next: Option<String>) -> Result<Reply, Refusal> {
    let name = names(call)?;
    let mut told = element("Name", &call.bucket) + &element("Prefix", &name(call.query("prefix").unwrap_or_default()));
    for (parameter, tag) in [("delimiter", "Delimiter"), ("start-after", "StartAfter")] {
        told += &call.query(parameter).map(|value| element(tag, &name(value))).unwrap_or_default();
    }
    for (parameter, tag) in [("continuation-token", "ContinuationToken"), ("encoding-type", "EncodingType")] {
        told += &call.query(parameter).map(|value| element(tag, value)).unwrap_or_default();
    }
    told += &element("KeyCount", &items.len().to_string());
    told += &element("MaxKeys", &max.to_string());
    told += &element("IsTruncated", &next.is_some().to_string());
    told += &next.map(|next| element("NextContinuationToken", &next)).unwrap_or_default();
    for item in items {
        told += &match item {
            Item::Key(key, object) => {
                let inner = element("Key", &name(key))
                    + &element("LastModified", &xml_date(object.modified))
                    + &element("ETag", &object.etag)
                    + &element("Size", &object.bytes.len().to_string())
                    + &element(
                        "StorageClass",
                        object.headers.get("x-amz-storage-class").map_or("STANDARD", String::as_str),
                    );
                format!("<Contents>{inner}</Contents>")
            }
            Item::Prefix(prefix) => format!("<CommonPrefixes>{}</CommonPrefixes>", element("Prefix", &name(prefix))),
        };
    }
    Ok(Reply::xml(document("ListBucketResult", &told)))
}

pub(super) fn uploads(state: &State, call: &Call) -> Result<Reply, Refusal> {
    let max = page_size(state, call, "max-uploads")?;
    if call.query("delimiter").is_some_and(|delimiter| !delimiter.is_empty()) {
        return Err(not_implemented("a delimiter in the list of uploads"));
    }
    let name = names(call)?;
    let prefix = call.query("prefix").unwrap_or_default();
    let (key_marker, id_marker) = (call.query("key-marker").unwrap_or_default(), call.query("upload-id-marker"));
    let uploads = state.bucket(&call.bucket)?.uploads.values().filter(|upload| {
        let past = match id_marker.filter(|id| !id.is_empty()) {
            Some(id) => (upload.key.as_str(), upload.id.as_str()) > (key_marker, id),
            None => key_marker.is_empty() || upload.key.as_str() > key_marker,
        };
        upload.key.starts_with(prefix) && past
    });
    let all: Vec<_> = uploads.collect();
    let page: Vec<_> = all.iter().take(max).collect();
    let mut told = element("Bucket", &call.bucket)
        + &element("KeyMarker", &name(key_marker))
        + &element("UploadIdMarker", id_marker.unwrap_or_default())
        + &element("Prefix", &name(prefix))
        + &element("MaxUploads", &max.to_string())
        + &element("IsTruncated", &(page.len() < all.len()).to_string());
    if let Some(last) = page.last().filter(|_| page.len() < all.len()) {
        told += &(element("NextKeyMarker", &name(&last.key)) + &element("NextUploadIdMarker", &last.id));
    }
    for upload in page {
        let inner = element("Key", &name(&upload.key))
            + &element("UploadId", &upload.id)
            + &element("Initiated", &xml_date(upload.initiated));
        told += &format!("<Upload>{inner}</Upload>");
    }
    Ok(Reply::xml(document("ListMultipartUploadsResult", &told)))
}

pub(super) fn parts(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    let max = page_size(state, call, "max-parts")?;
    let marker = call.query("part-number-marker").map(str::parse::<u32>).transpose();
    let marker = marker.map_err(|_| refuse("InvalidArgument", "part-number-marker must be a number."))?.unwrap_or(0);
    let upload = multipart::upload(state, call)?;
    let all: Vec<_> = upload.parts.range(marker.saturating_add(1)..).collect();
    let page = all.iter().take(max);
    let is_truncated = all.len() > max;
    let last = page.clone().next_back().map_or(marker, |(number, _)| **number);
    let mut told = element("Bucket", &call.bucket)
        + &element("Key", &call.key)
        + &element("UploadId", &upload.id)
        + &element("PartNumberMarker", &marker.to_string())
        + &element("NextPartNumberMarker", &last.to_string())
        + &element("MaxParts", &max.to_string())
        + &element("IsTruncated", &is_truncated.to_string());
    for (number, part) in page {
        let inner = element("PartNumber", &number.to_string())
            + &element("LastModified", &xml_date(part.modified))
            + &element("ETag", &part.etag)
            + &element("Size", &part.bytes.len().to_string())
            + &part.checksum.as_ref().map(Checksum::elements).unwrap_or_default();
        told += &format!("<Part>{inner}</Part>");
    }
    Ok(Reply::xml(document("ListPartsResult", &told)))
}

/// How names are told: as they are, or with `encoding-type=url` percent-encoded.
fn names(call: &Call) -> Result<impl Fn(&str) -> String, Refusal> {
    let encode = match call.query("encoding-type") {
        None => false,
        Some("url") => true,
        Some(_) => return Err(refuse("InvalidArgument", "Invalid Encoding Method specified in Request")),
    };
    Ok(move |name: &str| if encode { utf8_percent_encode(name, &ENCODED).to_string() } else { name.to_owned() })
}

fn page_size(state: &State, call: &Call, parameter: &str) -> Result<usize, Refusal> {
    let asked = call.query(parameter).map(str::parse::<usize>).transpose();
    let asked = asked.map_err(|_| refuse("InvalidArgument", format!("Argument {parameter} must be an integer.")))?;
    Ok(asked.unwrap_or(state.limits.page_max).min(state.limits.page_max))
}

/// Whether it is a common prefix, and which.
fn parse_token(token: &str) -> Result<(bool, String), Refusal> {
    let text = HEXLOWER.decode(token.as_bytes()).ok().and_then(|text| String::from_utf8(text).ok());
    let parsed = text.as_deref().and_then(|text| {
        let key = text.strip_prefix('k').map(|key| (false, key.to_owned()));
        key.or_else(|| text.strip_prefix('p').map(|prefix| (true, prefix.to_owned())))
    });
    parsed.ok_or_else(|| refuse("InvalidArgument", "The continuation token provided is incorrect"))
}
