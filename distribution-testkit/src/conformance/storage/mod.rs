//! What [`Storage`] guarantees, a check for each sentence.
//!
//! Not checked, because no check can see it from outside: durability in a crash of the machine (only
//! reopening is tried), that a read goes past the process's buffers (only that it sees what
//! [`StorageHarness::replace`] did), that a proof with `Created` was read back and not hashed on its
//! way (only that it is true), and that nothing above a `create` is retried. Not checked either: that a
//! file is read from its start wherever its cursor is.

mod create;
mod drop;
mod file;
mod hold;
mod list;
mod race;
mod read;
mod remove;
mod watch;

use std::env;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use distribution_core::{
    Body, ByteStream, Checksum, Content, ContentHeaders, CreateOutcome, Digest, Error, Meter, ObjectKey, Storage,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use self::create::*;
use self::drop::*;
use self::file::*;
use self::hold::*;
use self::list::*;
use self::race::*;
use self::read::*;
use self::remove::*;
use self::watch::*;
use super::{Check, Harness, Waivers, pattern};
use crate::time::let_others_go_first;

/// A storage backend under test. Every check has a harness of its own, and so an empty store of its
/// own: a fresh directory, or a fresh prefix of a bucket.
#[async_trait]
pub trait StorageHarness: Harness {
    /// Opens the store, or opens it again: what an earlier one stored is there.
    async fn open(&self) -> Arc<dyn Storage>;

    /// The size in bytes above which this backend writes in another way, such as in parts. Objects
    /// somewhat larger than this are created, 16 at the same time.
    fn large_bytes(&self) -> usize {
        1 << 20
    }

    /// A directory for local files that are given as content; on the file system of the store, if it
    /// is on one.
    fn scratch(&self) -> PathBuf {
        env::temp_dir()
    }

    /// Replaces the object's bytes behind the backend's back, as decay or an intruder would. False
    /// if that cannot be done; then waive `digest_reads_what_is_really_stored` and
    /// `an_object_cut_short_ends_in_an_error`.
    async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
        let _ = (key, bytes);
        false
    }

    /// Puts the store out of reach of those who have it open, or back into it. False if that cannot
    /// be done; then waive `out_of_reach_is_an_error`.
    async fn cut_off(&self, cut_off: bool) -> bool {
        let _ = cut_off;
        false
    }

    /// What the object is served with, seen without the backend; `None` only where the store keeps no
    /// headers.
    async fn headers(&self, key: &ObjectKey) -> Option<ContentHeaders> {
        let _ = key;
        None
    }

    /// Whether an object that a removal has hidden is destroyed, seen without the backend; `None` if that cannot be
    /// told.
    async fn is_destroyed(&self, key: &ObjectKey) -> Option<bool> {
        let _ = key;
        None
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
            keeps_a_key_beside_its_folder_or_refuses_it
            finds_nothing_where_nothing_is
            out_of_reach_is_an_error
            never_changes_what_is_there
            a_large_create_never_changes_what_is_there
            refuses_other_bytes
            refuses_content_that_ends_early
            refuses_content_that_goes_on
            refuses_content_that_fails
            refuses_large_content_that_is_unfit
            stores_a_local_file
            refuses_a_local_file_that_is_unfit
            never_stores_a_mix_of_a_file_that_changes
            one_of_many_creates_wins
            one_of_many_equal_creates_wins
            one_of_many_large_creates_wins
            never_shows_an_object_before_it_is_whole
            never_shows_part_of_an_object_to_a_parallel_reader
            never_shows_part_of_a_large_object_to_a_parallel_reader
            another_handle_sees_at_once
            a_create_dropped_while_it_reads_leaves_nothing
            a_dropped_create_is_all_or_nothing
            a_create_whose_answer_is_lost_is_found_by_the_next
            survives_reopening
            a_proof_is_true
            meters_what_it_stores
            keeps_headers_where_it_can
            digest_reads_what_is_really_stored
            digest_meters_what_it_reads
            stat_tells_size_and_etag
            opens_any_range
            opens_the_edges_of_a_large_object
            an_object_cut_short_ends_in_an_error
            removes_once_and_again
            creates_and_removes_at_once_leave_one_or_none
            never_shows_part_of_what_is_removed
            keeps_what_is_under_a_legal_hold
            lists_in_byte_order
            lists_by_any_beginning
            lists_in_pages
            lists_more_than_a_thousand
            lists_what_was_just_created
            lists_the_same_while_others_write
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
            user_metadata: [("sha256".into(), Checksum::of(expected).hex())].into(),
        },
        body: Body::Stream(body),
        meter: Meter::default(),
    }
}

/// The bytes in pieces of an odd size, after which comes `end`.
fn pieces(bytes: &[u8], end: Option<Error>) -> ByteStream {
    pieces_of(&Bytes::copy_from_slice(bytes), end)
}

/// The same, without a copy.
fn pieces_of(bytes: &Bytes, end: Option<Error>) -> ByteStream {
    const PIECE_BYTES: usize = 40_009;
    let mut rest = bytes.clone();
    let pieces = std::iter::from_fn(move || (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(PIECE_BYTES)))));
    stream::iter(pieces).chain(stream::iter(end.map(Err))).boxed()
}

/// The bytes in pieces, others going first before each.
fn slowly(bytes: &Bytes) -> ByteStream {
    let paced = pieces_of(bytes, None).then(|piece| async {
        let_others_go_first().await;
        piece
    });
    paced.boxed()
}

/// Bytes above the size from which on the backend writes in another way.
fn large(harness: &dyn StorageHarness, seed: u8) -> Bytes {
    pattern(harness.large_bytes() + 4_099, seed)
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
