//! A store's `find` beside `Query::matches`, on rows, queries and pages that look random.

use std::time::Duration;

use bytes::Bytes;
use distribution_core::{Advance, Checksum, ConceptId, Cursor, Index, MetadataStore, Query, Row, State, Timestamp};
use fastrand::Rng;

use crate::rows::{at, id};

/// Numbers that look random, the same in every run.
struct Numbers(Rng);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0.u64(..limit)
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(3) == 0).then(|| value(self))
    }

    fn index(&mut self) -> Index {
        Index {
            concept_id: (self.below(4) != 0).then(|| self.concept()),
            checksum: self.checksum(),
            tags: (0..4).filter(|_| self.below(2) == 0).map(|n| format!("tag {n}")).collect(),
            state: self.state(),
            settled: self.below(2) == 0,
            claimed_at: at(self.micros()),
        }
    }

    fn concept(&mut self) -> ConceptId {
        ConceptId::parse(format!("concept-{}", self.below(3))).unwrap()
    }

    fn checksum(&mut self) -> Checksum {
        Checksum::of(&[u8::try_from(self.below(4)).unwrap()])
    }

    fn state(&mut self) -> State {
        State::ALL[usize::try_from(self.below(3)).unwrap()]
    }

    fn micros(&mut self) -> i64 {
        i64::try_from(self.below(12)).unwrap() - 6
    }

    /// Bounds fall between microseconds, too.
    fn bound(&mut self) -> Timestamp {
        let micros = self.micros();
        at(micros) + Duration::from_nanos(self.below(2) * 400)
    }

    fn query(&mut self) -> Query {
        Query {
            concept_id: self.maybe(Self::concept),
            checksum: self.maybe(Self::checksum),
            tag: self.maybe(|numbers| format!("tag {}", numbers.below(4))),
            state: self.maybe(Self::state),
            settled: self.maybe(|numbers| numbers.below(2) == 0),
            claimed_from: self.maybe(Self::bound),
            claimed_before: self.maybe(Self::bound),
        }
    }
}

/// The store is empty.
pub(crate) async fn random(store: &dyn MetadataStore) {
    let mut numbers = Numbers(Rng::with_seed(1));
    let mut rows = Vec::new();
    for n in 0..150 {
        let body = Bytes::from(n.to_string());
        let first = Row { id: id(n * 7919 % 1000), revision: 0, index: numbers.index(), body };
        store.claim(&first).await.unwrap();
        let index = Index { claimed_at: first.index.claimed_at, ..numbers.index() };
        let next = Row { revision: 1, index, ..first.clone() };
        rows.push(if numbers.below(2) == 0 { first } else { next.clone() });
        if rows.last() == Some(&next) {
            assert_eq!(store.advance(&next).await.unwrap(), Advance::Advanced);
        }
    }
    rows.sort_by_key(Row::cursor);
    let mut found_some = 0;
    for round in 0..600 {
        let query = numbers.query();
        let expected: Vec<&Row> = rows.iter().filter(|row| query.matches(&row.index)).collect();
        let limit = usize::try_from(numbers.below(9) + 1).unwrap();
        let pages = pages(store, &query, limit).await;
        assert!(pages.iter().eq(expected.iter().copied()), "round {round}: {query:?}");
        found_some += usize::from(!expected.is_empty());

        let anywhere = Cursor { claimed_at: at(numbers.micros()), id: id(numbers.below(1000)) };
        let behind = |row: &&Row| {
            let at = row.index.claimed_at;
            at < anywhere.claimed_at || at == anywhere.claimed_at && row.id > anywhere.id
        };
        let found = store.find(&query, Some(&anywhere), usize::MAX).await.unwrap().rows;
        assert!(found.iter().eq(expected.into_iter().filter(behind)), "round {round}: {query:?} {anywhere:?}");
    }
    assert!(found_some > 200, "the queries hardly find anything: {found_some}");
    assert_eq!(store.find(&Query::default(), None, 0).await.unwrap().rows, []);
}

async fn pages(store: &dyn MetadataStore, query: &Query, limit: usize) -> Vec<Row> {
    let (mut rows, mut after) = (Vec::new(), None);
    loop {
        let page = store.find(query, after.as_ref(), limit).await.unwrap().rows;
        let full = page.len() == limit;
        rows.extend(page);
        if !full {
            return rows;
        }
        after = rows.last().map(Row::cursor);
    }
}
