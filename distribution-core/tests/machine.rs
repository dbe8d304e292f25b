//! The state machine as a table: every phase meets every event.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use distribution_core::machine::{Action, Caller, Entry, Event, claim, entry, next_action, step};
use distribution_core::{
    Access, AssetMetadata, AuditLogId, Checksum, ConceptId, CopyExamined, Details, Digest, DurationSeconds, ErrorKind,
    HotCopies, Identity, Lease, Location, ObjectKey, Phase, Proof, Publication, QcPolicy, QcReport, Reason, Record,
    Rejection, Replicas, Replication, Row, SourceFault, SourcePin, StoredObject, TargetName, Tier, Timestamp,
    Verification, Version, VideoUrl, Work,
};

const APPROVED: &[u8] = b"approved";

fn at(second: i64) -> Timestamp {
    Timestamp::from_timestamp(1_767_225_600 + second, 0).unwrap()
}

fn lease(second: i64) -> Lease {
    Lease { holder: "a".into(), until: at(second) }
}

fn url() -> VideoUrl {
    VideoUrl::parse("clip.mp4").unwrap()
}

fn details(title: &str) -> Details {
    let metadata = AssetMetadata { title: Some(title.into()), ..AssetMetadata::default() };
    Details { metadata, url_expiry_hours: 72, access: Access::Signed }
}

fn claimed(key_tells_bytes: bool, qc_expires_at: Option<Timestamp>) -> Record {
    let (target, checksum) = (TargetName::default(), Checksum::of(APPROVED));
    let key = ObjectKey::parse("clip.mp4").unwrap();
    let identity = Identity { target: &target, key: &key, checksum: &checksum, concept_id: Some(&concept()) };
    let publication = Publication {
        audit_log_id: AuditLogId::of(identity),
        target: target.clone(),
        key: key.clone(),
        checksum,
        concept_id: Some(concept()),
        key_tells_bytes,
        duration_seconds: DurationSeconds::new(1.0).unwrap(),
    };
    let qc = QcReport { expires_at: qc_expires_at, ..QcReport::pass() };
    let approval = qc.approve(&checksum, QcPolicy::default(), at(0)).unwrap();
    claim(
        publication,
        details("a"),
        approval,
        &url(),
        Work { lease: lease(60), attempts_left: 1 },
        Replicas::default(),
        at(0),
    )
}

fn proof(bytes: &[u8]) -> Proof {
    let digest = Digest { checksum: Checksum::of(bytes), size: bytes.len() as u64 };
    Proof { digest, how: Verification::ReadBack }
}

fn object(created: bool) -> StoredObject {
    let pin = SourcePin { size: APPROVED.len() as u64, tag: "1".into() };
    let location = Location::parse("memory://default/clip.mp4").unwrap();
    StoredObject { location, created, pin: Some(pin), preflight: None, versions: 2 }
}

fn transferred(proof: Option<Proof>) -> Event {
    Event::Transferred { object: object(true), proof }
}

fn taken_up(record: &Record) -> Event {
    Event::TakenUp { lease: lease(90), approval: record.approval.clone(), source: Some(url()), attempts: 2 }
}

/// One record in each phase, from the shortest way there.
fn phases() -> [Record; 6] {
    let claimed = claimed(true, Some(at(1000)));
    let stored = step(&claimed, transferred(None), at(1)).unwrap();
    let published = step(&stored, Event::Examined(Some(proof(APPROVED))), at(2)).unwrap();
    let rejected = step(&claimed, Event::SourceUnfit(SourceFault::Missing), at(1)).unwrap();
    let retracted = step(&published, Event::Retracted { reason: reason() }, at(2)).unwrap();
    let mut wanted = stored.clone();
    wanted.replicas = Replicas::from(&two_of_two());
    let replicating = step(&wanted, Event::Examined(Some(proof(APPROVED))), at(2)).unwrap();
    [claimed, stored, published, rejected, retracted, replicating]
}

