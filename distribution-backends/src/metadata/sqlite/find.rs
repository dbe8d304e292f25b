//! The statement that finds rows, a page at a time.

use distribution_core::{Cursor, Error, Query, State};
use sqlx::QueryBuilder;
use sqlx::sqlite::Sqlite;

use crate::metadata::instant::{micros, micros_from};

/// Selects at most `limit` rows that match, newest claim first and by id among equals, behind
/// `after`. The index is chosen here and not by statistics that nobody gathers: the one that tells
/// the most apart, each of them in the order asked for, so nothing is ever sorted.
pub(super) fn select(query: &Query, after: Option<&Cursor>, limit: usize) -> Result<QueryBuilder<Sqlite>, Error> {
    let (from, ordered) = match query {
        // A work may have any number of versions, and few of all rows have something left to do.
        Query { concept_id: Some(_), checksum: None, settled: Some(false), .. } => {
            ("publication AS p INDEXED BY publication_unsettled", "p")
        }
        Query { concept_id: Some(_), .. } => ("publication AS p INDEXED BY publication_by_concept", "p"),
        Query { checksum: Some(_), .. } => ("publication AS p INDEXED BY publication_by_checksum", "p"),
        // CROSS JOIN: SQLite keeps the order of the tables.
        Query { tag: Some(_), .. } => ("publication_tag AS t CROSS JOIN publication AS p ON p.id = t.id", "t"),
        Query { settled: Some(false), .. } => ("publication AS p INDEXED BY publication_unsettled", "p"),
        Query { state: Some(_), .. } => ("publication AS p INDEXED BY publication_by_state", "p"),
        _ => ("publication AS p INDEXED BY publication_by_time", "p"),
    };
    let mut sql = QueryBuilder::new(format!("SELECT p.* FROM {from} WHERE TRUE"));
    if let Some(concept_id) = &query.concept_id {
        sql.push(" AND p.concept_id = ").push_bind(concept_id.as_str().to_owned());
    }
    if let Some(checksum) = query.checksum {
        sql.push(" AND p.checksum = ").push_bind(checksum.to_string());
    }
    if let Some(tag) = &query.tag {
        push_tag(&mut sql, tag, ordered);
    }
    if let Some(state) = query.state {
        sql.push(" AND p.state = ").push_bind(State::as_str(state));
    }
    if let Some(settled) = query.settled {
        // Spelled out, because a partial index serves no parameter.
        sql.push(if settled { " AND p.settled = 1" } else { " AND p.settled = 0" });
    }
    push_times(&mut sql, query, after, ordered)?;
    sql.push(format!(" ORDER BY {ordered}.claimed_at DESC, {ordered}.id LIMIT "));
    sql.push_bind(i64::try_from(limit).unwrap_or(i64::MAX));
    Ok(sql)
}

fn push_tag(sql: &mut QueryBuilder<Sqlite>, tag: &str, ordered: &str) {
    if ordered == "t" {
        sql.push(" AND t.tag = ").push_bind(tag.to_owned());
        return;
    }
    sql.push(" AND EXISTS (SELECT 1 FROM publication_tag AS t WHERE t.tag = ").push_bind(tag.to_owned());
    sql.push(" AND t.claimed_at = p.claimed_at AND t.id = p.id)");
}

/// Only one upper bound is given, the lower of the two, so that the index starts where the page does.
fn push_times(
    sql: &mut QueryBuilder<Sqlite>,
    query: &Query,
    after: Option<&Cursor>,
    ordered: &str,
) -> Result<(), Error> {
    if let Some(from) = query.claimed_from {
        sql.push(format!(" AND {ordered}.claimed_at >= ")).push_bind(micros_from(from));
    }
    let before = query.claimed_before.map(micros_from);
    let after = after.map(|after| Ok::<_, Error>((micros(after.claimed_at)?, &after.id))).transpose()?;
    match (after, before) {
        (Some((at, id)), before) if before.is_none_or(|before| at < before) => {
            sql.push(format!(" AND {ordered}.claimed_at <= ")).push_bind(at);
            sql.push(format!(" AND ({ordered}.claimed_at < ")).push_bind(at);
            sql.push(format!(" OR {ordered}.id > ")).push_bind(id.as_str().to_owned()).push(")");
        }
        (_, Some(before)) => {
            sql.push(format!(" AND {ordered}.claimed_at < ")).push_bind(before);
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
