//! Where an object is: the parts of its URL.

use percent_encoding::{AsciiSet, utf8_percent_encode};
use reqwest::Url;

use crate::uri::ESCAPED;

/// What stands as it is in an object's name.
const ESCAPED_NAME: &AsciiSet = &ESCAPED.remove(b'/');

/// How a bucket stands in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// `https://endpoint/bucket/key`.
    Path,
    /// `https://bucket.endpoint/key`.
    Virtual,
    /// `https://endpoint/key`: the endpoint is the bucket's own name.
    Bucket,
}

/// The parts of an object's URL, or a bucket's, as they are signed.
pub(crate) struct Address {
    pub(crate) scheme: String,
    /// With its port, unless that is the scheme's own.
    pub(crate) host: String,
    pub(crate) path: String,
}

impl Address {
    /// The object of this name; an empty one stands for the bucket.
    pub(crate) fn of(endpoint: &Url, addressing: Addressing, bucket: &str, name: &str) -> Self {
        let host = endpoint.host_str().unwrap_or_default();
        let port = endpoint.port().map(|port| format!(":{port}")).unwrap_or_default();
        let name = escaped(name);
        let (host, path) = match addressing {
            Addressing::Path if name.is_empty() => (format!("{host}{port}"), format!("/{bucket}")),
            Addressing::Path => (format!("{host}{port}"), format!("/{bucket}/{name}")),
            Addressing::Virtual => (format!("{bucket}.{host}{port}"), format!("/{name}")),
            Addressing::Bucket => (format!("{host}{port}"), format!("/{name}")),
        };
        Self { scheme: endpoint.scheme().to_owned(), host, path }
    }

    /// The URL with this query.
    pub(crate) fn url(&self, query: &str) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}://{}{}{mark}{query}", self.scheme, self.host, self.path)
    }
}

/// A name as it stands in a path.
pub(crate) fn escaped(name: &str) -> String {
    utf8_percent_encode(name, ESCAPED_NAME).to_string()
}
