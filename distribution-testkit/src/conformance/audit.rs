//! What [`AuditSink`] guarantees, a check for each sentence.
//!
//! Not checked, because no check can see it from outside: durability in a crash of the machine (only
//! reopening is tried).

use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::Rejection;
use distribution_core::{
    AuditEntry, AuditEvent, AuditLogId, AuditSink, Checksum, Digest, EntryId, Identity, Location, ObjectKey, Proof,
    Row, TargetName, Timestamp, Trail, Verification,
};

use super::{Check, Harness, Waivers, drop_after, polls, race, run, trials};

const RACERS: usize = 16;
/// All that a check appends is compared at its end.
const TRIALS_MAX: usize = 100;

/// An audit backend under test. Every check has a harness of its own, and so an empty trail.
#[async_trait]
pub trait AuditHarness: Harness {
    /// Opens the sink, or opens it again: what an earlier one kept is there.
    async fn open(&self) -> Arc<dyn AuditSink>;

    /// All entries that are kept, in any order, read without the sink under test where that is possible.
    async fn kept(&self) -> Vec<AuditEntry>;

    /// The checks that this backend cannot pass, and why.
    fn waived(&self) -> Waivers {
        &[]
    }
}

/// One test per guarantee of [`AuditSink`](distribution_core::AuditSink). Takes an expression that
/// makes a new [`AuditHarness`]; invoke it in a module of its own.
#[macro_export]
macro_rules! audit_conformance {
    ($harness:expr) => {
        $crate::__audit_checks! { __conformance_tests (audit, AuditHarness, $harness) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __audit_checks {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            keeps_every_kind_of_event
            keeps_trails_apart
            ignores_what_is_kept_already
            keeps_the_rest_of_a_batch_that_is_kept_in_part
            keeps_the_first_of_an_id
            takes_nothing
            keeps_a_huge_entry
            keeps_a_long_batch
            survives_reopening
            keeps_each_entry_of_many_publishers
            keeps_once_what_many_deliver
            keeps_each_entry_of_overlapping_batches
            a_dropped_append_can_be_repeated
        }
    };
}

/// The suite.
pub const CHECKS: &[Check<dyn AuditHarness>] = __audit_checks! { __conformance_checks (dyn AuditHarness) };

fn keeps_every_kind_of_event(harness: &dyn AuditHarness) {
    let entries: Vec<_> = (0..).zip(events()).map(|(n, event)| entry(0, n, event)).collect();
    run(harness, append(harness, &entries));
    assert_kept(harness, &entries);
}

fn keeps_trails_apart(harness: &dyn AuditHarness) {
    let refused = |publication, sequence| {
        let entry = granted(publication, sequence);
        AuditEntry { id: EntryId { trail: Trail::Refusals, ..entry.id }, ..entry }
    };
    // A refusal's sequence is a time, which leaves gaps as wide as that.
    let entries =
        [granted(0, 0), granted(1, 0), refused(0, 0), refused(1, 1_767_225_600_000_000), granted(0, 1), refused(1, 0)];
    run(harness, append(harness, &entries));
    assert_kept(harness, &entries);
}

fn ignores_what_is_kept_already(harness: &dyn AuditHarness) {
    let entries = [granted(0, 0), granted(0, 1)];
    for _ in 0..3 {
        run(harness, append(harness, &entries));
        assert_kept(harness, &entries);
    }
    let twice_in_one = [granted(0, 2), granted(0, 2)];
    run(harness, append(harness, &twice_in_one));
    assert_kept(harness, &[granted(0, 0), granted(0, 1), granted(0, 2)]);
}

fn keeps_the_rest_of_a_batch_that_is_kept_in_part(harness: &dyn AuditHarness) {
    let entries: Vec<_> = (0..6).map(|n| granted(0, n)).collect();
    for part in [&entries[1..2], &entries[3..5], &entries[..]] {
        run(harness, append(harness, part));
    }
    assert_kept(harness, &entries);
}

fn keeps_the_first_of_an_id(harness: &dyn AuditHarness) {
    let first = granted(0, 0);
    let other = entry(0, 0, AuditEvent::Refused { reason: "other".into() });
    run(harness, append(harness, std::slice::from_ref(&first)));
    run(harness, append(harness, &[other]));
    assert_kept(harness, &[first]);
}

fn takes_nothing(harness: &dyn AuditHarness) {
    run(harness, append(harness, &[]));
    assert_kept(harness, &[]);
}

fn keeps_a_huge_entry(harness: &dyn AuditHarness) {
    // As large as what is told of a publication can be: the record that it waits in has a limit.
    let text = "it's \"quoted\", \\ \u{1f3ac}\n".repeat(Row::BODY_BYTES_MAX / 40);
    let huge = entry(0, 1, AuditEvent::Refused { reason: text });
    let entries = [granted(0, 0), huge, granted(0, 2)];
    run(harness, append(harness, &entries));
    run(harness, append(harness, &entries));
    assert_kept(harness, &entries);
}

fn keeps_a_long_batch(harness: &dyn AuditHarness) {
    let entries: Vec<_> = (0..2_100).map(|sequence| granted(0, sequence)).collect();
    run(harness, append(harness, &entries));
    run(harness, append(harness, &entries[1_000..]));
    assert_kept(harness, &entries);
}

fn survives_reopening(harness: &dyn AuditHarness) {
    let entries: Vec<_> = (0..5).map(|sequence| granted(0, sequence)).collect();
    for n in 1..=entries.len() {
        // By a sink that was opened for this one.
        run(harness, append(harness, &entries[n - 1..n]));
        assert_kept(harness, &entries[..n]);
    }
    run(harness, append(harness, &entries));
    assert_kept(harness, &entries);
}

fn keeps_each_entry_of_many_publishers(harness: &dyn AuditHarness) {
    let sink = &run(harness, harness.open());
    let of_publisher = |n: usize| (0..4).map(|sequence| granted(n, sequence)).collect::<Vec<_>>();
    let mut expected = Vec::new();
    for (trial, course) in trials(harness).take(TRIALS_MAX) {
        race(harness, course, RACERS, |n| async move {
            for pair in of_publisher(trial * RACERS + n).chunks(2) {
                sink.append(pair).await.expect("an append");
            }
        });
        expected.extend((0..RACERS).flat_map(|n| of_publisher(trial * RACERS + n)));
    }
    assert_kept(harness, &expected);
}

fn keeps_once_what_many_deliver(harness: &dyn AuditHarness) {
    let mut expected = Vec::new();
    for (trial, course) in trials(harness).take(TRIALS_MAX) {
        let entries = &(0..8).map(|sequence| granted(trial, sequence)).collect::<Vec<_>>();
        // As two processes would, each has a sink of its own.
        race(harness, course, RACERS, |_| append(harness, entries));
        expected.extend_from_slice(entries);
    }
    assert_kept(harness, &expected);
}

fn keeps_each_entry_of_overlapping_batches(harness: &dyn AuditHarness) {
    let sinks = &run(harness, async { [harness.open().await, harness.open().await] });
    let mut expected = Vec::new();
    for (trial, course) in trials(harness).take(TRIALS_MAX) {
        let entries = &(0..2 * RACERS as u64).map(|sequence| granted(trial, sequence)).collect::<Vec<_>>();
        // Each has half of all, from another place on: to each, some are known and some are new.
        race(harness, course, RACERS, |n| async move {
            sinks[n % 2].append(&entries[n..n + RACERS]).await.expect("an append");
            sinks[n % 2].append(&entries[n + 1..=n + RACERS]).await.expect("an append");
        });
        expected.extend_from_slice(entries);
    }
    assert_kept(harness, &expected);
}

fn a_dropped_append_can_be_repeated(harness: &dyn AuditHarness) {
    let mut expected = Vec::new();
    for (n, polls) in polls().enumerate() {
        let entries: Vec<_> = (0..3).map(|sequence| granted(n, sequence)).collect();
        let ended = run(harness, async {
            let sink = harness.open().await;
            let ended = drop_after(polls, sink.append(&entries)).await;
            sink.append(&entries).await.expect("an append");
            ended
        });
        expected.extend(entries);
        if ended.is_some() {
            break;
        }
    }
    assert_kept(harness, &expected);
}

async fn append(harness: &dyn AuditHarness, entries: &[AuditEntry]) {
    harness.open().await.append(entries).await.expect("an append");
}

#[track_caller]
fn assert_kept(harness: &dyn AuditHarness, expected: &[AuditEntry]) {
    let sorted = |mut entries: Vec<AuditEntry>| {
        entries.sort_by(|a, b| a.id.cmp(&b.id));
        entries
    };
    assert_eq!(sorted(run(harness, harness.kept())), sorted(expected.to_vec()));
}

fn granted(publication: usize, sequence: u64) -> AuditEntry {
    entry(publication, sequence, AuditEvent::LinkGranted { expires_at: at(3_600_000_000) })
}

fn entry(publication: usize, sequence: u64, event: AuditEvent) -> AuditEntry {
    let audit_log_id = AuditLogId::of(Identity {
        target: &TargetName::parse("main").expect("a target"),
        key: &ObjectKey::parse(format!("{publication}.mp4")).expect("a key"),
        checksum: &Checksum::of(b""),
        concept_id: None,
    });
    AuditEntry { id: EntryId { audit_log_id, trail: Trail::Publication, sequence }, at: at(sequence as i64), event }
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(1_767_225_600_123_456 + micros).expect("a moment within the calendar")
}

/// Events with text in which something could be read that is not meant.
fn events() -> Vec<AuditEvent> {
    let strange = "it's \"quoted\", \\ % \u{1f3ac} caf\u{e9} {\"a\":1}".to_owned();
    let location = Location::parse("memory://main/0.mp4").expect("a location");
    let proof = Proof {
        digest: Digest { checksum: Checksum::of(b""), size: u64::from(u32::MAX) + 1 },
        how: Verification::ReadBack,
    };
    vec![
        AuditEvent::Claimed { holder: strange.clone(), qc_report_id: None },
        AuditEvent::AttemptFailed { attempt: 0, location: location.clone(), found: None },
        AuditEvent::AttemptFailed { attempt: 1, location: location.clone(), found: Some(proof) },
        AuditEvent::Rejected { reason: Rejection::KeyTaken { found: proof.digest } },
        AuditEvent::Reopened { holder: strange.clone(), qc_report_id: Some(strange.clone()) },
        AuditEvent::Published { location, proof },
        AuditEvent::LinkGranted { expires_at: at(0) },
        AuditEvent::Refused { reason: strange },
    ]
}
