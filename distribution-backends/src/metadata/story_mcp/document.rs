//! Rows as documents of a Story server, and back, with checks on both sides.

use bytes::Bytes;
use data_encoding::BASE64;
use distribution_core::{AuditLogId, Checksum, ConceptId, Cursor, Error, IdempotencyKey, Index, Row, State, Timestamp};
use serde_json::{Map, Value, json};

use super::contract::{StoryContract, StoryDocument};
use crate::metadata::instant::micros;

pub(super) type Object = Map<String, Value>;

const TEXT: &str = "text";
const BASE_64: &str = "base64";

/// The arguments that store this row.
///
/// # Errors
/// [`ErrorKind::Invalid`] for one that would not come back as it is.
pub(super) fn put_row(contract: &StoryContract, row: &Row) -> Result<Object, Error> {
    if row.body.len() > Row::BODY_BYTES_MAX {
        let (id, len, max) = (&row.id, row.body.len(), Row::BODY_BYTES_MAX);
        return Err(Error::invalid("body", format!("the body of {id} is {len} bytes long, the limit is {max}")));
    }
    let (d, index) = (&contract.document, &row.index);
    let mut arguments = put(contract, &contract.collections.publications, row.id.as_str(), row.revision, &row.body);
    let columns = [
        (&d.concept_id, json!(index.concept_id.as_ref().map(ConceptId::as_str))),
        (&d.checksum, json!(index.checksum.to_string())),
        (&d.tags, json!(index.tags)),
        (&d.state, json!(index.state.as_str())),
        (&d.settled, json!(index.settled)),
        (&d.claimed_at, json!(micros(index.claimed_at)?)),
    ];
    arguments.extend(columns.map(|(name, value)| (name.clone(), value)));
    Ok(arguments)
}

/// The arguments that make the key name `id`.
pub(super) fn put_key(contract: &StoryContract, key: &IdempotencyKey, id: &AuditLogId) -> Object {
    put(contract, &contract.collections.idempotency_keys, key.as_str(), 0, id.as_str().as_bytes())
}

/// The arguments that read a document.
pub(super) fn get(contract: &StoryContract, collection: &str, id: &str) -> Object {
    let named = [(&contract.arguments.collection, collection), (&contract.document.id, id)];
    named.into_iter().map(|(name, value)| (name.clone(), json!(value))).collect()
}

/// The row that the document is.
///
/// # Errors
/// [`ErrorKind::Corrupt`], naming the field and the server.
pub(super) fn row(contract: &StoryContract, document: &Value, place: &str) -> Result<Row, Error> {
    let names = &contract.document;
    let fields = Fields { document, names, place };
    let index = Index {
        concept_id: fields
            .maybe(&names.concept_id, |value| value.as_str().and_then(|text| ConceptId::parse(text).ok()))?,
        checksum: fields.read(&names.checksum, |value| Checksum::parse(value.as_str()?).ok())?,
        tags: fields.read(&names.tags, |value| serde_json::from_value(value.clone()).ok())?,
        state: fields.read(&names.state, |value| State::parse(value.as_str()?))?,
        settled: fields.read(&names.settled, Value::as_bool)?,
        claimed_at: fields.read(&names.claimed_at, |value| Timestamp::from_timestamp_micros(value.as_i64()?))?,
    };
    let id = fields.read(&names.id, |value| AuditLogId::parse(value.as_str()?).ok())?;
    let revision = fields.revision()?;
    Ok(Row { id, revision, index, body: fields.body()? })
}

/// Where the document is in the order of rows, if that can be read.
pub(super) fn cursor(contract: &StoryContract, document: &Value) -> Option<Cursor> {
    let names = &contract.document;
    Some(Cursor {
        claimed_at: Timestamp::from_timestamp_micros(document.get(&names.claimed_at)?.as_i64()?)?,
        id: AuditLogId::parse(document.get(&names.id)?.as_str()?).ok()?,
    })
}

/// How far a document is: its revision, and whether nothing is left to do.
pub(super) fn standing(contract: &StoryContract, document: &Value, place: &str) -> Result<(u64, bool), Error> {
    let fields = Fields { document, names: &contract.document, place };
    Ok((fields.revision()?, fields.maybe(&contract.document.settled, Value::as_bool)?.unwrap_or_default()))
}

/// The publication that the document, an idempotency key, names.
pub(super) fn named(contract: &StoryContract, document: &Value, place: &str) -> Result<AuditLogId, Error> {
    let fields = Fields { document, names: &contract.document, place };
    let body = fields.body()?;
    let id = std::str::from_utf8(&body).ok().and_then(|text| AuditLogId::parse(text).ok());
    id.ok_or_else(|| fields.corrupt(&contract.document.body))
}

fn put(contract: &StoryContract, collection: &str, id: &str, revision: u64, body: &[u8]) -> Object {
    let d = &contract.document;
    let (encoding, body) = match std::str::from_utf8(body) {
        // Control characters take six bytes each in JSON.
        Ok(text) if !text.contains(char::is_control) => (TEXT, text.to_owned()),
        Ok(_) | Err(_) => (BASE_64, BASE64.encode(body)),
    };
    let mut arguments = get(contract, collection, id);
    let more = [(&d.revision, json!(revision)), (&d.body, json!(body)), (&d.body_encoding, json!(encoding))];
    arguments.extend(more.map(|(name, value)| (name.clone(), value)));
    arguments
}

struct Fields<'a> {
    document: &'a Value,
    names: &'a StoryDocument,
    place: &'a str,
}

impl Fields<'_> {
    fn revision(&self) -> Result<u64, Error> {
        self.read(&self.names.revision, Value::as_u64)
    }

    /// A body without an encoding is text.
    fn body(&self) -> Result<Bytes, Error> {
        let text = self.read(&self.names.body, |value| value.as_str().map(str::to_owned))?;
        let encoding = self.maybe(&self.names.body_encoding, |value| value.as_str().map(str::to_owned))?;
        let body = match encoding.as_deref() {
            None | Some(TEXT) => text.into_bytes(),
            Some(BASE_64) => BASE64.decode(text.as_bytes()).map_err(|_| self.corrupt(&self.names.body))?,
            Some(_) => return Err(self.corrupt(&self.names.body_encoding)),
        };
        if body.len() > Row::BODY_BYTES_MAX {
            return Err(self.corrupt(&self.names.body));
        }
        Ok(body.into())
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(&Value) -> Option<T>) -> Result<T, Error> {
        self.maybe(name, read)?.ok_or_else(|| self.corrupt(name))
    }

    /// A field that may be `null` or left out.
    fn maybe<T>(&self, name: &str, read: impl FnOnce(&Value) -> Option<T>) -> Result<Option<T>, Error> {
        match self.document.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.corrupt(name)),
        }
    }

    fn corrupt(&self, name: &str) -> Error {
        let id = self.document.get(&self.names.id).and_then(Value::as_str).and_then(|id| AuditLogId::parse(id).ok());
        let id = id.map_or_else(|| "with an unreadable id".to_owned(), |id| id.to_string());
        let place = self.place;
        Error::corrupt(format!("field {name:?} of document {id} of {place} does not decode: was it edited by hand?"))
    }
}
