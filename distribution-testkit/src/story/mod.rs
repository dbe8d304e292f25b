//! A reference server of the Story MCP contract, over any metadata store.

mod document;
mod tools;

use std::collections::BTreeMap;
use std::sync::Arc;

use distribution_core::{
    Advance, AuditLogId, Claim, Cursor, Error, ErrorKind, IdempotencyKey, MetadataStore, Query, Row,
};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, JsonObject, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};

use document::{enclosed, opened};

/// What a client may send at once: the largest body, escaped, and what is around it.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// How often a write without comparing is begun anew where others write too.
const TRIES: usize = 64;

/// A server of the contract that `StoryMcpMetadata` of distribution-backends speaks, over any
/// [`MetadataStore`]: the tools `put`, `get` and `query`, over MCP.
///
/// ```
/// use std::sync::Arc;
///
/// use distribution_testkit::story::StoryServer;
/// use distribution_testkit::{MemoryMetadata, World};
///
/// let server = StoryServer::new(Arc::new(MemoryMetadata::new(&World::new()))).renamed("put", "story_upsert");
/// let names: Vec<_> = server.tools().into_iter().map(|tool| tool.name).collect();
/// assert_eq!(names, ["story_upsert", "get", "query"]);
/// ```
#[derive(Clone)]
pub struct StoryServer {
    store: Arc<dyn MetadataStore>,
    compares: bool,
    /// What it calls a tool, an argument or a field of an answer, by the contract's name.
    names: BTreeMap<String, String>,
}

impl StoryServer {
    /// A server over this store.
    pub fn new(store: Arc<dyn MetadataStore>) -> Self {
        Self { store, compares: true, names: BTreeMap::new() }
    }

    /// The same without compare-and-swap: `put` has no `expected_revision`, and what comes last stays. What
    /// it stores can be read only this way: the store counts its own revisions, with the document's in the
    /// body.
    pub fn without_revision(mut self) -> Self {
        self.compares = false;
        self
    }

    /// The same, with another name for a tool, an argument, a field of an answer, or an outcome.
    pub fn renamed(mut self, standard: &str, name: &str) -> Self {
        self.names.insert(standard.to_owned(), name.to_owned());
        self
    }

