//! Google Cloud Storage's JSON API, as far as opendal uses it, as a transport without a network.
//!
//! After <https://cloud.google.com/storage/docs/json_api/v1> and
//! <https://cloud.google.com/storage/docs/performing-resumable-uploads>. A precondition of a resumable upload
//! is looked at when it ends, not when it begins: that is the more dangerous of the two.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use distribution_backends::opendal::{self, Buffer, HttpBody, HttpTransport};
use futures::stream;
use http::{Method, Request, Response, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

pub(crate) const ENDPOINT: &str = "http://google.invalid";

/// A bucket. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Google(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    uploads: HashMap<String, Upload>,
    generation: u64,
}

#[derive(Clone)]
struct Object {
    bytes: Bytes,
    generation: u64,
    metadata: Value,
}

struct Upload {
    name: String,
    if_generation: Option<u64>,
    metadata: Value,
    bytes: Vec<u8>,
}

impl Google {
    /// Replaces the object's bytes, as nobody should.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> bool {
        let mut state = self.0.lock().unwrap();
        state.generation += 1;
        let generation = state.generation;
        let Some(object) = state.objects.get_mut(name) else { return false };
        (object.bytes, object.generation) = (Bytes::copy_from_slice(bytes), generation);
        true
    }

    /// Changes the object's bytes so that nobody is told; `None` loses it.
    pub(crate) fn rot(&self, name: &str, bytes: Option<Vec<u8>>) {
        let mut state = self.0.lock().unwrap();
        match bytes {
            Some(bytes) => state.objects.get_mut(name).unwrap().bytes = bytes.into(),
            None => _ = state.objects.remove(name),
        }
    }

    pub(crate) fn metadata(&self, name: &str) -> Value {
        self.0.lock().unwrap().objects[name].metadata.clone()
    }

    pub(crate) fn object(&self, name: &str) -> Option<Bytes> {
        self.0.lock().unwrap().objects.get(name).map(|object| object.bytes.clone())
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.0.lock().unwrap().uploads.len()
    }
}

impl HttpTransport for Google {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        // Others go first, as on a network.
        tokio::task::yield_now().await;
        let answer = self.0.lock().unwrap().answer(&request);
        let (mut parts, bytes) = answer.into_parts();
        let len = bytes.len() as u64;
        parts.headers.insert(header::CONTENT_LENGTH, len.into());
        let pieces: Vec<_> = bytes.chunks(60_000).map(|piece| Ok(Buffer::from(piece.to_vec()))).collect();
        Ok(Response::from_parts(parts, HttpBody::new(stream::iter(pieces), Some(len))))
    }
}

type Answer = Response<Vec<u8>>;

impl State {
    fn answer(&mut self, request: &Request<Buffer>) -> Answer {
        let path = request.uri().path();
        let query: HashMap<_, _> = request.uri().query().unwrap_or_default().split('&').filter_map(pair).collect();
        if let Some(id) = path.strip_prefix("/session/") {
            return if request.method() == Method::DELETE { self.cancel(id) } else { self.upload(id, request) };
        }
        if path.starts_with("/upload/") {
            return self.begin(&query, request);
        }
        match (path.strip_prefix("/storage/v1/b/bucket/o").unwrap(), request.method()) {
            ("", &Method::GET) => self.list(&query),
            (name, &Method::GET) => self.get(&decoded(&name[1..]), &query, request),
            (name, &Method::DELETE) => match self.objects.remove(&decoded(&name[1..])) {
                Some(_) => answer(StatusCode::NO_CONTENT, Vec::new()),
                None => refused(StatusCode::NOT_FOUND, "notFound"),
            },
            other => panic!("the double knows no {other:?}"),
        }
    }

    fn begin(&mut self, query: &HashMap<String, String>, request: &Request<Buffer>) -> Answer {
        assert_eq!(query["uploadType"], "resumable");
        self.generation += 1;
        let id = self.generation.to_string();
        let upload = Upload {
            name: query["name"].clone(),
            if_generation: query.get("ifGenerationMatch").map(|generation| generation.parse().unwrap()),
            metadata: serde_json::from_slice(&request.body().to_vec()).unwrap(),
            bytes: Vec::new(),
        };
        self.uploads.insert(id.clone(), upload);
        Response::builder().header(header::LOCATION, format!("{ENDPOINT}/session/{id}")).body(Vec::new()).unwrap()
    }

