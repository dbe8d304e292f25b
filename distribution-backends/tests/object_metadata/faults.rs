//! Every fault at every request below a publish with its records in object storage.

use std::sync::Arc;

use distribution_backends::ObjectMetadata;
use distribution_core::{AuditLogId, Error, ErrorKind, IdempotencyKey, MetadataStore as _, Query, Row, TargetName};
use distribution_testkit::{Budget, Effect, Ended, Fault, MemoryStorage, Scenario, World, request};

use crate::conformance::prefix;
use crate::layout::broken;
use crate::shelf::{id, row, settled};

const VIDEO: &[u8] = b"approved bytes";

fn target() -> TargetName {
    TargetName::parse("records").unwrap()
}

/// The records are in a target of the same world, so that each request to it is an effect that can go wrong.
#[test]
fn proof_object_metadata_survives_every_fault_below_it() {
    let scenario = Scenario::new(
        |world| {
            world.set_apart(&target());
            world.stage("clip.mp4", VIDEO);
        },
        |world, host| async move {
            let storage = MemoryStorage::new(&world, &target());
            let records = Arc::new(ObjectMetadata::new(Arc::new(storage), prefix()));
            let publisher = world.builder(&host).metadata(records.clone()).build()?;
            let record = publisher.publish(request("clip.mp4", VIDEO)).await?;
            let open = Query { settled: Some(false), ..Query::default() };
            assert!(publisher.records(&open, None, 10).await?.records.is_empty());
            let shown = publisher.record(&record.audit_log_id).await?;
            assert!(shown.is_some_and(|shown| shown.published.is_some()));
            for row in records.find(&Query::default(), None, 10).await?.rows {
                world.show(row);
            }
            if let Some(broken) = broken(&world, "records") {
                return Err(Error::new(ErrorKind::Invalid, broken));
            }
            Ok(vec![record])
        },
    );
    let faults = scenario.every_fault_that(|effect, fault| !effect.subject.starts_with("records/") || !damages(fault));
    let faults = faults.unwrap();
    let drops = scenario.every_drop().unwrap();
    println!("proof_object_metadata_survives_every_fault_below_it: {faults:?}, drops {drops:?}");
    assert!(faults.runs > 150 && drops.runs > 50);
}

/// What damages a record is told, and nobody can go on from there.
fn damages(fault: Fault) -> bool {
    matches!(fault, Fault::Conflict | Fault::Corrupt | Fault::Truncate)
}

/// Every fault, and every pair, at the requests of each call of the store: a repeat finishes, and nothing is
/// missing at any moment.
#[test]
fn proof_every_call_of_object_metadata_survives_every_pair_of_faults() {
    let clean = survive(&[]);
    let (mut runs, mut singles) = (1, 0);
    for first in faults_from(&clean, 0) {
        singles += 1;
        let after = survive(&[first]);
        for second in faults_from(&after, first.0 + 1).into_iter().step_by(Budget::chosen().pick(5, 4, 1)) {
            survive(&[first, second]);
            runs += 1;
        }
    }
    println!(
        "proof_every_call_of_object_metadata_survives_every_pair_of_faults: {} requests, {singles} faults, {runs} runs",
        clean.len()
    );
}

fn faults_from(effects: &[Effect], from: usize) -> Vec<(usize, Fault)> {
    let later = effects.iter().filter(|effect| effect.number >= from);
    later
        .flat_map(|effect| effect.op.faults().map(|fault| (effect.number, fault)))
        .filter(|(_, f)| !damages(*f))
        .collect()
}

/// The calls with these faults, repeated by a new process each time until they succeed.
fn survive(faults: &[(usize, Fault)]) -> Vec<Effect> {
    let world = World::new();
    faults.iter().for_each(|(number, fault)| world.inject(*number, *fault));
    for _ in 0..10 {
        let ended = world.run(calls(&world));
        assert_eq!(broken(&world, "default"), None, "{faults:?}");
        match ended {
            Ended::Returned(Ok(())) => {
                let effects = world.effects();
                world.heal();
                // What came late has changed nothing.
                assert!(matches!(world.run(calls(&world)), Ended::Returned(Ok(()))), "{faults:?}");
                assert_eq!(broken(&world, "default"), None, "{faults:?}");
                return effects;
            }
            Ended::Returned(Err(error)) => assert_eq!(error.kind(), ErrorKind::Unavailable, "{faults:?}: {error}"),
            Ended::Hung | Ended::Crashed => {}
        }
    }
    panic!("{faults:?}: not finished");
}

/// Binds, claims, and advances to the end, each unless it is done; then finds the same as ever.
async fn calls(world: &World) -> Result<(), Error> {
    let records = ObjectMetadata::new(Arc::new(MemoryStorage::new(world, &TargetName::default())), prefix());
    let name = IdempotencyKey::parse("order-1")?;
    assert_eq!(records.bind(&name, &id(1)).await?, id(1));
    let mut later = row(1);
    later.index.claimed_at = world.now();
    records.claim(&later).await?;
    let last = settled(&Row { revision: 2, ..later.clone() });
    let load = async |id: &AuditLogId| Ok::<_, Error>(records.load(id).await?.unwrap());
    let mut known = load(&later.id).await?;
    for _ in 0..5 {
        if known.revision == last.revision {
            break;
        }
        let next = Row { revision: known.revision + 1, ..later.clone() };
        records.advance(if next.revision == last.revision { &last } else { &next }).await?;
        known = load(&later.id).await?;
    }
    assert_eq!(known, last);
    assert_eq!(records.find(&Query { settled: Some(false), ..Query::default() }, None, 10).await?.rows, []);
    assert_eq!(records.find(&Query::default(), None, 10).await?.rows, [last]);
    assert_eq!(records.bind(&name, &id(2)).await?, id(1));
    Ok(())
}
