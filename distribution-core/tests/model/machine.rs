//! The machine, step by step beside its reference.

use chrono::{DateTime, TimeDelta};
use distribution_core::machine::{Action, Caller, Entry, Event, claim, entry, next_action, step};
use distribution_core::{
    Access, AssetMetadata, AuditLogId, Checksum, ConceptId, CopyExamined, Details, Digest, DurationSeconds, HotCopies,
    Identity, Lease, Location, ObjectKey, Phase, Proof, Publication, QcApproval, QcPolicy, QcReport, Reason, Record,
    Rejection, Replicas, Replication, Row, SourceFault, StoredObject, TargetName, Timestamp, Verification, VideoUrl,
    Work,
};
use proptest_state_machine::StateMachineTest;

use crate::machine_reference::{At, Bytes, Fault, Hot, OTHERS, Reference, Shown, Transition};
use crate::run;

const APPROVED: &[u8] = b"approved";
const WAITING_MAX: usize = 128;
/// Less than the microsecond to which a record is kept.
const BELOW: TimeDelta = TimeDelta::nanoseconds(999);

#[test]
fn proof_that_the_machine_follows_its_model() {
    run::<Machine>("the machine against its model", 40, [256, 10_000, 500_000]);
}

pub(crate) struct Machine {
    record: Record,
    now: i64,
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test(start: &Reference) -> Self {
        let approval = approval(start.now, start.approved_until);
        let lease = Lease { holder: start.holder.to_string(), until: at(start.lease_until) };
        let work = Work { lease, attempts_left: start.attempts_left };
        let record = claim(
            publication(start.tells, start.has_work),
            details(start.shown),
            approval,
            &url(),
            work,
            Replicas::from(&Replication {
                targets: (0..start.copies.len()).map(target).collect(),
                quorum: start.quorum,
            }),
            at(start.now),
        );
        Self { record, now: start.now }
    }

    fn apply(mut machine: Self, after: &Reference, transition: Transition) -> Self {
        match transition {
            Transition::Tick { millis } => machine.now += millis,
            Transition::WriteAndRead if after.waiting().len() <= WAITING_MAX => {
                machine.record = Record::decode(&machine.record.encode().unwrap()).unwrap();
            }
            Transition::WriteAndRead => {}
            transition => match step(&machine.record, event(&transition, &machine), at(machine.now) + BELOW) {
                Ok(next) => {
                    assert!(after.happened, "the model does not allow {transition:?}");
                    machine.record = next;
                }
                Err(_) => assert!(!after.happened, "the machine does not allow {transition:?}"),
            },
        }
        machine
    }

    fn check_invariants(machine: &Self, expected: &Reference) {
        check_record(&machine.record, expected);
        check_trail(&machine.record, expected);
        check_questions(machine, expected);
        check_written(&machine.record, expected);
    }
}

fn check_record(record: &Record, expected: &Reference) {
    let phase = match &record.phase {
        Phase::Claimed { .. } => At::Claimed,
        Phase::Stored { object, .. } => At::Stored { created: object.created },
        Phase::Replicating { .. } => At::Replicating,
        Phase::Published(_) => At::Published,
        Phase::Rejected { reason } => At::Rejected(why(reason)),
        Phase::Retracted(_) => At::Retracted,
    };
    assert_eq!(phase, expected.at);
    assert_eq!((record.attempt, record.revision), (expected.attempt, expected.revision));
    assert_eq!(record.publication, publication(expected.tells, expected.has_work), "what is published never changes");
    assert_eq!(record.details, details(expected.shown));
    if let Some(work) = record.work() {
        assert_eq!(work.attempts_left, expected.attempts_left);
        assert_eq!(work.lease, Lease { holder: expected.holder.to_string(), until: at(expected.lease_until) });
        assert_eq!(
            record.approval.holds_at(at(expected.now)),
            expected.approved_until.is_none_or(|until| expected.now < until)
        );
    }
    let copies: Vec<_> = record.replicas.wanted.iter().map(|copy| (copy.attempt, copy.proven.is_some())).collect();
    let all: Vec<_> = expected.copies.iter().chain(&expected.archive).copied().collect();
    assert_eq!((copies, record.restoring), (all, expected.restoring));
    let (hot, spared_until) = match record.hot {
        HotCopies::Kept => (Hot::Kept, record.spared_until),
        HotCopies::ToFree => (Hot::ToFree, record.spared_until),
        HotCopies::Freed { .. } => (Hot::Freed, record.spared_until),
    };
    assert_eq!((hot, spared_until), (expected.hot, expected.spared_until.map(at)));
    let counts = expected.at == At::Replicating || expected.published_at.is_some();
    assert_eq!(record.replica_count(), if counts { expected.proven() } else { 0 });
    assert_eq!(record.hold.is_some(), expected.held);
    assert_eq!(record.published().is_some(), expected.published_at.is_some());
    if let Some(published) = record.published() {
        assert_eq!(published.version.map(|version| version.number().unwrap_or(0)), expected.number, "P3");
        assert_eq!(Some(published.at), expected.published_at.map(at));
        assert_eq!(published.proof, proof(Bytes::Approved), "P1");
        assert_eq!(published.link_expires_at, expected.link_until.map(at));
    }
    let suffix = if expected.attempt == 0 { String::new() } else { format!("-r{}", expected.attempt) };
    assert_eq!(record.object_key().as_str(), format!("mvp/clip{suffix}.mp4"));
}

