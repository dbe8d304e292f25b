//! How a record is stored, checked on both sides of the disk.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::invariants;
use crate::machine::{Action, next_action};
use crate::metadata::{Index, Row, State};
use crate::record::Record;
use crate::strict_json;

impl Record {
    /// Whether nothing is left to do.
    pub fn is_settled(&self) -> bool {
        next_action(self).is_none()
    }

    /// Whether it is published and its trail is delivered: all that may be left to do is to copy it to other targets.
    pub fn is_told(&self) -> bool {
        self.state() == State::Published && matches!(next_action(self), None | Some(Action::Replicate))
    }

    /// The row that stores this record.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] if the record breaks a promise or is too large: it is not stored.
    pub fn encode(&self) -> Result<Row, Error> {
        invariants::check_written(self)?;
        let body = serde_json::to_vec(&Stored { format: FORMAT, record: self })
            .map_err(|error| Error::corrupt("a record could not be written as JSON").because(error))?;
        if body.len() > Row::BODY_BYTES_MAX {
            let message = format!("a record is {} bytes long, the limit is {}", body.len(), Row::BODY_BYTES_MAX);
            return Err(Error::corrupt(message));
        }
        Ok(Row { id: self.id().clone(), revision: self.revision, index: self.index(), body: Bytes::from(body) })
    }

    /// The record that this row stores.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`] for a row that does not decode, breaks a promise or contradicts its
    /// own columns; [`ErrorKind::Unsupported`] for one that a newer version wrote.
    pub fn decode(row: &Row) -> Result<Self, Error> {
        let corrupt = |what: &str| Error::corrupt(format!("the record of {} {what}", row.id));
        let Format { format } = strict_json::from_slice(&row.body, Row::BODY_BYTES_MAX)
            .map_err(|error| corrupt("does not decode").because(error))?;
        if format > FORMAT {
            let message = format!("the record of {} has format {format}: this version reads format {FORMAT}", row.id);
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let Stored::<Self> { record, .. } =
            serde_json::from_slice(&row.body).map_err(|error| corrupt("does not decode").because(error))?;
        let record = Self { revision: row.revision, ..record };
        invariants::check(&record)?;
        if record.id() != &row.id || record.index() != row.index {
            return Err(corrupt("contradicts the columns stored beside it"));
        }
        Ok(record)
    }

    fn index(&self) -> Index {
        let mut tags = self.details.metadata.tags.clone();
        tags.sort_unstable();
        tags.dedup();
        Index {
            concept_id: self.publication.concept_id.clone(),
            checksum: self.publication.checksum,
            tags,
            state: self.state(),
            settled: self.is_settled(),
            claimed_at: self.claimed_at,
        }
    }
}

/// The format of the stored body. A change that an older reader would misread raises it: 2 has versions, holds and
/// retractions, which a reader of 1 would leave out when it writes the record again.
const FORMAT: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Stored<R> {
    format: u32,
    record: R,
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}
