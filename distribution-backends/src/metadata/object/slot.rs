//! What is in an object: a line with the SHA-256 of all that follows; in a slot, a line of JSON with the
//! columns, and the body as it is.

use bytes::Bytes;
use distribution_core::{AuditLogId, Checksum, Error, ErrorKind, Index, ObjectKey, Row, State, Timestamp};
use serde::{Deserialize, Serialize};

use crate::metadata::instant::micros;

/// The most bytes that are read of a slot: the longest body, and columns that are far longer than any.
pub(super) const SLOT_BYTES_MAX: usize = 2 * Row::BODY_BYTES_MAX;

/// A change that an older reader would misread raises it.
const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Columns {
    format: u32,
    id: AuditLogId,
    revision: u64,
    concept_id: Option<distribution_core::ConceptId>,
    checksum: Checksum,
    tags: Vec<String>,
    state: State,
    settled: bool,
    /// Microseconds since 1970.
    claimed_at: i64,
}

/// With its SHA-256 before it.
pub(super) fn seal(contents: &[u8]) -> Bytes {
    [Checksum::of(contents).to_string().as_bytes(), b"\n", contents].concat().into()
}

/// What was sealed.
///
/// # Errors
/// [`ErrorKind::Corrupt`] for anything else.
pub(super) fn unseal(key: &ObjectKey, sealed: &Bytes) -> Result<Bytes, Error> {
    let (checksum, contents) = split(sealed).ok_or_else(|| corrupt(key, "is cut"))?;
    if Checksum::of(&contents).to_string().as_bytes() != checksum {
        return Err(corrupt(key, "has other bytes than were written"));
    }
    Ok(contents)
}

/// What an operator has to see to.
pub(super) fn corrupt(key: &ObjectKey, what: &str) -> Error {
    Error::corrupt(format!("{key} {what}: bring it back from a backup or an older version of the object"))
}

/// The first line, and what is behind it.
fn split(bytes: &Bytes) -> Option<(Bytes, Bytes)> {
    let line = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.slice(..line), bytes.slice(line + 1..)))
}

/// # Errors
/// [`ErrorKind::Invalid`] for a time that would not come back as it is, or columns that are too long.
pub(super) fn encode(row: &Row) -> Result<Bytes, Error> {
    let Index { concept_id, checksum, tags, state, settled, claimed_at } = row.index.clone();
    let columns = Columns {
        format: FORMAT,
        id: row.id.clone(),
        revision: row.revision,
        concept_id,
        checksum,
        tags,
        state,
        settled,
        claimed_at: micros(claimed_at)?,
    };
    let mut contents = serde_json::to_vec(&columns)
        .map_err(|error| Error::new(ErrorKind::Invalid, "a row could not be written as JSON").because(error))?;
    contents.push(b'\n');
    contents.extend_from_slice(&row.body);
    let slot = seal(&contents);
    if slot.len() > SLOT_BYTES_MAX {
        let message = format!("a row is {} bytes long with its columns, the limit is {SLOT_BYTES_MAX}", slot.len());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    Ok(slot)
}

/// # Errors
/// [`ErrorKind::Corrupt`] for what does not decode or is not the row that its key says;
/// [`ErrorKind::Unsupported`] for what a newer version wrote.
pub(super) fn decode(key: &ObjectKey, id: &AuditLogId, revision: u64, slot: &Bytes) -> Result<Row, Error> {
    let (columns, body) = split(&unseal(key, slot)?).ok_or_else(|| corrupt(key, "is cut"))?;
    let undecodable = |error| corrupt(key, "does not decode").because(error);
    let Format { format } = serde_json::from_slice(&columns).map_err(undecodable)?;
    if format > FORMAT {
        let message = format!("the record at {key} has format {format}: this version reads format {FORMAT}");
        return Err(Error::new(ErrorKind::Unsupported, message));
    }
    let columns: Columns = serde_json::from_slice(&columns).map_err(undecodable)?;
    if (&columns.id, columns.revision) != (id, revision) {
        return Err(corrupt(key, "is another one than its key says"));
    }
    let Columns { id, revision, concept_id, checksum, tags, state, settled, .. } = columns;
    let claimed_at = Timestamp::from_timestamp_micros(columns.claimed_at)
        .ok_or_else(|| corrupt(key, "was claimed past the end of the calendar"))?;
    Ok(Row { id, revision, index: Index { concept_id, checksum, tags, state, settled, claimed_at }, body })
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}
