//! Records that change often: every fresh link of a published file is a revision.

use distribution_core::{Advance, Checksum, MetadataStore as _, ObjectKey, Row};
use futures::executor::block_on;

use crate::damage::plant_bytes;
use crate::shelf::{Shelf, id, row};

#[test]
fn a_record_of_many_revisions_costs_few_requests() {
    block_on(async {
        let shelf = Shelf::new();
        shelf.claim(&row(1)).await;
        let mut told = Vec::new();
        for revision in 1..=5_000 {
            let next = Row { revision, ..row(1) };
            shelf.advance(&next).await;
            if [998, 999, 1_000, 1_001, 1_999, 2_000, 2_998, 2_999, 5_000].contains(&revision) {
                let before = shelf.begun();
                assert_eq!(shelf.records.load(&id(1)).await.unwrap(), Some(next));
                let requests = shelf.requests(before);
                assert!(requests[1] <= 10, "{requests:?} for a load at revision {revision}");
                told.push(format!("{revision}: {}", requests[1]));
            }
        }
        println!("lists for a load at revision {}", told.join(", "));
    });
}

#[test]
fn revisions_go_on_past_six_digits_and_to_the_last_number() {
    block_on(async {
        for from in [999_990, 9_999_990, u64::from(u32::MAX), u64::MAX - 5] {
            let shelf = Shelf::new();
            shelf.claim(&row(1)).await;
            forge(&shelf, from).await;
            for revision in from + 1..=from.saturating_add(20) {
                let next = Row { revision, ..row(1) };
                shelf.advance(&next).await;
                assert_eq!(shelf.records.load(&id(1)).await.unwrap(), Some(next.clone()));
                assert_eq!(shelf.records.advance(&next).await.unwrap(), Advance::Superseded(next));
            }
            let slots = shelf.keys("publication");
            assert!(slots.is_sorted() && slots.len() == 2 + from.saturating_add(20).abs_diff(from) as usize);
            assert_eq!(shelf.keys("open").len(), 2, "the first one's, which only a gap has left, and the last one's");
        }
    });
}

/// A slot as the documentation describes it, without those before it.
async fn forge(shelf: &Shelf, revision: u64) {
    let first = shelf.world.object("default", &shelf.keys("publication")[0]).unwrap().bytes;
    let (_, rest) = std::str::from_utf8(&first).unwrap().split_once('\n').unwrap();
    let rest = rest.replace("\"revision\":0", &format!("\"revision\":{revision}"));
    let slot = format!("{}\n{rest}", Checksum::of(rest.as_bytes()));
    let digits = format!("{revision:06}");
    let mark = ["", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n"][digits.len() - 6];
    let key = format!("records/publication/{}/{mark}{digits}.jsonl", id(1));
    plant_bytes(shelf, &ObjectKey::parse(key).unwrap(), slot.into()).await;
}
