//! A request, taken apart: which operation on what.

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use percent_encoding::percent_decode_str;

use super::fault::{Fault, Op, Struck};
use super::lock;
use super::log::Request;
use super::reply::{Refusal, not_implemented, refuse};

/// A request on its way through the double.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) number: usize,
    pub(super) op: Op,
    pub(super) method: Method,
    pub(super) host: String,
    /// As it is on the wire.
    pub(super) path: String,
    pub(super) bucket: String,
    pub(super) key: String,
    /// Decoded.
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) faults: Vec<Struck>,
    /// The ETag at the key when a racy check was made.
    pub(super) seen: Option<Option<String>>,
}

impl Call {
    pub(super) fn parse(request: http::Request<Bytes>, domains: &[String], number: usize) -> Self {
        let (head, body) = request.into_parts();
        let from_uri = || head.uri.authority().map(|authority| authority.as_str().to_owned());
        let in_header = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = in_header.map(str::to_owned).or_else(from_uri).unwrap_or_default();
        let path = head.uri.path().to_owned();
        let query = parse_query(head.uri.query().unwrap_or_default());
        let place = place(&host, &path, domains);
        let (bucket, key) = place.clone().unwrap_or_default();
        let mut call = Self {
            number,
            op: Op::Unknown,
            method: head.method,
            host,
            path,
            bucket,
            key,
            query,
            headers: head.headers,
            body,
            faults: Vec::new(),
            seen: None,
        };
        if place.is_some() {
            call.op = call.operation();
        }
        call
    }

    /// What the API reference calls this request.
    fn operation(&self) -> Op {
        let asks = |name: &str| self.query(name).is_some();
        let copies = self.headers.contains_key("x-amz-copy-source");
        match (self.method.as_str(), self.bucket.is_empty(), self.key.is_empty()) {
            (_, true, _) => Op::Unknown,
            ("HEAD", _, true) => Op::HeadBucket,
            ("PUT", _, true) => Op::CreateBucket,
            ("GET", _, true) if asks("uploads") => Op::ListMultipartUploads,
            ("GET", _, true) if self.query("list-type") == Some("2") => Op::ListObjectsV2,
            ("POST", _, true) if asks("delete") => Op::DeleteObjects,
            (_, _, true) => Op::Unknown,
            ("GET", ..) if asks("uploadId") => Op::ListParts,
            ("GET", ..) => Op::GetObject,
            ("HEAD", ..) => Op::HeadObject,
            ("PUT", ..) if asks("uploadId") && copies => Op::UploadPartCopy,
            ("PUT", ..) if asks("uploadId") => Op::UploadPart,
            ("PUT", ..) if asks("legal-hold") => Op::PutObjectLegalHold,
            ("PUT", ..) if copies => Op::CopyObject,
            ("PUT", ..) => Op::PutObject,
            ("POST", ..) if asks("uploads") => Op::CreateMultipartUpload,
            ("POST", ..) if asks("uploadId") => Op::CompleteMultipartUpload,
            ("DELETE", ..) if asks("uploadId") => Op::AbortMultipartUpload,
            ("DELETE", ..) => Op::DeleteObject,
            _ => Op::Unknown,
        }
    }

