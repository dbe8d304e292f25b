//! Storage classes, and objects that must be restored before they can be read ("Amazon S3 storage classes", Amazon S3
//! User Guide).

use distribution_core::Timestamp;

use super::S3Double;
use super::call::Call;
use super::reply::{Refusal, http_date, refuse};
use super::state::Object;

/// Those of a bucket for general purposes.
const CLASSES: [&str; 8] = [
    STANDARD,
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
];
/// That of objects for which none was asked, and which is not told.
const STANDARD: &str = "STANDARD";
const STORAGE_CLASS: &str = "x-amz-storage-class";
const RESTORE: &str = "x-amz-restore";
/// The tier of an object in the class `INTELLIGENT_TIERING`, if it must be restored.
const ARCHIVE_STATUS: &str = "x-amz-archive-status";

/// The headers of a class; none for `STANDARD`.
fn told(class: &str) -> impl Iterator<Item = (String, String)> {
    (class != STANDARD).then(|| (STORAGE_CLASS.to_owned(), class.to_owned())).into_iter()
}

/// What is told of the class of an object that this request creates.
pub(super) fn asked(call: &Call) -> Result<impl Iterator<Item = (String, String)>, Refusal> {
    let class = call.header(STORAGE_CLASS).unwrap_or(STANDARD);
    match CLASSES.contains(&class) {
        true => Ok(told(class)),
        false => {
            let message = "The storage class you specified is not valid";
            Err(refuse("InvalidStorageClass", message).with("StorageClassRequested", class))
        }
    }
}

/// Whether this is told because of the object's class.
pub(super) fn is_of_the_class(header: &str) -> bool {
    [STORAGE_CLASS, RESTORE, ARCHIVE_STATUS].contains(&header)
}

/// The class, if the object must be restored before it can be read, and is not.
fn archive(object: &Object) -> Option<&str> {
    let class = object.headers.get(STORAGE_CLASS)?;
    let is_archive = match class.as_str() {
        "GLACIER" | "DEEP_ARCHIVE" => true,
        "INTELLIGENT_TIERING" => object.headers.contains_key(ARCHIVE_STATUS),
        _ => false,
    };
    let is_restored = object.headers.get(RESTORE).is_some_and(|told| told.starts_with("ongoing-request=\"false\""));
    (is_archive && !is_restored).then_some(class)
}

/// Refuses to read what must be restored first.
pub(super) fn readable(object: &Object) -> Result<(), Refusal> {
    let Some(class) = archive(object) else { return Ok(()) };
    let message = "The operation is not valid for the object's storage class";
    Err(refuse("InvalidObjectState", message).with("StorageClass", class))
}

/// Refuses to copy what must be restored first ("CopyObject", Amazon S3 API Reference).
pub(super) fn copyable(object: &Object) -> Result<(), Refusal> {
    let message =
        "The source object of the COPY action is not in the active tier and is only stored in Amazon S3 Glacier.";
    archive(object).map_or(Ok(()), |_| Err(refuse("ObjectNotInActiveTierError", message)))
}

impl S3Double {
    /// Moves the object to this storage class, as a lifecycle rule does: nothing else of it changes. One in `GLACIER` or
    /// `DEEP_ARCHIVE` cannot be read until it is [restored](Self::restore). `false` if there is no such object or class.
    ///
    /// ```
    /// use distribution_testkit::s3::S3Double;
    ///
    /// let double = S3Double::open();
    /// double.create_bucket("media");
    /// double.plant("media", "clip.mp4", "bytes");
    /// assert!(double.transition("media", "clip.mp4", "GLACIER"));
    /// let read = || double.answer(http::Request::get("/media/clip.mp4").body("".into()).unwrap()).whole().unwrap();
    /// assert_eq!(read().status(), 403);
    /// double.restore("media", "clip.mp4", double.now());
    /// assert_eq!(read().body(), "bytes");
    /// ```
    pub fn transition(&self, bucket: &str, key: &str, class: &str) -> bool {
        CLASSES.contains(&class)
            && self.damage(bucket, key, |object| {
                object.headers.retain(|name, _| !is_of_the_class(name));
                object.headers.extend(told(class));
            })
    }

    /// The object can be read, as after a RestoreObject that is done, which is said to hold until then. `false` if there is
    /// no such object, or it needs no restoring.
    pub fn restore(&self, bucket: &str, key: &str, until: Timestamp) -> bool {
        let restored = format!("ongoing-request=\"false\", expiry-date=\"{}\"", http_date(until));
        self.object(bucket, key).is_some_and(|object| archive(&object).is_some())
            && self.damage(bucket, key, |object| drop(object.headers.insert(RESTORE.to_owned(), restored)))
    }
}
