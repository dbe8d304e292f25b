//! The checks of find.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicBool, Ordering};

use distribution_core::{AuditLogId, Checksum, Cursor, MetadataStore, Query, Row, State, Timestamp};

use super::MetadataHarness;
use super::rows::{advance, claim, concept, id, micros, next, row, tags};
use super::write::STRANGE_TAGS;
use crate::conformance::{SetOnDrop, few_trials, race, run};

pub(super) fn finds_what_matches(harness: &dyn MetadataHarness) {
    let rows = many_rows();
    run(harness, async {
        let store = store_with(harness, &rows).await;
        for query in many_queries() {
            let found = store.find(&query, None, usize::MAX).await.expect("a find").rows;
            assert!(found == expected(&rows, &query), "{query:?} found {:?}", ids(&found));
        }
    });
}

pub(super) fn finds_by_the_advanced_index(harness: &dyn MetadataHarness) {
    run(harness, async {
        let (store, reader) = (harness.open().await, harness.open().await);
        let mut first = row(0);
        first.index.tags = tags(&["kept", "old"]);
        claim(&*store, &first).await;
        let mut second = next(&first, "second");
        second.index.tags = tags(&["kept", "new"]);
        (second.index.state, second.index.settled) = (State::Published, true);
        advance(&*store, &second).await;

        let tag = |tag: &str| Query { tag: Some(tag.into()), ..Query::default() };
        let state = |state| Query { state: Some(state), ..Query::default() };
        let settled = |settled| Query { settled: Some(settled), ..Query::default() };
        for query in [tag("kept"), tag("new"), state(State::Published), settled(true), Query::default()] {
            assert_eq!(reader.find(&query, None, 10).await.expect("a find").rows, [second.clone()], "{query:?}");
        }
        for query in [tag("old"), state(State::InProgress), settled(false)] {
            assert_eq!(reader.find(&query, None, 10).await.expect("a find").rows, [], "{query:?}");
        }
    });
}

pub(super) fn finds_tags_exactly(harness: &dyn MetadataHarness) {
    let mut rows = Vec::new();
    for (n, tag) in STRANGE_TAGS.iter().enumerate() {
        let mut row = row(n);
        row.index.tags = tags(&[tag, "all"]);
        rows.push(row);
    }
    run(harness, async {
        let store = store_with(harness, &rows).await;
        for (row, tag) in rows.iter().zip(STRANGE_TAGS) {
            let query = Query { tag: Some(tag.into()), ..Query::default() };
            let found = store.find(&query, None, 100).await.expect("a find").rows;
            assert_eq!(ids(&found), [&row.id], "the tag {tag:?}");
        }
        let query = Query { tag: Some("all".into()), ..Query::default() };
        assert_eq!(store.find(&query, None, 100).await.expect("a find").rows, expected(&rows, &query));
    });
}

pub(super) fn finds_newest_first(harness: &dyn MetadataHarness) {
    // A microsecond apart, and some at the same one, where the id decides.
    let rows: Vec<_> = (0..24).map(|n| claimed_at(n, (n as i64 * 7) % 6)).collect();
    run(harness, async {
        let store = store_with(harness, &rows).await;
        let found = store.find(&Query::default(), None, 100).await.expect("a find").rows;
        assert_eq!(ids(&found), ids(&expected(&rows, &Query::default())));
    });
}

pub(super) fn finds_in_pages(harness: &dyn MetadataHarness) {
    let rows = many_rows();
    let in_progress = Query { state: Some(State::InProgress), ..Query::default() };
    let tagged = Query { tag: Some("a".into()), claimed_from: Some(micros(1)), ..Query::default() };
    run(harness, async {
        let store = store_with(harness, &rows).await;
        for query in [Query::default(), in_progress, tagged] {
            let all = expected(&rows, &query);
            for limit in [1, 2, 7, all.len(), all.len() + 1, usize::MAX] {
                assert!(paged(&*store, &query, limit).await == all, "{query:?} in pages of {limit}");
            }
            assert_eq!(store.find(&query, None, 0).await.expect("a find").rows, []);
            let end = all.last().map(Row::cursor);
            assert_eq!(store.find(&query, end.as_ref(), 10).await.expect("a find").rows, [], "behind the last");
        }
    });
}

