//! The XML of the requests that are used here (Amazon S3 API Reference).

use quick_xml::de::from_reader;
use quick_xml::se::to_string;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::failure::Failure;

/// The answer to `CreateMultipartUpload`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct InitiateMultipartUploadResult {
    pub(crate) upload_id: String,
}

/// The answer to `UploadPartCopy`.
#[derive(Deserialize)]
pub(crate) struct CopyPartResult {
    #[serde(rename = "ETag")]
    pub(crate) etag: String,
}

/// The answer to `CopyObject`.
#[derive(Deserialize)]
pub(crate) struct CopyObjectResult {
    #[serde(rename = "ChecksumSHA256")]
    pub(crate) sha256: Option<String>,
}

/// The body of `CompleteMultipartUpload`.
#[derive(Serialize)]
pub(crate) struct CompleteMultipartUpload {
    #[serde(rename = "Part")]
    pub(crate) parts: Vec<Part>,
}

/// A part that the service has.
#[derive(Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Part {
    pub(crate) part_number: usize,
    #[serde(rename = "ETag")]
    pub(crate) etag: String,
}

/// The body of `PutObjectLegalHold`.
#[derive(Serialize)]
#[serde(rename = "LegalHold", rename_all = "PascalCase")]
pub(crate) struct LegalHoldStatus {
    pub(crate) status: &'static str,
}

/// The answer to `ListMultipartUploads`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListMultipartUploadsResult {
    #[serde(default)]
    pub(crate) is_truncated: bool,
    #[serde(default)]
    pub(crate) next_key_marker: String,
    #[serde(default)]
    pub(crate) next_upload_id_marker: String,
    #[serde(default, rename = "Upload")]
    pub(crate) uploads: Vec<Upload>,
}

/// The answer to `ListObjectsV2`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ListBucketResult {
    #[serde(default)]
    pub(crate) is_truncated: bool,
    pub(crate) next_continuation_token: Option<String>,
    #[serde(default)]
    pub(crate) contents: Vec<Listed>,
}

/// A listed object.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) last_modified: String,
    #[serde(rename = "ETag")]
    pub(crate) etag: String,
    pub(crate) size: u64,
}

/// An unfinished upload.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Upload {
    pub(crate) key: String,
    pub(crate) upload_id: String,
    pub(crate) initiated: String,
}

/// What the answer says.
pub(crate) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    from_reader(body).map_err(Failure::lost)
}

/// The request's body.
pub(crate) fn write(body: &impl Serialize) -> Result<Vec<u8>, Failure> {
    to_string(body).map(String::into_bytes).map_err(Failure::lost)
}

/// The name of the body's root, such as `Error`; empty if it has none.
pub(crate) fn root(body: &[u8]) -> &str {
    let text = std::str::from_utf8(body).unwrap_or_default().trim_start();
    let text = match text.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, rest)| rest.trim_start()),
        None => text,
    };
    let name = text.strip_prefix('<').unwrap_or_default();
    name.split(|c: char| c == '>' || c == '/' || c.is_whitespace()).next().unwrap_or_default()
}

/// The code of the error that the body is, if it is one.
pub(crate) fn refusal(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "Code")]
        code: String,
    }
    if root(body) != "Error" {
        return None;
    }
    // Only what is fit to be shown.
    let code = read::<Refusal>(body).map_or_else(|_| String::new(), |refusal| refusal.code);
    Some(code.chars().filter(char::is_ascii_alphanumeric).take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_known_by_its_root() {
        let error = b"<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message>x</Message></Error>";
        assert_eq!(refusal(error).as_deref(), Some("SlowDown"));
        assert_eq!(refusal(b"<Error><Nonsense"), Some(String::new()));
        assert_eq!(refusal(b"<CopyObjectResult><Error>x</Error></CopyObjectResult>"), None);
        assert_eq!(refusal(b"<Errors/>"), None);
        assert_eq!(refusal(b""), None);
    }

    #[test]
    fn parts_are_written_as_they_are_asked_for() {
        let parts = vec![Part { part_number: 1, etag: "\"a&b\"".into() }];
        let body = String::from_utf8(write(&CompleteMultipartUpload { parts }).unwrap()).unwrap();
        let part = "<Part><PartNumber>1</PartNumber><ETag>\"a&amp;b\"</ETag></Part>";
        assert_eq!(body, format!("<CompleteMultipartUpload>{part}</CompleteMultipartUpload>"));
    }
}
