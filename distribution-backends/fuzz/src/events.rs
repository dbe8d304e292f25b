//! Any sequence of events into `step`: what must hold of every record holds of all that follow.

use distribution_core::machine::{Event, claim, next_action, step};
use distribution_core::{
    Access, AssetMetadata, AuditLogId, Checksum, ConceptId, CopyExamined, Details, Digest, DurationSeconds, Identity,
    Lease, Location, ObjectKey, Phase, Proof, Publication, QcApproval, QcPolicy, QcReport, Reason, Record, Replicas,
    Replication, SourceFault, SourcePin, StoredObject, TargetName, Timestamp, Verification, VideoUrl, Work,
};

use super::take::Take;

/// More than that may wait nowhere; then a record is not written any more.
const WAITING_MAX: usize = 128;
const EVENTS_MAX: usize = 500;

/// Takes events from the bytes, one after the other.
pub fn run(bytes: &[u8]) {
    let mut take = Take(bytes);
    let mut now = Timestamp::from_timestamp(1_767_225_600, 0).expect("a date");
    let mut record = first(&mut take, now);
    for _ in 0..EVENTS_MAX {
        if take.is_empty() {
            return;
        }
        now = later(now, &mut take);
        let event = event(&mut take, now);
        let wants_link = event == Event::LinkWanted;
        if let Ok(next) = step(&record, event, now) {
            // A new link is wanted only when the last one is over, and never for a time past.
            let is_early = wants_link && matches!(&record.phase, Phase::Published(published) if now < published.at);
            if is_early {
                continue;
            }
            check(&record, &next);
            record = next;
        }
    }
}

fn check(before: &Record, after: &Record) {
    assert_eq!(after.revision, before.revision + 1);
    assert_eq!(after.publication, before.publication);
    assert!(after.attempt >= before.attempt && after.trail.next >= before.trail.next);
    if let Some(was) = before.published() {
        let is = after.published().expect("what was published stays known");
        assert_eq!((&is.at, &is.pin), (&was.at, &was.pin));
        let is_restored = after.attempt > before.attempt && is.proof.digest.checksum == was.proof.digest.checksum;
        assert!(is_restored || (&is.location, &is.proof) == (&was.location, &was.proof));
    }
    if matches!(before.phase, Phase::Retracted(_)) {
        assert!(matches!(after.phase, Phase::Retracted(_)), "taken back is final");
    }
    let _ = next_action(after);
    // Pins and holders come from ports and configuration, which the events here have made up.
    let holder = after.work().map_or(0, |work| work.lease.holder.len());
    let pin = after
        .published()
        .is_none_or(|published| published.pin.as_ref().is_none_or(|pin| pin.size == published.proof.digest.size));
    match after.encode() {
        Ok(row) => assert_eq!(&Record::decode(&row).expect("what was written can be read"), after),
        Err(error) => assert!(after.trail.waiting.len() > WAITING_MAX || holder > 256 || !pin, "{error}"),
    }
}

fn event(take: &mut Take<'_>, now: Timestamp) -> Event {
    match take.u8() % 26 {
        0 => Event::TakenUp {
            lease: lease(take, now),
            approval: approval(take, now),
            source: Some(url(take)),
            attempts: attempts(take),
        },
        1 => Event::TakenUp {
            lease: lease(take, now),
            approval: approval(take, now),
            source: None,
            attempts: attempts(take),
        },
        2 => Event::KeptAlive { until: later(now, take) },
        3 => Event::Transferred { object: object(take), proof: None },
        4 => Event::Transferred { object: object(take), proof: proof(take) },
        5 => Event::SourceUnfit(fault(take)),
        6 => Event::Examined(proof(take)),
        7 => Event::ApprovalLapsed,
        8 => Event::Delivered { before: take.number() },
        9 => Event::Amended(Box::new(details(take))),
        10 => Event::LinkAsked { expires_at: later(now, take) },
        11 => Event::Numbered { version: take.number() },
        12 => Event::RolledBack { version: take.number(), versions: take.number() },
        13 => Event::HoldPlaced { concept_id: None, reason: reason(take) },
        14 => Event::HoldReleased { concept_id: None, reason: reason(take) },
        15 => Event::Retracted { reason: reason(take) },
        16 => Event::CopyReleased { location: object(take).location },
        17 => Event::StagedFileReleased { url: url(take) },
        19 => {
            let (target, attempt) = (replica(usize::from(take.u8() % 3)), attempts(take) % 3);
            let (location, found) = (object(take).location, proof(take));
            Event::CopyExamined(CopyExamined { target, attempt, location, found })
        }
        20 => {
            let (attempt, location) = (attempts(take), object(take).location);
            proof(take).map_or(Event::LinkWanted, |proof| Event::Restored { attempt, location, proof })
        }
        21 => Event::Restoring { attempt: attempts(take) },
        22 => Event::ArchiveWanted { target: replica(usize::from(take.u8() % 3)), frees: take.one_in(2) },
        23 => Event::HotFreed,
        24 => Event::HotKept,
        18 => Event::LinksEnded { by: later(now, take) },
        _ => Event::LinkWanted,
    }
}

