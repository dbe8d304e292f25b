//! The facts that change a record.

use crate::key::{ConceptId, TargetName};
use crate::object::{Location, Proof};
use crate::publication::Details;
use crate::qc::QcApproval;
use crate::record::{Lease, StoredObject};
use crate::rejection::SourceFault;
use crate::replicas::CopyExamined;
use crate::request::VideoUrl;
use crate::text::Reason;
use crate::time::Timestamp;

/// A fact that somebody observed. [`step`](crate::machine::step) judges it.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A publisher takes the work up, with the approval and staged file of its own call.
    TakenUp {
        /// Who, and until when.
        lease: Lease,
        /// What QC said to the caller.
        approval: QcApproval,
        /// Where the caller has the bytes; `None` for a recovery, which knows what is on record.
        source: Option<VideoUrl>,
        /// How many objects this call may try, the one that it finds begun among them.
        attempts: u32,
    },
    /// The holder of the lease is still at it.
    KeptAlive {
        /// Until when now.
        until: Timestamp,
    },
    /// The attempt's object was created or found, with what is known of its bytes.
    Transferred {
        /// The object.
        object: StoredObject,
        /// What its bytes are, if that is known already.
        proof: Option<Proof>,
    },
    /// What is, or was, at the attempt's key is being cleared away: nothing may be stored there any more.
    KeyBuried {
        /// The place.
        location: Location,
    },
    /// The staged file cannot be published; nothing was stored.
    SourceUnfit(SourceFault),
    /// The attempt's object was read: this is in it, or it is not there.
    Examined(Option<Proof>),
    /// A copy on another target was read.
    CopyExamined(CopyExamined),
    /// The object of what is published is lost, or was freed: it is to be copied anew, to the key of a later attempt.
    Restoring {
        /// The attempt.
        attempt: u32,
    },
    /// It was copied there, and read back.
    Restored {
        /// The attempt whose object it is from now on.
        attempt: u32,
        /// Where it is.
        location: Location,
        /// What was read there.
        proof: Proof,
    },
    /// A copy for the archive is wanted.
    ArchiveWanted {
        /// The target of the archive.
        target: TargetName,
        /// Whether the other copies are to be freed once that one is proven.
        frees: bool,
    },
    /// The copy in the archive is proven, and the others are not needed any more.
    HotFreed,
    /// The others stay: it is held, or is to be hot again.
    HotKept,
    /// The approval does not count any more.
    ApprovalLapsed,
    /// The audit sink has the waiting entries before this sequence.
    Delivered {
        /// The first sequence that it may not have.
        before: u64,
    },
    /// The publication is the n-th version of its work.
    Numbered {
        /// Its number, counted from 1.
        version: u64,
    },
    /// An earlier version is to be the latest again.
    RolledBack {
        /// Its number.
        version: u64,
        /// How many there are.
        versions: u64,
    },
    /// A repeat of the request says this of the asset.
    Amended(Box<Details>),
    /// A new link is wanted, for everybody who repeats the request.
    LinkWanted,
    /// A link of its own is wanted, which changes nothing for the others.
    LinkAsked {
        /// The whole second in which it is to stop working.
        expires_at: Timestamp,
    },
    /// The links that were handed out so far were taken back.
    LinksRevoked,
    /// What is published is not to be removed, whatever else is asked for.
    HoldPlaced {
        /// The work, where it is about all its versions; then the hold is not on this record.
        concept_id: Option<ConceptId>,
        /// Why.
        reason: Reason,
    },
    /// A hold has ended.
    HoldReleased {
        /// The work, where it is about all its versions.
        concept_id: Option<ConceptId>,
        /// Why.
        reason: Reason,
    },
    /// The publication is taken back.
    Retracted {
        /// Why.
        reason: Reason,
    },
    /// The signed links of a publication that was taken back do not work any more, or end by then.
    LinksEnded {
        /// When they stop working at the latest.
        by: Timestamp,
    },
    /// An object of a publication that was taken back, or has its copies elsewhere, is needed no more.
    CopyReleased {
        /// Where it is.
        location: Location,
    },
    /// The staged file is needed no more.
    StagedFileReleased {
        /// Where it is.
        url: VideoUrl,
    },
}
