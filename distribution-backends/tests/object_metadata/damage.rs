//! What was changed by hand, lost, or left behind.

use bytes::Bytes;
use distribution_backends::ObjectMetadata;
use distribution_core::{
    Body, Checksum, Claim, Content, ContentHeaders, ErrorKind, IdempotencyKey, MetadataStore as _, Meter, ObjectKey,
    Query, Row, StoragePrefix,
};
use distribution_testkit::{Fault, Op};
use futures::executor::block_on;

use crate::shelf::{Shelf, at, id, row, settled};

const OPEN: Query = Query {
    concept_id: None,
    checksum: None,
    tag: None,
    state: None,
    settled: Some(false),
    claimed_from: None,
    claimed_before: None,
};

#[test]
fn every_bit_of_a_slot_that_changes_is_seen() {
    block_on(async {
        let shelf = Shelf::new();
        shelf.claim(&row(1)).await;
        let key = shelf.keys("publication").remove(0);
        let whole = shelf.world.object("default", &key).unwrap().bytes;
        for bit in 0..whole.len() * 8 {
            assert!(shelf.world.corrupt("default", &key, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)));
            let error = shelf.records.load(&id(1)).await.unwrap_err();
            assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains(&key), "bit {bit}: {error}");
            assert!(shelf.world.corrupt("default", &key, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)));
        }
        for end in 0..whole.len() {
            assert!(shelf.world.corrupt("default", &key, |bytes| bytes.truncate(end)));
            assert_eq!(shelf.records.load(&id(1)).await.unwrap_err().kind(), ErrorKind::Corrupt, "cut at {end}");
            assert!(shelf.world.corrupt("default", &key, |bytes| *bytes = whole.to_vec()));
        }
        shelf.world.corrupt("default", &key, |bytes| bytes.resize(5 << 20, b'x'));
        assert_eq!(shelf.records.load(&id(1)).await.unwrap_err().kind(), ErrorKind::Corrupt, "endless");
    });
}

#[test]
fn markers_of_no_use_are_skipped_and_removed_by_whoever_finds_them() {
    block_on(async {
        let shelf = Shelf::new();
        shelf.claim(&row(1)).await;
        // A host died before it removed this, another claimed at another time and lost.
        let left = shelf.keys("open").remove(0);
        shelf.advance(&settled(&row(1))).await;
        plant(&shelf, &left).await;
        let mut later = row(1);
        later.index.claimed_at = at(5);
        let loser = Shelf::new();
        loser.claim(&later).await;
        plant(&shelf, &loser.keys("by-time")[0]).await;
        assert_eq!(shelf.records.claim(&later).await.unwrap(), Claim::Exists(settled(&row(1))));

        assert_eq!((shelf.keys("open").len(), shelf.keys("by-time").len()), (1, 2));
        assert_eq!(shelf.records.find(&OPEN, None, 10).await.unwrap().rows, []);
        assert_eq!(shelf.records.find(&Query::default(), None, 10).await.unwrap().rows, [settled(&row(1))]);
        assert_eq!((shelf.keys("open").len(), shelf.keys("by-time").len()), (0, 1));

        // A claim that was never finished, or is on its way, keeps its markers.
        shelf.claim(&row(2)).await;
        assert!(shelf.world.lose("default", &shelf.keys("publication")[2]));
        assert_eq!(shelf.records.find(&OPEN, None, 10).await.unwrap().rows, []);
        assert_eq!(shelf.keys("open").len(), 1);
        shelf.claim(&row(2)).await;
        assert_eq!(shelf.records.find(&OPEN, None, 10).await.unwrap().rows, [row(2)]);
    });
}

#[test]
fn a_claim_that_lost_lists_nothing_at_its_own_time() {
    block_on(async {
        let (shelf, loser) = (Shelf::new(), Shelf::new());
        shelf.claim(&row(1)).await;
        shelf.claim(&row(3)).await;
        let mut later = row(1);
        later.index.claimed_at = at(5);
        loser.claim(&later).await;
        for list in ["by-time", "by-concept/work-1", "open"] {
            plant(&shelf, &loser.keys(list)[0]).await;
        }
        let concept_id = row(1).index.concept_id;
        assert_eq!(
            shelf.records.find(&Query { concept_id, ..Query::default() }, None, 10).await.unwrap().rows,
            [row(1)]
        );
        assert_eq!(shelf.records.find(&Query::default(), None, 10).await.unwrap().rows, [row(3), row(1)]);
        assert_eq!(shelf.records.find(&OPEN, None, 10).await.unwrap().rows, [row(3), row(1)]);
        assert_eq!((shelf.keys("by-time").len(), shelf.keys("open").len()), (2, 2));
    });
}

#[test]
fn what_was_lost_is_told() {
    block_on(async {
        let shelf = Shelf::new();
        let gone = shelf.records.advance(&settled(&row(1))).await.unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::Corrupt, "{gone}");
        // A listed slot that the storage does not have.
        shelf.claim(&row(2)).await;
        shelf.advance(&Row { revision: 1, ..row(2) }).await;
        let slots = shelf.keys("publication");
        assert!(shelf.world.lose("default", &slots[0]));
        assert_eq!(shelf.records.load(&id(2)).await.unwrap().unwrap().revision, 1, "the newest is what counts");
    });
}