fn reason(take: &mut Take<'_>) -> Reason {
    Reason::parse(take.text()).unwrap_or_else(|_| Reason::parse("because").expect("a reason"))
}

fn replicas(take: &mut Take<'_>) -> Replicas {
    let targets: Vec<_> = (0..usize::from(take.u8() % 3)).map(replica).collect();
    let quorum = u32::from(take.u8()) % (targets.len() as u32 + 1) + 1;
    Replicas::from(&Replication { targets, quorum })
}

fn replica(number: usize) -> TargetName {
    TargetName::parse(["eu", "us", "cold"][number]).expect("a target")
}

fn first(take: &mut Take<'_>, now: Timestamp) -> Record {
    let (target, checksum) = (TargetName::default(), Checksum::of(b"approved"));
    let key = ObjectKey::parse("mvp/clip.mp4").expect("a key");
    let concept_id = take.one_in(2).then(|| ConceptId::parse("concept-7").expect("a concept"));
    let identity = Identity { target: &target, key: &key, checksum: &checksum, concept_id: concept_id.as_ref() };
    let publication = Publication {
        audit_log_id: AuditLogId::of(identity),
        target: target.clone(),
        key: key.clone(),
        checksum,
        concept_id,
        key_tells_bytes: take.one_in(2),
        duration_seconds: DurationSeconds::new(1.0).expect("a duration"),
    };
    let (details, approval, url) = (details(take), approval(take, now), url(take));
    let work = Work { lease: Lease { holder: "a".into(), until: now }, attempts_left: attempts(take) };
    claim(publication, details, approval, &url, work, replicas(take), now)
}

/// A time after `now`, in steps from nanoseconds to years; the calendar's end is far enough.
fn later(now: Timestamp, take: &mut Take<'_>) -> Timestamp {
    let (number, unit) = (i64::from(take.u8()), take.u8());
    let unit = match unit % 4 {
        0 => chrono::TimeDelta::nanoseconds(number),
        1 => chrono::TimeDelta::seconds(number),
        2 => chrono::TimeDelta::hours(number),
        _ => chrono::TimeDelta::days(number * 400),
    };
    now.checked_add_signed(unit).filter(|_| now.timestamp() < 4_000_000_000_000).unwrap_or(now)
}

fn attempts(take: &mut Take<'_>) -> u32 {
    u32::try_from(take.number()).unwrap_or(u32::MAX)
}

fn lease(take: &mut Take<'_>, now: Timestamp) -> Lease {
    Lease { holder: take.text(), until: later(now, take) }
}

fn approval(take: &mut Take<'_>, now: Timestamp) -> QcApproval {
    let expires_at = take.one_in(4).then(|| later(now, take) + chrono::TimeDelta::nanoseconds(1));
    let report = QcReport { expires_at, ..QcReport::pass() };
    report.approve(&Checksum::of(b"approved"), QcPolicy::default(), now).expect("a pass")
}

fn url(take: &mut Take<'_>) -> VideoUrl {
    VideoUrl::parse(take.text()).unwrap_or_else(|_| VideoUrl::parse("clip.mp4").expect("a path"))
}

fn details(take: &mut Take<'_>) -> Details {
    let access = [Access::Signed, Access::Signed, Access::Public, Access::Authenticated];
    let metadata = AssetMetadata { title: Some(take.u8().to_string()), ..AssetMetadata::default() };
    let url_expiry_hours = attempts(take).max(1);
    Details { metadata, url_expiry_hours, access: access[usize::from(take.u8() % 4)] }
}

fn digest(take: &mut Take<'_>) -> Digest {
    let checksum = if take.one_in(2) { Checksum::of(b"approved") } else { Checksum::of(&[take.u8()]) };
    Digest { checksum, size: take.number() }
}

fn proof(take: &mut Take<'_>) -> Option<Proof> {
    let how = [Verification::ReadBack, Verification::StoreAttested];
    (!take.one_in(4)).then(|| Proof { digest: digest(take), how: how[usize::from(take.u8() % 2)] })
}

fn object(take: &mut Take<'_>) -> StoredObject {
    let location = Location::parse(format!("s3://bucket/{}", take.text()));
    let location = location.unwrap_or_else(|_| Location::parse("s3://bucket/clip.mp4").expect("a location"));
    let pin = take.one_in(2).then(|| SourcePin { size: take.number(), tag: take.text() });
    StoredObject { location, created: take.one_in(2), pin, preflight: None, versions: take.number() % 8 }
}

fn fault(take: &mut Take<'_>) -> SourceFault {
    match take.u8() % 4 {
        0 => SourceFault::Missing,
        1 => SourceFault::Refused { message: take.text() },
        2 => SourceFault::Changed,
        _ => SourceFault::OtherBytes { found: digest(take) },
    }
}
