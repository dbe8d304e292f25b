//! What the double holds, and what all operations share.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, TimeDelta};
use distribution_core::{Clock, Timestamp};

use super::auth::{self, Credentials};
use super::call::Call;
use super::checksum::{Checksum, etag, flipped};
use super::fault::{Fault, Faults, Op};
use super::log::Request;
use super::reply::{Refusal, Reply, not_implemented, refuse};
use super::{archive, copy, list, lock, multipart, object};

/// What an object is said to be that nobody has said it of.
pub(super) const CONTENT_TYPE: &str = "binary/octet-stream";

/// An object as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its ETag, in quotes.
    pub etag: String,
    /// When it was stored, by the double's clock.
    pub modified: Timestamp,
    /// What it is served with, by lower-case names: `content-type`, `content-disposition`, …; and what is told of its
    /// storage class: `x-amz-storage-class`, unless it is STANDARD, and `x-amz-restore`; and of its version.
    pub headers: BTreeMap<String, String>,
    /// The user's metadata, by lower-case names without `x-amz-meta-`.
    pub metadata: BTreeMap<String, String>,
    /// The checksum that is on record.
    pub checksum: Option<Checksum>,
    /// The number of the request that stored it.
    pub number: usize,
}

impl Object {
    /// One without metadata.
    pub(super) fn plain(bytes: Bytes, modified: Timestamp, number: usize) -> Self {
        let headers = BTreeMap::from([("content-type".to_owned(), CONTENT_TYPE.to_owned())]);
        let etag = etag(&bytes);
        Self { bytes, etag, modified, headers, metadata: BTreeMap::new(), checksum: None, number }
    }
}

/// A multipart upload that is neither completed nor aborted.
#[derive(Clone, Debug)]
pub struct Upload {
    /// What it will be an object at.
    pub key: String,
    /// Its id.
    pub id: String,
    /// When it was created.
    pub initiated: Timestamp,
    /// What the object will be served with.
    pub headers: BTreeMap<String, String>,
    /// The user's metadata.
    pub metadata: BTreeMap<String, String>,
    /// The checksum it was created with: the algorithm, and whether it is to be that of all bytes.
    pub checksum: Option<(super::Algorithm, bool)>,
    /// What is there of it, by the number of the part.
    pub parts: BTreeMap<u32, Part>,
}

/// A part of an upload.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its ETag, in quotes.
    pub etag: String,
    /// When it was stored.
    pub modified: Timestamp,
    /// Its checksum.
    pub checksum: Option<Checksum>,
}

/// Limits of S3 ("Amazon S3 multipart upload limits"), to be lowered for tests that move few bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The smallest size of a part other than the last: 5 MiB.
    pub part_bytes_min: u64,
    /// The largest size of an object that is put or copied at once, and of a part: 5 GiB.
    pub put_bytes_max: u64,
    /// How many things are on a page of a list: 1,000.
    pub page_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { part_bytes_min: 5 << 20, put_bytes_max: 5 << 30, page_max: 1_000 }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Bucket {
    pub(super) objects: BTreeMap<String, Object>,
    /// By key and id.
    pub(super) uploads: BTreeMap<(String, String), Upload>,
    /// The ETags of objects that uploads became, by id.
    pub(super) completed: BTreeMap<String, Reply>,
    /// Whether it has Object Lock, and so versions.
    pub(super) is_locking: bool,
    /// Versions that are behind others, or behind a DeleteObject, with their keys.
    pub(super) hidden: Vec<(String, Object)>,
}

pub(super) struct State {
    pub(super) now: Timestamp,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) skew: TimeDelta,
    pub(super) keys: Vec<Credentials>,
    /// Whether anyone may do anything.
    pub(super) open: bool,
    pub(super) region: String,
    pub(super) domains: Vec<String>,
    pub(super) limits: Limits,
    pub(super) buckets: BTreeMap<String, Bucket>,
    pub(super) faults: Faults,
    pub(super) requests: usize,
    pub(super) uploads: u64,
    pub(super) log: Vec<Request>,
    /// What is still to happen, each with the number of the request before which it does.
    pub(super) late: Vec<(usize, Call)>,
}

impl Default for State {
    fn default() -> Self {
        const START: i64 = 1_767_225_600; // 2026-01-01T00:00:00Z
        Self {
            now: DateTime::from_timestamp(START, 0).unwrap_or(DateTime::UNIX_EPOCH),
            clock: None,
            skew: TimeDelta::zero(),
            keys: Vec::new(),
            open: false,
            region: "us-east-1".to_owned(),
            domains: vec!["localhost".to_owned(), "s3.amazonaws.com".to_owned()],
            limits: Limits::default(),
            buckets: BTreeMap::new(),
            faults: Faults::default(),
            requests: 0,
            uploads: 0,
            log: Vec::new(),
            late: Vec::new(),
        }
    }
}

impl State {
    /// The server's time.
    pub(super) fn time(&self) -> Timestamp {
        let now = self.clock.as_ref().map_or(self.now, |clock| clock.now());
        now.checked_add_signed(self.skew).unwrap_or(Timestamp::MAX_UTC)
    }

    /// Carries the request out.
    pub(super) fn run(&mut self, call: &Call) -> Reply {
        self.carried_out(call).unwrap_or_else(|refusal| refusal.reply(call))
    }

