//! The versions of a work: their numbers, the latest, and going back to an earlier one.

use std::time::Duration;

use distribution_core::{AuditEvent, ConceptId, DistributionRecord, Error, ErrorKind, PublishRequest, Query};
use distribution_testkit::{Fault, Op, Scenario, World, request};
use futures::executor::block_on;

use crate::support::publish;

pub(crate) fn concept() -> ConceptId {
    ConceptId::parse("concept-7").unwrap()
}

/// A request for the n-th edit of one work.
pub(crate) fn edit(n: u8) -> PublishRequest {
    let mut request = request(&format!("v{n}.mp4"), &[n]);
    request.distribution_settings.metadata.concept_id = Some(concept());
    request
}

pub(crate) fn stage(world: &World, n: u8) {
    world.stage(format!("v{n}.mp4"), vec![n]);
}

/// A world with so many versions.
pub(crate) fn with_versions(count: u8) -> (World, Vec<DistributionRecord>) {
    let world = World::new();
    let publish = |n| {
        stage(&world, n);
        world.advance(Duration::from_secs(1));
        publish(&world, &edit(n)).unwrap()
    };
    let records = (1..=count).map(publish).collect();
    (world, records)
}

fn latest(world: &World) -> Option<u64> {
    let latest = block_on(world.publisher("ui").latest(&concept())).unwrap();
    latest.map(|record| record.published.unwrap().version.unwrap())
}

fn rollback(world: &World, version: u64) -> Result<u64, Error> {
    let record = block_on(world.publisher("ops").rollback(&concept(), version))?;
    Ok(record.published.unwrap().version.unwrap())
}

#[test]
fn versions_are_numbered_in_the_order_of_their_publication() {
    let world = World::new();
    assert_eq!((latest(&world), world.effects().len()), (None, 3), "nothing newer, no first version, nothing older");
    for n in [3, 1, 2] {
        publish(&world, &edit(4)).expect_err("what is not published takes no number");
        stage(&world, n);
        let version = publish(&world, &edit(n)).unwrap().version;
        assert_eq!(publish(&world, &edit(n)).unwrap().version, version, "a repeat is no new version");
        assert_eq!(latest(&world), version);
        world.advance(Duration::from_secs(1));
    }
    let ui = world.publisher("ui");
    for (version, n) in [(1, 3), (2, 1), (3, 2)] {
        let record = block_on(ui.version(&concept(), version)).unwrap().unwrap();
        assert_eq!(record.audit_log_id, publish(&world, &edit(n)).unwrap().audit_log_id);
        assert_eq!(record.published.unwrap().version, Some(version));
    }
    for version in [0, 4, u64::MAX] {
        assert_eq!(block_on(ui.version(&concept(), version)).unwrap(), None);
    }
    let page = block_on(ui.records(&Query { concept_id: Some(concept()), ..Query::default() }, None, 10)).unwrap();
    assert_eq!(page.records.len(), 4);
    stage(&world, 4);
    assert_eq!(publish(&world, &edit(4)).unwrap().version, Some(4));
    world.keeps_promises().unwrap();
}

#[test]
fn a_file_of_no_work_is_no_version() {
    let world = World::new();
    world.stage("clip.mp4", "bytes");
    assert_eq!(publish(&world, &request("clip.mp4", b"bytes")).unwrap().version, None);
    assert!(!world.effects().iter().any(|effect| effect.op == Op::MetadataBind));
}

#[test]
fn every_fault_leaves_a_chain_without_gaps() {
    let scenario = Scenario::new(
        |world| (1..=3).for_each(|n| stage(world, n)),
        |world, host| async move {
            let mut answers = Vec::new();
            for n in 1..=3 {
                answers.push(world.publisher(&host).publish(edit(n)).await?);
            }
            assert_eq!(answers.iter().map(|answer| answer.version).collect::<Vec<_>>(), [Some(1), Some(2), Some(3)]);
            Ok(answers)
        },
    );
    let proof = scenario.every_fault().unwrap();
    assert!(proof.runs > 300, "{proof:?}");
    scenario.every_drop().unwrap();
    println!("proof: a chain of three versions: {} runs, a fault each", proof.runs);
}

