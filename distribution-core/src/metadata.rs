//! The metadata port: a compare-and-swap document store with a few indexed columns.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind, quote};
use crate::identity::AuditLogId;
use crate::key::ConceptId;
use crate::object::Checksum;
use crate::request::IdempotencyKey;
use crate::time::Timestamp;

/// Where records live. Every sentence of a method's documentation is a guarantee, and
/// `distribution_testkit::conformance::metadata` has a check for it.
///
/// Any method may fail with [`Unavailable`](crate::ErrorKind::Unavailable): a write may then have
/// happened, and the caller reads before it concludes. Implementations retry no write whose outcome
/// is unknown: a lost answer would come back as "somebody else was first".
#[async_trait]
pub trait MetadataStore: Send + Sync + 'static {
    /// Inserts the first row of a publication, at revision 0, unless it has one.
    ///
    /// * Of many that claim one id at the same time, exactly one is told [`Claim::Claimed`].
    /// * The row is durable, and every later read sees it, when that is returned.
    async fn claim(&self, first: &Row) -> Result<Claim, Error>;

    /// The publication's row as of now; `None` if it has none.
    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error>;

    /// Replaces the row at revision `next.revision - 1` by `next`, index and body at once.
    ///
    /// * If the row is at another revision, nothing changes: the answer is [`Advance::Superseded`]
    ///   with the row as it is.
    /// * Of many that advance one revision at the same time, exactly one is told
    ///   [`Advance::Advanced`]; it is durable, and every later read sees it, when that is returned.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if the publication has no row.
    async fn advance(&self, next: &Row) -> Result<Advance, Error>;

    /// Makes `key` name the publication `id`, unless it names one, and returns the one it names. A
    /// name never changes.
    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error>;

    /// The publication that `key` names as of now; `None` if it names none yet.
    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error>;

    /// At most `limit` rows that match `query`, newest claim first (and by id among equals),
    /// beginning behind `after`; fewer only where there are no more. A row that is there and cannot be
    /// read is told as [`Found::damaged`] and hides no other.
    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error>;
}

/// A record as a store sees it: columns to find it by, and a body that is opaque to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The publication.
    pub id: AuditLogId,
    /// How often the row has been replaced.
    pub revision: u64,
    /// What the row can be found by.
    pub index: Index,
    /// The record itself, at most [`Row::BODY_BYTES_MAX`].
    pub body: Bytes,
}

impl Row {
    /// The most bytes that a body has.
    pub const BODY_BYTES_MAX: usize = 1 << 20;

    /// Where this row is in the order of [`MetadataStore::find`].
    pub fn cursor(&self) -> Cursor {
        Cursor { claimed_at: self.index.claimed_at, id: self.id.clone() }
    }
}

/// The columns that a row can be found by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// The work of which the file is a version.
    pub concept_id: Option<ConceptId>,
    /// The approved bytes.
    pub checksum: Checksum,
    /// The tags, each once, in byte order.
    pub tags: Vec<String>,
    /// How far the publication is.
    pub state: State,
    /// Whether nothing is left to do.
    pub settled: bool,
    /// When the publication began; never changes.
    pub claimed_at: Timestamp,
}

/// How far a publication is, for a user interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Work has begun: bytes may be on their way or stored, and are not proven yet.
    InProgress,
    /// The approved bytes are proven at their place.
    Published,
    /// It could not go on; the same request opens it again.
    Rejected,
    /// It was taken back.
    Retracted,
}

impl State {
    /// All states.
    pub const ALL: [Self; 4] = [Self::InProgress, Self::Published, Self::Rejected, Self::Retracted];

    /// The state's name, such as `in_progress`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "in_progress",
            Self::Published => "published",
            Self::Rejected => "rejected",
            Self::Retracted => "retracted",
        }
    }

    /// The state with this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }
}

