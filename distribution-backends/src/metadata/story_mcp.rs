//! Records in the Story MCP datastore.

mod client;
mod config;
mod contract;
mod document;
mod mirror;
mod session;

use async_trait::async_trait;
use distribution_core::{Advance, AuditLogId, Claim, Cursor, Error, Found, IdempotencyKey, MetadataStore, Query, Row};
use serde_json::{Value, json};

use crate::metadata::instant::micros_from;
use client::Client;
pub use config::StoryConfig;
pub use contract::{StoryAnswers, StoryArguments, StoryCollections, StoryContract, StoryDocument, StoryTools};
use document::Object;
pub use mirror::StoryMirror;

/// How many rows one call asks for: bounds an answer, whose rows may have a megabyte each.
const PAGE_ROWS: usize = 16;

/// Records in the Story MCP datastore: a client of a server that offers three tools by the Model Context
/// Protocol (<https://modelcontextprotocol.io>).
///
/// The server must be able to compare and swap: `put` must replace a document only if it is at the
/// expected revision, of many at the same time exactly one, and be durable when it answers. One without
/// an argument for it is refused as [`Unsupported`](distribution_core::ErrorKind::Unsupported).
///
/// # Which to choose
/// * Story can compare and swap, and is to be the one place of records: this.
/// * It cannot, or publishing must not wait for it to read or race: keep records in an ops database
///   (`PostgresMetadata`, `SqliteMetadata`), and give each to Story through [`MirrorTo`](crate::MirrorTo).
///
/// # The contract
/// Names are those of [`StoryContract`], by default as here. `put` stores a document if the one that is
/// there has `expected_revision`; with `null`, if none is there:
///
/// ```json
/// {"collection": "publications", "id": "dist_…", "expected_revision": 3, "revision": 4,
///  "concept_id": "story-42", "checksum": "sha256:…", "tags": ["launch"], "state": "published",
///  "settled": true, "claimed_at": 1767225600123456, "body": "{…}", "body_encoding": "text"}
/// ```
///
/// It answers `{"outcome": "stored"}`, or `{"outcome": "superseded", "current": {…}}` with the document
/// that is there; without `current`, it is read by `get`.
///
/// `get` answers `{"document": {…}}`, or `null` in its place, for
/// `{"collection": "publications", "id": "dist_…"}`. It sees what was stored before it was called.
///
/// `query` answers `{"documents": [{…}, …]}`: at most `limit` (16 and less are asked for) that match every
/// condition given, the greatest `claimed_at` first and by `id` in byte order among equals, behind the
/// place `after` (a `claimed_at`, a dot, an id); fewer only where there are no more:
///
/// ```json
/// {"collection": "publications", "concept_id": "story-42", "checksum": "sha256:…", "tag": "launch",
///  "state": "published", "settled": true, "claimed_from": 1767225600000000,
///  "claimed_before": 1767312000000000, "after": "1767225600123456.dist_…", "limit": 16}
/// ```
///
/// A document is the arguments of its `put` without `collection` and `expected_revision`. Times are
/// microseconds since 1970. A body has up to 1 MiB, must come back byte for byte, and is `text` or, where
/// it is not UTF-8 or has control characters, `base64` (RFC 4648, padded). The collection
/// `idempotency_keys` has documents of `id`, `revision` (0), `body` and `body_encoding` only, which are
/// put once, and got by their `id`.
///
/// Answers are the result's `structuredContent`, or its one text, which is JSON then. A result with
/// `isError` leaves open what happened, unless it has a `kind`: `invalid`, `conflict`, `corrupt` or
/// `unsupported`.
///
/// # Lost answers
/// Each call has a time limit ([`StoryConfig::call_timeout`]) and is sent once. One without an answer is
/// [`Unavailable`](distribution_core::ErrorKind::Unavailable); a lost connection, or child, is made anew
/// by the next call, once. An answer is read up to 64 MiB; a longer one counts as none. A write that is
/// dropped happens all the same. Calls need a tokio runtime with I/O and timers.
///
/// ```no_run
/// use distribution_backends::{StoryConfig, StoryContract, StoryMcpMetadata};
/// use distribution_core::{MetadataStore, Query};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let token = std::fs::read_to_string("/run/secrets/story")?;
/// let config = StoryConfig::http("https://story.example/mcp")?.bearer(token.trim_end())?;
/// let records = StoryMcpMetadata::open(config, StoryContract::default()).await?;
/// println!("{} records", records.find(&Query::default(), None, 10).await?.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct StoryMcpMetadata {
    client: Client,
}