fn restored(attempt: u32, bytes: &[u8]) -> Event {
    let location = Location::parse("memory://default/clip-r1.mp4").unwrap();
    Event::Restored { attempt, location, proof: proof(bytes) }
}

fn archive_wanted(target: &str, frees: bool) -> Event {
    Event::ArchiveWanted { target: TargetName::parse(target).unwrap(), frees }
}

/// A quorum of two, with a copy on `eu`.
fn two_of_two() -> Replication {
    Replication { targets: vec![TargetName::parse("eu").unwrap()], quorum: 2 }
}

fn copy_examined(attempt: u32, found: Option<Proof>) -> Event {
    let location = Location::parse("memory://eu/clip.mp4").unwrap();
    Event::CopyExamined(CopyExamined { target: TargetName::parse("eu").unwrap(), attempt, location, found })
}

fn reason() -> Reason {
    Reason::parse("a person was filmed who did not agree").unwrap()
}

fn concept() -> ConceptId {
    ConceptId::parse("concept-7").unwrap()
}

fn name(record: &Record) -> &'static str {
    match &record.phase {
        Phase::Claimed { .. } => "claimed",
        Phase::Stored { .. } => "stored",
        Phase::Published(_) => "published",
        Phase::Rejected { .. } => "rejected",
        Phase::Retracted(_) => "retracted",
        Phase::Replicating { .. } => "replicating",
    }
}