    fn carried_out(&mut self, call: &Call) -> Result<Reply, Refusal> {
        if !self.open && !call.has(Fault::IgnoredSignature) {
            auth::verify(call, &self.keys, &self.region, self.time())?;
        }
        call.is_understood()?;
        // An object that is put has its own say on bytes that are refused.
        if call.op != Op::PutObject {
            auth::payload(call)?;
        }
        match call.op {
            Op::CreateBucket => object::create_bucket(self, call),
            Op::HeadBucket => object::head_bucket(self, call),
            Op::PutObject => object::put(self, call),
            Op::GetObject | Op::HeadObject => object::get(self, call),
            Op::DeleteObject => match call.query("versionId") {
                Some(version) => lock::destroy(self, call, version),
                None => object::delete(self, call),
            },
            Op::PutObjectLegalHold => lock::put(self, call),
            Op::DeleteObjects => object::delete_many(self, call),
            Op::CopyObject => copy::object(self, call),
            Op::UploadPartCopy => copy::part(self, call),
            Op::CreateMultipartUpload => multipart::create(self, call),
            Op::UploadPart => multipart::part(self, call),
            Op::CompleteMultipartUpload => multipart::complete(self, call),
            Op::AbortMultipartUpload => multipart::abort(self, call),
            Op::ListParts => list::parts(self, call),
            Op::ListMultipartUploads => list::uploads(self, call),
            Op::ListObjectsV2 => list::objects(self, call),
            Op::Unknown => Err(not_implemented(call.method.as_str())),
        }
    }

    /// Carries out what is late, up to the request with this number.
    pub(super) fn run_late(&mut self, number: usize) {
        let (due, later) = std::mem::take(&mut self.late).into_iter().partition(|(at, _)| *at <= number);
        self.late = later;
        let due: Vec<(usize, Call)> = due;
        for (_, call) in due {
            self.run(&call);
        }
    }

    pub(super) fn bucket(&self, name: &str) -> Result<&Bucket, Refusal> {
        self.buckets.get(name).ok_or_else(|| no_such_bucket(name))
    }

    pub(super) fn bucket_mut(&mut self, name: &str) -> Result<&mut Bucket, Refusal> {
        self.buckets.get_mut(name).ok_or_else(|| no_such_bucket(name))
    }

    /// The ETag of what is at the call's key.
    pub(super) fn etag(&self, call: &Call) -> Option<String> {
        Some(self.buckets.get(&call.bucket)?.objects.get(&call.key)?.etag.clone())
    }

    /// Whether the conditions of a write hold ("Add preconditions to S3 operations with conditional
    /// requests").
    pub(super) fn may_write(&self, call: &Call) -> Result<(), Refusal> {
        self.bucket(&call.bucket)?;
        let there = call.seen.clone().unwrap_or_else(|| self.etag(call));
        let failed = |condition: &str| {
            let message = "At least one of the pre-conditions you specified did not hold";
            Err(refuse("PreconditionFailed", message).with("Condition", condition))
        };
        if let Some(none) = call.header("if-none-match")
            && !call.has(Fault::IgnoredIfNoneMatch)
        {
            if none != "*" {
                return Err(not_implemented("If-None-Match with an ETag, on a write"));
            }
            if there.is_some() {
                return failed("If-None-Match");
            }
        }
        match (call.header("if-match"), there) {
            (Some(_), None) => Err(no_such_key(&call.key)),
            (Some(wanted), Some(there)) if !is_etag(wanted, &there) => failed("If-Match"),
            _ => Ok(()),
        }
    }

    /// Stores an object at the call's key.
    pub(super) fn store(&mut self, call: &Call, object: Object) -> Result<(), Refusal> {
        let bytes = object.bytes.clone();
        let bytes = if call.has(Fault::StoredFlipped) {
            flipped(&bytes)
        } else if call.has(Fault::StoredTruncated) {
            bytes.slice(..bytes.len() / 2)
        } else if call.has(Fault::StoredSwapped) {
            bytes.iter().map(|byte| !byte).collect()
        } else {
            bytes
        };
        self.bucket_mut(&call.bucket)?.show(&call.key, Object { bytes, ..object });
        Ok(())
    }
}

/// What an object is served with, from the request that creates it.
pub(super) struct Attributes {
    pub(super) headers: BTreeMap<String, String>,
    pub(super) metadata: BTreeMap<String, String>,
}

impl Attributes {
    pub(super) fn of(call: &Call) -> Result<Self, Refusal> {
        const SERVED: [&str; 6] =
            ["content-type", "content-disposition", "cache-control", "content-encoding", "content-language", "expires"];
        /// "The user-defined metadata is limited to 2 KB in size".
        const METADATA_BYTES_MAX: usize = 2048;
        let served = SERVED.into_iter().filter_map(|name| Some((name.to_owned(), call.header(name)?.to_owned())));
        let mut headers: BTreeMap<_, _> = served.chain(archive::asked(call)?).collect();
        headers.entry("content-type".to_owned()).or_insert_with(|| CONTENT_TYPE.to_owned());
        let pairs = call.headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix("x-amz-meta-")?.to_owned(), value.to_str().ok()?.to_owned()))
        });
        let metadata: BTreeMap<String, String> = pairs.collect();
        if metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > METADATA_BYTES_MAX {
            return Err(refuse("MetadataTooLarge", "Your metadata headers exceed the maximum allowed metadata size."));
        }
        let metadata = if call.has(Fault::DroppedMetadata) { BTreeMap::new() } else { metadata };
        Ok(Self { headers, metadata })
    }
}

/// Whether the condition names this ETag, with or without its quotes.
pub(super) fn is_etag(wanted: &str, there: &str) -> bool {
    wanted == "*" || wanted.trim_matches('"') == there.trim_matches('"')
}

fn no_such_bucket(name: &str) -> Refusal {
    refuse("NoSuchBucket", "The specified bucket does not exist").with("BucketName", name)
}

pub(super) fn no_such_key(key: &str) -> Refusal {
    refuse("NoSuchKey", "The specified key does not exist.").with("Key", key)
}