impl StoryMcpMetadata {
    /// Connects, and compares the server's tools with the contract.
    ///
    /// # Errors
    /// * [`Unsupported`](distribution_core::ErrorKind::Unsupported) if a tool or an argument is not
    ///   there; it names what is missing, and the name to configure.
    /// * [`Invalid`](distribution_core::ErrorKind::Invalid) for a contract with empty or equal names.
    /// * [`Unavailable`](distribution_core::ErrorKind::Unavailable) if there is no answer.
    pub async fn open(config: StoryConfig, contract: StoryContract) -> Result<Self, Error> {
        let client = Client::open(config, contract, StoryContract::check_store).await?;
        Ok(Self { client })
    }

    /// Ends the session, and gives a child three seconds to end by itself before it is killed. Calls on
    /// any clone fail from then on.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if it was closed before.
    pub async fn close(&self) -> Result<(), Error> {
        self.client.close().await
    }

    /// Puts a document if the one there has this revision. `Err` holds the one there, if it was told.
    async fn put(&self, mut arguments: Object, expected: Option<u64>) -> Result<Result<(), Option<Value>>, Error> {
        let contract = self.client.contract();
        let (tool, names) = (&contract.tools.put, &contract.answers);
        arguments.insert(contract.arguments.expected_revision.clone(), json!(expected));
        let answer = self.client.call(tool, arguments).await?;
        let outcome = answer.get(&names.outcome).and_then(Value::as_str);
        if outcome == Some(&names.stored) {
            return Ok(Ok(()));
        }
        if outcome == Some(&names.superseded) {
            let current = answer.get(&names.current).filter(|current| !current.is_null());
            return Ok(Err(current.cloned()));
        }
        let (place, field) = (self.client.place(), &names.outcome);
        let message = format!("tool {tool:?} of {place} gave no {field:?}, what it did is unknown: check the contract");
        Err(Error::unavailable(message))
    }

    async fn get(&self, collection: &str, id: &str) -> Result<Option<Value>, Error> {
        get(&self.client, collection, id).await
    }

    /// The row in a write's way, as the write was told, or as it is now.
    async fn in_the_way(&self, id: &AuditLogId, told: Option<Value>) -> Result<Row, Error> {
        let found = match told {
            Some(document) => Some(self.row_of(id, &document)?),
            None => self.load(id).await?,
        };
        found.ok_or_else(|| {
            let place = self.client.place();
            Error::corrupt(format!("publication {id} has no document in {place}: was it removed by hand?"))
        })
    }

    fn row_of(&self, id: &AuditLogId, document: &Value) -> Result<Row, Error> {
        let row = document::row(self.client.contract(), document, self.client.place())?;
        if row.id == *id {
            return Ok(row);
        }
        let message = format!("{} answers with document {} where {id} was asked for", self.client.place(), row.id);
        Err(Error::corrupt(message))
    }

    fn named(&self, key: &IdempotencyKey, document: &Value) -> Result<AuditLogId, Error> {
        let (contract, place) = (self.client.contract(), self.client.place());
        if document.get(&contract.document.id).and_then(Value::as_str) != Some(key.as_str()) {
            return Err(Error::corrupt(format!("{place} answers with another key than was asked for")));
        }
        document::named(contract, document, place)
    }

    /// A page of at most [`PAGE_ROWS`].
    async fn page(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        let contract = self.client.contract();
        let (tool, names) = (&contract.tools.query, &contract.answers);
        let answer = self.client.call(tool, query_arguments(contract, query, after, limit)?).await?;
        let wrong = |what: &str| {
            let place = self.client.place();
            Error::corrupt(format!("tool {tool:?} of {place} {what}: does it keep the contract?"))
        };
        let documents = answer.get(&names.documents).and_then(Value::as_array);
        let documents = documents.ok_or_else(|| wrong(&format!("gave no list {:?}", names.documents)))?;
        if documents.len() > limit {
            return Err(wrong("gave more documents than were asked for"));
        }
        let mut found = Found::default();
        for document in documents {
            let before = found.end();
            let row = document::row(contract, document, self.client.place());
            if row.as_ref().is_ok_and(|row| !query.matches(&row.index)) {
                return Err(wrong("gave a document that does not match"));
            }
            found.push(|| document::cursor(contract, document), row)?;
            if before.as_ref().or(after).is_some_and(|before| found.end().as_ref() <= Some(before)) {
                return Err(wrong("gave documents that are not in order"));
            }
        }
        Ok(found)
    }
}

