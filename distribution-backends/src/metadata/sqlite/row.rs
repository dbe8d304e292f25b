//! Rows as columns, and back, with checks on both sides.

use distribution_core::{AuditLogId, Error, Found, IdempotencyKey, Row};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};

use crate::metadata::columns::{Columns, check_body, revision};
use crate::metadata::instant::micros;

pub(super) type Statement = Query<'static, Sqlite, SqliteArguments>;

/// Inserts the row at revision 0; changes nothing if its publication has one.
pub(super) fn insert(row: &Row) -> Result<Statement, Error> {
    let statement = sqlx::query(
        "INSERT INTO publication (concept_id, checksum, tags, state, settled, claimed_at, body, id, revision) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (id) DO NOTHING",
    );
    Ok(bind(statement, row)?.bind(row.id.as_str().to_owned()))
}

/// Replaces the row at revision `expected`; changes nothing if it is at another one.
pub(super) fn update(next: &Row, expected: u64) -> Result<Statement, Error> {
    let statement = sqlx::query(
        "UPDATE publication SET concept_id = ?, checksum = ?, tags = ?, state = ?, settled = ?, claimed_at = ?, \
         body = ?, revision = ? WHERE id = ? AND revision = ?",
    );
    Ok(bind(statement, next)?
        .bind(revision(next.revision)?)
        .bind(next.id.as_str().to_owned())
        .bind(revision(expected)?))
}

pub(super) fn select(id: &AuditLogId) -> Statement {
    sqlx::query("SELECT * FROM publication WHERE id = ?").bind(id.as_str().to_owned())
}

/// Binds the columns that change with every replacement, in one order for all statements.
fn bind(statement: Statement, row: &Row) -> Result<Statement, Error> {
    check_body(row)?;
    let index = &row.index;
    let tags = serde_json::to_string(&index.tags)
        .map_err(|error| Error::invalid("tags", "could not be written as JSON").because(error))?;
    Ok(statement
        .bind(index.concept_id.as_ref().map(|id| id.as_str().to_owned()))
        .bind(index.checksum.to_string())
        .bind(tags)
        .bind(index.state.as_str())
        .bind(index.settled)
        .bind(micros(index.claimed_at)?)
        .bind(row.body.to_vec()))
}

/// The row that `found` holds.
///
/// # Errors
/// [`ErrorKind::Corrupt`](distribution_core::ErrorKind::Corrupt), naming the column and the database.
pub(super) fn decode(found: &SqliteRow, place: &str) -> Result<Row, Error> {
    Columns { found, place }.row(tags)
}

/// The rows, and which of them are damaged.
pub(super) fn decode_all(found: &[SqliteRow], place: &str) -> Result<Found, Error> {
    let mut all = Found::default();
    for found in found {
        Columns { found, place }.add_to(&mut all, decode(found, place))?;
    }
    Ok(all)
}

/// Makes the key name `id`; changes nothing if it names a publication.
pub(super) fn insert_key(key: &IdempotencyKey, id: &AuditLogId) -> Statement {
    sqlx::query("INSERT INTO idempotency_key (key, id) VALUES (?, ?) ON CONFLICT (key) DO NOTHING")
        .bind(key.as_str().to_owned())
        .bind(id.as_str().to_owned())
}

pub(super) fn select_key(key: &IdempotencyKey) -> Statement {
    sqlx::query("SELECT id FROM idempotency_key WHERE key = ?").bind(key.as_str().to_owned())
}

pub(super) fn decode_key(found: &SqliteRow, place: &str) -> Result<AuditLogId, Error> {
    Columns { found, place }.id()
}

fn tags(columns: &Columns<'_, SqliteRow>) -> Result<Vec<String>, Error> {
    columns.parsed("tags", |json: String| {
        serde_json::from_str(&json).map_err(|error| Error::corrupt("is no list of texts").because(error))
    })
}
