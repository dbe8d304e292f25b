//! What each call costs in requests, as the documentation says.

use std::sync::Arc;

use distribution_backends::ObjectMetadata;
use distribution_core::{Checksum, ConceptId, MetadataStore as _, Query, Row, State, TargetName};
use distribution_testkit::{MemoryStorage, Op, World, request};
use futures::executor::block_on;

use crate::conformance::prefix;
use crate::shelf::{Shelf, at, row, settled};

#[test]
fn writes_cost_a_few_requests() {
    block_on(async {
        let (shelf, first) = (Shelf::new(), row(1));
        let mut told = Vec::new();
        let mut tell = |what: &str, before: usize, expected: [usize; 4]| {
            let requests = shelf.requests(before);
            assert_eq!(requests, expected, "{what}");
            told.push(format!("{what} {requests:?}"));
        };
        let before = shelf.begun();
        shelf.claim(&first).await;
        tell("claim", before, [5, 1, 0, 0]);
        let before = shelf.begun();
        shelf.records.claim(&first).await.unwrap();
        tell("claim again", before, [0, 1, 1, 0]);
        let before = shelf.begun();
        let next = Row { revision: 1, ..first.clone() };
        shelf.advance(&next).await;
        tell("advance", before, [2, 0, 1, 1]);
        let before = shelf.begun();
        shelf.advance(&settled(&next)).await;
        tell("advance to the end", before, [1, 0, 1, 1]);
        let before = shelf.begun();
        shelf.records.load(&first.id).await.unwrap();
        tell("load", before, [0, 1, 1, 0]);
        println!("requests [writes, lists, reads, removals]: {}", told.join(", "));
    });
}

#[test]
fn a_publish_costs_a_few_requests_and_objects() {
    let (world, records) = (World::new(), TargetName::parse("records").unwrap());
    world.stage("clip.mp4", "approved bytes");
    let storage = Arc::new(MemoryStorage::new(&world, &records));
    let publisher = world.builder("host").metadata(Arc::new(ObjectMetadata::new(storage, prefix()))).build().unwrap();
    let mut told = Vec::new();
    for (what, expected) in [("publish", [9, 2, 6, 3]), ("the same again", [0, 2, 2, 0])] {
        let before = world.effects().len();
        block_on(publisher.publish(request("clip.mp4", b"approved bytes"))).unwrap();
        let effects = world.effects().split_off(before);
        let of_records = || effects.iter().filter(|effect| effect.subject.starts_with("records/"));
        let count = |ops: &[Op]| of_records().filter(|effect| ops.contains(&effect.op)).count();
        let requests = [
            count(&[Op::StorageCreate]),
            count(&[Op::StorageList]),
            count(&[Op::StorageOpen, Op::StorageStat]),
            count(&[Op::StorageRemove]),
        ];
        let left = world.objects().into_keys().filter(|(target, _)| target == "records").count();
        told.push(format!("{what} {requests:?}, {left} objects so far"));
        assert_eq!((requests, left), (expected, 6), "{what}");
    }
    println!("requests for records [writes, lists, reads, removals]: {}", told.join("; "));
}

#[test]
fn finds_cost_what_they_look_at() {
    block_on(async {
        let shelf = Shelf::new();
        for n in 0..2_000 {
            shelf.claim(&row(n)).await;
            if n % 700 != 0 {
                shelf.advance(&settled(&row(n))).await;
            }
        }
        let lists = |query: Query, limit: usize, found: usize, requests_max: [usize; 4]| {
            let shelf = &shelf;
            async move {
                let before = shelf.begun();
                let rows = shelf.records.find(&query, None, limit).await.unwrap().rows;
                assert_eq!(rows.len(), found, "{query:?}");
                let requests = shelf.requests(before);
                assert!(requests.iter().zip(requests_max).all(|(is, max)| *is <= max), "{query:?}: {requests:?}");
                requests
            }
        };
        let query = Query::default;
        // A list and a read for each row that is wanted.
        let newest = lists(query(), 50, 50, [0, 51, 50, 0]).await;
        let open = lists(Query { settled: Some(false), ..query() }, 100, 3, [0, 4, 3, 0]).await;
        let concept_id = Some(ConceptId::parse("work-7").unwrap());
        let published = Some(State::Published);
        let latest = lists(Query { concept_id, state: published, ..query() }, 1, 1, [0, 2, 1, 0]).await;
        // Of a work, what is open: a list of each, and a read for each row that is wanted.
        let (concept_id, settled) = (Some(ConceptId::parse("work-0").unwrap()), Some(false));
        lists(Query { concept_id, settled, ..query() }, 100, 3, [0, 5, 3, 0]).await;
        let (concept_id, settled) = (Some(ConceptId::parse("work-7").unwrap()), Some(false));
        lists(Query { concept_id, settled, ..query() }, 100, 0, [0, 2, 0, 0]).await;
        let checksum = Some(Checksum::of(&1_234_u64.to_be_bytes()));
        let bytes = lists(Query { checksum, ..query() }, 10, 1, [0, 2, 1, 0]).await;
        let (claimed_from, claimed_before) = (Some(at(1_000)), Some(at(1_020)));
        let window = lists(Query { claimed_from, claimed_before, ..query() }, 100, 20, [0, 21, 20, 0]).await;
        // What has no list costs all that is newer than the last one found.
        let state = lists(Query { state: Some(State::InProgress), ..query() }, 3, 3, [0, 2_010, 2_000, 0]).await;
        println!(
            "requests among 2,000 [writes, lists, reads, removals]: the newest 50 {newest:?}, what is open (3) {open:?}, \
             the latest of a work {latest:?}, the same bytes {bytes:?}, 20 in a window {window:?}, by state {state:?}"
        );
    });
}
