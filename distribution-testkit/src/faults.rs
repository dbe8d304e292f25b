//! Faults: every effect has a number and a name, and a plan says which of them go wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use distribution_core::Error;

use crate::world::World;

/// What can go wrong with an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The request gets lost: nothing happens, and the caller is told `Unavailable`.
    LostRequest,
    /// The answer gets lost: it happens, and the caller is told `Unavailable`.
    LostAnswer,
    /// The object is stored with one bit flipped and reported as created. An empty object is spared.
    Corrupt,
    /// Only the first half of the object is stored, and it is reported as created. An empty object is
    /// spared.
    Truncate,
}

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
    StorageList,
    MetadataClaim,
    MetadataLoad,
    MetadataAdvance,
    MetadataBind,
    MetadataFind,
    AuditAppend,
    SignerSign,
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
    pub const ALL: [Self; 4] = [Self::LostRequest, Self::LostAnswer, Self::Corrupt, Self::Truncate];

    /// Whether this can happen to such an effect. A plan that wants it elsewhere is not followed.
    pub fn fits(self, op: Op) -> bool {
        match self {
            Self::LostRequest | Self::LostAnswer => true,
            Self::Corrupt | Self::Truncate => op == Op::StorageCreate,
        }
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
            Self::StorageList => "storage.list",
            Self::MetadataClaim => "metadata.claim",
            Self::MetadataLoad => "metadata.load",
            Self::MetadataAdvance => "metadata.advance",
            Self::MetadataBind => "metadata.bind",
            Self::MetadataFind => "metadata.find",
            Self::AuditAppend => "audit.append",
            Self::SignerSign => "signer.sign",
        }
    }

    /// Whether it changes the world.
    pub fn writes(self) -> bool {
        matches!(
            self,
            Self::StorageCreate
                | Self::StorageRemove
                | Self::MetadataClaim
                | Self::MetadataAdvance
                | Self::MetadataBind
                | Self::AuditAppend
        )
    }

    /// The faults worth trying: those that fit and differ. To what only reads, a lost answer is a
    /// lost request.
    pub fn faults(self) -> impl Iterator<Item = Fault> {
        Fault::ALL.into_iter().filter(move |fault| fault.fits(self) && (self.writes() || *fault != Fault::LostAnswer))
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

    /// From now on, nothing goes wrong any more.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.faults.injected.clear();
        state.faults.plan = None;
    }

    /// The effects so far, by number.
    pub fn effects(&self) -> Vec<Effect> {
        self.lock().faults.log.clone()
    }

    /// Begins an effect: lets others go first, gives it a number, asks the plan, and stops it here
    /// if its request gets lost.
    pub(crate) async fn begin(&self, op: Op, subject: impl Into<String>) -> Result<Call, Error> {
        let_others_go_first().await;
        let (effect, plan) = self.number(op, subject.into());
        // Without the lock: the plan is the caller's code and may look at the world.
        let planned = effect.fault.or_else(|| plan.and_then(|plan| plan(&effect)));
        let fault = planned.filter(|fault| fault.fits(op));
        if let Some(logged) = self.lock().faults.log.get_mut(effect.number) {
            logged.fault = fault;
        }
        let call = Call { effect: Effect { fault, ..effect } };
        if fault == Some(Fault::LostRequest) { Err(call.lost()) } else { Ok(call) }
    }

    fn number(&self, op: Op, subject: String) -> (Effect, Option<Arc<Plan>>) {
        let faults = &mut self.lock().faults;
        let number = faults.log.len();
        let effect = Effect { number, op, subject, fault: faults.injected.get(&number).copied() };
        faults.log.push(effect.clone());
        (effect, faults.plan.clone())
    }
}

type Plan = dyn Fn(&Effect) -> Option<Fault> + Send + Sync;

#[derive(Default)]
pub(crate) struct Faults {
    injected: BTreeMap<usize, Fault>,
    plan: Option<Arc<Plan>>,
    pub(crate) log: Vec<Effect>,
}

/// An effect that has begun.
pub(crate) struct Call {
    effect: Effect,
}

impl Call {
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.effect.fault == Some(fault)
    }

    /// Ends the effect: what was done can be seen by others before the caller hears of it, if it does.
    pub(crate) async fn end<T>(self, answer: Result<T, Error>) -> Result<T, Error> {
        let_others_go_first().await;
        if self.has(Fault::LostAnswer) { Err(self.lost()) } else { answer }
    }

    fn lost(&self) -> Error {
        Error::unavailable(format!("the testkit made effect {} fail: repeat", self.effect))
    }
}

/// A point at which a task can be interleaved with others, or dropped.
pub(crate) async fn let_others_go_first() {
    let mut gone = false;
    poll_fn(|context| {
        if gone {
            return Poll::Ready(());
        }
        gone = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