#[test]
fn every_phase_meets_every_event() {
    let [any, ..] = phases();
    let other = Digest { checksum: Checksum::of(b"other"), size: 5 };
    let approved = proof(APPROVED).digest;
    // What follows from each event in: claimed, stored, published, rejected, retracted, replicating.
    let table: [(&str, Event, [&str; 6]); 41] = [
        ("taken up", taken_up(&any), ["claimed", "stored", "-", "claimed", "-", "replicating"]),
        ("kept alive", Event::KeptAlive { until: at(99) }, ["claimed", "stored", "-", "-", "-", "replicating"]),
        ("transferred", transferred(None), ["stored", "-", "-", "-", "-", "-"]),
        ("transferred, proven", transferred(Some(proof(APPROVED))), ["published", "-", "-", "-", "-", "-"]),
        ("transferred, other bytes", transferred(Some(proof(b"other"))), ["claimed", "-", "-", "-", "-", "-"]),
        ("key buried", Event::KeyBuried { location: object(true).location }, ["claimed", "-", "-", "-", "-", "-"]),
        ("source missing", Event::SourceUnfit(SourceFault::Missing), ["rejected", "-", "-", "-", "-", "-"]),
        ("source changed", Event::SourceUnfit(SourceFault::Changed), ["rejected", "-", "-", "-", "-", "-"]),
        (
            "source refused",
            Event::SourceUnfit(SourceFault::Refused { message: "no".into() }),
            ["rejected", "-", "-", "-", "-", "-"],
        ),
        (
            "source other",
            Event::SourceUnfit(SourceFault::OtherBytes { found: other }),
            ["rejected", "-", "-", "-", "-", "-"],
        ),
        (
            "source not other",
            Event::SourceUnfit(SourceFault::OtherBytes { found: approved }),
            ["-", "-", "-", "-", "-", "-"],
        ),
        ("examined, proven", Event::Examined(Some(proof(APPROVED))), ["-", "published", "-", "-", "-", "-"]),
        ("examined, other", Event::Examined(Some(proof(b"other"))), ["-", "claimed", "-", "-", "-", "-"]),
        ("examined, missing", Event::Examined(None), ["-", "claimed", "-", "-", "-", "-"]),
        (
            "delivered",
            Event::Delivered { before: 99 },
            ["claimed", "stored", "published", "rejected", "retracted", "replicating"],
        ),
        (
            "amended",
            Event::Amended(Box::new(details("b"))),
            ["claimed", "stored", "published", "rejected", "-", "replicating"],
        ),
        ("link wanted", Event::LinkWanted, ["-", "-", "published", "-", "-", "-"]),
        ("links revoked", Event::LinksRevoked, ["-", "-", "published", "-", "-", "-"]),
        ("staged file released", Event::StagedFileReleased { url: url() }, ["-", "-", "published", "-", "-", "-"]),
        ("link asked", Event::LinkAsked { expires_at: at(4) }, ["-", "-", "published", "-", "-", "-"]),
        ("link asked, for no time", Event::LinkAsked { expires_at: at(3) }, ["-", "-", "-", "-", "-", "-"]),
        (
            "link asked, for no whole second",
            Event::LinkAsked { expires_at: at(4) + chrono::TimeDelta::microseconds(1) },
            ["-", "-", "-", "-", "-", "-"],
        ),
        ("numbered", Event::Numbered { version: 3 }, ["-", "-", "published", "-", "-", "-"]),
        ("numbered as another", Event::Numbered { version: 2 }, ["-", "-", "-", "-", "-", "-"]),
        ("rolled back before it has a number", Event::RolledBack { version: 3, versions: 3 }, ["-"; 6]),
        (
            "hold placed",
            Event::HoldPlaced { concept_id: None, reason: reason() },
            ["claimed", "stored", "published", "rejected", "retracted", "replicating"],
        ),
        ("hold released, there is none", Event::HoldReleased { concept_id: None, reason: reason() }, ["-"; 6]),
        (
            "hold on the work released",
            Event::HoldReleased { concept_id: Some(concept()), reason: reason() },
            ["claimed", "stored", "published", "rejected", "retracted", "replicating"],
        ),
        (
            "retracted",
            Event::Retracted { reason: reason() },
            ["retracted", "retracted", "retracted", "retracted", "-", "retracted"],
        ),
        ("links ended", Event::LinksEnded { by: at(9) }, ["-", "-", "-", "-", "retracted", "-"]),
        (
            "copy released",
            Event::CopyReleased { location: object(true).location },
            ["-", "-", "-", "-", "retracted", "-"],
        ),
        ("copied", copy_examined(0, Some(proof(APPROVED))), ["-", "-", "-", "-", "-", "published"]),
        ("copied wrongly", copy_examined(0, Some(proof(b"other"))), ["-", "-", "-", "-", "-", "replicating"]),
        ("copied at another attempt", copy_examined(1, Some(proof(APPROVED))), ["-"; 6]),
        ("restoring", Event::Restoring { attempt: 1 }, ["-", "-", "published", "-", "-", "-"]),
        ("restored, and not wanted", restored(1, APPROVED), ["-"; 6]),
        ("archive wanted", archive_wanted("cold", true), ["-", "-", "published", "-", "-", "-"]),
        ("archive wanted where it is", archive_wanted("default", true), ["-"; 6]),
        ("hot copies freed, and none is elsewhere", Event::HotFreed, ["-"; 6]),
        ("hot copies kept, which they were", Event::HotKept, ["-"; 6]),
        (
            "kept alive, long ago",
            Event::KeptAlive { until: at(-99) },
            ["claimed", "stored", "-", "-", "-", "replicating"],
        ),
    ];
    for (event_name, event, expected) in table {
        for (record, expected) in phases().iter().zip(expected) {
            let case = format!("{} + {event_name}", name(record));
            let Ok(next) = step(record, event.clone(), at(3)) else {
                assert_eq!(expected, "-", "{case}");
                continue;
            };
            assert_eq!(name(&next), expected, "{case}");
            assert_eq!(next.revision, record.revision + 1, "{case}");
            assert_eq!(next.publication, record.publication, "{case}: what is published never changes");
            assert!(next.attempt >= record.attempt, "{case}");
            assert_eq!(Record::decode(&next.encode().expect(&case)).expect(&case), next, "{case}");
        }
    }
}