fn check_trail(record: &Record, expected: &Reference) {
    let names = record.trail.waiting.iter().map(|entry| serde_json::to_value(entry).unwrap()["event"].clone());
    assert_eq!(names.collect::<Vec<_>>(), expected.waiting());
    assert_eq!(record.trail.next, expected.told.len() as u64);
    let sequences: Vec<u64> = record.trail.waiting.iter().map(|entry| entry.id.sequence).collect();
    assert_eq!(sequences, (expected.waits_from..record.trail.next).collect::<Vec<_>>(), "gapless");
}

/// What to do next, and how anybody would enter.
fn check_questions(machine: &Machine, expected: &Reference) {
    let action = next_action(&machine.record).map(|action| match action {
        Action::Transfer => "transfer",
        Action::Prove => "prove",
        Action::Replicate => "replicate",
        Action::Free => "free",
        Action::Number => "number",
        Action::EndLinks => "end links",
        Action::Deliver => "deliver",
    });
    assert_eq!(action, expected.next());
    assert_eq!(machine.record.is_settled(), action.is_none());
    let other = Shown { title: 99, ..expected.shown };
    for shown in [None, Some(expected.shown), Some(other)] {
        for (holder, taken_up) in [(0, false), (0, true), (1, false), (1, true)] {
            let (name, details) = (holder.to_string(), shown.map(details));
            let caller = Caller { holder: &name, details: details.as_ref(), taken_up, amended: false };
            let entered = match entry(&machine.record, caller, at(machine.now)) {
                Entry::Deliver => "deliver",
                Entry::Busy { until } => {
                    assert_eq!(until, at(expected.lease_until));
                    "busy"
                }
                Entry::TakeUp => "take up",
                Entry::Amend => "amend",
                Entry::Drive => "drive",
            };
            assert_eq!(entered, expected.entry(holder, shown, taken_up), "{holder} {shown:?} {taken_up}");
        }
    }
}

/// A record within the limits is written and read as it is, and columns tell what it says.
fn check_written(record: &Record, expected: &Reference) {
    if expected.waiting().len() > WAITING_MAX {
        assert!(record.encode().is_err(), "P10");
        return;
    }
    let row = record.encode().unwrap();
    assert!(row.body.len() <= Row::BODY_BYTES_MAX);
    assert_eq!((row.index.state, row.index.settled), (record.state(), expected.next().is_none()));
    assert_eq!(&Record::decode(&row).unwrap(), record);
}