/// Which rows to find: those that match every field that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Rows of this work.
    pub concept_id: Option<ConceptId>,
    /// Rows with these bytes.
    pub checksum: Option<Checksum>,
    /// Rows with this tag.
    pub tag: Option<String>,
    /// Rows in this state.
    pub state: Option<State>,
    /// Rows with nothing, or something, left to do.
    pub settled: Option<bool>,
    /// Rows claimed then or later.
    pub claimed_from: Option<Timestamp>,
    /// Rows claimed before then.
    pub claimed_before: Option<Timestamp>,
}

impl Query {
    /// Whether a row with this index matches.
    pub fn matches(&self, index: &Index) -> bool {
        self.concept_id.as_ref().is_none_or(|id| index.concept_id.as_ref() == Some(id))
            && self.checksum.is_none_or(|checksum| index.checksum == checksum)
            && self.tag.as_ref().is_none_or(|tag| index.tags.contains(tag))
            && self.state.is_none_or(|state| index.state == state)
            && self.settled.is_none_or(|settled| index.settled == settled)
            && self.claimed_from.is_none_or(|from| index.claimed_at >= from)
            && self.claimed_before.is_none_or(|before| index.claimed_at < before)
    }
}

/// What a [`MetadataStore::find`] found.
#[derive(Debug, Default)]
pub struct Found {
    /// The rows that match, in order.
    pub rows: Vec<Row>,
    /// What is in between and cannot be read, each with its place; it may match or not. An error is
    /// [`Corrupt`](crate::ErrorKind::Corrupt) or, for what a newer version wrote,
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    pub damaged: Vec<(Cursor, Error)>,
}

impl Found {
    /// How many there are, damaged ones included: what the limit of a find is about.
    pub fn len(&self) -> usize {
        self.rows.len() + self.damaged.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the last one is: what the next page is behind.
    pub fn end(&self) -> Option<Cursor> {
        let damaged = self.damaged.last().map(|(place, _)| place.clone());
        self.rows.last().map(Row::cursor).into_iter().chain(damaged).max()
    }

    /// Adds a row, or that the one at `place` is damaged.
    ///
    /// # Errors
    /// That of the row, if it says nothing of damage.
    pub fn push(&mut self, place: impl FnOnce() -> Option<Cursor>, row: Result<Row, Error>) -> Result<(), Error> {
        match row {
            Ok(row) => self.rows.push(row),
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) => match place() {
                Some(place) => self.damaged.push((place, error)),
                None => return Err(error),
            },
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl From<Vec<Row>> for Found {
    /// Of a store where no row is damaged.
    fn from(rows: Vec<Row>) -> Self {
        Self { rows, damaged: Vec::new() }
    }
}

/// A place in the order of [`MetadataStore::find`]: newest first, then by id; what comes later is greater.
/// As text, for the next page of a user interface: the microseconds since 1970, a dot, the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// When the row at that place was claimed.
    pub claimed_at: Timestamp,
    /// The row at that place.
    pub id: AuditLogId,
}

impl Ord for Cursor {
    fn cmp(&self, other: &Self) -> Ordering {
        other.claimed_at.cmp(&self.claimed_at).then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.claimed_at.timestamp_micros(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split_once('.').and_then(|(micros, id)| {
            let claimed_at = Timestamp::from_timestamp_micros(micros.parse().ok()?)?;
            Some(Self { claimed_at, id: AuditLogId::parse(id).ok()? })
        });
        let message = || format!("is no place in a list: {}: begin at the first page", quote(text));
        parts.ok_or_else(|| Error::invalid("cursor", message()))
    }
}

/// What became of a [`MetadataStore::claim`] that gave an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The row is the publication's first.
    Claimed,
    /// The publication has this row.
    Exists(Row),
}

/// What became of a [`MetadataStore::advance`] that gave an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advance {
    /// The row was replaced.
    Advanced,
    /// The row was, and still is, this one.
    Superseded(Row),
}
