//! Documents of the contract, written down a second time: a client and a server that shared this would
//! agree on any mistake.

use bytes::Bytes;
use data_encoding::BASE64;
use distribution_core::{AuditLogId, Checksum, ConceptId, Cursor, Error, Index, Query, Row, State, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Arguments;

pub(super) fn row(arguments: &Arguments<'_>) -> Result<Row, Error> {
    let wrong = |field: &str| Error::invalid(field, "is missing, or is not what it must be");
    let query = query(arguments)?;
    let number = |field| arguments.get(field).and_then(Value::as_i64).ok_or_else(|| wrong(field));
    let tags = arguments.get("tags").and_then(|tags| serde_json::from_value(tags.clone()).ok());
    let index = Index {
        concept_id: query.concept_id,
        checksum: query.checksum.ok_or_else(|| wrong("checksum"))?,
        tags: tags.ok_or_else(|| wrong("tags"))?,
        state: query.state.ok_or_else(|| wrong("state"))?,
        settled: query.settled.ok_or_else(|| wrong("settled"))?,
        claimed_at: Timestamp::from_timestamp_micros(number("claimed_at")?).ok_or_else(|| wrong("claimed_at"))?,
    };
    let revision = u64::try_from(number("revision")?).map_err(|_| wrong("revision"))?;
    Ok(Row { id: AuditLogId::parse(arguments.text("id")?)?, revision, index, body: body(arguments)? })
}

pub(super) fn body(arguments: &Arguments<'_>) -> Result<Bytes, Error> {
    let text = arguments.text("body")?;
    decoded(text, arguments.get("body_encoding").and_then(Value::as_str))
}

/// The conditions that are given.
pub(super) fn query(arguments: &Arguments<'_>) -> Result<Query, Error> {
    let given = |field: &str| arguments.get(field).filter(|value| !value.is_null()).map(|_| arguments.text(field));
    let instant = |field: &str| match arguments.get(field) {
        None | Some(Value::Null) => Ok(None),
        Some(micros) => match micros.as_i64().and_then(Timestamp::from_timestamp_micros) {
            Some(at) => Ok(Some(at)),
            None => Err(Error::invalid(field, "must be microseconds since 1970")),
        },
    };
    let state = |name: &str| State::parse(name).ok_or_else(|| Error::invalid("state", "is none of the states"));
    Ok(Query {
        concept_id: given("concept_id").transpose()?.map(ConceptId::parse).transpose()?,
        checksum: given("checksum").transpose()?.map(Checksum::parse).transpose()?,
        tag: given("tag").transpose()?.map(str::to_owned),
        state: given("state").transpose()?.map(state).transpose()?,
        settled: arguments.get("settled").and_then(Value::as_bool),
        claimed_from: instant("claimed_from")?,
        claimed_before: instant("claimed_before")?,
    })
}

pub(super) fn document(row: &Row) -> Value {
    let (encoding, body) = encoded(&row.body);
    json!({
        "id": row.id.as_str(),
        "revision": row.revision,
        "concept_id": row.index.concept_id.as_ref().map(ConceptId::as_str),
        "checksum": row.index.checksum.to_string(),
        "tags": row.index.tags,
        "state": row.index.state.as_str(),
        "settled": row.index.settled,
        "claimed_at": row.index.claimed_at.timestamp_micros(),
        "body": body,
        "body_encoding": encoding,
    })
}

/// All that is known of a row that its store cannot read.
pub(super) fn place(place: &Cursor) -> Value {
    json!({"id": place.id.as_str(), "claimed_at": place.claimed_at.timestamp_micros()})
}

/// A row whose store counts its own revisions: the document's own is beside the body.
#[derive(Serialize, Deserialize)]
struct Enclosed {
    revision: u64,
    encoding: String,
    body: String,
}

pub(super) fn enclosed(row: &Row) -> Result<Row, Error> {
    let (encoding, body) = encoded(&row.body);
    let enclosed = Enclosed { revision: row.revision, encoding: encoding.to_owned(), body };
    let body = serde_json::to_vec(&enclosed)
        .map_err(|error| Error::invalid("body", "could not be written as JSON").because(error))?;
    Ok(Row { revision: 0, body: body.into(), ..row.clone() })
}

pub(super) fn opened(row: Row) -> Result<Row, Error> {
    let enclosed: Enclosed = serde_json::from_slice(&row.body)
        .map_err(|error| Error::corrupt("a document was stored by a server that compares").because(error))?;
    let body = decoded(&enclosed.body, Some(&enclosed.encoding))?;
    Ok(Row { revision: enclosed.revision, body, ..row })
}

fn encoded(body: &[u8]) -> (&'static str, String) {
    match std::str::from_utf8(body) {
        Ok(text) => ("text", text.to_owned()),
        Err(_) => ("base64", BASE64.encode(body)),
    }
}

fn decoded(text: &str, encoding: Option<&str>) -> Result<Bytes, Error> {
    match encoding {
        None | Some("text") => Ok(Bytes::copy_from_slice(text.as_bytes())),
        Some("base64") => {
            let body = BASE64.decode(text.as_bytes());
            body.map(Bytes::from).map_err(|error| Error::invalid("body", "is no base64").because(error))
        }
        Some(_) => Err(Error::invalid("body_encoding", "must be text or base64")),
    }
}