    /// The value of the query's parameter; empty if it has none.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.faults.iter().any(|struck| struck.fault == fault)
    }

    /// When the fault that this call has was armed.
    pub(super) fn since(&self, fault: Fault) -> Option<usize> {
        self.faults.iter().find(|struck| struck.fault == fault).map(|struck| struck.since)
    }

    /// The log's entry, before there is an answer.
    pub(super) fn entry(&self) -> Request {
        let carries = matches!(self.op, Op::PutObject | Op::UploadPart);
        Request {
            number: self.number,
            op: self.op,
            bucket: self.bucket.clone(),
            key: self.key.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            bytes_in: if carries { self.body.len() as u64 } else { 0 },
            bytes_out: 0,
            status: None,
            code: None,
            faults: self.faults.iter().map(|struck| struck.fault).collect(),
        }
    }

    /// Whether all that the request asks for is something that the double does. What is not is
    /// refused, so that nothing is left out in silence.
    pub(super) fn is_understood(&self) -> Result<(), Refusal> {
        if self.op == Op::Unknown {
            return Err(not_implemented(&format!("{} {}", self.method, self.path)));
        }
        for (name, _) in &self.query {
            if !knows_parameter(name) && !lock::knows_parameter(self.op, name) {
                return Err(not_implemented(&format!("the parameter {name:?}")));
            }
        }
        for (name, value) in &self.headers {
            if !knows_header(name.as_str()) {
                return Err(not_implemented(&format!("the header {name}")));
            }
            if value.to_str().is_err() {
                return Err(refuse("InvalidArgument", format!("The header {name} is not ASCII.")));
            }
        }
        let length = self.header("content-length").map(str::parse::<usize>);
        if self.headers.contains_key(header::TRANSFER_ENCODING) {
            return Err(refuse("MissingContentLength", "You must provide the Content-Length HTTP header."));
        }
        if length.is_some_and(|length| length != Ok(self.body.len())) {
            return Err(refuse("IncompleteBody", "The request body is not as long as Content-Length says."));
        }
        if self.key.len() > 1024 {
            return Err(refuse("KeyTooLongError", "Your key is too long."));
        }
        Ok(())
    }
}

/// Bucket and key of a virtual-hosted or path-style request ("Virtual hosting of buckets"); `None` if
/// the path is not UTF-8.
fn place(host: &str, path: &str, domains: &[String]) -> Option<(String, String)> {
    let path = path.strip_prefix('/').unwrap_or(path);
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned());
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let hosted = domains.iter().find_map(|domain| name.strip_suffix(domain.as_str())?.strip_suffix('.'));
    match hosted {
        Some(bucket) => Some((bucket.to_owned(), decoded(path)?)),
        None => {
            let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
            Some((decoded(bucket)?, decoded(key)?))
        }
    }
}

/// The pairs of a query, decoded; `+` stays what it is.
fn parse_query(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (decoded(k), decoded(v))).collect()
}

fn knows_parameter(name: &str) -> bool {
    const KNOWN: [&str; 27] = [
        "list-type",
        "prefix",
        "delimiter",
        "start-after",
        "continuation-token",
        "max-keys",
        "fetch-owner",
        "encoding-type",
        "uploads",
        "uploadId",
        "partNumber",
        "key-marker",
        "upload-id-marker",
        "max-uploads",
        "part-number-marker",
        "max-parts",
        "delete",
        "x-id",
        "response-content-type",
        "response-content-language",
        "response-expires",
        "response-cache-control",
        "response-content-disposition",
        "response-content-encoding",
        "X-Amz-Content-Sha256",
        "X-Amz-Signature",
        "X-Amz-Security-Token",
    ];
    const AUTH: [&str; 5] =
        ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders"];
    KNOWN.contains(&name) || AUTH.contains(&name)
}

/// Headers that have no effect on S3 are known; `if-modified-since` and its like would have one.
fn knows_header(name: &str) -> bool {
    const KNOWN: [&str; 19] = [
        "x-amz-content-sha256",
        "x-amz-date",
        "x-amz-security-token",
        "x-amz-user-agent",
        "x-amz-sdk-checksum-algorithm",
        "x-amz-checksum-algorithm",
        "x-amz-checksum-type",
        "x-amz-checksum-mode",
        "x-amz-checksum-sha256",
        "x-amz-checksum-crc32",
        "x-amz-checksum-crc32c",
        "x-amz-checksum-crc64nvme",
        "x-amz-copy-source",
        "x-amz-copy-source-if-match",
        "x-amz-copy-source-range",
        "x-amz-metadata-directive",
        "x-amz-mp-object-size",
        "x-amz-api-version",
        "x-amz-storage-class",
    ];
    const CONDITIONS: [&str; 3] = ["if-modified-since", "if-unmodified-since", "if-range"];
    match name.strip_prefix("x-amz-") {
        Some(rest) => rest.starts_with("meta-") || KNOWN.contains(&name),
        None => !CONDITIONS.contains(&name),
    }
}