#[async_trait]
impl MetadataStore for StoryMcpMetadata {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        if first.revision != 0 {
            let message = format!("the first row of {} must have revision 0, not {}", first.id, first.revision);
            return Err(Error::invalid("revision", message));
        }
        let arguments = document::put_row(self.client.contract(), first)?;
        match self.put(arguments, None).await? {
            Ok(()) => Ok(Claim::Claimed),
            Err(told) => self.in_the_way(&first.id, told).await.map(Claim::Exists),
        }
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let found = self.get(&self.client.contract().collections.publications, id.as_str()).await?;
        found.map(|document| self.row_of(id, &document)).transpose()
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        let mut told = None;
        // No row is at a revision below 0.
        if let Some(expected) = next.revision.checked_sub(1) {
            let arguments = document::put_row(self.client.contract(), next)?;
            told = match self.put(arguments, Some(expected)).await? {
                Ok(()) => return Ok(Advance::Advanced),
                Err(told) => told,
            };
        }
        let row = self.in_the_way(&next.id, told).await?;
        if row.revision.checked_add(1) == Some(next.revision) {
            // It got there between the two calls: only a repeat can tell what that means.
            let message = format!("publication {} changed at the same moment: repeat", next.id);
            return Err(Error::unavailable(message));
        }
        Ok(Advance::Superseded(row))
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        let (contract, place) = (self.client.contract(), self.client.place());
        let told = match self.put(document::put_key(contract, key, id), None).await? {
            Ok(()) => return Ok(id.clone()),
            Err(told) => told,
        };
        let named = match told {
            Some(document) => Some(self.named(key, &document)?),
            None => self.bound(key).await?,
        };
        named.ok_or_else(|| Error::corrupt(format!("a bound key is gone from {place}: was it removed by hand?")))
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        let found = self.get(&self.client.contract().collections.idempotency_keys, key.as_str()).await?;
        found.map(|document| self.named(key, &document)).transpose()
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        let mut found = Found::default();
        while found.len() < limit {
            let asked = PAGE_ROWS.min(limit - found.len());
            let behind = found.end();
            let page = self.page(query, behind.as_ref().or(after), asked).await?;
            let is_last = page.len() < asked;
            found.rows.extend(page.rows);
            found.damaged.extend(page.damaged);
            if is_last {
                break;
            }
        }
        Ok(found)
    }
}

async fn get(client: &Client, collection: &str, id: &str) -> Result<Option<Value>, Error> {
    let contract = client.contract();
    let (tool, field) = (&contract.tools.get, &contract.answers.document);
    let answer = client.call(tool, document::get(contract, collection, id)).await?;
    match answer.get(field) {
        Some(Value::Null) => Ok(None),
        Some(document) => Ok(Some(document.clone())),
        None => {
            let message = format!("tool {tool:?} of {} gave no field {field:?}: check the contract", client.place());
            Err(Error::corrupt(message))
        }
    }
}

fn query_arguments(
    contract: &StoryContract,
    query: &Query,
    after: Option<&Cursor>,
    limit: usize,
) -> Result<Object, Error> {
    let (a, d) = (&contract.arguments, &contract.document);
    let micros = |at| json!(micros_from(at));
    let mut arguments = Object::new();
    let conditions = [
        (&d.concept_id, query.concept_id.as_ref().map(|id| json!(id.as_str()))),
        (&d.checksum, query.checksum.map(|checksum| json!(checksum.to_string()))),
        (&a.tag, query.tag.as_ref().map(|tag| json!(tag))),
        (&d.state, query.state.map(|state| json!(state.as_str()))),
        (&d.settled, query.settled.map(|settled| json!(settled))),
        (&a.claimed_from, query.claimed_from.map(micros)),
        (&a.claimed_before, query.claimed_before.map(micros)),
        (&a.after, after.map(|cursor| json!(cursor.to_string()))),
        (&a.collection, Some(json!(contract.collections.publications))),
        (&a.limit, Some(json!(limit))),
    ];
    for (name, value) in conditions {
        if let Some(value) = value {
            arguments.insert(name.clone(), value);
        }
    }
    Ok(arguments)
}