fn event(transition: &Transition, Machine { record, now }: &Machine) -> Event {
    let now = *now;
    let lease = |secs: i64| at(now + secs * 1000);
    match *transition {
        Transition::TakenUp { holder, lease_secs, attempts, approved_for } => Event::TakenUp {
            lease: Lease { holder: holder.to_string(), until: lease(lease_secs) },
            approval: approval(now, approved_for.map(|seconds| now + seconds * 1000)),
            source: Some(url()),
            attempts,
        },
        Transition::KeptAlive { lease_secs } => Event::KeptAlive { until: lease(lease_secs) },
        Transition::Transferred { created, found } => Event::Transferred {
            object: StoredObject {
                location: Location::parse("memory://default/mvp/clip.mp4").unwrap(),
                created,
                pin: None,
                preflight: None,
                versions: OTHERS,
            },
            proof: found.map(proof),
        },
        Transition::SourceUnfit(fault) => Event::SourceUnfit(match fault {
            Fault::Missing => SourceFault::Missing,
            Fault::Refused => SourceFault::Refused { message: "no".into() },
            Fault::Changed => SourceFault::Changed,
            Fault::OtherBytes => SourceFault::OtherBytes { found: proof(Bytes::Other).digest },
            Fault::NotOtherBytes => SourceFault::OtherBytes { found: proof(Bytes::Approved).digest },
        }),
        Transition::Examined(found) => Event::Examined(found.map(proof)),
        Transition::Copied { which, wanted, found } => {
            let known = record.replicas.wanted.get(which).map(|copy| (copy.attempt, copy.target.clone()));
            let (known, target) = known.unwrap_or((0, target(3)));
            let attempt = if wanted { known } else { known + 1 };
            let location = Location::parse("memory://other/mvp/clip.mp4").unwrap();
            Event::CopyExamined(CopyExamined { target, attempt, location, found: found.map(proof) })
        }
        Transition::Restoring { later } => {
            Event::Restoring { attempt: record.restoring.unwrap_or(record.attempt) + u32::from(later) }
        }
        Transition::Restored { wanted, bytes } => Event::Restored {
            attempt: record.restoring.unwrap_or(record.attempt) + u32::from(!wanted),
            location: Location::parse("memory://default/mvp/clip-r1.mp4").unwrap(),
            proof: proof(bytes),
        },
        Transition::ArchiveWanted { frees } => Event::ArchiveWanted { target: target(2), frees },
        Transition::HotFreed => Event::HotFreed,
        Transition::HotKept => Event::HotKept,
        Transition::ApprovalLapsed => Event::ApprovalLapsed,
        Transition::Delivered { before } => Event::Delivered { before },
        Transition::Amended(shown) => Event::Amended(Box::new(details(shown))),
        Transition::LinkWanted => Event::LinkWanted,
        Transition::LinkAsked { millis } => Event::LinkAsked { expires_at: at(now + millis) },
        Transition::Numbered { version } => Event::Numbered { version },
        Transition::RolledBack { version, versions } => Event::RolledBack { version, versions },
        Transition::HoldPlaced => Event::HoldPlaced { concept_id: None, reason: reason() },
        Transition::HoldReleased => Event::HoldReleased { concept_id: None, reason: reason() },
        Transition::Retracted => Event::Retracted { reason: reason() },
        Transition::LinksEnded => Event::LinksEnded { by: at(now) },
        Transition::CopyReleased => {
            Event::CopyReleased { location: Location::parse("memory://default/mvp/clip.mp4").unwrap() }
        }
        Transition::StagedFileReleased => Event::StagedFileReleased { url: url() },
        Transition::Tick { .. } | Transition::WriteAndRead => unreachable!("no event"),
    }
}

fn target(number: usize) -> TargetName {
    TargetName::parse(["eu", "us", "cold", "nowhere"][number]).unwrap()
}

fn reason() -> Reason {
    Reason::parse("because").unwrap()
}

fn why(reason: &Rejection) -> &'static str {
    match reason {
        Rejection::Source { .. } => "source",
        Rejection::KeyTaken { .. } => "key_taken",
        Rejection::QcLapsed => "qc_lapsed",
        Rejection::AttemptsUsedUp => "attempts_used_up",
    }
}

fn at(millis: i64) -> Timestamp {
    DateTime::from_timestamp_millis(millis).unwrap()
}

fn url() -> VideoUrl {
    VideoUrl::parse("clip.mp4").unwrap()
}

fn details(shown: Shown) -> Details {
    let metadata = AssetMetadata { title: Some(shown.title.to_string()), ..AssetMetadata::default() };
    let access = if shown.signed { Access::Signed } else { Access::Public };
    Details { metadata, url_expiry_hours: shown.hours, access }
}

fn proof(bytes: Bytes) -> Proof {
    let bytes = match bytes {
        Bytes::Approved => APPROVED,
        Bytes::Other => b"other",
    };
    let digest = Digest { checksum: Checksum::of(bytes), size: bytes.len() as u64 };
    Proof { digest, how: Verification::ReadBack }
}

/// An approval that ends then, given while it held: a millisecond before, or now.
fn approval(now: i64, until: Option<i64>) -> QcApproval {
    let report = QcReport { expires_at: until.map(at), ..QcReport::pass() };
    let given = until.map_or(now, |until| until - 1);
    report.approve(&Checksum::of(APPROVED), QcPolicy::default(), at(given)).unwrap()
}

fn publication(tells: bool, has_work: bool) -> Publication {
    let concept_id = has_work.then(|| ConceptId::parse("concept-7").unwrap());
    let (target, checksum) = (TargetName::default(), Checksum::of(APPROVED));
    let key = ObjectKey::parse("mvp/clip.mp4").unwrap();
    let identity = Identity { target: &target, key: &key, checksum: &checksum, concept_id: concept_id.as_ref() };
    Publication {
        audit_log_id: AuditLogId::of(identity),
        target: target.clone(),
        key: key.clone(),
        checksum,
        concept_id,
        key_tells_bytes: tells,
        duration_seconds: DurationSeconds::new(1.0).unwrap(),
    }
}
