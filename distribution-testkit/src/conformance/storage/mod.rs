//! What [`Storage`] guarantees, a check for each sentence.
//!
//! Not checked, because no check can see it from outside: durability in a crash of the machine (only
//! reopening is tried), that a read goes past the process's buffers (only that it sees what
//! [`StorageHarness::replace`] did), that a refused look is an error, and content from a local file,
//! whose pin is the backend's own.

mod create;
mod list;
mod race;
mod read;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{
    Body, ByteStream, Checksum, Content, ContentHeaders, CreateOutcome, Digest, Error, Meter, ObjectKey, Storage,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use self::create::*;
use self::list::*;
use self::race::*;
use self::read::*;
use super::{Check, Harness, Waivers};

/// A storage backend under test. Every check has a harness of its own, and so an empty store of its
/// own: a fresh directory, or a fresh prefix of a bucket.
#[async_trait]
pub trait StorageHarness: Harness {
    /// Opens the store, or opens it again: what an earlier one stored is there.
    async fn open(&self) -> Arc<dyn Storage>;

    /// Replaces the object's bytes behind the backend's back, as decay or an intruder would. False
    /// if that cannot be done; then waive `digest_reads_what_is_really_stored`.
    async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
        let _ = (key, bytes);
        false
    }

    /// The checks that this backend cannot pass, and why.
    fn waived(&self) -> Waivers {
        &[]
    }
}

/// One test per guarantee of [`Storage`](distribution_core::Storage). Takes an expression that makes
/// a new [`StorageHarness`]; invoke it in a module of its own.
#[macro_export]
macro_rules! storage_conformance {
    ($harness:expr) => {
        $crate::__storage_checks! { __conformance_tests (storage, StorageHarness, $harness) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __storage_checks {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            reads_back_what_was_created
            keeps_objects_of_any_size
            takes_keys_of_any_shape
            tells_upper_and_lower_case_apart
            finds_nothing_where_nothing_is
            never_changes_what_is_there
            refuses_other_bytes
            refuses_content_that_ends_early
            refuses_content_that_goes_on
            refuses_content_that_fails
            one_of_many_creates_wins
            one_of_many_equal_creates_wins
            never_shows_an_object_before_it_is_whole
            never_shows_part_of_an_object_to_a_parallel_reader
            a_create_dropped_while_it_reads_leaves_nothing
            a_dropped_create_is_all_or_nothing
            survives_reopening
            a_proof_is_true
            meters_what_it_stores
            digest_reads_what_is_really_stored
            stat_tells_size_and_etag
            opens_any_range
            removes_once_and_again
            lists_in_byte_order
            lists_by_any_beginning
            lists_in_pages
            lists_more_than_a_thousand
            lists_what_was_just_created
            locations_differ_and_hold_no_credentials
        }
    };
}

/// The suite.
pub const CHECKS: &[Check<dyn StorageHarness>] = __storage_checks! { __conformance_checks (dyn StorageHarness) };

fn key(text: &str) -> ObjectKey {
    ObjectKey::parse(text).expect("a key")
}

/// Content that promises to be `expected` and is what `body` gives.
fn content(expected: &[u8], body: ByteStream) -> Content {
    Content {
        size: expected.len() as u64,
        expected: Checksum::of(expected),
        headers: ContentHeaders {
            content_type: "video/mp4".into(),
            content_disposition: "attachment; filename=\"clip.mp4\"".into(),
            cache_control: "private, max-age=31536000, immutable".into(),
        },
        body: Body::Stream(body),
        meter: Meter::default(),
    }
}

/// The bytes in pieces of an odd size, after which comes `end`.
fn pieces(bytes: &[u8], end: Option<Error>) -> ByteStream {
    let pieces: Vec<_> = bytes.chunks(40_009).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).chain(stream::iter(end.map(Err))).boxed()
}

fn good(bytes: &[u8]) -> Content {
    content(bytes, pieces(bytes, None))
}

fn digest_of(bytes: &[u8]) -> Digest {
    Digest { checksum: Checksum::of(bytes), size: bytes.len() as u64 }
}

async fn create(storage: &dyn Storage, key: &ObjectKey, bytes: &[u8]) {
    let outcome = storage.create(key, good(bytes)).await.expect("a create that nothing hinders");
    assert!(matches!(outcome, CreateOutcome::Created { .. }), "{key}: nothing is there, but {outcome:?}");
}

async fn digest(storage: &dyn Storage, key: &ObjectKey) -> Option<Digest> {
    storage.digest(key, &Meter::default()).await.expect("a digest")
}

async fn read(storage: &dyn Storage, key: &ObjectKey, range: Range<u64>) -> Option<Vec<u8>> {
    let stream = storage.open(key, range).await.expect("an open")?;
    Some(stream.try_collect::<Vec<_>>().await.expect("a whole stream").concat())
}

/// Every way of looking agrees that these bytes are at `key`.
async fn assert_holds(storage: &dyn Storage, key: &ObjectKey, bytes: &[u8]) {
    assert_eq!(digest(storage, key).await, Some(digest_of(bytes)), "the digest of {key}");
    let stat = storage.stat(key).await.expect("a stat").expect("the object is there");
    assert_eq!(stat.size, bytes.len() as u64, "the size of {key}");
    assert!(read(storage, key, 0..u64::MAX).await.as_deref() == Some(bytes), "{key} reads as it was created");
    let listed = storage.list(key.as_str(), None, usize::MAX).await.expect("a list");
    assert!(listed.contains(key), "{key} is listed");
}

/// Every way of looking agrees that nothing is at `key`.
async fn assert_absent(storage: &dyn Storage, key: &ObjectKey) {
    assert_eq!(digest(storage, key).await, None, "nothing to digest at {key}");
    assert_eq!(storage.stat(key).await.expect("a stat"), None, "nothing to stat at {key}");
    assert!(read(storage, key, 0..u64::MAX).await.is_none(), "nothing to open at {key}");
    let listed = storage.list(key.as_str(), None, usize::MAX).await.expect("a list");
    assert!(!listed.contains(key), "{key} is not listed");
}
