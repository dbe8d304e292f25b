//! Rows as columns, and back, with checks on both sides.

use bytes::Bytes;
use distribution_core::{
    AuditLogId, Checksum, ConceptId, Error, ErrorKind, IdempotencyKey, Index, Row, State, Timestamp,
};
use sqlx::postgres::{PgArguments, PgRow, Postgres};
use sqlx::query::Query;
use sqlx::{Decode, Row as _, Type};

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
    if row.body.len() > Row::BODY_BYTES_MAX {
        let message =
            format!("the body of {} is {} bytes long, the limit is {}", row.id, row.body.len(), Row::BODY_BYTES_MAX);
        return Err(Error::invalid("body", message));
    }
    if row.index.tags.iter().any(|tag| tag.contains('\0') || tag.len() > TAG_BYTES_MAX) {
        return Err(Error::invalid("tags", format!("must have no NUL and at most {TAG_BYTES_MAX} bytes each")));
    }
    micros(row.index.claimed_at)?;
    revision(row.revision).map(drop)
}

/// The row that `found` holds.
///
/// # Errors
/// [`ErrorKind::Corrupt`], naming the column and the database.
pub(super) fn decode(found: &PgRow, place: &str) -> Result<Row, Error> {
    let columns = Columns { found, place };
    let index = Index {
        concept_id: columns.parsed("concept_id", |text: Option<String>| text.map(ConceptId::parse).transpose())?,
        checksum: columns.parsed("checksum", |text: String| Checksum::parse(text))?,
        tags: columns.get("tags")?,
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

pub(super) fn decode_key(found: &PgRow, place: &str) -> Result<AuditLogId, Error> {
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
pub(super) fn revision(revision: u64) -> Result<i64, Error> {
    i64::try_from(revision)
        .map_err(|error| Error::new(ErrorKind::Invalid, "a revision must be below 2^63").because(error))
}

/// Texts as PostgreSQL writes an array of them, because an array of arrays cannot be sent.
pub(super) fn array_literal(texts: &[String]) -> String {
    let quoted = texts.iter().map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")));
    format!("{{{}}}", quoted.collect::<Vec<_>>().join(","))
}

struct Columns<'r> {
    found: &'r PgRow,
    place: &'r str,
}

impl<'r> Columns<'r> {
    fn get<T>(&self, name: &'static str) -> Result<T, Error>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        self.found.try_get(name).map_err(|error| self.corrupt(name).because(error))
    }

    fn parsed<T, U>(&self, name: &'static str, parse: impl FnOnce(T) -> Result<U, Error>) -> Result<U, Error>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        parse(self.get(name)?).map_err(|error| self.corrupt(name).because(error))
    }

    fn corrupt(&self, name: &str) -> Error {
        let id: &str = self.found.try_get("id").unwrap_or("with an unreadable id");
        Error::corrupt(format!("column {name} of row {id} in {} does not decode: was it edited by hand?", self.place))
    }
}
