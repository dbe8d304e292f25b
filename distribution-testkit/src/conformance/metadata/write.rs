//! The checks of claim, load and advance.

use bytes::Bytes;
use distribution_core::{Advance, Claim, ErrorKind, IdempotencyKey, Index, Query, Row, State};

use super::rows::{advance, assert_row, claim, id, micros, next, row, tags};
use super::{MetadataHarness, RACERS};
use crate::conformance::{few_trials, pattern, race, run, trials};

pub(super) fn loads_what_was_claimed(harness: &dyn MetadataHarness) {
    run(harness, async {
        let (store, reader) = (harness.open().await, harness.open().await);
        for n in 0..3 {
            claim(&*store, &row(n)).await;
            assert_row(&*store, &row(n)).await;
            assert_row(&*reader, &row(n)).await;
        }
    });
}

pub(super) fn loads_nothing_of_what_was_not(harness: &dyn MetadataHarness) {
    run(harness, async {
        let store = harness.open().await;
        assert_eq!(store.load(&id(0)).await.expect("a load"), None);
        claim(&*store, &row(1)).await;
        assert_eq!(store.load(&id(0)).await.expect("a load"), None);
    });
}

pub(super) fn claims_once_and_returns_what_is_there(harness: &dyn MetadataHarness) {
    let other = Row { index: Index { tags: tags(&["other"]), ..row(0).index }, body: Bytes::from("other"), ..row(0) };
    run(harness, async {
        let store = harness.open().await;
        let mut present = row(0);
        claim(&*store, &present).await;
        for body in ["second", "third"] {
            for repeat in [&row(0), &other] {
                let claimed = store.claim(repeat).await.expect("a claim");
                assert_eq!(claimed, Claim::Exists(present.clone()));
                assert_row(&*store, &present).await;
            }
            present = next(&present, body);
            advance(&*store, &present).await;
        }
    });
}

pub(super) fn one_of_many_claims_wins(harness: &dyn MetadataHarness) {
    let stores = run(harness, async { [harness.open().await, harness.open().await] });
    for (trial, course) in trials(harness) {
        let of_racer = |n: usize| Row { body: Bytes::from(format!("racer {n}")), ..row(trial) };
        let claims = race(harness, course, RACERS, |n| {
            let store = &stores[n % 2];
            async move { store.claim(&of_racer(n)).await.expect("a claim") }
        });
        let winners: Vec<_> = (0..RACERS).filter(|n| claims[*n] == Claim::Claimed).collect();
        assert_eq!(winners.len(), 1, "racers {winners:?} were told that they claimed");
        let winner = of_racer(winners[0]);
        let agree =
            claims.iter().all(|claim| matches!(claim, Claim::Claimed) || *claim == Claim::Exists(winner.clone()));
        assert!(agree, "a racer was shown a row other than the winner's");
        for store in &stores {
            run(harness, assert_row(&**store, &winner));
        }
    }
}

pub(super) fn advances_the_revision_before(harness: &dyn MetadataHarness) {
    run(harness, async {
        let (store, reader) = (harness.open().await, harness.open().await);
        let mut present = row(0);
        claim(&*store, &present).await;
        claim(&*store, &row(1)).await;
        for n in 0..12 {
            present = next(&present, format!("revision {n}"));
            present.index.tags = tags(&["tag", &format!("tag {n}")]);
            present.index.state = State::ALL[n % 3];
            present.index.settled = n % 2 == 0;
            advance(&*store, &present).await;
            assert_row(&*store, &present).await;
            assert_row(&*reader, &present).await;
        }
        assert_row(&*store, &row(1)).await;
    });
}

pub(super) fn a_superseded_advance_changes_nothing(harness: &dyn MetadataHarness) {
    run(harness, async {
        let store = harness.open().await;
        let first = row(0);
        let present = next(&next(&first, "second"), "third");
        claim(&*store, &first).await;
        advance(&*store, &next(&first, "second")).await;
        advance(&*store, &present).await;
        // What was written already, what another would write instead, and what skips a revision.
        for revision in [1, 2, 4, 5, 1_000_000] {
            let index = Index { tags: tags(&["late"]), state: State::Rejected, ..first.index.clone() };
            let late = Row { revision, index, body: Bytes::from("late"), ..first.clone() };
            let outcome = store.advance(&late).await.expect("an advance");
            assert_eq!(outcome, Advance::Superseded(present.clone()), "an advance to revision {revision}");
            assert_row(&*store, &present).await;
        }
        assert_eq!(store.advance(&present).await.expect("an advance"), Advance::Superseded(present.clone()));
    });
}

