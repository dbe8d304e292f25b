//! Rows as the columns of a database, and back, with checks on both sides: what all databases have in common.

use bytes::Bytes;
use distribution_core::{
    AuditLogId, Checksum, ConceptId, Cursor, Error, ErrorKind, Found, Index, Row, State, Timestamp,
};
use sqlx::{ColumnIndex, Decode, Type};

/// # Errors
/// [`ErrorKind::Invalid`] for a body that is too long.
pub(super) fn check_body(row: &Row) -> Result<(), Error> {
    if row.body.len() <= Row::BODY_BYTES_MAX {
        return Ok(());
    }
    let (id, len, max) = (&row.id, row.body.len(), Row::BODY_BYTES_MAX);
    Err(Error::invalid("body", format!("the body of {id} is {len} bytes long, the limit is {max}")))
}

/// The revision as a column holds it.
///
/// # Errors
/// [`ErrorKind::Invalid`] for one that no column can hold.
pub(super) fn revision(revision: u64) -> Result<i64, Error> {
    i64::try_from(revision)
        .map_err(|error| Error::new(ErrorKind::Invalid, "a revision must be below 2^63").because(error))
}

/// The columns of a row that was found, in the database called `place`.
pub(super) struct Columns<'r, R> {
    pub(super) found: &'r R,
    pub(super) place: &'r str,
}

impl<'r, R: sqlx::Row> Columns<'r, R>
where
    &'static str: ColumnIndex<R>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    /// The row; databases differ in how they hold the tags.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], naming the column and the database.
    pub(super) fn row(&self, tags: impl FnOnce(&Self) -> Result<Vec<String>, Error>) -> Result<Row, Error> {
        let index = Index {
            concept_id: self.parsed("concept_id", |text: Option<String>| text.map(ConceptId::parse).transpose())?,
            checksum: self.parsed("checksum", |text: String| Checksum::parse(text))?,
            tags: tags(self)?,
            state: self.parsed("state", |name: String| {
                State::parse(&name).ok_or_else(|| Error::corrupt("is not known to this version"))
            })?,
            settled: self.get("settled")?,
            claimed_at: self.claimed_at()?,
        };
        Ok(Row {
            id: self.id()?,
            revision: self.parsed("revision", |revision: i64| {
                u64::try_from(revision).map_err(|error| Error::corrupt("is negative").because(error))
            })?,
            index,
            body: Bytes::from(self.get::<Vec<u8>>("body")?),
        })
    }

    /// Adds what [`row`](Self::row) gave, or that it is damaged.
    ///
    /// # Errors
    /// That of a row whose place in the order cannot be read either.
    pub(super) fn add_to(&self, found: &mut Found, row: Result<Row, Error>) -> Result<(), Error> {
        found.push(|| Some(Cursor { claimed_at: self.claimed_at().ok()?, id: self.id().ok()? }), row)
    }

    pub(super) fn id(&self) -> Result<AuditLogId, Error> {
        self.parsed("id", |text: String| AuditLogId::parse(text))
    }

    fn claimed_at(&self) -> Result<Timestamp, Error> {
        self.parsed("claimed_at", |micros: i64| {
            Timestamp::from_timestamp_micros(micros).ok_or_else(|| Error::corrupt("is past the end of the calendar"))
        })
    }

    pub(super) fn get<T>(&self, name: &'static str) -> Result<T, Error>
    where
        T: Decode<'r, R::Database> + Type<R::Database>,
    {
        self.found.try_get(name).map_err(|error| self.corrupt(name).because(error))
    }

    pub(super) fn parsed<T, U>(&self, name: &'static str, parse: impl FnOnce(T) -> Result<U, Error>) -> Result<U, Error>
    where
        T: Decode<'r, R::Database> + Type<R::Database>,
    {
        parse(self.get(name)?).map_err(|error| self.corrupt(name).because(error))
    }

    fn corrupt(&self, name: &str) -> Error {
        let id: String = self.found.try_get("id").unwrap_or_else(|_| "with an unreadable id".to_owned());
        Error::corrupt(format!("column {name} of row {id} in {} does not decode: was it edited by hand?", self.place))
    }
}
