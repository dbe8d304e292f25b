//! Legal holds, and the versions that they are on ("Locking objects with Object Lock", Amazon S3 User Guide).

use serde::Deserialize;

use super::S3Double;
use super::call::Call;
use super::checksum;
use super::fault::{Fault, Op};
use super::object::{malformed_xml, parse_xml};
use super::reply::{Refusal, Reply, not_implemented, refuse};
use super::state::{Bucket, Object, State, no_such_key};

const VERSION_ID: &str = "x-amz-version-id";
const LEGAL_HOLD: &str = "x-amz-object-lock-legal-hold";

/// Whether the double knows this parameter of the operation, beside those of all.
pub(super) fn knows_parameter(op: Op, name: &str) -> bool {
    match op {
        Op::PutObjectLegalHold => ["legal-hold", "versionId"].contains(&name),
        Op::DeleteObject => name == "versionId",
        _ => false,
    }
}

/// Whether this is told of the version itself, and so not of a copy.
pub(super) fn is_of_the_version(header: &str) -> bool {
    [VERSION_ID, LEGAL_HOLD].contains(&header)
}

fn version(object: &Object) -> &str {
    object.headers.get(VERSION_ID).map_or("null", String::as_str)
}

fn is_held(object: &Object) -> bool {
    object.headers.get(LEGAL_HOLD).is_some_and(|status| status == "ON")
}

impl Bucket {
    /// Puts the object where it is seen. In a bucket with versions, what was there stays behind it.
    pub(super) fn show(&mut self, key: &str, mut object: Object) {
        if self.is_locking {
            object.headers.insert(VERSION_ID.to_owned(), format!("version-{}", object.number));
            self.hide(key);
        }
        self.objects.insert(key.to_owned(), object);
    }

    /// Takes the object away from where it is seen.
    pub(super) fn hide(&mut self, key: &str) {
        let hidden = self.objects.remove(key).filter(|_| self.is_locking);
        self.hidden.extend(hidden.map(|object| (key.to_owned(), object)));
    }

    fn version(&mut self, key: &str, wanted: &str) -> Option<&mut Object> {
        let hidden = self.hidden.iter_mut().filter(|(name, _)| name == key).map(|(_, object)| object);
        self.objects.get_mut(key).into_iter().chain(hidden).find(|object| version(object) == wanted)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct LegalHold {
    status: String,
}

/// PutObjectLegalHold.
pub(super) fn put(state: &mut State, call: &Call) -> Result<Reply, Refusal> {
    let has_digest = call.headers.contains_key("content-md5") || checksum::of_body(call)?.is_some();
    if !has_digest {
        return Err(refuse("InvalidRequest", "Missing required header for this request: Content-MD5"));
    }
    checksum::content_md5(call)?;
    let bucket = state.bucket_mut(&call.bucket)?;
    if !bucket.is_locking {
        return Err(refuse("InvalidRequest", "Bucket is missing Object Lock Configuration"));
    }
    let LegalHold { status } = parse_xml(&call.body)?;
    if !["ON", "OFF"].contains(&status.as_str()) {
        return Err(malformed_xml());
    }
    let object = match call.query("versionId") {
        Some(version) => bucket.version(&call.key, version),
        None => bucket.objects.get_mut(&call.key),
    };
    let object = object.ok_or_else(|| no_such_key(&call.key))?;
    if !call.has(Fault::ForgottenLegalHold) {
        object.headers.insert(LEGAL_HOLD.to_owned(), status);
    }
    Ok(Reply::new(200))
}

/// DeleteObject of one version, which destroys it.
pub(super) fn destroy(state: &mut State, call: &Call, wanted: &str) -> Result<Reply, Refusal> {
    let bucket = state.bucket_mut(&call.bucket)?;
    let Some(object) = bucket.version(&call.key, wanted) else { return Ok(Reply::new(204)) };
    if is_held(object) && !call.has(Fault::IgnoredLegalHold) {
        return Err(refuse("AccessDenied", "Access Denied because object protected by object lock."));
    }
    let is_seen = bucket.objects.get(&call.key).is_some_and(|object| version(object) == wanted);
    if is_seen && bucket.hidden.iter().any(|(key, _)| *key == call.key) {
        return Err(not_implemented("destroying a version that hides another"));
    }
    if is_seen {
        bucket.objects.remove(&call.key);
    }
    bucket.hidden.retain(|(key, object)| *key != call.key || version(object) != wanted);
    Ok(Reply::new(204).with(VERSION_ID, wanted))
}

impl S3Double {
    /// Makes a bucket with Object Lock, and so with versions, or leaves it as it is.
    ///
    /// ```
    /// use distribution_testkit::s3::S3Double;
    ///
    /// let double = S3Double::open();
    /// double.create_locking_bucket("media");
    /// double.plant("media", "clip.mp4", "bytes");
    /// let delete = http::Request::delete("/media/clip.mp4").body("".into()).unwrap();
    /// assert_eq!(double.answer(delete).whole().unwrap().status(), 204);
    /// assert_eq!((double.object("media", "clip.mp4"), double.hidden("media").len()), (None, 1));
    /// ```
    pub fn create_locking_bucket(&self, name: impl Into<String>) {
        self.lock().buckets.entry(name.into()).or_insert_with(|| Bucket { is_locking: true, ..Bucket::default() });
    }

    /// The versions of a bucket that are behind others, or behind a DeleteObject, with their keys.
    pub fn hidden(&self, bucket: &str) -> Vec<(String, Object)> {
        self.lock().buckets.get(bucket).map(|bucket| bucket.hidden.clone()).unwrap_or_default()
    }
}