#[test]
fn a_publication_is_one_version_of_its_work_for_ever() {
    let [_, _, published, ..] = phases();
    let third = step(&published, Event::Numbered { version: 3 }, at(3)).unwrap();
    assert!(step(&third, Event::Numbered { version: 4 }, at(3)).is_err());
    assert!(step(&third, Event::RolledBack { version: 3, versions: 5 }, at(3)).is_ok());
    for (version, versions) in [(2, 5), (3, 2)] {
        assert!(step(&third, Event::RolledBack { version, versions }, at(3)).is_err());
    }
    let retracted = step(&third, Event::Retracted { reason: reason() }, at(4)).unwrap();
    assert!(step(&retracted, Event::RolledBack { version: 3, versions: 5 }, at(5)).is_err());
    assert_eq!(retracted.published().unwrap().version, Some(Version::Number(3)));
}

#[test]
fn a_copy_counts_once_it_was_read_and_as_long_as_it_is_not_lost() {
    let [_, _, published, .., replicating] = phases();
    assert_eq!((published.replica_count(), replicating.replica_count()), (1, 1));
    let lost = step(&replicating, copy_examined(0, Some(proof(b"rotten"))), at(3)).unwrap();
    assert_eq!((lost.replica_count(), lost.replicas.wanted[0].attempt), (1, 1), "the next one has a key of its own");
    assert_eq!(lost.given_up()[0].1.as_str(), "clip.mp4");
    let proven = step(&lost, copy_examined(1, Some(proof(APPROVED))), at(4)).unwrap();
    assert_eq!((name(&proven), proven.replica_count()), ("published", 2));
    assert!(step(&proven, copy_examined(1, Some(proof(APPROVED))), at(5)).is_err(), "it is known");
    let lost = step(&proven, copy_examined(1, None), at(5)).unwrap();
    assert_eq!((name(&lost), lost.replica_count()), ("published", 1), "what is published stays published");
    let lost = step(&lost, Event::Numbered { version: 3 }, at(5)).unwrap();
    let told = step(&lost, Event::Delivered { before: 99 }, at(5)).unwrap();
    assert_eq!(next_action(&told), Some(Action::Replicate));
    assert!(told.is_told() && !told.is_settled());
}

#[test]
fn what_is_restored_has_the_approved_bytes_and_a_key_of_its_own() {
    let [_, _, published, ..] = phases();
    assert!(step(&published, Event::Restoring { attempt: 0 }, at(3)).is_err());
    let wanted = step(&published, Event::Restoring { attempt: 1 }, at(3)).unwrap();
    assert!(step(&wanted, restored(1, b"other"), at(3)).is_err());
    assert!(step(&wanted, restored(2, APPROVED), at(3)).is_err());
    for wrong in [0, 10_000, u32::MAX] {
        let mut other = wanted.clone();
        other.restoring = Some(wrong);
        assert_eq!(other.encode().unwrap_err().kind(), ErrorKind::Corrupt, "{wrong}");
    }
    assert_eq!(wanted.places().last().unwrap().1.as_str(), "clip-r1.mp4", "who removes knows of it");
    let next = step(&wanted, restored(1, APPROVED), at(3)).unwrap();
    let place = next.published().unwrap().location.as_str();
    assert_eq!((next.attempt, place), (1, "memory://default/clip-r1.mp4"));
    assert_eq!(next.published().unwrap().at, published.published().unwrap().at);
}

