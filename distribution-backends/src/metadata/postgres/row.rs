//! Rows as columns, and back, with checks on both sides.

use distribution_core::{AuditLogId, Error, Found, IdempotencyKey, Row};
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;

use crate::metadata::columns::{Columns, check_body, revision};
use crate::metadata::instant::micros;

/// An index entry holds 2,704 bytes at most; core's own limit is lower.
const TAG_BYTES_MAX: usize = 1024;

pub(super) type Statement = Query<'static, Postgres, PgArguments>;

/// All that makes a row, in no order that a table could change.
pub(super) const COLUMNS: &str =
    "p.id, p.revision, p.concept_id, p.checksum, p.tags, p.state, p.settled, p.claimed_at, p.body";

pub(super) fn select(id: &AuditLogId) -> Statement {
    sqlx::query(
        "SELECT id, revision, concept_id, checksum, tags, state, settled, claimed_at, body \
         FROM publication WHERE id = $1",
    )
    .bind(id.as_str().to_owned())
}

pub(super) fn select_key(key: &IdempotencyKey) -> Statement {
    sqlx::query("SELECT id FROM idempotency_key WHERE key = $1").bind(key.as_str().to_owned())
}

/// Whether the columns can hold the row, and give it back as it is.
///
/// # Errors
/// [`ErrorKind::Invalid`], naming the field.
pub(super) fn check(row: &Row) -> Result<(), Error> {
    check_body(row)?;
    if row.index.tags.iter().any(|tag| tag.contains('\0') || tag.len() > TAG_BYTES_MAX) {
        return Err(Error::invalid("tags", format!("must have no NUL and at most {TAG_BYTES_MAX} bytes each")));
    }
    micros(row.index.claimed_at)?;
    revision(row.revision).map(drop)
}

/// The row that `found` holds.
///
/// # Errors
/// [`ErrorKind::Corrupt`](distribution_core::ErrorKind::Corrupt), naming the column and the database.
pub(super) fn decode(found: &PgRow, place: &str) -> Result<Row, Error> {
    Columns { found, place }.row(tags)
}

/// The rows, and which of them are damaged.
pub(super) fn decode_all(found: &[PgRow], place: &str) -> Result<Found, Error> {
    let mut all = Found::default();
    for found in found {
        Columns { found, place }.add_to(&mut all, decode(found, place))?;
    }
    Ok(all)
}

pub(super) fn decode_key(found: &PgRow, place: &str) -> Result<AuditLogId, Error> {
    Columns { found, place }.id()
}

/// Texts as PostgreSQL writes an array of them, because an array of arrays cannot be sent.
pub(super) fn array_literal(texts: &[String]) -> String {
    let quoted = texts.iter().map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

fn tags(columns: &Columns<'_, PgRow>) -> Result<Vec<String>, Error> {
    columns.get("tags")
}
