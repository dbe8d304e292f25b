#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn id(n: u64) -> AuditLogId {
    AuditLogId::parse(format!("dist_{n:025}0")).unwrap()
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(micros).unwrap()
}

#[test]
fn keys_are_in_the_order_of_finds() {
    let keys = Keys::new(StoragePrefix::parse("records/").unwrap());
    let times =
        [253_402_300_799_999_999, 1_767_225_600_000_001, 1_767_225_600_000_000, 1, 0, -1, -62_000_000_000_000_000];
    let mut all = Vec::new();
    for micros in times {
        for n in [0, 1, 77] {
            for revision in [0, 1, 999_999, 1_000_000, 9_999_999, 10_000_000, u64::MAX] {
                all.push((at(micros), id(n), revision, keys.open(&id(n), at(micros), revision).unwrap()));
            }
        }
    }
    assert!(all.is_sorted_by(|a, b| a.3.as_str() < b.3.as_str()), "newest first, then by id");
    for (claimed_at, id, revision, key) in &all {
        let marker = Marker { claimed_at: *claimed_at, id: id.clone(), revision: Some(*revision) };
        assert_eq!(keys.marker(&List::Open, key), Some(marker));
        let behind = keys.behind(&List::Open, &Cursor { claimed_at: *claimed_at, id: id.clone() }).unwrap();
        let before = keys.before(&List::Open, claimed_at.timestamp_micros()).unwrap();
        for (other_at, other_id, _, other) in &all {
            let follows = (std::cmp::Reverse(other_at), other_id) > (std::cmp::Reverse(claimed_at), id);
            assert_eq!(other.as_str() > behind.as_str(), follows, "{other} behind {key}");
            assert_eq!(other.as_str() > before.as_str(), other_at < claimed_at, "{other} before {claimed_at}");
        }
    }
}

#[test]
fn revisions_are_spelt_in_one_way_and_in_order() {
    let keys = Keys::new(StoragePrefix::default());
    let powers = (0..20).map(|exponent| 10_u64.pow(exponent)).flat_map(|power| [power - 1, power, power + 1]);
    let mut revisions: Vec<u64> = powers.chain([u64::MAX - 1, u64::MAX]).collect();
    revisions.sort_unstable();
    revisions.dedup();
    let slots: Vec<_> = revisions.iter().map(|revision| keys.slot(&id(1), *revision).unwrap()).collect();
    assert!(slots.is_sorted_by(|a, b| a.as_str() < b.as_str()), "{slots:?}");
    assert!(revisions.iter().zip(&slots).all(|(revision, slot)| keys.revision(&id(1), slot) == Some(*revision)));
    for other in ["0", "00001", "0000001", "a000001", "b1000000", "a0100000", "+00001", "n99999999999999999999", "a"] {
        assert_eq!(number(other), None, "{other}");
    }
}

#[test]
fn what_is_no_marker_and_no_slot_is_seen() {
    let keys = Keys::new(StoragePrefix::default());
    let slot = keys.slot(&id(1), 7).unwrap();
    assert_eq!(keys.revision(&id(1), &slot), Some(7));
    assert_eq!(keys.revision(&id(2), &slot), None);
    for other in ["publication/x/000001.jsonl", "by-time/0", "by-time/zzzzzzzzzzzzzzzz-dist_00000000000000000000000000"]
    {
        let other = ObjectKey::parse(other).unwrap();
        assert_eq!((keys.revision(&id(1), &other), keys.marker(&List::ByTime, &other)), (None, None));
    }
    let long = Keys::new(StoragePrefix::parse("x/".repeat(440)).unwrap());
    assert!(long.slot(&id(1), 0).is_err());
}