#[test]
fn hot_copies_are_freed_once_the_archive_has_a_proven_one_and_links_are_made_again_when_it_is_back() {
    let [_, _, published, ..] = phases();
    let all = |record: &Record| (record.tier(), record.replica_count());
    let wanted = step(&published, archive_wanted("cold", true), at(3)).unwrap();
    assert_eq!(all(&wanted), (Tier::Archiving, 1));
    assert!(step(&wanted, Event::HotFreed, at(3)).is_err());
    assert!(step(&wanted, archive_wanted("other", true), at(3)).is_err(), "there is one archive");
    let copied = |found| {
        let location = Location::parse("memory://cold/clip.mp4").unwrap();
        Event::CopyExamined(CopyExamined { target: TargetName::parse("cold").unwrap(), attempt: 0, location, found })
    };
    let proven = step(&wanted, copied(Some(proof(APPROVED))), at(4)).unwrap();
    let numbered = step(&proven, Event::Numbered { version: 3 }, at(4)).unwrap();
    assert_eq!(next_action(&numbered), Some(Action::Free));
    let linked = step(&numbered, Event::LinkAsked { expires_at: at(9_999_999) }, at(4)).unwrap();

    let freed = step(&linked, Event::HotFreed, at(5)).unwrap();
    assert_eq!((all(&freed), freed.spared_until), ((Tier::Archived, 1), Some(at(9_999_999))));
    let place = |name: &str, key: &str| (TargetName::parse(name).unwrap(), ObjectKey::parse(key).unwrap());
    assert_eq!(freed.places(), [place("cold", "clip.mp4")]);
    assert_eq!(freed.given_up(), [place("default", "clip.mp4")]);
    for event in [Event::LinkWanted, Event::LinkAsked { expires_at: at(99) }, archive_wanted("cold", true)] {
        assert!(step(&freed, event, at(6)).is_err());
    }
    let released = |location: &str| Event::CopyReleased { location: Location::parse(location).unwrap() };
    assert!(step(&freed, released("memory://default/clip.mp4"), at(6)).is_ok());
    assert!(step(&freed, released("memory://cold/clip.mp4"), at(6)).is_err(), "it is the last one");

    let wanted = step(&freed, Event::Restoring { attempt: 1 }, at(7)).unwrap();
    assert_eq!(all(&wanted), (Tier::Restoring, 1));
    let back = step(&wanted, restored(1, APPROVED), at(8)).unwrap();
    assert_eq!((all(&back), back.spared_until), ((Tier::Hot, 2), Some(at(9_999_999))));
    assert!(step(&back, Event::LinkWanted, at(9)).is_ok());
    assert!(step(&back, released("memory://default/clip-r1.mp4"), at(9)).is_err());

    // While it is restored it may be freed again: who had begun comes too late.
    let again = step(&back, archive_wanted("cold", true), at(9)).unwrap();
    let mending = step(&again, Event::Restoring { attempt: 2 }, at(9)).unwrap();
    let freed = step(&mending, Event::HotFreed, at(9)).unwrap();
    assert!(step(&freed, restored(2, APPROVED), at(9)).is_err());
    assert_eq!(freed.given_up().len(), 3, "who removes knows of all");
}

#[test]
fn a_hold_keeps_what_was_to_be_freed() {
    let [_, _, published, ..] = phases();
    let hold = Event::HoldPlaced { concept_id: None, reason: reason() };
    let wanted = step(&published, archive_wanted("cold", true), at(3)).unwrap();
    let held = step(&wanted, hold.clone(), at(3)).unwrap();
    assert_eq!(held.hot, HotCopies::Kept);
    assert!(step(&held, archive_wanted("cold", true), at(3)).is_err());
    let held = step(&published, hold, at(3)).unwrap();
    assert!(step(&held, archive_wanted("cold", false), at(3)).is_ok());
}

#[test]
fn what_is_held_is_not_released_for_removal() {
    let [_, _, published, _, retracted, _] = phases();
    let staged = Event::StagedFileReleased { url: url() };
    let copy = Event::CopyReleased { location: object(true).location };
    for (record, release) in [(published, staged), (retracted, copy)] {
        let held = step(&record, Event::HoldPlaced { concept_id: None, reason: reason() }, at(3)).unwrap();
        assert!(step(&held, release.clone(), at(4)).is_err());
        let free = step(&held, Event::HoldReleased { concept_id: None, reason: reason() }, at(4)).unwrap();
        assert!(step(&free, release, at(5)).is_ok());
        // That of a work is not on this record: whoever removes asks for it.
        let of_work = Event::HoldPlaced { concept_id: Some(concept()), reason: reason() };
        assert_eq!(step(&record, of_work, at(3)).unwrap().hold, None);
    }
}

