//! The statement that finds rows, a page at a time.

use distribution_core::{Cursor, Error, Query};
use sqlx::AssertSqlSafe;

use super::row::{COLUMNS, Statement};
use crate::metadata::instant::{micros, micros_from};

/// Selects at most `limit` rows that match, newest claim first and by id among equals, behind `after`.
/// Sorts, hashes and scans of the whole table are switched off in our sessions (`session.rs`), so the
/// planner can only walk an index that ends in this order, from where the page starts.
pub(super) fn select(query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Statement, Error> {
    let mut sql = Sql::default();
    let by_tag = query.tag.is_some() && query.concept_id.is_none() && query.checksum.is_none();
    let ordered = if by_tag { "t" } else { "p" };
    let mut rows = Vec::new();
    if let Some(concept_id) = &query.concept_id {
        rows.push(format!("p.concept_id = {}", sql.text(concept_id.as_str())));
    }
    if let Some(checksum) = query.checksum {
        rows.push(format!("p.checksum = {}", sql.text(&checksum.to_string())));
    }
    if let Some(state) = query.state {
        rows.push(format!("p.state = {}", sql.text(state.as_str())));
    }
    if let Some(settled) = query.settled {
        // Spelled out, because a partial index serves no parameter.
        rows.push(if settled { "p.settled".into() } else { "NOT p.settled".into() });
    }
    let mut place = times(&mut sql, query, after, ordered)?;
    match &query.tag {
        Some(tag) if by_tag => place.push(format!("t.tag = {}", sql.text(tag))),
        Some(tag) => rows.push(format!("{} = ANY (p.tags)", sql.text(tag))),
        None => {}
    }
    let limit = sql.number(i64::try_from(limit).unwrap_or(i64::MAX));
    let text = if by_tag {
        // OFFSET 0: the tag's index leads, whatever the planner thinks of it.
        rows.push("p.id = t.id".into());
        format!(
            "SELECT {COLUMNS} FROM publication_tag AS t CROSS JOIN LATERAL \
             (SELECT * FROM publication AS p WHERE {} OFFSET 0) AS p \
             WHERE {} ORDER BY t.claimed_at DESC, t.id LIMIT {limit}",
            rows.join(" AND "),
            place.join(" AND "),
        )
    } else {
        rows.append(&mut place);
        rows.push("TRUE".into());
        let rows = rows.join(" AND ");
        format!("SELECT {COLUMNS} FROM publication AS p WHERE {rows} ORDER BY p.claimed_at DESC, p.id LIMIT {limit}")
    };
    Ok(sql.statement(text))
}

/// Only one upper bound is given, the lower of the two, so that the index starts where the page does.
fn times(sql: &mut Sql, query: &Query, after: Option<&Cursor>, ordered: &str) -> Result<Vec<String>, Error> {
    let mut place = Vec::new();
    if let Some(from) = query.claimed_from {
        place.push(format!("{ordered}.claimed_at >= {}", sql.number(micros_from(from))));
    }
    let before = query.claimed_before.map(micros_from);
    let after = after.map(|after| Ok::<_, Error>((micros(after.claimed_at)?, &after.id))).transpose()?;
    match (after, before) {
        (Some((at, id)), before) if before.is_none_or(|before| at < before) => {
            let (at, id) = (sql.number(at), sql.text(id.as_str()));
            place.push(format!("{ordered}.claimed_at <= {at}"));
            place.push(format!("({ordered}.claimed_at < {at} OR {ordered}.id > {id})"));
        }
        (_, Some(before)) => place.push(format!("{ordered}.claimed_at < {}", sql.number(before))),
        _ => {}
    }
    Ok(place)
}

/// The values of a statement's parameters, in order.
#[derive(Default)]
struct Sql(Vec<Value>);

enum Value {
    Text(String),
    Number(i64),
}

impl Sql {
    /// The name of a new parameter.
    fn text(&mut self, value: &str) -> String {
        self.0.push(Value::Text(value.to_owned()));
        format!("${}", self.0.len())
    }

    fn number(&mut self, value: i64) -> String {
        self.0.push(Value::Number(value));
        format!("${}", self.0.len())
    }

    /// `text` is made of the words above and of the names of parameters only.
    fn statement(self, text: String) -> Statement {
        self.0.into_iter().fold(sqlx::query(AssertSqlSafe(text)), |statement, value| match value {
            Value::Text(text) => statement.bind(text),
            Value::Number(number) => statement.bind(number),
        })
    }
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