#[test]
fn a_rollback_proves_the_older_bytes_and_holds_until_the_next_version() {
    let (world, records) = with_versions(3);
    assert_eq!(latest(&world), Some(3));
    assert_eq!(rollback(&world, 1).unwrap(), 1);
    assert_eq!(latest(&world), Some(1));
    let reads = world.effects().iter().filter(|effect| effect.op == Op::StorageDigest).count();
    assert_eq!(reads, 4, "each when it was published, and this one again");
    let told = |world: &World| {
        let of_rollbacks = |event: &AuditEvent| match event {
            AuditEvent::RolledBack { version, versions } => Some((*version, *versions)),
            _ => None,
        };
        world.audit().iter().filter_map(|entry| of_rollbacks(&entry.event)).collect::<Vec<_>>()
    };
    assert_eq!(told(&world), [(1, 3)]);

    rollback(&world, 1).expect("it is the latest already");
    assert_eq!(told(&world), [(1, 3)], "which changes nothing");
    rollback(&world, 2).unwrap();
    rollback(&world, 3).unwrap();
    assert_eq!((latest(&world), told(&world)), (Some(3), vec![(1, 3), (2, 3), (3, 3)]));
    rollback(&world, 1).unwrap();

    stage(&world, 4);
    assert_eq!(publish(&world, &edit(4)).unwrap().version, Some(4));
    assert_eq!(latest(&world), Some(4), "a new version is the latest");
    assert_eq!(publish(&world, &edit(1)).unwrap().audit_log_id, records[0].audit_log_id);
    assert_eq!(latest(&world), Some(4), "and a repeat of an old one is not");
    world.keeps_promises().unwrap();
}

#[test]
fn nobody_is_rolled_back_to_what_is_not_sound() {
    let (world, _) = with_versions(3);
    for version in [0, 4, u64::MAX] {
        let error = rollback(&world, version).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("version")), "{error}");
    }
    let key = |n: u64| {
        let record = block_on(world.publisher("ui").version(&concept(), n)).unwrap().unwrap();
        record.published.unwrap().storage_location.as_str().rsplit('/').next().unwrap().to_owned()
    };
    world.corrupt("default", &key(2), |bytes| bytes[0] ^= 1);
    let error = rollback(&world, 2).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!((latest(&world), world.alerts().len()), (Some(3), 1));
}

#[test]
fn a_rollback_that_a_new_version_overtakes_says_so() {
    let (world, _) = with_versions(2);
    stage(&world, 3);
    let other = world.clone();
    // While the older bytes are read back, the next version is published.
    world.fail(move |effect| {
        if effect.op == Op::StorageDigest && effect.subject.contains("v1") && other.rows().len() == 2 {
            other.heal();
            // On a thread of its own: this one is in the middle of a call.
            std::thread::scope(|scope| drop(scope.spawn(|| publish(&other, &edit(3)).unwrap())));
        }
        None
    });
    let error = rollback(&world, 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(latest(&world), Some(3));
}

#[test]
fn a_rollback_survives_every_fault() {
    let clean = {
        let (world, _) = with_versions(3);
        let before = world.effects().len();
        rollback(&world, 1).unwrap();
        before..world.effects().len()
    };
    for number in clean {
        for fault in [Fault::LostRequest, Fault::LostAnswer, Fault::CrashBefore, Fault::CrashAfter] {
            let (world, _) = with_versions(3);
            world.inject(number, fault);
            let publisher = world.publisher("ops");
            let _ = world.run(async move { publisher.rollback(&concept(), 1).await });
            assert!([Some(1), Some(3)].contains(&latest(&world)));
            assert_eq!(rollback(&world, 1).unwrap(), 1, "{fault:?} at {number}");
            assert_eq!(latest(&world), Some(1));
            let _ = block_on(world.publisher("later").recover()).unwrap();
            world.keeps_promises().unwrap();
        }
    }
}
