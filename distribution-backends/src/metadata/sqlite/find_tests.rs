use distribution_core::{AuditLogId, Checksum, ConceptId, Cursor, Query, State, Timestamp};
use sqlx::Row as _;

use super::select;
use crate::SqliteMetadata;

fn at(micros: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(micros).unwrap()
}

fn fields() -> Vec<(Query, &'static str)> {
    let query = Query::default;
    vec![
        (query(), "publication_by_time"),
        (Query { concept_id: Some(ConceptId::parse("c").unwrap()), ..query() }, "publication_by_concept"),
        (Query { checksum: Some(Checksum::of(b"")), ..query() }, "publication_by_checksum"),
        (Query { tag: Some("t".into()), ..query() }, "SEARCH t USING PRIMARY KEY (tag=?"),
        (Query { state: Some(State::Published), ..query() }, "publication_by_state"),
        (Query { settled: Some(false), ..query() }, "publication_unsettled"),
        (
            Query { concept_id: Some(ConceptId::parse("c").unwrap()), settled: Some(false), ..query() },
            "publication_unsettled",
        ),
        (Query { settled: Some(true), ..query() }, "publication_by_time"),
        (Query { claimed_from: Some(at(1)), ..query() }, "publication_by_time"),
        (Query { claimed_before: Some(at(1)), ..query() }, "publication_by_time"),
    ]
}

async fn plan(store: &SqliteMetadata, query: &Query, after: Option<&Cursor>) -> String {
    let sql = select(query, after, 10).unwrap().into_string();
    let explained = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
    let rows = explained.fetch_all(&store.readers).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn each_field_is_served_by_its_index_and_nothing_is_sorted() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteMetadata::open(directory.path().join("records.db")).await.unwrap();
    let after = Cursor { claimed_at: at(5), id: id() };
    for (query, index) in fields() {
        for after in [None, Some(&after)] {
            let plan = plan(&store, &query, after).await;
            assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{query:?}:\n{plan}");
            let bounded = after.is_some() || query.claimed_from.is_some() || query.claimed_before.is_some();
            if bounded {
                assert!(plan.contains("claimed_at"), "the page does not start in the index: {query:?}:\n{plan}");
            }
        }
    }
}

#[tokio::test]
async fn every_combination_of_fields_is_served_by_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteMetadata::open(directory.path().join("records.db")).await.unwrap();
    let after = Cursor { claimed_at: at(5), id: id() };
    for bits in 0..128_u32 {
        let has = |bit: u32| bits & (1 << bit) != 0;
        let query = Query {
            concept_id: has(0).then(|| ConceptId::parse("c").unwrap()),
            checksum: has(1).then(|| Checksum::of(b"")),
            tag: has(2).then(|| "t".into()),
            state: has(3).then_some(State::Published),
            settled: has(4).then_some(false),
            claimed_from: has(5).then(|| at(1)),
            claimed_before: has(6).then(|| at(9)),
        };
        let plan = plan(&store, &query, Some(&after)).await;
        assert!(
            plan.contains("SEARCH") && !plan.contains("TEMP B-TREE") && !plan.contains("SCAN"),
            "{query:?}:\n{plan}"
        );
    }
}

fn id() -> AuditLogId {
    AuditLogId::parse("dist_00000000000000000000000000").unwrap()
}
