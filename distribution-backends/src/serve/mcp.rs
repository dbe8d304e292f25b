//! The MCP tools of a publisher: they translate, and decide nothing.

mod answer;
mod arguments;
mod http;
mod progress;
mod tasks;
mod tools;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use distribution_core::{Error, Publisher};
use futures::FutureExt as _;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, GetTaskParams, GetTaskResult,
    Implementation, JsonObject, ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
    UpdateTaskParams,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::streamable_http_server::StreamableHttpServerConfig;
use rmcp::{ErrorData, ServerHandler, ServiceExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;

use self::arguments::{
    ConceptArguments, LinkArguments, ListArguments, RecordArguments, RetractArguments, RollbackArguments, parse,
};
use self::tasks::{Begun, TASK_TTL, TASKS_MAX, Tasks};
use crate::quiet::{on, quietly};

pub use self::http::HttpTools;

/// The longest request: core's own limit is far lower.
const REQUEST_BYTES_MAX: usize = 4 << 20;

/// The MCP tools `publish_final_asset`, `get_distribution_record`, `list_distribution_records`,
/// `get_latest_version`, `roll_back_to_version`, `restore_publication`, `retract_publication` and `issue_download_link`
/// over a publisher: a server of its own, or part of a host's.
///
/// * Links are in `structuredContent` and in a `resource_link`, never in a text.
/// * What the publisher refuses is a tool error with `kind`, `message`, `retryable` and
///   `retry_after_secs`; a tool that does not exist is a protocol error.
/// * A call that the client cancels is dropped; the same call, repeated, finishes the job.
/// * With `"dry_run": true` beside the contract's own fields, `publish_final_asset` answers with a `plan`
///   instead of a `distribution_record`, and nothing is written.
/// * A publish that takes longer than a second becomes a task, if the client has declared the extension
///   `io.modelcontextprotocol/tasks` of MCP 2026-07-28 (which has no declaration for each tool, and no list).
///   The task's `statusMessage` tells how far it is, and `tasks/get` how it ended. Whoever knows a
///   task's id, which nobody can guess, may ask for its result, link included.
///
/// Tasks are in memory: a restart loses them, and the same call, repeated, finishes the job. So it does when
/// a task has outlived its time, 6 hours, at which the SDK ends it. As long after its end a result is
/// dropped. 1,000 tasks, with those whose results are kept, are the most; beyond that, calls are
/// answered as those of other clients. [`with_tasks`](Self::with_tasks) changes both.
///
/// The SDK parses a call before anything here sees it: of an argument that is there twice, only one value is
/// left by then, so that it cannot be refused, as
/// [`PublishRequest::from_json`](distribution_core::PublishRequest::from_json) does.
///
/// The SDK itself logs every message, links included, from the level `debug` on. So [`serve_client`](Self::serve_client)
/// and [`http`](Self::http) run it on a thread whose `tracing` events go nowhere. A host that uses this type as
/// part of its own server, or has no `tracing` subscriber and takes events from `log`, leaves the target `rmcp` at
/// `info`.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use distribution_backends::serve::mcp::PublishTool;
/// use distribution_testkit::World;
///
/// let tools = PublishTool::new(Arc::new(World::new().publisher("host-1")));
/// let tools = tools.with_tasks(100, Duration::from_secs(24 * 60 * 60));
/// let names: Vec<_> = tools.tools().into_iter().map(|tool| tool.name).collect();
/// assert_eq!(names[0], "publish_final_asset");
/// ```
#[derive(Clone)]
pub struct PublishTool {
    publisher: Arc<Publisher>,
    tasks: Tasks,
    /// Where the publisher works, if not where it is called.
    home: Option<Handle>,
}

impl PublishTool {
    /// The tools of this publisher.
    pub fn new(publisher: Arc<Publisher>) -> Self {
        Self { publisher, tasks: Tasks::new(TASKS_MAX, TASK_TTL), home: None }
    }

    /// The same with at most so many tasks, each with so much time from its beginning, and its result
    /// with as much from its end. Milliseconds count.
    pub fn with_tasks(self, tasks_max: usize, ttl: Duration) -> Self {
        Self { tasks: Tasks::new(tasks_max, ttl), ..self }
    }

    /// Serves one client over these two, such as standard input and output, until it goes away.
    ///
    /// # Errors
    /// [`Unavailable`](distribution_core::ErrorKind::Unavailable) if the client breaks off the beginning.
    pub async fn serve_client<R, W>(self, read: R, write: W) -> Result<(), Error>
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let failed = |error: &dyn Display| Error::unavailable(format!("the client cannot be served: {error}"));
        let tools = Self { home: Handle::try_current().ok(), ..self };
        let served = async move {
            let session = ServiceExt::serve(tools, AsyncRwTransport::new_server(read, write));
            let session = session.await.map_err(|error| failed(&error))?;
            session.waiting().await.map(drop).map_err(|error| failed(&error))
        };
        quietly(served).await?
    }

    /// The service of MCP's streamable HTTP transport, for a `tower` or `hyper` server. Requests are let in whose
    /// `Host` is one of `hosts`, with or without a port, or of this machine: a page in a browser could otherwise
    /// reach it by a name of its own (DNS rebinding). It asks nobody who they are: that is the host's part.
    pub fn http(self, hosts: impl IntoIterator<Item = String>) -> HttpTools {
        let mut config = StreamableHttpServerConfig::default().with_max_request_body_bytes(REQUEST_BYTES_MAX);
        config.allowed_hosts.extend(hosts);
        HttpTools::new(self, config)
    }

    /// The tools, with their schemas, for a host that lists them among its own.
    pub fn tools(&self) -> Vec<Tool> {
        tools::tools()
    }

    /// Carries out a call of one of the [`tools`](Self::tools), and never as a task. A host that wants tasks
    /// declares the extension and passes calls and what is asked of tasks on to this type's own
    /// [`ServerHandler`].
    ///
    /// # Errors
    /// The protocol's `invalid params` for a tool that is not among them; its `internal error`, which no
    /// client gets to see, if the client has cancelled the call.
    pub async fn call(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        unless_cancelled(&context, self.answer(&request.name, &arguments, &context)).await?
    }

    async fn answer(
        &self,
        tool: &str,
        arguments: &JsonObject,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResult, ErrorData> {
        let answer = match tool {
            tools::PUBLISH => match self.begin(arguments) {
                Ok(mut begun) => Ok(begun.result(context).await),
                Err(error) => Err(error),
            },
            tools::RECORD => self.record(arguments).await,
            tools::RECORDS => self.records(arguments).await,
            tools::LINK => self.link(arguments).await,
            tools::LATEST => self.latest(arguments).await,
            tools::ROLLBACK => self.rollback(arguments).await,
            tools::RESTORE => self.restore(arguments).await,
            tools::RETRACT => self.retract(arguments).await,
            _ => return Err(ErrorData::invalid_params("there is no such tool", None)),
        };
        Ok(answer.unwrap_or_else(|error| answer::failed(&error)))
    }

    fn begin(&self, arguments: &JsonObject) -> Result<Begun, Error> {
        let (request, dry_run) = arguments::publish(arguments)?;
        let publisher = Arc::clone(&self.publisher);
        let (watch, news) = progress::watch();
        let work = async move {
            let answer = if dry_run {
                publisher.plan(request).await.and_then(answer::planned)
            } else {
                publisher.publish_watched(request, watch).await.and_then(answer::published)
            };
            answer.unwrap_or_else(|error| answer::failed(&error))
        };
        let work = self.at_home(work).map(|done| done.unwrap_or_else(|error| answer::failed(&error)));
        Ok(Begun { work: work.boxed(), news })
    }

    async fn record(&self, arguments: &JsonObject) -> Result<CallToolResult, Error> {
        let RecordArguments { audit_log_id } = parse(arguments)?;
        let (publisher, id) = (Arc::clone(&self.publisher), audit_log_id.clone());
        answer::record(&audit_log_id, self.at_home(async move { publisher.record(&id).await }).await??)
    }

    async fn records(&self, arguments: &JsonObject) -> Result<CallToolResult, Error> {
        let wanted: ListArguments = parse(arguments)?;
        let (query, after, limit) = wanted.query()?;
        let publisher = Arc::clone(&self.publisher);
        let found = self.at_home(async move { publisher.records(&query, after.as_ref(), limit).await });
        answer::records(found.await??)
    }

    async fn latest(&self, arguments: &JsonObject) -> Result<CallToolResult, Error> {
        let ConceptArguments { concept_id } = parse(arguments)?;
        let (publisher, concept) = (Arc::clone(&self.publisher), concept_id.clone());
        answer::latest(&concept_id, self.at_home(async move { publisher.latest(&concept).await }).await??)
    }

    async fn rollback(&self, arguments: &JsonObject) -> Result<CallToolResult, Error> {
        let RollbackArguments { concept_id, version } = parse(arguments)?;
        let (publisher, concept) = (Arc::clone(&self.publisher), concept_id.clone());
        let latest = self.at_home(async move { publisher.rollback(&concept, version).await }).await??;
        answer::latest(&concept_id, Some(latest))
    }

    async fn restore(&self, arguments: &JsonObject) -> Result<CallToolResult, Error> {
        let RecordArguments { audit_log_id } = parse(arguments)?;
        let (publisher, id) = (Arc::clone(&self.publisher), audit_log_id.clone());
        answer::record(&audit_log_id, Some(self.at_home(async move { publisher.restore(&id).await }).await??))
    }

    async fn retract(&self, arguments: &JsonObject) -> Result<CallToolResult, Error> {
        let RetractArguments { audit_log_id, reason } = parse(arguments)?;
        let publisher = Arc::clone(&self.publisher);
        answer::retracted(self.at_home(async move { publisher.retract(&audit_log_id, &reason).await }).await??)
    }

    async fn link(&self, arguments: &JsonObject) -> Result<CallToolResult, Error> {
        let LinkArguments { audit_log_id, valid_for_secs } = parse(arguments)?;
        let (publisher, id) = (Arc::clone(&self.publisher), audit_log_id.clone());
        let signed = self.at_home(async move { publisher.link(&id, Duration::from_secs(valid_for_secs)).await });
        answer::link(&audit_log_id, &signed.await??)
    }

    /// What work of the publisher comes to, which needs the host's runtime and may be heard.
    fn at_home<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = Result<T, Error>> + Send + 'static {
        let home = self.home.clone();
        async move {
            match home {
                Some(home) => on(&home, work).await,
                None => Ok(work.await),
            }
        }
    }
}