    /// Serves one client on these, such as standard input and output, until it goes.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if the client does not speak MCP.
    pub async fn serve<R, W>(self, read: R, write: W) -> Result<(), Error>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let transport = AsyncRwTransport::new_server(read, write);
        let failed =
            |error: &dyn std::fmt::Display| Error::unavailable(format!("the client cannot be served: {error}"));
        let session = ServiceExt::serve(self, transport).await.map_err(|error| failed(&error))?;
        session.waiting().await.map(|_| ()).map_err(|error| failed(&error))
    }

    /// The service of MCP's streamable HTTP transport, for a `tower` or `hyper` server on this machine.
    pub fn http(self) -> StreamableHttpService<Self, LocalSessionManager> {
        let config = StreamableHttpServerConfig::default().with_max_request_body_bytes(REQUEST_BYTES_MAX);
        StreamableHttpService::new(move || Ok(self.clone()), Arc::default(), config)
    }

    /// The tools, with their schemas.
    pub fn tools(&self) -> Vec<Tool> {
        tools::tools(self.compares, |standard| self.name(standard).to_owned())
    }

    /// What a tool answers, for a server of a test that loses, breaks or delays it.
    pub async fn answer(&self, tool: &str, arguments: &JsonObject) -> CallToolResult {
        let tool = ["put", "get", "query"].into_iter().find(|standard| self.name(standard) == tool);
        let arguments = Arguments { server: self, given: arguments };
        let answer = match tool {
            Some("put") => self.put(&arguments).await,
            Some("get") => self.get(&arguments).await,
            Some(_) => self.query(&arguments).await,
            None => Err(Error::new(ErrorKind::Unsupported, "there is no such tool")),
        };
        let told = |value: Value, is_error: bool| {
            // Not as text too, which would double it.
            let mut result = CallToolResult::success(Vec::new());
            result.structured_content = Some(self.with_names(value));
            result.is_error = Some(is_error);
            result
        };
        match answer {
            Ok(value) => told(value, false),
            Err(error) => told(json!({"kind": error.kind().as_str(), "message": error.to_string()}), true),
        }
    }

    async fn put(&self, arguments: &Arguments<'_>) -> Result<Value, Error> {
        if arguments.text("collection")? == "idempotency_keys" {
            return self.put_key(arguments).await;
        }
        let row = document::row(arguments)?;
        if !self.compares {
            self.overwrite(&row).await?;
            return Ok(json!({"outcome": "stored"}));
        }
        let current = match arguments.get("expected_revision") {
            Some(Value::Null) if row.revision == 0 => match self.store.claim(&row).await? {
                Claim::Claimed => return Ok(json!({"outcome": "stored"})),
                Claim::Exists(current) => Some(current),
            },
            Some(expected) if expected.as_u64().and_then(|n| n.checked_add(1)) == Some(row.revision) => {
                match self.store.advance(&row).await {
                    Ok(Advance::Advanced) => return Ok(json!({"outcome": "stored"})),
                    Ok(Advance::Superseded(current)) => Some(current),
                    // There may be none to replace.
                    Err(error) if error.kind() == ErrorKind::Corrupt => match self.store.load(&row.id).await? {
                        Some(_) => return Err(error),
                        None => None,
                    },
                    Err(error) => return Err(error),
                }
            }
            _ => {
                let message = "must be null for a first revision 0, or one less than the new revision";
                return Err(Error::invalid("expected_revision", message));
            }
        };
        Ok(json!({"outcome": "superseded", "current": current.as_ref().map(|row| self.document(row))}))
    }

    async fn put_key(&self, arguments: &Arguments<'_>) -> Result<Value, Error> {
        let key = IdempotencyKey::parse(arguments.text("id")?)?;
        let body = document::body(arguments)?;
        let id = std::str::from_utf8(&body).map_err(|_| Error::invalid("body", "must be text"))?;
        let id = AuditLogId::parse(id)?;
        let named = self.store.bind(&key, &id).await?;
        if named == id {
            return Ok(json!({"outcome": "stored"}));
        }
        Ok(json!({"outcome": "superseded", "current": self.with_names(key_document(&key, &named))}))
    }

    /// Stores what comes last, whatever is there.
    async fn overwrite(&self, row: &Row) -> Result<(), Error> {
        let mut next = enclosed(row)?;
        for _ in 0..TRIES {
            let current = match next.revision {
                0 => match self.store.claim(&next).await? {
                    Claim::Claimed => return Ok(()),
                    Claim::Exists(current) => current,
                },
                _ => match self.store.advance(&next).await? {
                    Advance::Advanced => return Ok(()),
                    Advance::Superseded(current) => current,
                },
            };
            next.revision = current.revision + 1;
        }
        Err(Error::unavailable("too many write this document at once: repeat"))
    }

    async fn get(&self, arguments: &Arguments<'_>) -> Result<Value, Error> {
        if arguments.text("collection")? == "idempotency_keys" {
            let key = IdempotencyKey::parse(arguments.text("id")?)?;
            let named = self.store.bound(&key).await?;
            return Ok(json!({"document": named.map(|named| self.with_names(key_document(&key, &named)))}));
        }
        let row = self.store.load(&AuditLogId::parse(arguments.text("id")?)?).await?;
        let row = row.map(|row| self.opened(row)).transpose()?;
        Ok(json!({"document": row.as_ref().map(|row| self.document(row))}))
    }

    async fn query(&self, arguments: &Arguments<'_>) -> Result<Value, Error> {
        let query: Query = document::query(arguments)?;
        let after: Option<Cursor> = match arguments.get("after") {
            Some(_) => Some(arguments.text("after")?.parse()?),
            None => None,
        };
        let limit = arguments.get("limit").and_then(Value::as_u64);
        let limit = limit.ok_or_else(|| Error::invalid("limit", "must be a number"))?;
        let limit = usize::try_from(limit.min(100)).unwrap_or(100);
        let found = self.store.find(&query, after.as_ref(), limit).await?;
        let mut documents = Vec::with_capacity(found.len());
        for row in found.rows {
            let (place, row) = (row.cursor(), self.opened(row)?);
            documents.push((place, self.document(&row)));
        }
        // All that is known of it. The client sees that the rest is missing.
        documents.extend(found.damaged.into_iter().map(|(place, _)| {
            let known = self.with_names(document::place(&place));
            (place, known)
        }));
        documents.sort_by(|(place, _), (other, _)| place.cmp(other));
        Ok(json!({"documents": documents.into_iter().map(|(_, document)| document).collect::<Vec<_>>()}))
    }

    fn opened(&self, row: Row) -> Result<Row, Error> {
        if self.compares { Ok(row) } else { opened(row) }
    }

    fn document(&self, row: &Row) -> Value {
        self.with_names(document::document(row))
    }

    fn name<'a>(&'a self, standard: &'a str) -> &'a str {
        self.names.get(standard).map_or(standard, String::as_str)
    }

    /// The object with this server's names, of an outcome too.
    fn with_names(&self, value: Value) -> Value {
        let Value::Object(fields) = value else { return value };
        let named = fields.into_iter().map(|(field, value)| {
            let value = match value {
                Value::String(outcome) if field == "outcome" => Value::String(self.name(&outcome).to_owned()),
                value => value,
            };
            (self.name(&field).to_owned(), value)
        });
        Value::Object(named.collect())
    }
}

/// A tool's arguments by the contract's names.
struct Arguments<'a> {
    server: &'a StoryServer,
    given: &'a JsonObject,
}

impl Arguments<'_> {
    fn get(&self, standard: &str) -> Option<&Value> {
        self.given.get(self.server.name(standard))
    }

    fn text(&self, standard: &str) -> Result<&str, Error> {
        self.get(standard).and_then(Value::as_str).ok_or_else(|| Error::invalid(standard, "must be a text"))
    }
}

impl ServerHandler for StoryServer {
    fn get_info(&self) -> ServerConfig {
        let server = Implementation::new("story-reference", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build()).with_server_info(server)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        Ok(CallToolResponse::Complete(self.answer(&request.name, &arguments).await))
    }
}

fn key_document(key: &IdempotencyKey, named: &AuditLogId) -> Value {
    json!({"id": key.as_str(), "revision": 0, "body": named.as_str(), "body_encoding": "text"})
}
