//! What the double does wrong when it is told to.

use std::fmt;
use std::sync::Arc;

use super::log::Request;

/// The operations of S3 that the double has, named as in the *Amazon S3 API Reference*.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is named after the operation")]
pub enum Op {
    PutObject,
    GetObject,
    HeadObject,
    CopyObject,
    DeleteObject,
    DeleteObjects,
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    ListParts,
    ListMultipartUploads,
    ListObjectsV2,
    HeadBucket,
    CreateBucket,
    PutObjectLegalHold,
    /// Anything else: answered with `501 NotImplemented`.
    Unknown,
}

/// What can go wrong with a request. A fault that does not fit an operation does nothing to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The connection is cut and nothing happens.
    LostRequest,
    /// It happens, and the connection is cut before the answer.
    LostAnswer,
    /// The connection is cut, and it happens later: when [`LATE_REQUESTS`](super::LATE_REQUESTS) more
    /// requests have begun, or the double is [healed](super::S3Double::heal).
    AppliedLate,
    /// It happens, the answer gets lost on the way, and a proxy or client library repeats the request:
    /// the answer is that of the repeat, such as `412` to our own write.
    RepeatedBelow,
    /// It happens, and the answer is `404 NoSuchUpload`.
    NoSuchUpload,
    /// The answer is `200` with an `<Error>` of `InternalError` as its body, as CompleteMultipartUpload,
    /// CopyObject and UploadPartCopy may answer.
    ErrorInBody {
        /// Whether it happens all the same.
        applied: bool,
    },
    /// Nothing happens: `409 ConditionalRequestConflict`.
    Conflict,
    /// Nothing happens: `503 SlowDown`.
    SlowDown,
    /// Nothing happens: `500 InternalError`.
    InternalError,
    /// Nothing happens: `403 AccessDenied`.
    AccessDenied,
    /// Nothing happens: `501 NotImplemented`, as services answer to a condition that they do not know.
    NotImplemented,
    /// Nothing happens: `400 ExpiredToken`, as when short-lived credentials have run out.
    ExpiredToken,
    /// The answer's head is whole, and the connection is cut after so many bytes of its body.
    CutAfter(usize),
    /// One bit in the middle of the body of a GetObject is another.
    FlippedBit,

    /// One bit of what is stored is another; checksums and ETag are those of what was sent.
    StoredFlipped,
    /// Only the first half is stored; checksums and ETag are those of what was sent.
    StoredTruncated,
    /// Other bytes of the same size are stored; checksums and ETag are those of what was sent.
    StoredSwapped,
    /// What was created since the fault was armed is not listed.
    StaleList,
    /// What was created since the fault was armed is not found by GetObject and HeadObject.
    StaleRead,
    /// The object stays, and the answer is `204`.
    IgnoredDelete,

    /// `If-None-Match` of a write is ignored.
    IgnoredIfNoneMatch,
    /// `If-None-Match` and `If-Match` of a write are checked when the request [begins](super::S3Double::begin),
    /// and not when it is carried out.
    RacyConditions,
    /// `Range` and `x-amz-copy-source-range` are ignored.
    IgnoredRange,
    /// `x-amz-copy-source-if-match` is ignored.
    IgnoredSourceIfMatch,
    /// `If-Match` of a read or of a DeleteObject is ignored.
    IgnoredIfMatch,
    /// `x-amz-content-sha256` is signed, but not compared with the body.
    IgnoredPayloadHash,
    /// Anyone may do anything, for ever: no signature and no expiry is looked at.
    IgnoredSignature,
    /// The signature of a presigned URL is looked at, but not its end.
    IgnoredExpiry,
    /// A presigned URL ends when half of its time is over.
    EarlyExpiry,
    /// What is stored has no user metadata.
    DroppedMetadata,
    /// A GetObject is answered with the type `binary/octet-stream`, whatever is stored and asked for.
    OtherContentType,
    /// A checksum sent along is not compared with the body, nor kept; one asked for is not computed.
    ChecksumUnchecked,
    /// A checksum sent along is not compared with the body but kept and given back; a copy has that of
    /// its source's record, whatever the bytes are.
    ChecksumEchoed,
    /// A checksum is kept as the checksum of checksums, as of an upload of one part.
    ChecksumComposite,
    /// Other bytes than the checksum or payload hash says are refused, and stored all the same.
    RefusedButStored,
    /// A legal hold is accepted, and not kept.
    ForgottenLegalHold,
    /// What is under a legal hold is destroyed like anything else.
    IgnoredLegalHold,
    /// A completed upload is forgotten, so that a repeated completion gets `404 NoSuchUpload`.
    ForgottenUpload,
}

/// A fault that waits for its request.
#[derive(Clone, Copy)]
struct Armed {
    op: Option<Op>,
    /// How many requests go by before the one that it is for; standing if `None`.
    passes: Option<usize>,
    fault: Fault,
    /// The number of the request at which it was armed.
    since: usize,
}

type Plan = Arc<dyn Fn(&Request) -> Option<Fault> + Send + Sync>;

/// All that is to go wrong.
#[derive(Clone, Default)]
pub(super) struct Faults {
    armed: Vec<Armed>,
    plan: Option<(Plan, usize)>,
}

/// A fault of one request.
#[derive(Clone, Copy)]
pub(super) struct Struck {
    pub(super) fault: Fault,
    pub(super) since: usize,
}

impl Faults {
    pub(super) fn arm(&mut self, op: Option<Op>, passes: Option<usize>, fault: Fault, since: usize) {
        self.armed.push(Armed { op, passes, fault, since });
    }

    pub(super) fn plan(&mut self, plan: Plan, since: usize) {
        self.plan = Some((plan, since));
    }

    /// The plan, to be asked while nothing is locked: it may ask the double.
    pub(super) fn planned(&self) -> impl FnOnce(&Request) -> Option<Struck> + use<> {
        let plan = self.plan.clone();
        move |request| plan.and_then(|(plan, since)| Some(Struck { fault: plan(request)?, since }))
    }

    /// The other faults of this request. Those for one request only are used up.
    pub(super) fn strike(&mut self, request: &Request) -> Vec<Struck> {
        let mut struck = Vec::new();
        self.armed.retain_mut(|armed| {
            if armed.op.is_some_and(|op| op != request.op) {
                return true;
            }
            let now = Struck { fault: armed.fault, since: armed.since };
            match &mut armed.passes {
                None => struck.push(now),
                Some(0) => {
                    struck.push(now);
                    return false;
                }
                Some(passes) => *passes -= 1,
            }
            true
        });
        struck
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let armed = self.armed.iter().map(|armed| (armed.op, armed.passes, armed.fault));
        f.debug_list().entries(armed).finish()
    }
}