impl ServerHandler for PublishTool {
    fn get_info(&self) -> ServerConfig {
        let server = Implementation::new("distribution", env!("CARGO_PKG_VERSION"));
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tasks().build()).with_server_info(server)
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
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let takes_tasks = context.client_capabilities().is_some_and(|client| client.supports_tasks());
        if !takes_tasks || request.name != tools::PUBLISH {
            return self.call(request, context).await.map(CallToolResponse::Complete);
        }
        match self.begin(&request.arguments.unwrap_or_default()) {
            Ok(begun) => unless_cancelled(&context, self.tasks.carry_out(begun, &context)).await,
            Err(error) => Ok(CallToolResponse::Complete(answer::failed(&error))),
        }
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.tasks.manager.get_task(&request.task_id).map(GetTaskResult::new)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.manager.update_task(&request.task_id, request.input_responses)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.tasks.manager.cancel_task(&request.task_id)
    }
}

/// # Errors
/// If the client has cancelled the call: then the work is dropped.
async fn unless_cancelled<T>(
    context: &RequestContext<RoleServer>,
    work: impl Future<Output = T>,
) -> Result<T, ErrorData> {
    tokio::select! {
        () = context.ct.cancelled() => Err(ErrorData::internal_error("the call was cancelled", None)),
        done = work => Ok(done),
    }
}
