//! A second machine, written without the first: numbers and words in place of records.

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// The machine's time starts here, in milliseconds since 1970: 2026-01-01T00:00:00.250Z.
pub(crate) const START: i64 = 1_767_225_600_250;
const HOUR: i64 = 3_600_000;
/// How many versions of its work there were before it was stored.
pub(crate) const OTHERS: u64 = 2;

/// How far a publication is, and why it does not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    Claimed,
    Stored { created: bool },
    Replicating,
    Published,
    Rejected(&'static str),
    Retracted,
}

/// What is in an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    Approved,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Missing,
    Refused,
    Changed,
    OtherBytes,
    /// Told to be other bytes although they are the approved ones: nobody can have seen that.
    NotOtherBytes,
}

/// What becomes of the copies that are not in the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hot {
    Kept,
    ToFree,
    Freed,
}

/// What callers may amend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) title: u8,
    pub(crate) hours: u32,
    pub(crate) signed: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Transition {
    /// The clock moves, perhaps back.
    Tick {
        millis: i64,
    },
    TakenUp {
        holder: u8,
        lease_secs: i64,
        attempts: u32,
        approved_for: Option<i64>,
    },
    KeptAlive {
        lease_secs: i64,
    },
    Transferred {
        created: bool,
        found: Option<Bytes>,
    },
    SourceUnfit(Fault),
    Examined(Option<Bytes>),
    /// What was found in a copy on another target, of the attempt that is wanted there or of another.
    Copied {
        which: usize,
        wanted: bool,
        found: Option<Bytes>,
    },
    /// What is published is to be copied anew, to a later attempt or not.
    Restoring {
        later: bool,
    },
    /// It was, to the attempt that is wanted or not.
    Restored {
        wanted: bool,
        bytes: Bytes,
    },
    /// A copy for the archive is wanted, and the others are freed then or not.
    ArchiveWanted {
        frees: bool,
    },
    HotFreed,
    HotKept,
    ApprovalLapsed,
    Delivered {
        before: u64,
    },
    Amended(Shown),
    LinkWanted,
    /// A link of its own, that ends so much later; or earlier.
    LinkAsked {
        millis: i64,
    },
    Numbered {
        version: u64,
    },
    RolledBack {
        version: u64,
        versions: u64,
    },
    HoldPlaced,
    HoldReleased,
    Retracted,
    LinksEnded,
    CopyReleased,
    StagedFileReleased,
    /// The process dies; another reads the record.
    WriteAndRead,
}

#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) now: i64,
    /// Whether files with other bytes have other keys.
    pub(crate) tells: bool,
    /// Whether it is a version of some work.
    pub(crate) has_work: bool,
    pub(crate) at: At,
    pub(crate) holder: u8,
    pub(crate) lease_until: i64,
    pub(crate) attempt: u32,
    pub(crate) attempts_left: u32,
    pub(crate) approved_until: Option<i64>,
    pub(crate) shown: Shown,
    /// Everything that the trail tells, and from where on it waits.
    pub(crate) told: Vec<&'static str>,
    pub(crate) waits_from: u64,
    pub(crate) published_at: Option<i64>,
    /// Its number, 0 as long as it is to have one.
    pub(crate) number: Option<u64>,
    /// How many copies must be proven, and those on other targets: the attempt, and whether it is proven.
    pub(crate) quorum: u32,
    pub(crate) copies: Vec<(u32, bool)>,
    /// That in the archive, and what becomes of the others.
    pub(crate) archive: Option<(u32, bool)>,
    pub(crate) hot: Hot,
    pub(crate) spared_until: Option<i64>,
    pub(crate) was_restored: bool,
    pub(crate) links_until: Option<i64>,
    pub(crate) restoring: Option<u32>,
    pub(crate) held: bool,
    pub(crate) links_ended: bool,
    pub(crate) link_until: Option<i64>,
    pub(crate) revision: u64,
    /// Whether the last transition could happen.
    pub(crate) happened: bool,
}