#[test]
fn where_links_are_not_signed_none_is_granted() {
    let [_, _, published, ..] = phases();
    let unsigned = Details { access: Access::Authenticated, ..published.details.clone() };
    let open = step(&published, Event::Amended(Box::new(unsigned)), at(3)).unwrap();
    assert!(step(&open, Event::LinkWanted, at(3)).is_err());
    assert!(step(&open, Event::LinkAsked { expires_at: at(4) }, at(3)).is_err());
    let signed = step(&open, Event::Amended(Box::new(published.details)), at(3)).unwrap();
    assert!(step(&signed, Event::LinkAsked { expires_at: at(4) }, at(3)).is_ok());
}

#[test]
fn a_lapsed_approval_ends_unfinished_work_and_only_that() {
    for (record, expected) in phases().iter().zip(["rejected", "rejected", "-", "-", "-", "rejected"]) {
        assert!(step(record, Event::ApprovalLapsed, at(999)).is_err(), "it has not lapsed");
        let next = step(record, Event::ApprovalLapsed, at(1000));
        assert_eq!(next.as_ref().map_or("-", name), expected);
    }
    let [claimed, stored, ..] = phases();
    for (record, event) in
        [(claimed, transferred(Some(proof(APPROVED)))), (stored, Event::Examined(Some(proof(APPROVED))))]
    {
        let next = step(&record, event, at(1000)).unwrap();
        assert_eq!(next.phase, Phase::Rejected { reason: Rejection::QcLapsed }, "the gate is asked again at the end");
    }
}

#[test]
fn what_is_to_be_done_follows_from_the_phase() {
    let [claimed, stored, published, rejected, retracted, replicating] = phases();
    assert_eq!(next_action(&claimed), Some(Action::Transfer));
    assert_eq!(next_action(&stored), Some(Action::Prove));
    assert_eq!(next_action(&replicating), Some(Action::Replicate));
    assert_eq!(next_action(&published), Some(Action::Number));
    let published = step(&published, Event::Numbered { version: 3 }, at(3)).unwrap();
    assert_eq!(next_action(&retracted), Some(Action::EndLinks));
    let retracted = step(&retracted, Event::LinksEnded { by: at(3) }, at(3)).unwrap();
    assert!(step(&retracted, Event::LinksEnded { by: at(4) }, at(4)).is_err());
    for record in [published, rejected, retracted] {
        assert_eq!(next_action(&record), Some(Action::Deliver));
        let partly = step(&record, Event::Delivered { before: 1 }, at(3)).unwrap();
        assert_eq!(next_action(&partly), Some(Action::Deliver), "what came after is still to be delivered");
        let settled = step(&record, Event::Delivered { before: record.trail.next }, at(3)).unwrap();
        assert_eq!(next_action(&settled), None);
    }
}

#[test]
fn a_failed_attempt_is_followed_by_one_with_a_new_key_until_none_is_left() {
    let first = claimed(true, None);
    assert_eq!(first.object_key().as_str(), "clip.mp4");
    let fail = |record: &Record, found| {
        let stored = step(record, transferred(None), at(1)).unwrap();
        step(&stored, Event::Examined(found), at(2)).unwrap()
    };
    let second = fail(&first, Some(proof(b"rotten")));
    assert_eq!((name(&second), second.object_key().as_str()), ("claimed", "clip-r1.mp4"));
    let last = fail(&second, None);
    assert_eq!(last.phase, Phase::Rejected { reason: Rejection::AttemptsUsedUp });
    let reopened = step(&last, taken_up(&last), at(3)).unwrap();
    assert_eq!((name(&reopened), reopened.object_key().as_str()), ("claimed", "clip-r2.mp4"));
}

#[test]
fn another_file_at_a_key_without_digest_is_a_conflict_unless_we_made_it() {
    for (tells, created, expected) in
        [(false, false, "rejected"), (false, true, "claimed"), (true, false, "claimed"), (true, true, "claimed")]
    {
        let record = claimed(tells, None);
        let stored = step(&record, Event::Transferred { object: object(created), proof: None }, at(1)).unwrap();
        let next = step(&stored, Event::Examined(Some(proof(b"other"))), at(2)).unwrap();
        assert_eq!(name(&next), expected, "tells {tells}, created {created}");
    }
}

