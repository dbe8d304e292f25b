//! Every fault at every request below a publish with its records in object storage.

use std::sync::Arc;

use distribution_backends::ObjectMetadata;
use distribution_core::{MetadataStore as _, Query, TargetName};
use distribution_testkit::{Fault, MemoryStorage, Scenario, request};

use crate::conformance::prefix;

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
            for row in records.find(&Query::default(), None, 10).await? {
                world.show(row);
            }
            Ok(vec![record])
        },
    );
    // What damages a record is told, and nobody can go on from there.
    let damages = |fault| matches!(fault, Fault::Conflict | Fault::Corrupt | Fault::Truncate);
    let faults = scenario.every_fault_that(|effect, fault| !effect.subject.starts_with("records/") || !damages(fault));
    let faults = faults.unwrap();
    let drops = scenario.every_drop().unwrap();
    println!("proof_object_metadata_survives_every_fault_below_it: {faults:?}, drops {drops:?}");
    assert!(faults.runs > 150 && drops.runs > 50);
}