pub(super) fn a_late_duplicate_changes_nothing(harness: &dyn MetadataHarness) {
    run(harness, async {
        let (store, other) = (harness.open().await, harness.open().await);
        let (first, second) = (row(0), next(&row(0), "second"));
        // With the first body again: it is the revision that counts, not what it looks like.
        let third = next(&second, first.body.clone());
        claim(&*store, &first).await;
        advance(&*store, &second).await;
        // The answer was lost, and the same comes again.
        assert_eq!(other.advance(&second).await.expect("an advance"), Advance::Superseded(second.clone()));
        assert_row(&*store, &second).await;
        advance(&*store, &third).await;
        for late in [&second, &third] {
            assert_eq!(other.advance(late).await.expect("an advance"), Advance::Superseded(third.clone()));
        }
        assert_eq!(other.claim(&first).await.expect("a claim"), Claim::Exists(third.clone()));
        assert_row(&*store, &third).await;
    });
}

pub(super) fn advancing_nothing_is_corrupt(harness: &dyn MetadataHarness) {
    run(harness, async {
        let store = harness.open().await;
        claim(&*store, &row(1)).await;
        for revision in [1, 2] {
            let error = store.advance(&Row { revision, ..row(0) }).await.expect_err("there is no row");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
        assert_eq!(store.load(&id(0)).await.expect("a load"), None);
        claim(&*store, &row(0)).await;
    });
}

pub(super) fn one_of_many_advances_wins(harness: &dyn MetadataHarness) {
    let (stores, mut present) = (run(harness, async { [harness.open().await, harness.open().await] }), row(0));
    run(harness, claim(&*stores[0], &present));
    for (_, course) in trials(harness) {
        let of_racer = |n: usize| next(&present, format!("racer {n}"));
        let outcomes = race(harness, course, RACERS, |n| {
            let (store, next) = (&stores[n % 2], of_racer(n));
            async move { store.advance(&next).await.expect("an advance") }
        });
        let winners: Vec<_> = (0..RACERS).filter(|n| outcomes[*n] == Advance::Advanced).collect();
        assert_eq!(winners.len(), 1, "racers {winners:?} were told that they advanced");
        let winner = of_racer(winners[0]);
        for outcome in outcomes {
            assert!(matches!(&outcome, Advance::Advanced) || outcome == Advance::Superseded(winner.clone()));
        }
        for store in &stores {
            run(harness, assert_row(&**store, &winner));
        }
        present = winner;
    }
}

pub(super) fn loses_no_advance(harness: &dyn MetadataHarness) {
    const RACERS: usize = 4;
    const ADVANCES: usize = 6;
    let stores = run(harness, async { [harness.open().await, harness.open().await] });
    for (trial, course) in few_trials(harness) {
        run(harness, claim(&*stores[0], &Row { body: Bytes::new(), ..row(trial) }));
        // Each adds marks of its own, and tries again from what it is shown.
        race(harness, course, RACERS, |n| {
            let store = &stores[n % 2];
            async move {
                let mut present = store.load(&id(trial)).await.expect("a load").expect("the row is there");
                for _ in 0..ADVANCES {
                    loop {
                        let next = next(&present, [&present.body[..], &[n as u8]].concat());
                        match store.advance(&next).await.expect("an advance") {
                            Advance::Advanced => break present = next,
                            Advance::Superseded(newer) => present = newer,
                        }
                    }
                }
            }
        });
        let last = run(harness, stores[0].load(&id(trial))).expect("a load").expect("the row is there");
        assert_eq!(last.revision, (RACERS * ADVANCES) as u64);
        for n in 0..RACERS {
            let marks = last.body.iter().filter(|mark| usize::from(**mark) == n).count();
            assert_eq!(marks, ADVANCES, "advances of racer {n} that were not lost");
        }
    }
}

pub(super) fn keeps_any_bytes(harness: &dyn MetadataHarness) {
    let bodies =
        [b"".as_slice(), b"\0", b"\xff\xfe\x80 no UTF-8", b"null", br#"{"b": 1,  "a": 1.0, "a": 2}"#, b"'; --\r\n\\"];
    run(harness, async {
        let store = harness.open().await;
        for (n, body) in bodies.into_iter().enumerate() {
            let first = Row { body: Bytes::from(body), ..row(n) };
            claim(&*store, &first).await;
            assert_row(&*store, &first).await;
            let second = next(&first, [body, body].concat());
            advance(&*store, &second).await;
            assert_row(&*store, &second).await;
        }
    });
}

pub(super) fn keeps_the_largest_body(harness: &dyn MetadataHarness) {
    run(harness, async {
        let store = harness.open().await;
        let first = Row { body: pattern(Row::BODY_BYTES_MAX, 0), ..row(0) };
        claim(&*store, &first).await;
        assert_row(&*store, &first).await;
        let second = next(&first, pattern(Row::BODY_BYTES_MAX, 1));
        advance(&*store, &second).await;
        assert_row(&*store, &second).await;
    });
}

pub(super) fn keeps_any_index(harness: &dyn MetadataHarness) {
    let many: Vec<_> = (0..64).map(|n| format!("{n:02}{}", "é".repeat(127))).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    run(harness, async {
        let store = harness.open().await;
        for (n, texts) in [&[][..], &STRANGE_TAGS[..], &many[..]].into_iter().enumerate() {
            for (m, claimed_at) in
                [micros(0), micros(1), micros(-1), micros(i64::from(i32::MAX) << 20)].into_iter().enumerate()
            {
                let mut first = row(n * 10 + m);
                first.index.tags = tags(texts);
                first.index.claimed_at = claimed_at;
                first.index.concept_id = None;
                claim(&*store, &first).await;
                assert_row(&*store, &first).await;
            }
        }
    });
}

pub(super) fn survives_reopening(harness: &dyn MetadataHarness) {
    let second = next(&row(1), "second");
    run(harness, async {
        let store = harness.open().await;
        claim(&*store, &row(0)).await;
        claim(&*store, &row(1)).await;
        advance(&*store, &second).await;
    });
    run(harness, async {
        let store = harness.open().await;
        assert_row(&*store, &row(0)).await;
        assert_row(&*store, &second).await;
        assert_eq!(store.claim(&row(1)).await.expect("a claim"), Claim::Exists(second.clone()));
    });
}

pub(super) fn each_write_survives_reopening(harness: &dyn MetadataHarness) {
    let reopened = || run(harness, harness.open());
    let (mut present, name) = (row(0), IdempotencyKey::parse("order-66").expect("an idempotency key"));
    run(harness, claim(&*reopened(), &present));
    run(harness, assert_row(&*reopened(), &present));
    for n in 1..5 {
        present = next(&present, n.to_string());
        present.index.tags = tags(&[&n.to_string()]);
        run(harness, advance(&*reopened(), &present));
        run(harness, assert_row(&*reopened(), &present));
        let query = Query { tag: Some(n.to_string()), ..Query::default() };
        assert_eq!(run(harness, reopened().find(&query, None, 10)).expect("a find").rows, [present.clone()]);
        for publication in [0, n] {
            assert_eq!(run(harness, reopened().bind(&name, &id(publication))).expect("a bind"), id(0));
        }
    }
}

/// Tags in which something could be read that is not meant.
pub(super) const STRANGE_TAGS: [&str; 36] = [
    "",
    " ",
    "tag",
    "Tag",
    "tag ",
    " tag",
    "tags",
    "ta",
    "%",
    "_",
    "t%",
    "ta_",
    "it's",
    "\"quoted\"",
    "a,b",
    "a;b",
    "[a]",
    "{a}",
    "\\",
    "a\\nb",
    "null",
    "caf\u{e9}",
    "cafe\u{301}",
    "\u{1f3ac}",
    "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
    "stra\u{df}e",
    "strasse",
    "STRASSE",
    "\u{130}i",
    "ii",
    "\u{fb01}n",
    "fin",
    "\u{5d0}\u{5d1}",
    "\u{feff}tag",
    "\u{65e5}\u{672c}",
    "\u{10fffd}",
];
