//! Multipart uploads.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use serde::Deserialize;

use super::auth::hex_sha256;
use super::call::Call;
use super::checksum::{self, Algorithm, Checksum};
use super::fault::Fault;
use super::object::{asked_algorithm, malformed_xml, parse_xml};
use super::reply::{Refusal, Reply, document, element, refuse};
use super::state::{Attributes, Object, Part, State, Upload};

const PARTS_MAX: u32 = 10_000;

pub(super) fn create(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    let Attributes { headers, metadata } = Attributes::of(call)?;
    let asked = asked_algorithm(call)?;
    let full = match (asked, call.header("x-amz-checksum-type")) {
        (None, None) => false,
        (None, Some(_)) => {
            return Err(refuse("InvalidRequest", "The x-amz-checksum-type header needs an x-amz-checksum-algorithm."));
        }
        (Some(Algorithm::Crc64Nvme), None) => true,
        (Some(_), None | Some("COMPOSITE")) if asked != Some(Algorithm::Crc64Nvme) => false,
        (Some(_), Some("FULL_OBJECT")) if asked != Some(Algorithm::Sha256) => true,
        (Some(algorithm), _) => {
            let message = format!("The checksum type cannot be used with the {} algorithm.", algorithm.name());
            return Err(refuse("InvalidRequest", message));
        }
    };
    state.uploads += 1;
    // Like Ceph's, with a character that not everybody encodes alike.
    let id: String = format!("2~{}", hex_sha256(&state.uploads.to_be_bytes())).chars().take(34).collect();
    let checksum = asked.map(|algorithm| (algorithm, full));
    let (key, initiated) = (call.key.clone(), state.time());
    let upload = Upload { key, id: id.clone(), initiated, headers, metadata, checksum, parts: BTreeMap::new() };
    state.bucket_mut(&call.bucket)?.uploads.insert((call.key.clone(), id.clone()), upload);
    let told = element("Bucket", &call.bucket) + &element("Key", &call.key) + &element("UploadId", &id);
    Ok(Reply::xml(document("InitiateMultipartUploadResult", &told)))
}