impl Reference {
    pub(crate) fn waiting(&self) -> &[&'static str] {
        &self.told[usize::try_from(self.waits_from).unwrap()..]
    }

    pub(crate) fn is_at_work(&self) -> bool {
        matches!(self.at, At::Claimed | At::Stored { .. } | At::Replicating)
    }

    /// How many copies are proven, where the first one is, unless that was freed.
    pub(crate) fn proven(&self) -> u32 {
        let others = self.copies.iter().chain(&self.archive).filter(|(_, proven)| *proven).count();
        u32::from(self.hot != Hot::Freed) + u32::try_from(others).unwrap()
    }

    fn is_archived(&self) -> bool {
        self.archive.is_some_and(|(_, proven)| proven)
    }

    fn lacks_copies(&self) -> bool {
        let lacks_hot = self.hot == Hot::Kept && self.copies.iter().any(|(_, proven)| !proven);
        lacks_hot || self.archive.is_some_and(|(_, proven)| !proven)
    }

    /// What is to be done next.
    pub(crate) fn next(&self) -> Option<&'static str> {
        match self.at {
            At::Claimed | At::Stored { .. } | At::Replicating if self.waiting().len() >= 16 => Some("deliver"),
            At::Claimed => Some("transfer"),
            At::Stored { .. } => Some("prove"),
            At::Replicating => Some("replicate"),
            At::Published if self.number == Some(0) => Some("number"),
            At::Published if self.hot == Hot::ToFree && self.is_archived() => Some("free"),
            At::Retracted if self.published_at.is_some() && !self.links_ended => Some("end links"),
            _ if !self.waiting().is_empty() => Some("deliver"),
            At::Published if self.lacks_copies() => Some("replicate"),
            At::Published | At::Rejected(_) | At::Retracted => None,
        }
    }

    /// How a caller enters: by name, whether it is a call with this to show or a recovery, and
    /// whether it has taken the work up before.
    pub(crate) fn entry(&self, holder: u8, shown: Option<Shown>, taken_up: bool) -> &'static str {
        if self.next() == Some("deliver") {
            return "deliver";
        }
        let (mine, recovery) = (holder == self.holder, shown.is_none());
        if self.is_at_work() {
            let live = self.now < self.lease_until && self.lease_until <= self.now + HOUR;
            let own_call = mine && !recovery;
            if live && !own_call && !(mine && taken_up) {
                return "busy";
            }
            if !(mine && taken_up) {
                return "take up";
            }
        }
        match (self.at, shown) {
            (At::Rejected(_), Some(_)) => "take up",
            (At::Retracted, _) => "drive",
            (_, Some(shown)) if shown != self.shown => "amend",
            _ => "drive",
        }
    }

    fn tell(&mut self, what: &'static str) {
        self.told.push(what);
    }

    fn approval_holds(&self) -> bool {
        self.approved_until.is_none_or(|until| self.now < until)
    }

    fn reject(&mut self, why: &'static str) {
        self.tell("rejected");
        self.at = At::Rejected(why);
    }

    fn grant(&mut self) {
        let seconds = self.now.div_euclid(1000) + i64::from(self.shown.hours) * 3600;
        // A link that would outlive the calendar is not granted.
        if self.shown.hours < 1_000_000 {
            self.link_until = Some(seconds * 1000);
            self.tell("link_granted");
        }
    }

    fn publish(&mut self) {
        if !self.approval_holds() {
            return self.reject("qc_lapsed");
        }
        self.tell("published");
        (self.at, self.published_at) = (At::Published, Some(self.now));
        self.number = self.has_work.then_some(0);
        if self.shown.signed { self.grant() } else { self.tell("access_granted") }
    }

    /// False if nobody can have seen that.
    fn copied(&mut self, which: usize, wanted: bool, found: Option<Bytes>) -> bool {
        let mut all = self.copies.iter_mut().chain(&mut self.archive);
        let Some((attempt, proven)) = all.nth(which).filter(|_| wanted) else { return false };
        match found {
            Some(Bytes::Approved) if *proven => return false,
            Some(Bytes::Approved) => {
                *proven = true;
                self.tell("replicated");
            }
            Some(Bytes::Other) | None => {
                (*attempt, *proven) = (*attempt + 1, false);
                self.tell("replica_lost");
            }
        }
        true
    }

    fn judge(&mut self, created: bool, found: Option<Bytes>) {
        match found {
            Some(Bytes::Approved) if self.proven() < self.quorum => self.at = At::Replicating,
            Some(Bytes::Approved) => self.publish(),
            Some(Bytes::Other) if !created && !self.tells => self.reject("key_taken"),
            Some(Bytes::Other) | None => {
                self.tell("attempt_failed");
                self.attempt += 1;
                if self.attempts_left == 0 {
                    return self.reject("attempts_used_up");
                }
                self.attempts_left -= 1;
                self.at = At::Claimed;
            }
        }
    }

    /// False if it cannot happen; then nothing has changed.
    fn happen(&mut self, transition: &Transition) -> bool {
        match (transition, self.at) {
            (Transition::Tick { millis }, _) => self.now += millis,
            (Transition::WriteAndRead, _) => {}
            (Transition::TakenUp { .. }, At::Published | At::Retracted) => return false,
            (Transition::TakenUp { holder, lease_secs, attempts, approved_for }, _) => {
                if !self.is_at_work() {
                    self.at = At::Claimed;
                    self.tell("reopened");
                }
                self.attempts_left = attempts.saturating_sub(1);
                (self.holder, self.lease_until) = (*holder, self.now + lease_secs * 1000);
                self.approved_until = approved_for.map(|seconds| self.now + seconds * 1000);
            }
            (Transition::KeptAlive { lease_secs }, _) if self.is_at_work() => {
                self.lease_until = self.now + lease_secs * 1000;
            }
            (Transition::Transferred { created, found: None }, At::Claimed) => {
                self.at = At::Stored { created: *created };
            }
            (Transition::Transferred { created, found }, At::Claimed) => self.judge(*created, *found),
            (Transition::Examined(found), At::Stored { created }) => self.judge(created, *found),
            (Transition::SourceUnfit(fault), At::Claimed) if *fault != Fault::NotOtherBytes => self.reject("source"),
            (Transition::Copied { which, wanted, found }, At::Replicating | At::Published) => {
                if !self.copied(*which, *wanted, *found) {
                    return false;
                }
                if self.at == At::Replicating && self.proven() >= self.quorum {
                    self.publish();
                }
            }
            (Transition::Restoring { later: true }, At::Published) => {
                self.restoring = Some(self.restoring.unwrap_or(self.attempt) + 1);
            }
            (Transition::Restored { wanted: true, bytes: Bytes::Approved }, At::Published) => {
                let Some(attempt) = self.restoring.take() else { return false };
                (self.attempt, self.was_restored) = (attempt, true);
                if self.hot == Hot::Freed {
                    self.hot = Hot::Kept;
                }
                self.tell("restored");
            }
            (Transition::ArchiveWanted { frees }, At::Published) => {
                let is_news = self.archive.is_none() || (*frees && self.hot == Hot::Kept);
                if !is_news || self.hot == Hot::Freed || (*frees && (self.held || !self.shown.signed)) {
                    return false;
                }
                self.archive.get_or_insert((0, false));
                if *frees {
                    self.hot = Hot::ToFree;
                }
                self.tell("archive_wanted");
            }
            (Transition::HotFreed, At::Published)
                if self.hot == Hot::ToFree && self.is_archived() && !self.held && self.shown.signed =>
            {
                self.attempt = self.restoring.take().unwrap_or(self.attempt);
                self.copies.iter_mut().for_each(|copy| *copy = (copy.0 + 1, false));
                let ends = [self.link_until.take(), self.links_until.take(), self.spared_until, Some(self.now)];
                (self.hot, self.spared_until) = (Hot::Freed, ends.into_iter().flatten().max());
                self.tell("hot_freed");
            }
            (Transition::HotKept, At::Published) if self.hot == Hot::ToFree => {
                self.hot = Hot::Kept;
                self.tell("hot_kept");
            }
            (Transition::ApprovalLapsed, _) if self.is_at_work() && !self.approval_holds() => {
                self.reject("qc_lapsed");
            }
            (Transition::Delivered { before }, _) => {
                self.waits_from = self.waits_from.max(*before).min(self.told.len() as u64);
            }
            (Transition::Numbered { version }, At::Published) if self.number == Some(0) && *version > OTHERS => {
                self.number = Some(*version);
                self.tell("numbered");
            }
            (Transition::RolledBack { version, versions }, At::Published)
                if *version > 0 && self.number == Some(*version) && version <= versions =>
            {
                self.tell("rolled_back");
            }
            (Transition::HoldPlaced, _) => {
                self.held = true;
                if self.hot == Hot::ToFree {
                    self.hot = Hot::Kept;
                }
                self.tell("hold_placed");
            }
            (Transition::HoldReleased, _) if self.held => {
                self.held = false;
                self.tell("hold_released");
            }
            (Transition::Retracted, at) if at != At::Retracted => {
                self.at = At::Retracted;
                self.tell("retracted");
            }
            (Transition::LinksEnded, At::Retracted) if !self.links_ended => self.links_ended = true,
            (Transition::CopyReleased, At::Retracted) if !self.held => self.tell("copy_released"),
            (Transition::CopyReleased, At::Published)
                if !self.held
                    && (self.spared_until.is_some() || self.was_restored)
                    && (self.hot != Hot::Freed || self.is_archived()) =>
            {
                self.tell("copy_released");
            }
            (Transition::StagedFileReleased, At::Published) if !self.held => self.tell("staged_file_released"),
            (Transition::Amended(_), At::Retracted) => return false,
            (Transition::Amended(shown), _) => {
                let opens = self.at == At::Published && self.shown.signed && !shown.signed;
                self.shown = *shown;
                self.tell("amended");
                if opens {
                    self.tell("access_granted");
                }
            }
            (Transition::LinkWanted | Transition::LinkAsked { .. }, _) if self.hot == Hot::Freed => return false,
            (Transition::LinkWanted, At::Published) if self.shown.signed => self.grant(),
            (Transition::LinkAsked { millis }, At::Published)
                if self.shown.signed && *millis > 0 && (self.now + millis) % 1000 == 0 =>
            {
                self.links_until = self.links_until.max(Some(self.now + millis));
                self.tell("link_issued");
            }
            _ => return false,
        }
        if !matches!(transition, Transition::Tick { .. } | Transition::WriteAndRead) {
            self.revision += 1;
        }
        true
    }
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        let copies = prop_oneof![1 => Just((0, 1)), 1 => (1..3_usize, 1..3_u32)];
        let start = (any::<(bool, bool)>(), approved_for(), shown(), 0..3_u32, 1..120_i64, copies);
        start
            .prop_map(|((tells, has_work), approved_for, shown, attempts_left, lease_secs, (copies, quorum))| Self {
                now: START,
                tells,
                has_work,
                at: At::Claimed,
                holder: 0,
                lease_until: START + lease_secs * 1000,
                attempt: 0,
                attempts_left,
                approved_until: approved_for.map(|seconds: i64| START + seconds.max(1) * 1000),
                shown,
                told: vec!["claimed"],
                waits_from: 0,
                published_at: None,
                number: None,
                quorum,
                copies: vec![(0, false); copies],
                archive: None,
                hot: Hot::Kept,
                spared_until: None,
                was_restored: false,
                links_until: None,
                restoring: None,
                held: false,
                links_ended: false,
                link_until: None,
                revision: 0,
                happened: true,
            })
            .boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Transition> {
        let told = state.told.len() as u64;
        prop_oneof![
            2 => prop_oneof![0..100_000_i64, 0..80 * HOUR, -HOUR..0_i64].prop_map(|millis| Transition::Tick { millis }),
            3 => (0..3_u8, 0..120_i64, 0..4_u32, approved_for()).prop_map(
                |(holder, lease_secs, attempts, approved_for)| Transition::TakenUp { holder, lease_secs, attempts, approved_for }
            ),
            1 => (0..4000_i64).prop_map(|lease_secs| Transition::KeptAlive { lease_secs }),
            5 => (any::<bool>(), found()).prop_map(|(created, found)| Transition::Transferred { created, found }),
            1 => fault().prop_map(Transition::SourceUnfit),
            6 => found().prop_map(Transition::Examined),
            4 => (0..3_usize, 0..9, found())
                .prop_map(|(which, wanted, found)| Transition::Copied { which, wanted: wanted > 0, found }),
            1 => any::<bool>().prop_map(|later| Transition::Restoring { later }),
            1 => (0..4, found()).prop_map(|(wanted, found)| {
                Transition::Restored { wanted: wanted > 0, bytes: found.unwrap_or(Bytes::Approved) }
            }),
            1 => any::<bool>().prop_map(|frees| Transition::ArchiveWanted { frees }),
            2 => prop_oneof![4 => Just(Transition::HotFreed), 1 => Just(Transition::HotKept)],
            1 => Just(Transition::ApprovalLapsed),
            2 => (0..told + 3).prop_map(|before| Transition::Delivered { before }),
            2 => shown().prop_map(Transition::Amended),
            2 => Just(Transition::LinkWanted),
            2 => prop_oneof![(-2..9_i64).prop_map({
                let now = state.now;
                move |secs| secs * 1000 - now % 1000
            }), -5..5_i64].prop_map(|millis| Transition::LinkAsked { millis }),
            2 => (0..6_u64).prop_map(|version| Transition::Numbered { version }),
            1 => (0..6_u64, 0..6_u64).prop_map(|(version, versions)| Transition::RolledBack { version, versions }),
            1 => prop::sample::select(vec![
                Transition::HoldPlaced,
                Transition::HoldReleased,
                Transition::HoldReleased,
                Transition::LinksEnded,
                Transition::CopyReleased,
                Transition::StagedFileReleased,
                Transition::Retracted,
            ]),
            2 => Just(Transition::WriteAndRead),
        ]
        .boxed()
    }

    fn preconditions(state: &Self, transition: &Transition) -> bool {
        // A link is wanted when the last one is over, so never before the publication.
        !matches!(transition, Transition::LinkWanted)
            || state.at != At::Published
            || state.published_at.is_none_or(|at| state.now >= at)
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        state.happened = state.happen(transition);
        state
    }
}

fn approved_for() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![3 => Just(None), 1 => (0..400_i64).prop_map(Some)]
}

fn shown() -> impl Strategy<Value = Shown> {
    let hours = prop_oneof![5 => 1..169_u32, 1 => Just(u32::MAX)];
    let signed = prop_oneof![5 => Just(true), 1 => Just(false)];
    (0..3_u8, hours, signed).prop_map(|(title, hours, signed)| Shown { title, hours, signed })
}

fn found() -> impl Strategy<Value = Option<Bytes>> {
    prop_oneof![2 => Just(None), 2 => Just(Some(Bytes::Approved)), 1 => Just(Some(Bytes::Other))]
}

fn fault() -> impl Strategy<Value = Fault> {
    prop::sample::select(vec![Fault::Missing, Fault::Refused, Fault::Changed, Fault::OtherBytes, Fault::NotOtherBytes])
}