#[test]
fn every_bit_of_a_name_that_changes_is_seen() {
    block_on(async {
        let (shelf, name) = (Shelf::new(), IdempotencyKey::parse("order-1").unwrap());
        shelf.records.bind(&name, &id(1)).await.unwrap();
        let key = shelf.keys("key").remove(0);
        assert!(!key.contains("order"));
        let whole = shelf.world.object("default", &key).unwrap().bytes;
        for bit in 0..whole.len() * 8 {
            assert!(shelf.world.corrupt("default", &key, |bytes| bytes[bit / 8] ^= 1 << (bit % 8)));
            let named = shelf.records.bind(&name, &id(2)).await;
            let error = named.expect_err(&format!("bit {bit}"));
            assert!(error.kind() == ErrorKind::Corrupt && error.to_string().contains(&key), "bit {bit}: {error}");
            assert!(shelf.world.corrupt("default", &key, |bytes| *bytes = whole.to_vec()));
        }
        assert_eq!(shelf.records.bind(&name, &id(2)).await.unwrap(), id(1));
    });
}

#[test]
fn a_damaged_record_hides_no_other() {
    block_on(async {
        let shelf = Shelf::new();
        for n in 1..=3 {
            shelf.claim(&row(n)).await;
        }
        let key = shelf.keys("publication").remove(1);
        assert!(shelf.world.corrupt("default", &key, |bytes| bytes[100] ^= 1));
        let found = shelf.records.find(&OPEN, None, 10).await.unwrap();
        assert_eq!(found.rows, [row(3), row(1)]);
        let [(place, met)] = &found.damaged[..] else { panic!("{found:?}") };
        assert_eq!(*place, row(2).cursor());
        assert!(met.kind() == ErrorKind::Corrupt && met.to_string().contains(&key), "{met}");
        let two = shelf.records.find(&OPEN, None, 2).await.unwrap();
        assert_eq!((two.rows.len(), two.damaged.len(), two.end()), (1, 1, Some(row(2).cursor())), "it counts");
        assert_eq!(shelf.records.find(&OPEN, None, 1).await.unwrap().rows, [row(3)]);
        assert_eq!(shelf.records.find(&OPEN, Some(&row(2).cursor()), 10).await.unwrap().rows, [row(1)]);
        assert_eq!(shelf.records.load(&id(1)).await.unwrap(), Some(row(1)));
    });
}

#[test]
fn who_may_not_remove_can_do_all_else() {
    block_on(async {
        let shelf = Shelf::new();
        shelf.world.fail(|effect| (effect.op == Op::StorageRemove).then_some(Fault::PermissionDenied));
        for n in 1..=3 {
            shelf.claim(&row(n)).await;
            shelf.advance(&Row { revision: 1, ..row(n) }).await;
        }
        shelf.advance(&settled(&Row { revision: 1, ..row(2) })).await;
        let found = shelf.records.find(&OPEN, None, 10).await.unwrap().rows;
        assert_eq!(found, [3, 1].map(|n| Row { revision: 1, ..row(n) }));
        assert_eq!(shelf.keys("open").len(), 6);
    });
}

#[test]
fn prefixes_are_worlds_of_their_own() {
    block_on(async {
        let shelf = Shelf::new();
        let other = ObjectMetadata::new(shelf.storage.clone(), StoragePrefix::parse("records2/").unwrap());
        let root = ObjectMetadata::new(shelf.storage.clone(), StoragePrefix::default());
        shelf.claim(&row(1)).await;
        for records in [&other, &root] {
            assert_eq!(records.load(&id(1)).await.unwrap(), None);
            assert_eq!(records.find(&Query::default(), None, 10).await.unwrap().rows, []);
        }
        let body = Bytes::from_static(b"other");
        assert_eq!(other.claim(&Row { body, ..row(1) }).await.unwrap(), Claim::Claimed);
        assert_eq!(shelf.records.load(&id(1)).await.unwrap(), Some(row(1)));
    });
}

async fn plant(shelf: &Shelf, key: &str) {
    plant_bytes(shelf, &ObjectKey::parse(key).unwrap(), Bytes::new()).await;
}

pub(crate) async fn plant_bytes(shelf: &Shelf, key: &ObjectKey, bytes: Bytes) {
    let headers = ContentHeaders {
        content_type: "application/json".into(),
        content_disposition: "inline".into(),
        cache_control: "no-store".into(),
        user_metadata: Default::default(),
    };
    let (size, expected) = (bytes.len() as u64, Checksum::of(&bytes));
    let body = Body::Stream(Box::pin(futures::stream::iter([Ok(bytes)])));
    let content = Content { size, expected, headers, body, meter: Meter::default() };
    shelf.storage.create(key, content).await.unwrap();
}
