//! Rows as columns, and back, with checks on both sides.

use bytes::Bytes;
use distribution_core::{
    AuditLogId, Checksum, ConceptId, Error, ErrorKind, IdempotencyKey, Index, Row, State, Timestamp,
};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{ColumnIndex, Decode, Row as _, Type};

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
    if row.body.len() > Row::BODY_BYTES_MAX {
        let message =
            format!("the body of {} is {} bytes long, the limit is {}", row.id, row.body.len(), Row::BODY_BYTES_MAX);
        return Err(Error::invalid("body", message));
    }
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

/// The row that `found`, a row of `publication`, holds.
///
/// # Errors
/// [`ErrorKind::Corrupt`], naming the column and the file.
pub(super) fn decode(found: &SqliteRow, place: &str) -> Result<Row, Error> {
    let columns = Columns { found, place };
    let index = Index {
        concept_id: columns.parsed("concept_id", |text: Option<String>| text.map(ConceptId::parse).transpose())?,
        checksum: columns.parsed("checksum", |text: String| Checksum::parse(text))?,
        tags: columns.parsed("tags", |json: String| {
            serde_json::from_str(&json).map_err(|error| Error::corrupt("is no list of texts").because(error))
        })?,
        state: columns.parsed("state", |name: String| {
            State::parse(&name).ok_or_else(|| Error::corrupt("is not known to this version"))
        })?,
        settled: columns.get("settled")?,
        claimed_at: columns.parsed("claimed_at", |micros: i64| {
            Timestamp::from_timestamp_micros(micros).ok_or_else(|| Error::corrupt("is past the end of the calendar"))
        })?,
    };
    Ok(Row {
        id: columns.parsed("id", |text: String| AuditLogId::parse(text))?,
        revision: columns.parsed("revision", |revision: i64| {
            u64::try_from(revision).map_err(|error| Error::corrupt("is negative").because(error))
        })?,
        index,
        body: Bytes::from(columns.get::<Vec<u8>>("body")?),
    })
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
    Columns { found, place }.parsed("id", |text: String| AuditLogId::parse(text))
}

/// The instant as a column holds it.
///
/// # Errors
/// [`ErrorKind::Invalid`] for one that would not come back as it is: not of whole microseconds.
pub(super) fn micros(at: Timestamp) -> Result<i64, Error> {
    let micros = at.timestamp_micros();
    if Timestamp::from_timestamp_micros(micros) == Some(at) {
        return Ok(micros);
    }
    Err(Error::invalid("claimed_at", "must be cut to the microsecond"))
}

/// The revision as a column holds it.
fn revision(revision: u64) -> Result<i64, Error> {
    i64::try_from(revision)
        .map_err(|error| Error::new(ErrorKind::Invalid, "a revision must be below 2^63").because(error))
}

struct Columns<'r> {
    found: &'r SqliteRow,
    place: &'r str,
}

impl<'r> Columns<'r> {
    fn get<T>(&self, name: &'static str) -> Result<T, Error>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
        &'static str: ColumnIndex<SqliteRow>,
    {
        self.found.try_get(name).map_err(|error| self.corrupt(name).because(error))
    }

    fn parsed<T, U>(&self, name: &'static str, parse: impl FnOnce(T) -> Result<U, Error>) -> Result<U, Error>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        parse(self.get(name)?).map_err(|error| self.corrupt(name).because(error))
    }

    fn corrupt(&self, name: &str) -> Error {
        let id: &str = self.found.try_get("id").unwrap_or("with an unreadable id");
        Error::corrupt(format!("column {name} of row {id} in {} does not decode: was it edited by hand?", self.place))
    }
}