pub(super) fn pages_stay_while_rows_advance(harness: &dyn MetadataHarness) {
    let rows: Vec<_> = (0..12).map(|n| claimed_at(n, n as i64 / 4)).collect();
    run(harness, async {
        let store = store_with(harness, &rows).await;
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.find(&Query::default(), after.as_ref(), 5).await.expect("a find").rows;
            let Some(last) = page.last() else { break };
            after = Some(last.cursor());
            seen.extend(page.iter().map(|row| row.id.clone()));
            assert!(seen.len() < 1_000, "pages that never end");
            // Every row changes between two pages, those seen and those to come.
            for row in store.find(&Query::default(), None, 100).await.expect("a find").rows {
                advance(&*store, &next(&row, "changed")).await;
            }
        }
        assert_eq!(seen.iter().collect::<Vec<_>>(), ids(&expected(&rows, &Query::default())));
    });
}

pub(super) fn pages_hold_each_row_while_others_move(harness: &dyn MetadataHarness) {
    const STEADY: usize = 24;
    let steady: Vec<_> = (0..STEADY).map(|n| claimed_at(n, n as i64 / 3 * 10)).collect();
    let stores = &run(harness, async { [harness.open().await, harness.open().await] });
    run(harness, async {
        for row in &steady {
            claim(&*stores[0], row).await;
        }
    });
    let query = &Query { tag: Some("tag".into()), ..Query::default() };
    for (trial, course) in few_trials(harness) {
        let writing = &AtomicBool::new(false);
        race(harness, course, 3, |n| {
            let (store, steady) = (&stores[n % 2], &steady);
            async move {
                if n == 0 {
                    let _guard = SetOnDrop(writing);
                    return move_rows(&**store, trial).await;
                }
                while !writing.load(Ordering::SeqCst) {
                    let found = paged(&**store, query, 4 + n).await;
                    assert!(found.iter().all(|row| query.matches(&row.index)), "a row that does not match");
                    assert!(found.is_sorted_by(|a, b| place(a) < place(b)), "not in order, or twice");
                    let kept: Vec<_> = found.iter().filter(|row| steady.iter().any(|kept| kept.id == row.id)).collect();
                    assert_eq!(kept.len(), STEADY, "each row that matches throughout");
                }
            }
        });
    }
}

/// Claims newer, older and equally old rows, and has them match and not match.
async fn move_rows(store: &dyn MetadataStore, trial: usize) {
    for n in 0..16 {
        let mut moving = claimed_at(1_000 * (trial + 1) + n, (n as i64 * 37) % 90 - 3);
        claim(store, &moving).await;
        for tag in ["other", "tag", "gone"] {
            moving = next(&moving, tag);
            moving.index.tags = tags(&[tag]);
            advance(store, &moving).await;
        }
    }
}

pub(super) fn finds_behind_a_cursor_of_no_row(harness: &dyn MetadataHarness) {
    // Several at one moment, so that the id decides.
    let rows: Vec<_> = (0..12).map(|n| claimed_at(n, n as i64 / 4 * 2)).collect();
    run(harness, async {
        let store = store_with(harness, &rows).await;
        for (absent, at) in (100..120).zip([-1, 0, 1, 2, 3, 4, 5].into_iter().cycle()) {
            let cursor = Cursor { claimed_at: micros(at), id: id(absent) };
            let behind = |row: &Row| place(row) > (Reverse(cursor.claimed_at), &cursor.id);
            let all = expected(&rows, &Query::default());
            let following: Vec<_> = all.into_iter().filter(behind).collect();
            for limit in [3, 100] {
                let found = store.find(&Query::default(), Some(&cursor), limit).await.expect("a find").rows;
                assert_eq!(ids(&found), ids(&following[..following.len().min(limit)]), "behind {cursor:?}");
            }
        }
        // Of a row that does not match any more, or never did.
        let unmatched = Query { state: Some(State::Published), ..Query::default() };
        assert_eq!(store.find(&unmatched, Some(&rows[0].cursor()), 10).await.expect("a find").rows, []);
    });
}

