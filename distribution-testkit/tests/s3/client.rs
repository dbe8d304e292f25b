//! A client that speaks plain requests, signed or not.

use bytes::Bytes;
use data_encoding::HEXLOWER;
use distribution_core::Timestamp;
use distribution_testkit::s3::{Answer, Limits, S3Double};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Request};
use sha2::{Digest as _, Sha256};

pub(crate) type Headers<'a> = &'a [(&'a str, &'a str)];

/// What came back.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The texts of all elements of this name.
    pub(crate) fn all(&self, element: &str) -> Vec<&str> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        self.text().split(&*open).skip(1).map(|rest| rest.split(&*close).next().unwrap()).collect()
    }

    pub(crate) fn element(&self, name: &str) -> &str {
        self.all(name).first().copied().unwrap_or("")
    }

    /// The status, and the code of the error.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status, self.element("Code"))
    }
}

/// A double that asks for no signature, with small limits and two buckets.
pub(crate) fn open() -> S3Double {
    let limits = Limits { part_bytes_min: 4, put_bytes_max: 64, page_max: 3 };
    let double = S3Double::open().with_limits(limits);
    double.create_bucket("media");
    double.create_bucket("staging");
    double
}

pub(crate) fn request(method: &str, path: &str, headers: Headers<'_>, body: &str) -> Request<Bytes> {
    let request = Request::builder().method(method).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

/// The whole answer, which has to come.
pub(crate) fn ask(double: &S3Double, method: &str, path: &str, headers: Headers<'_>, body: &str) -> Told {
    told(double.answer(request(method, path, headers, body)))
}

pub(crate) fn told(answer: Answer) -> Told {
    let (head, body) = answer.whole().unwrap().into_parts();
    let (status, headers) = (head.status.as_u16(), head.headers);
    if !body.is_empty() {
        assert_eq!(headers["content-length"], body.len().to_string());
    }
    Told { status, headers, body }
}

pub(crate) fn put(double: &S3Double, path: &str, body: &str) -> Told {
    let told = ask(double, "PUT", path, &[], body);
    assert_eq!(told.status, 200, "{told:?}");
    told
}

pub(crate) fn get(double: &S3Double, path: &str) -> Told {
    ask(double, "GET", path, &[], "")
}

pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// Signs as the documents say, and as little as it can.
pub(crate) struct Signer<'a> {
    pub(crate) id: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) region: &'a str,
    pub(crate) at: Timestamp,
}

impl Signer<'_> {
    fn scope(&self) -> String {
        format!("{}/{}/s3/aws4_request", self.at.format("%Y%m%d"), self.region)
    }

    fn date(&self) -> String {
        self.at.format("%Y%m%dT%H%M%SZ").to_string()
    }

    fn signature(&self, canonical: &str) -> String {
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{}\n{}\n{}", self.date(), self.scope(), sha256_hex(canonical.as_bytes()));
        let day = self.at.format("%Y%m%d").to_string();
        let steps = [&*day, self.region, "s3", "aws4_request", &*to_sign];
        let signature = steps.iter().fold(format!("AWS4{}", self.secret).into_bytes(), |key, text| {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        });
        HEXLOWER.encode(&signature)
    }

    /// With the `Authorization` header. All headers are signed; the path is one that needs no encoding.
    pub(crate) fn signed(&self, method: &str, path: &str, headers: Headers<'_>, body: &str) -> Request<Bytes> {
        let (date, hash) = (self.date(), sha256_hex(body.as_bytes()));
        let mut all = vec![("host", "s3.test"), ("x-amz-date", &*date), ("x-amz-content-sha256", &*hash)];
        all.retain(|(name, _)| headers.iter().all(|(given, _)| given != name));
        all.extend(headers);
        all.sort_unstable();
        let names: Vec<_> = all.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines: String = all.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let payload = all.iter().find(|(name, _)| *name == "x-amz-content-sha256").unwrap().1;
        let signature = self.signature(&format!("{method}\n{path}\n\n{lines}\n{names}\n{payload}"));
        let (id, scope) = (self.id, self.scope());
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={id}/{scope},SignedHeaders={names},Signature={signature}");
        all.push(("authorization", &authorization));
        request(method, path, &all, body)
    }

    /// A presigned GET of this path, with further parameters, encoded, each after a `&`.
    pub(crate) fn presigned(&self, path: &str, expires: &str, extra: &str) -> String {
        let (id, scope, date) = (self.id, self.scope().replace('/', "%2F"), self.date());
        let query = format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={id}%2F{scope}&X-Amz-Date={date}\
             &X-Amz-Expires={expires}&X-Amz-SignedHeaders=host{extra}"
        );
        let mut pairs: Vec<_> = query.split('&').collect();
        pairs.sort_unstable();
        let query = pairs.join("&");
        let signature = self.signature(&format!("GET\n{path}\n{query}\nhost:s3.test\n\nhost\nUNSIGNED-PAYLOAD"));
        format!("http://s3.test{path}?{query}&X-Amz-Signature={signature}")
    }
}