pub(super) fn part(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    let number = part_number(call)?;
    if call.body.len() as u64 > state.limits.put_bytes_max {
        return Err(refuse("EntityTooLarge", "Your proposed upload exceeds the maximum allowed object size."));
    }
    let modified = state.time();
    let upload = upload(state, call)?;
    checksum::content_md5(call)?;
    let sent = checksum::of_body(call)?;
    let (expected, sent_with) = (upload.checksum, sent.as_ref().map(|sent| sent.algorithm));
    let checksum = match (expected, sent_with) {
        (None, None) => None,
        (Some((algorithm, _)), Some(found)) if algorithm == found => sent,
        (Some((algorithm, true)), None) => Some(algorithm.full(&call.body)),
        (Some((algorithm, false)), None) if call.has(Fault::ChecksumUnchecked) => Some(algorithm.full(&call.body)),
        _ => {
            let name = |algorithm: Option<Algorithm>| algorithm.map_or("null", Algorithm::name).to_lowercase();
            let (expected, found) = (name(expected.map(|(algorithm, _)| algorithm)), name(sent_with));
            let message = format!(
                "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: {found}"
            );
            return Err(refuse("InvalidRequest", message));
        }
    };
    let etag = checksum::etag(&call.body);
    let told = checksum.as_ref().map(|checksum| (checksum.algorithm.header(), checksum.value.clone()));
    upload.parts.insert(number, Part { bytes: call.body.clone(), etag: etag.clone(), modified, checksum });
    let reply = Reply::new(200).with("etag", etag);
    Ok(told.into_iter().fold(reply, |reply, (name, value)| reply.with(name, value)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Completion {
    #[serde(default)]
    part: Vec<Claimed>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Claimed {
    part_number: u32,
    #[serde(rename = "ETag")]
    etag: String,
    #[serde(rename = "ChecksumSHA256")]
    sha256: Option<String>,
    #[serde(rename = "ChecksumCRC32")]
    crc32: Option<String>,
    #[serde(rename = "ChecksumCRC32C")]
    crc32c: Option<String>,
    #[serde(rename = "ChecksumCRC64NVME")]
    crc64: Option<String>,
}

impl Claimed {
    fn checksum(&self, algorithm: Algorithm) -> Option<&String> {
        match algorithm {
            Algorithm::Sha256 => self.sha256.as_ref(),
            Algorithm::Crc32 => self.crc32.as_ref(),
            Algorithm::Crc32c => self.crc32c.as_ref(),
            Algorithm::Crc64Nvme => self.crc64.as_ref(),
        }
    }
}

pub(super) fn complete(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    let Completion { part: claimed } = parse_xml(&call.body)?;
    if claimed.is_empty() {
        return Err(malformed_xml());
    }
    let id = call.query("uploadId").unwrap_or_default().to_owned();
    if let Some(told) = state.bucket(&call.bucket)?.completed.get(&id).cloned()
        && !call.has(Fault::ForgottenUpload)
    {
        // "CompleteMultipartUpload is idempotent", but for its conditions.
        state.may_write(call)?;
        return Ok(told);
    }
    let smallest = state.limits.part_bytes_min;
    let upload = upload(state, call)?.clone();
    let parts = chosen(&upload, &claimed, smallest)?;
    let object = assembled(call, &upload, &parts, state)?;
    state.may_write(call)?;
    let (etag, checksum) = (object.etag.clone(), object.checksum.clone());
    state.store(call, object)?;
    let told = element("Location", &format!("http://{}{}", call.host, call.path))
        + &element("Bucket", &call.bucket)
        + &element("Key", &call.key)
        + &element("ETag", &etag)
        + &checksum.as_ref().map(Checksum::elements).unwrap_or_default();
    let reply = Reply::xml(document("CompleteMultipartUploadResult", &told));
    let bucket = state.bucket_mut(&call.bucket)?;
    bucket.uploads.remove(&(call.key.clone(), id.clone()));
    bucket.completed.insert(id, reply.clone());
    Ok(reply)
}

/// The parts that the completion names, if they are those that are there.
fn chosen(upload: &Upload, claimed: &[Claimed], smallest: u64) -> Result<Vec<Part>, Refusal> {
    if !claimed.is_sorted_by_key(|part| part.part_number) {
        return Err(refuse("InvalidPartOrder", "The list of parts was not in ascending order."));
    }
    let mut parts = Vec::new();
    for (index, claim) in claimed.iter().enumerate() {
        let wrong = || {
            let message = "One or more of the specified parts could not be found. The part may not have been \
                uploaded, or the specified entity tag may not match the part's entity tag.";
            refuse("InvalidPart", message).with("PartNumber", claim.part_number.to_string())
        };
        let repeated =
            index > 0 && claimed.get(index - 1).is_some_and(|before| before.part_number == claim.part_number);
        let part = upload
            .parts
            .get(&claim.part_number)
            .filter(|part| !repeated && claim.etag.trim_matches('"') == part.etag.trim_matches('"'));
        let part = part.ok_or_else(wrong)?;
        if (part.bytes.len() as u64) < smallest && index + 1 < claimed.len() {
            let message = "Your proposed upload is smaller than the minimum allowed size";
            return Err(refuse("EntityTooSmall", message).with("PartNumber", claim.part_number.to_string()));
        }
        if let Some((algorithm, full)) = upload.checksum {
            let value = part.checksum.as_ref().map(|checksum| &checksum.value);
            match claim.checksum(algorithm) {
                None if full => {}
                None => {
                    let message = "The upload was created using a checksum algorithm. \
                        The complete request must include the checksum for each part.";
                    return Err(refuse("InvalidRequest", message));
                }
                found if found == value => {}
                Some(_) => return Err(wrong()),
            }
        }
        parts.push(part.clone());
    }
    Ok(parts)
}

/// The object that the parts make.
fn assembled(call: &Call, upload: &Upload, parts: &[Part], state: &State) -> Result<Object, Refusal> {
    let mut bytes = BytesMut::with_capacity(parts.iter().map(|part| part.bytes.len()).sum());
    parts.iter().for_each(|part| bytes.extend_from_slice(&part.bytes));
    let bytes: Bytes = bytes.freeze();
    if call.header("x-amz-mp-object-size").is_some_and(|size| size != bytes.len().to_string()) {
        return Err(refuse("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match."));
    }
    let checksum = upload.checksum.map(|(algorithm, full)| match full {
        true => algorithm.full(&bytes),
        false => {
            let values = parts.iter().filter_map(|part| Some(part.checksum.as_ref()?.value.as_str()));
            algorithm.composite(values)
        }
    });
    if let Some(checksum) = &checksum
        && let Some(claimed) = call.header(&checksum.algorithm.header())
        && claimed != checksum.value
        && !call.has(Fault::ChecksumUnchecked)
    {
        return Err(refuse("BadDigest", "The checksum you specified did not match what we computed."));
    }
    Ok(Object {
        etag: checksum::etag_of_parts(parts.iter().map(|part| part.etag.as_str())),
        bytes,
        modified: state.time(),
        headers: upload.headers.clone(),
        metadata: upload.metadata.clone(),
        checksum,
        number: call.number,
    })
}

pub(super) fn abort(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    let id = upload(state, call)?.id.clone();
    state.bucket_mut(&call.bucket)?.uploads.remove(&(call.key.clone(), id));
    Ok(Reply::new(204))
}

/// The upload that the call is about.
pub(super) fn upload<'a>(state: &'a mut State, call: &Call) -> Result<&'a mut Upload, Refusal> {
    let id = call.query("uploadId").unwrap_or_default().to_owned();
    let found = state.bucket_mut(&call.bucket)?.uploads.get_mut(&(call.key.clone(), id.clone()));
    let message = "The specified multipart upload does not exist. The upload ID may be invalid, or the upload \
        may have been aborted or completed.";
    found.ok_or_else(|| refuse("NoSuchUpload", message).with("UploadId", id))
}

pub(super) fn part_number(call: &Call) -> Result<u32, Refusal> {
    let number = call.query("partNumber").and_then(|number| number.parse().ok());
    let message = "Part number must be an integer between 1 and 10000, inclusive";
    number.filter(|number| (1..=PARTS_MAX).contains(number)).ok_or_else(|| refuse("InvalidArgument", message))
}
