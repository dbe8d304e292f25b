//! Answers, and the errors that S3 gives.

use bytes::Bytes;
use distribution_core::Timestamp;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use quick_xml::escape::escape;

use super::call::Call;

/// What goes back over the wire.
#[derive(Clone, Debug)]
pub enum Answer {
    /// All of the answer. That to a HEAD has no body and the length of what a GET would have.
    Whole(Response<Bytes>),
    /// The answer's head, so many bytes of its body, and then the connection is cut.
    Cut(Response<Bytes>, usize),
    /// The connection is cut, unanswered.
    Nothing,
}

impl Answer {
    /// The answer, if all of it arrives.
    pub fn whole(self) -> Option<Response<Bytes>> {
        match self {
            Self::Whole(response) => Some(response),
            _ => None,
        }
    }
}

/// An answer without what all answers have.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    /// The length that a HEAD tells.
    pub(super) length: Option<usize>,
    pub(super) code: Option<&'static str>,
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Bytes::new(), length: None, code: None }
    }

    pub(super) fn xml(body: impl Into<String>) -> Self {
        let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", body.into());
        Self { body: body.into(), ..Self::new(200) }.with("content-type", "application/xml")
    }

    pub(super) fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The whole answer, with what all answers have ("Common Response Headers").
    pub(super) fn finish(self, call: &Call, now: Timestamp) -> Response<Bytes> {
        let is_head = call.method == http::Method::HEAD;
        let length = self.length.unwrap_or(self.body.len());
        let mut response = Response::new(if is_head { Bytes::new() } else { self.body });
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
        // "A 204 has no Content-Length" (RFC 9110, 8.6); a 304 tells nothing of its body here.
        if !matches!(self.status, 204 | 304) {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if let Ok(date) = HeaderValue::try_from(http_date(now)) {
            headers.insert(header::DATE, date);
        }
        headers.insert("x-amz-request-id", HeaderValue::from(call.number));
        headers.insert(header::SERVER, HeaderValue::from_static("S3Double"));
        response
    }
}

/// An error of S3 ("Error responses" in the API reference).
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    code: &'static str,
    message: String,
    extra: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
}

pub(super) fn refuse(code: &'static str, message: impl Into<String>) -> Refusal {
    Refusal { code, message: message.into(), extra: Vec::new(), headers: Vec::new() }
}

/// One that S3 has and the double has not.
pub(super) fn not_implemented(what: &str) -> Refusal {
    refuse("NotImplemented", format!("The double does not implement {what}."))
}

impl Refusal {
    pub(super) fn with(mut self, element: &'static str, value: impl Into<String>) -> Self {
        self.extra.push((element, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The code and message as elements.
    pub(super) fn elements(&self) -> String {
        element("Code", self.code) + &element("Message", &self.message)
    }

    pub(super) fn reply(self, call: &Call) -> Reply {
        let resource = format!("/{}/{}", call.bucket, call.key);
        let mut body = self.elements();
        for (name, value) in &self.extra {
            body += &element(name, value);
        }
        body += &element("Resource", &resource);
        body += &element("RequestId", &call.number.to_string());
        let mut reply = Reply::xml(format!("<Error>{body}</Error>"));
        if call.method == http::Method::HEAD {
            reply = Reply::new(0);
        }
        for (name, value) in self.headers {
            reply = reply.with(name, value);
        }
        Reply { status: status(self.code), code: Some(self.code), ..reply }
    }
}

/// The status of an error ("List of error codes"); 400 for most.
fn status(code: &str) -> u16 {
    match code {
        "NotModified" => 304,
        "AccessDenied" | "InvalidAccessKeyId" | "RequestTimeTooSkewed" | "SignatureDoesNotMatch" => 403,
        "InvalidObjectState" | "ObjectNotInActiveTierError" => 403,
        "NoSuchBucket" | "NoSuchKey" | "NoSuchUpload" => 404,
        "MethodNotAllowed" => 405,
        "BucketAlreadyOwnedByYou" | "ConditionalRequestConflict" => 409,
        "MissingContentLength" => 411,
        "PreconditionFailed" => 412,
        "InvalidRange" => 416,
        "InternalError" => 500,
        "NotImplemented" => 501,
        "SlowDown" => 503,
        _ => 400,
    }
}

/// `<name>text</name>`, escaped.
pub(super) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// The root element of an answer, with its namespace.
pub(super) fn document(name: &str, inner: &str) -> String {
    format!("<{name} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inner}</{name}>")
}

/// Such as `Wed, 12 Oct 2009 17:50:00 GMT` (RFC 9110, 5.6.7).
pub(super) fn http_date(at: Timestamp) -> String {
    at.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Such as `2009-10-12T17:50:30.000Z`, as in the XML of S3.
pub(super) fn xml_date(at: Timestamp) -> String {
    at.format("%Y-%m-%dT%H:%M:%S.000Z").to_string()
}