/// Where a row is in the order of a find.
fn place(row: &Row) -> (Reverse<Timestamp>, &AuditLogId) {
    (Reverse(row.index.claimed_at), &row.id)
}

async fn store_with(harness: &dyn MetadataHarness, rows: &[Row]) -> std::sync::Arc<dyn MetadataStore> {
    let store = harness.open().await;
    for row in rows {
        claim(&*store, row).await;
    }
    store
}

async fn paged(store: &dyn MetadataStore, query: &Query, limit: usize) -> Vec<Row> {
    let mut all: Vec<Row> = Vec::new();
    loop {
        let after = all.last().map(Row::cursor);
        let page = store.find(query, after.as_ref(), limit).await.expect("a find").rows;
        assert!(page.len() <= limit, "a page of {} rows, where {limit} were asked for", page.len());
        let is_last = page.len() < limit;
        all.extend(page);
        assert!(all.len() < 1_000, "pages that never end");
        if is_last {
            return all;
        }
    }
}

fn expected(rows: &[Row], query: &Query) -> Vec<Row> {
    let mut found: Vec<_> = rows.iter().filter(|row| query.matches(&row.index)).cloned().collect();
    found.sort_by_key(|row| (Reverse(row.index.claimed_at), row.id.clone()));
    found
}

fn ids(rows: &[Row]) -> Vec<&AuditLogId> {
    rows.iter().map(|row| &row.id).collect()
}

fn claimed_at(n: usize, at: i64) -> Row {
    let mut row = row(n);
    row.index.claimed_at = micros(at);
    row
}

/// Rows in which every column takes every one of a few values, several of them together.
fn many_rows() -> Vec<Row> {
    let tag_sets = [&[][..], &["a"], &["b"], &["a", "b"], &["ab"], &["a b"], &["A"]];
    let make = |n: usize| {
        let mut row = claimed_at(n, (n % 5) as i64);
        row.index.concept_id = [None, Some(concept("one")), Some(concept("two"))][n % 3].clone();
        row.index.checksum = Checksum::of(&[(n % 2) as u8]);
        row.index.tags = tags(tag_sets[n % tag_sets.len()]);
        row.index.state = State::ALL[(n / 2) % 3];
        row.index.settled = n.is_multiple_of(4);
        row
    };
    (0..48).map(make).collect()
}

/// Every single condition, and every two and three of different fields.
fn many_queries() -> Vec<Query> {
    type Condition = fn(&mut Query);
    let fields: [&[Condition]; 7] = [
        &[|q| q.concept_id = Some(concept("one")), |q| q.concept_id = Some(concept("none"))],
        &[|q| q.checksum = Some(Checksum::of(&[0])), |q| q.checksum = Some(Checksum::of(b"none"))],
        &[|q| q.tag = Some("a".into()), |q| q.tag = Some("none".into())],
        &[|q| q.state = Some(State::Published), |q| q.state = Some(State::Rejected)],
        &[|q| q.settled = Some(true), |q| q.settled = Some(false)],
        &[|q| q.claimed_from = Some(micros(2)), |q| q.claimed_from = Some(micros(99))],
        &[|q| q.claimed_before = Some(micros(3)), |q| q.claimed_before = Some(micros(0))],
    ];
    let mut queries = vec![(0, 0, Query::default())];
    // Grows while it is walked: each query goes on with the fields that it has not looked at.
    let mut at = 0;
    while let Some((from, conditions, query)) = queries.get(at).cloned() {
        at += 1;
        if conditions == 3 {
            continue;
        }
        for (field, choices) in fields.iter().enumerate().skip(from) {
            for choose in *choices {
                let mut narrower = query.clone();
                choose(&mut narrower);
                queries.push((field + 1, conditions + 1, narrower));
            }
        }
    }
    queries.into_iter().map(|(_, _, query)| query).collect()
}
