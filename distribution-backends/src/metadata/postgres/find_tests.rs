use std::time::{SystemTime, UNIX_EPOCH};

use distribution_core::{AuditLogId, Checksum, ConceptId, Cursor, Query, State, Timestamp};
use sqlx::{AssertSqlSafe, Execute as _, Row as _};

use super::select;
use crate::{PostgresConfig, PostgresMetadata};

fn at(micros: i64) -> Timestamp {
    Timestamp::from_timestamp_micros(micros).unwrap()
}

/// On the server that `.ci/servers` starts, in a schema of its own.
#[allow(clippy::print_stdout, reason = "nothing is skipped in silence")]
async fn store(name: &str) -> Option<PostgresMetadata> {
    const VARIABLE: &str = "DISTRIBUTION_TEST_POSTGRES";
    let Ok(uri) = std::env::var(VARIABLE) else {
        assert!(std::env::var_os("CI").is_none(), "{VARIABLE} must name a server in CI: see .ci/servers");
        println!("NOT RUN: {name}: {VARIABLE} names no server, see .ci/servers");
        return None;
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let config = PostgresConfig::from_uri(&uri).unwrap().schema(format!("test_{name}_{now}"));
    Some(PostgresMetadata::open(config).await.unwrap())
}

async fn drop_schema(store: &PostgresMetadata) {
    let drop = "DO $$ BEGIN SET client_min_messages = error; \
                EXECUTE 'DROP SCHEMA ' || current_schema() || ' CASCADE'; END $$";
    store.readers.fetch(sqlx::query(drop)).await.unwrap();
}

async fn plan(store: &PostgresMetadata, query: &Query, after: Option<&Cursor>) -> String {
    let mut select = select(query, after, 10).unwrap();
    let arguments = select.take_arguments().unwrap().unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN {}", select.sql().as_str()));
    let rows = store.readers.fetch(sqlx::query_with(explain, arguments)).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

fn is_walk(plan: &str) -> bool {
    !["Sort", "Seq Scan", "Bitmap", "Hash", "Merge", "Materialize"].iter().any(|work| plan.contains(work))
}

#[tokio::test]
async fn each_field_is_served_by_its_index_and_nothing_is_sorted() {
    let Some(store) = store("plans").await else { return };
    // The second time with a thousand rows, most of them alike, and with statistics.
    for round in 0..2 {
        let after = Cursor { claimed_at: at(5), id: id() };
        let query = Query::default;
        let single_fields = [
            (query(), "publication_by_time"),
            (Query { concept_id: Some(ConceptId::parse("c").unwrap()), ..query() }, "publication_by_concept"),
            (Query { checksum: Some(Checksum::of(b"")), ..query() }, "publication_by_checksum"),
            (Query { tag: Some("t".into()), ..query() }, "publication_by_tag"),
            (Query { state: Some(State::Rejected), ..query() }, "publication_by_state"),
            (Query { settled: Some(false), ..query() }, "publication_unsettled"),
            (Query { claimed_from: Some(at(1)), ..query() }, "publication_by_time"),
            (Query { claimed_before: Some(at(1)), ..query() }, "publication_by_time"),
        ];
        for (query, index) in single_fields {
            for after in [None, Some(&after)] {
                let plan = plan(&store, &query, after).await;
                assert!(plan.contains(index) && is_walk(&plan), "round {round}: {query:?}:\n{plan}");
                if after.is_some() || query.claimed_from.is_some() || query.claimed_before.is_some() {
                    let starts = plan.lines().any(|line| line.contains("Index Cond") && line.contains("claimed_at"));
                    assert!(starts, "the page does not start in the index: {query:?}:\n{plan}");
                }
            }
        }
        if round == 0 {
            fill(&store).await;
        }
    }
    drop_schema(&store).await;
}

#[tokio::test]
async fn every_combination_of_fields_is_served_by_an_index() {
    let Some(store) = store("combinations").await else { return };
    let after = Cursor { claimed_at: at(5), id: id() };
    for bits in 0..256_u32 {
        let has = |bit: u32| bits & (1 << bit) != 0;
        let query = Query {
            concept_id: has(0).then(|| ConceptId::parse("c").unwrap()),
            checksum: has(1).then(|| Checksum::of(b"")),
            tag: has(2).then(|| "t".into()),
            state: has(3).then_some(State::Published),
            settled: has(4).then_some(has(7)),
            claimed_from: has(5).then(|| at(1)),
            claimed_before: has(6).then(|| at(9)),
        };
        let plan = plan(&store, &query, Some(&after)).await;
        assert!(plan.contains("Index") && is_walk(&plan), "{query:?}:\n{plan}");
    }
    drop_schema(&store).await;
}

async fn fill(store: &PostgresMetadata) {
    let fill = "INSERT INTO publication SELECT 'id' || n, 0, 'c' || n % 100, 'sha256:' || n, \
                CASE n % 2 WHEN 0 THEN ARRAY['t'] ELSE '{}' END, \
                CASE n % 50 WHEN 0 THEN 'rejected' ELSE 'published' END, n % 50 <> 0, n, '' \
                FROM generate_series(1, 1000) AS n";
    store.readers.fetch(sqlx::query(fill)).await.unwrap();
    store.readers.fetch(sqlx::query("ANALYZE publication, publication_tag")).await.unwrap();
}

fn id() -> AuditLogId {
    AuditLogId::parse("dist_00000000000000000000000000").unwrap()
}
