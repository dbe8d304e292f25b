//! What was asked for, and how often.

use http::HeaderMap;

use super::fault::{Fault, Op};

/// A request, as the log keeps it. Its headers hold the signature.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Request {
    /// Its number, counted from 0 in the order in which requests begin.
    pub number: usize,
    /// What it was.
    pub op: Op,
    /// Its bucket, or empty.
    pub bucket: String,
    /// Its key, or empty.
    pub key: String,
    /// Its query, decoded.
    pub query: Vec<(String, String)>,
    /// Its headers.
    pub headers: HeaderMap,
    /// How many bytes of an object came with it: of PutObject and UploadPart.
    pub bytes_in: u64,
    /// How many bytes of an object went out: of GetObject.
    pub bytes_out: u64,
    /// The status it was answered with; `None` if it was not answered.
    pub status: Option<u16>,
    /// The error it was answered with, such as `NoSuchKey`.
    pub code: Option<&'static str>,
    /// What went wrong with it.
    pub faults: Vec<Fault>,
}

impl Request {
    /// The header's value, if there is one of visible ASCII.
    ///
    /// ```
    /// # use distribution_testkit::s3::{Op, S3Double};
    /// let double = S3Double::open();
    /// double.create_bucket("media");
    /// let put = http::Request::put("http://s3.test/media/clip.mp4").header("if-none-match", "*");
    /// double.answer(put.body("bytes".into()).unwrap());
    ///
    /// let log = double.log();
    /// assert_eq!((log[0].op, log[0].header("if-none-match")), (Op::PutObject, Some("*")));
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}