#[test]
fn the_first_link_is_granted_with_the_publication_and_lasts_as_long_as_asked() {
    let [_, _, published, ..] = phases();
    let Phase::Published(published) = published.phase else { panic!() };
    assert_eq!(published.link_expires_at, Some(at(2 + 72 * 3600)));
}

#[test]
fn a_secret_in_the_staged_url_is_not_kept() {
    let record = claimed(true, None);
    let source = VideoUrl::parse("https://host/clip.mp4?sig=secret").unwrap();
    let event = |source| Event::TakenUp { lease: lease(90), approval: record.approval.clone(), source, attempts: 2 };
    let next = step(&record, event(Some(source)), at(3)).unwrap();
    assert_eq!((next.source.url.expose(), next.source.whole), ("https://host/clip.mp4", false));
    let recovered = step(&next, event(None), at(4)).unwrap();
    assert!(!recovered.source.whole, "a recovery cannot make it whole");
    assert!(!String::from_utf8_lossy(&next.encode().unwrap().body).contains("secret"));
}

#[test]
fn a_row_that_was_tampered_with_does_not_decode() {
    let [_, _, published, ..] = phases();
    let row = published.encode().unwrap();
    let body = String::from_utf8(row.body.to_vec()).unwrap();
    let wrong = [
        (r#""format":2"#, r#""format":3"#),
        (&Checksum::of(APPROVED).to_string()[..], &Checksum::of(b"other").to_string()[..]),
        (r#""sequence":1"#, r#""sequence":7"#),
        (r#""title":"a""#, r#""title":"a","title":"b""#),
        (r#""key":"clip.mp4""#, r#""key":"clop.mp4""#),
        (r#""phase":"published""#, r#""phase":"claimed""#),
    ];
    assert!(Record::decode(&row).is_ok());
    for (from, to) in wrong {
        assert!(body.contains(from), "{from}");
        let row = distribution_core::Row { body: body.replacen(from, to, 1).into(), ..row.clone() };
        assert!(Record::decode(&row).is_err(), "{from} → {to}");
    }
    for cut in 0..body.len() {
        let row = distribution_core::Row { body: body[..cut].to_owned().into(), ..row.clone() };
        assert!(Record::decode(&row).is_err(), "cut at {cut}");
    }
    let row = distribution_core::Row { index: claimed(true, None).encode().unwrap().index, ..row };
    assert!(Record::decode(&row).is_err(), "columns of another state");
}

#[test]
fn a_long_outbox_is_delivered_before_the_end() {
    let mut record = claimed(true, None);
    for n in 0..100 {
        if next_action(&record) == Some(Action::Deliver) {
            record = step(&record, Event::Delivered { before: record.trail.next }, at(2)).unwrap();
        }
        let mut details = details(&n.to_string());
        details.metadata.extra.insert("big".into(), "x".repeat(30_000).into());
        record = step(&record, Event::Amended(Box::new(details)), at(1)).unwrap();
        record.encode().expect("whatever callers amend, the record can be stored");
    }
}

#[test]
fn who_comes_to_a_record_enters_by_its_phase_and_lease() {
    let settled = |record: &Record| step(record, Event::Delivered { before: 99 }, at(3)).unwrap();
    let [claimed, stored, published, rejected, ..] = phases();
    let (same, other) = (details("a"), details("b"));
    let call = |holder, taken_up| Caller { holder, details: Some(&same), taken_up, amended: false };
    let recovery = |holder| Caller { holder, details: None, taken_up: false, amended: false };
    let busy = Entry::Busy { until: at(60) };
    for record in [&claimed, &stored] {
        assert_eq!(entry(record, call("b", false), at(59)), busy, "another is at it");
        assert_eq!(entry(record, call("b", false), at(60)), Entry::TakeUp, "the lease is over");
        assert_eq!(entry(record, call("a", false), at(59)), Entry::TakeUp, "an earlier call of ours");
        assert_eq!(entry(record, call("a", true), at(999)), Entry::Drive, "taken up once is enough");
        assert_eq!(entry(record, call("b", true), at(60)), Entry::TakeUp, "somebody took it since");
        assert_eq!(entry(record, recovery("a"), at(59)), busy, "a call of ours may be at it");
        assert_eq!(entry(record, recovery("a"), at(60)), Entry::TakeUp);
        assert_eq!(entry(record, Caller { details: Some(&other), ..call("a", true) }, at(59)), Entry::Amend);
        let amended = Caller { details: Some(&other), amended: true, ..call("a", true) };
        assert_eq!(entry(record, amended, at(59)), Entry::Drive, "what another records since stands");
    }
    assert_eq!(entry(&published, call("b", false), at(3)), Entry::Drive, "it has to be numbered first");
    let published = step(&published, Event::Numbered { version: 3 }, at(3)).unwrap();
    for record in [&published, &rejected] {
        assert_eq!(entry(record, call("b", false), at(3)), Entry::Deliver, "first what waits");
    }
    let (published, rejected) = (settled(&published), settled(&rejected));
    assert_eq!(entry(&published, call("b", false), at(3)), Entry::Drive);
    assert_eq!(entry(&published, Caller { details: Some(&other), ..call("b", false) }, at(3)), Entry::Amend);
    assert_eq!(entry(&rejected, call("b", false), at(3)), Entry::TakeUp, "a call opens it again");
    assert_eq!(entry(&rejected, recovery("b"), at(3)), Entry::Drive, "a recovery does not");
}

#[test]
fn a_record_is_stored_up_to_a_mebibyte_and_not_beyond() {
    let amended = |record: &Record, letters: usize| {
        let mut details = details("a");
        details.metadata.extra.insert("log".into(), "x".repeat(letters).into());
        step(record, Event::Amended(Box::new(details)), at(1)).unwrap()
    };
    let held_by = |record: &Record, letters: usize| {
        let Event::TakenUp { lease, approval, source, attempts } = taken_up(record) else { panic!() };
        let lease = Lease { holder: "h".repeat(letters), ..lease };
        step(record, Event::TakenUp { lease, approval, source, attempts }, at(1)).unwrap()
    };
    let bytes = |record: &Record| record.encode().map(|row| row.body.len());

    let mut record = claimed(true, None);
    while bytes(&record).unwrap() < Row::BODY_BYTES_MAX - 32_000 {
        record = amended(&record, 30_000);
    }
    // A letter of the details is there twice, in the record and in its outbox; one of the holder once.
    let missing = Row::BODY_BYTES_MAX - bytes(&held_by(&amended(&record, 0), 1)).unwrap();
    let full = amended(&record, missing / 2);
    assert_eq!(bytes(&held_by(&full, 1 + missing % 2)).unwrap(), Row::BODY_BYTES_MAX);
    for letters in [1, 100] {
        let error = bytes(&held_by(&full, 1 + missing % 2 + letters)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
}

#[test]
fn after_the_last_number_there_is_no_further_attempt() {
    let last = 9_999;
    let mut record = claimed(true, None);
    let Phase::Claimed { work } = &mut record.phase else { panic!() };
    work.attempts_left = 5;
    for (attempt, goes_on) in [(last - 1, true), (last, false)] {
        record.attempt = attempt;
        let stored = step(&record, transferred(None), at(1)).unwrap();
        let next = step(&stored, Event::Examined(None), at(2)).unwrap();
        assert_eq!(next.work().is_some(), goes_on, "attempt {attempt} failed");
        assert_eq!(step(&next, taken_up(&next), at(3)).is_ok(), goes_on, "attempt {}", attempt + 1);
        assert!(step(&record, taken_up(&record), at(3)).is_ok(), "attempt {attempt} has a number");
    }
}
