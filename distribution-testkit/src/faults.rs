//! Faults: every effect has a number and a name, and a plan says which of them go wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::world::World;

/// What can go wrong with an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The request gets lost: nothing happens, and the caller is told `Unavailable`.
    LostRequest,
    /// The answer gets lost: it happens, and the caller is told `Unavailable`.
    LostAnswer,
    /// The caller is told `Unavailable`, and it happens later: when [`LATE_EFFECTS`] more effects have
    /// begun, or the world is [healed](World::heal).
    AppliedLate,
    /// The answer gets lost below the backend, in a layer that repeats the request by itself: it
    /// happens, and the caller is told what the repeat was told, such as *already exists*.
    RepeatedBelow,
    /// Another is faster: an object with other bytes is at the key, the same row is there already or
    /// is one revision on. The caller is told so.
    Conflict,
    /// No room is left: nothing happens, and the caller is told `Unavailable`.
    DiskFull,
    /// It is not allowed: nothing happens, and the caller is told `Unavailable`.
    PermissionDenied,
    /// A bit is flipped, and nobody is told: of the object that is stored, or of the bytes on their way
    /// from the staged file or the object. What is empty is spared.
    Corrupt,
    /// Only the first half of the object is stored, and it is reported as created. An empty object is
    /// spared.
    Truncate,
    /// Only the first half is read: of the staged file as if that were all, of an object with an error
    /// behind it; a digest is that of the half.
    ShortRead,
    /// Only the first half of a batch of audit entries arrives, and the caller is told `Unavailable`.
    Torn,
    /// The call never returns, and nothing happens. Whoever waits for it has to give it up.
    HangBefore,
    /// The call never returns, though it happens.
    HangAfter,
    /// The process dies before it happens.
    CrashBefore,
    /// The process dies after it has happened, before it knows.
    CrashAfter,
}

/// How many other effects begin before one is [`Fault::AppliedLate`].
pub const LATE_EFFECTS: usize = 3;

/// The effects that the ports have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each is named after the port's method")]
pub enum Op {
    SourceOpen,
    StorageCreate,
    StorageDigest,
    StorageStat,
    StorageOpen,
    StorageRemove,
    StorageHold,
    StorageList,
    MetadataClaim,
    MetadataLoad,
    MetadataAdvance,
    MetadataBind,
    MetadataBound,
    MetadataFind,
    AuditAppend,
    SignerSign,
    StagingList,
    StagingDigest,
    StagingRemove,
}

/// One effect, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effect {
    /// Its number, counted from 0 in the order in which effects begin.
    pub number: usize,
    /// What it was.
    pub op: Op,
    /// What it was about: an object as `target/key`, a publication, a staged file. No secrets.
    pub subject: String,
    /// What went wrong with it.
    pub fault: Option<Fault>,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 15] = [
        Self::LostRequest,
        Self::LostAnswer,
        Self::AppliedLate,
        Self::RepeatedBelow,
        Self::Conflict,
        Self::DiskFull,
        Self::PermissionDenied,
        Self::Corrupt,
        Self::Truncate,
        Self::ShortRead,
        Self::Torn,
        Self::HangBefore,
        Self::HangAfter,
        Self::CrashBefore,
        Self::CrashAfter,
    ];

    /// Whether this can happen to such an effect. A plan that wants it elsewhere is not followed.
    pub fn fits(self, op: Op) -> bool {
        let reads_bytes = matches!(op, Op::SourceOpen | Op::StorageDigest | Op::StorageOpen);
        match self {
            Self::LostRequest | Self::LostAnswer | Self::PermissionDenied => true,
            Self::HangBefore | Self::HangAfter | Self::CrashBefore | Self::CrashAfter => true,
            Self::AppliedLate | Self::RepeatedBelow | Self::DiskFull => op.writes(),
            Self::Conflict => matches!(op, Op::StorageCreate | Op::MetadataClaim | Op::MetadataAdvance),
            Self::Corrupt => reads_bytes || matches!(op, Op::StorageCreate | Op::StagingDigest),
            Self::Truncate => op == Op::StorageCreate,
            Self::ShortRead => reads_bytes,
            Self::Torn => op == Op::AuditAppend,
        }
    }

    /// Whether the process dies of it.
    pub fn crashes(self) -> bool {
        matches!(self, Self::CrashBefore | Self::CrashAfter)
    }
}

impl Op {
    /// The name, such as `storage.create`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SourceOpen => "source.open",
            Self::StorageCreate => "storage.create",
            Self::StorageDigest => "storage.digest",
            Self::StorageStat => "storage.stat",
            Self::StorageOpen => "storage.open",
            Self::StorageRemove => "storage.remove",
            Self::StorageHold => "storage.hold",
            Self::StorageList => "storage.list",
            Self::MetadataClaim => "metadata.claim",
            Self::MetadataLoad => "metadata.load",
            Self::MetadataAdvance => "metadata.advance",
            Self::MetadataBind => "metadata.bind",
            Self::MetadataBound => "metadata.bound",
            Self::MetadataFind => "metadata.find",
            Self::AuditAppend => "audit.append",
            Self::SignerSign => "signer.sign",
            Self::StagingList => "staging.list",
            Self::StagingDigest => "staging.digest",
            Self::StagingRemove => "staging.remove",
        }
    }

    /// Whether it changes the world.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Self::StorageCreate
                | Self::StorageRemove
                | Self::StorageHold
                | Self::MetadataClaim
                | Self::MetadataAdvance
                | Self::MetadataBind
                | Self::AuditAppend
                | Self::StagingRemove
        )
    }

    /// The faults worth trying: those that fit and differ. To what only reads, it is the same whether
    /// the request or the answer is lost, and whether a hang or a crash comes before or after.
    pub fn faults(self) -> impl Iterator<Item = Fault> {
        let same_as_another = |fault| matches!(fault, Fault::LostAnswer | Fault::HangAfter | Fault::CrashAfter);
        Fault::ALL.into_iter().filter(move |fault| fault.fits(self) && (self.writes() || !same_as_another(*fault)))
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.number, self.op, self.subject)?;
        self.fault.map_or(Ok(()), |fault| write!(f, " ({fault:?})"))
    }
}

impl World {
    /// Makes effect `number` go wrong.
    pub fn inject(&self, number: usize, fault: Fault) {
        self.lock().faults.injected.insert(number, fault);
    }

    /// Asks `plan` at every effect from now on, unless a fault was [injected](Self::inject) there.
    /// The effect that it is shown has no fault yet.
    pub fn fail(&self, plan: impl Fn(&Effect) -> Option<Fault> + Send + Sync + 'static) {
        self.lock().faults.plan = Some(Arc::new(plan));
    }

    /// From now on, nothing goes wrong any more; and what was to happen late has happened.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.faults.injected.clear();
        state.faults.plan = None;
        state.catch_up(usize::MAX);
    }

    /// The effects so far, by number.
    pub fn effects(&self) -> Vec<Effect> {
        self.lock().faults.log.clone()
    }
}

pub(crate) type Plan = dyn Fn(&Effect) -> Option<Fault> + Send + Sync;

#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) injected: BTreeMap<usize, Fault>,
    pub(crate) plan: Option<Arc<Plan>>,
    pub(crate) log: Vec<Effect>,
}