    fn upload(&mut self, id: &str, request: &Request<Buffer>) -> Answer {
        let Some(upload) = self.uploads.get_mut(id) else { return refused(StatusCode::NOT_FOUND, "notFound") };
        let range = request.headers()[header::CONTENT_RANGE].to_str().unwrap().strip_prefix("bytes ").unwrap();
        let (range, total) = range.split_once('/').unwrap();
        let body = request.body().to_vec();
        if let Some((start, end)) = range.split_once('-') {
            let (start, end): (usize, usize) = (start.parse().unwrap(), end.parse().unwrap());
            assert_eq!(body.len(), end - start + 1);
            assert!(total != "*" || body.len() % (256 << 10) == 0, "a piece of {} bytes", body.len());
            if start != upload.bytes.len() {
                return refused(StatusCode::SERVICE_UNAVAILABLE, "backendError");
            }
            upload.bytes.extend(body);
        }
        if total.parse() != Ok(upload.bytes.len()) {
            let taken = format!("bytes=0-{}", upload.bytes.len().saturating_sub(1));
            return Response::builder().status(308).header(header::RANGE, taken).body(Vec::new()).unwrap();
        }
        let there = self.objects.get(&upload.name).map_or(0, |object| object.generation);
        if upload.if_generation.is_some_and(|wanted| wanted != there) {
            return refused(StatusCode::PRECONDITION_FAILED, "conditionNotMet");
        }
        let upload = self.uploads.remove(id).unwrap();
        self.generation += 1;
        let object = Object { bytes: upload.bytes.into(), generation: self.generation, metadata: upload.metadata };
        let told = told(&upload.name, &object);
        self.objects.insert(upload.name, object);
        answer(StatusCode::OK, told.to_string().into_bytes())
    }

    fn cancel(&mut self, id: &str) -> Answer {
        match self.uploads.remove(id) {
            Some(_) => answer(StatusCode::from_u16(499).unwrap(), Vec::new()),
            None => refused(StatusCode::NOT_FOUND, "notFound"),
        }
    }

    fn get(&self, name: &str, query: &HashMap<String, String>, request: &Request<Buffer>) -> Answer {
        let Some(object) = self.objects.get(name) else { return refused(StatusCode::NOT_FOUND, "notFound") };
        if query.get("ifGenerationMatch").is_some_and(|wanted| *wanted != object.generation.to_string()) {
            return refused(StatusCode::PRECONDITION_FAILED, "conditionNotMet");
        }
        if query.get("alt").map(String::as_str) != Some("media") {
            return answer(StatusCode::OK, told(name, object).to_string().into_bytes());
        }
        let Some(range) = request.headers().get(header::RANGE) else {
            return answer(StatusCode::OK, object.bytes.to_vec());
        };
        let (start, end) = range.to_str().unwrap().strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        let end = end.parse().map_or(object.bytes.len(), |end: usize| object.bytes.len().min(end + 1));
        match object.bytes.get(start.parse().unwrap()..end) {
            Some(bytes) if !bytes.is_empty() => answer(StatusCode::PARTIAL_CONTENT, bytes.to_vec()),
            _ => refused(StatusCode::RANGE_NOT_SATISFIABLE, "requestedRangeNotSatisfiable"),
        }
    }

    fn list(&self, query: &HashMap<String, String>) -> Answer {
        let text = |name: &str| query.get(name).cloned().unwrap_or_default();
        let (prefix, from) = (text("prefix"), text("startOffset").max(text("pageToken")));
        let limit: usize = query.get("maxResults").map_or(1_000, |limit| limit.parse().unwrap());
        let mut found = self.objects.range(from..).filter(|(name, _)| name.starts_with(&prefix));
        let items: Vec<_> = found.by_ref().take(limit).map(|(name, object)| told(name, object)).collect();
        let mut page = json!({ "items": items });
        if let Some((next, _)) = found.next() {
            page["nextPageToken"] = json!(next);
        }
        answer(StatusCode::OK, page.to_string().into_bytes())
    }
}

fn told(name: &str, object: &Object) -> Value {
    let mut told = object.metadata.clone();
    told["name"] = json!(name);
    told["size"] = json!(object.bytes.len().to_string());
    told["generation"] = json!(object.generation.to_string());
    told["etag"] = json!(format!("CK{}=", object.generation));
    told["updated"] = json!("2026-01-01T00:00:00.123Z");
    told
}

fn answer(status: StatusCode, body: Vec<u8>) -> Answer {
    Response::builder().status(status).body(body).unwrap()
}

fn refused(status: StatusCode, reason: &str) -> Answer {
    let detail = json!({ "domain": "global", "reason": reason, "message": reason });
    let error = json!({ "error": { "code": status.as_u16(), "message": reason, "errors": [detail] } });
    answer(status, error.to_string().into_bytes())
}

fn pair(text: &str) -> Option<(String, String)> {
    text.split_once('=').map(|(name, value)| (name.to_owned(), decoded(value)))
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8().unwrap().into_owned()
}
