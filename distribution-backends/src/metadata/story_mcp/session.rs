//! One connection to a Story server: its transport, and the handshake.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use distribution_core::{Error, ErrorKind};
use reqwest::{Client, Url};
use rmcp::model::{CallToolRequestParams, CallToolResponse, PaginatedRequestParams, Tool};
use rmcp::service::{RoleClient, RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::common::client_side_sse::NeverRetry;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ServiceExt as _, serve_client};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};

use super::config::{Reach, StoryConfig};
use super::document::Object;
use crate::http;
use crate::quiet::quietly;

/// The longest answer: a page of the largest rows, twice over where a server repeats it as text.
pub(super) const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Of a server's list of tools.
const TOOL_PAGES_MAX: usize = 32;
/// How long a child may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(3);

pub(super) struct Session {
    service: RunningService<RoleClient, ()>,
    /// Killed when it is dropped.
    child: Option<Child>,
}

/// What makes sessions with one server.
pub(super) struct Connector {
    pub(super) config: StoryConfig,
    /// Loading the system's certificates takes long: one for all sessions.
    client: Option<Client>,
}

impl Connector {
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) if the system has no certificates.
    pub(super) fn new(config: StoryConfig) -> Result<Self, Error> {
        let client = match &config.reach {
            Reach::Stdio { .. } => None,
            Reach::Http { .. } => Some(http::build(http::client_builder()?)?),
        };
        Ok(Self { config, client })
    }

    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if there is no server, or it does not speak MCP.
    pub(super) async fn connect(&self) -> Result<Session, Error> {
        match (&self.config.reach, &self.client) {
            (Reach::Http { url, token }, Some(client)) => {
                let token = token.as_ref().map(|token| token.as_str());
                Session::over_http(&self.config, client.clone(), url, token).await
            }
            (Reach::Http { .. }, None) => Err(Error::unavailable("there is no HTTP client: open it again")),
            (Reach::Stdio { command, args }, _) => {
                let mut command = Command::new(command);
                command.args(args);
                Session::spawn(&self.config, command).await
            }
        }
    }
}

impl Session {
    /// Whether no call can be answered any more.
    pub(super) fn is_over(&self) -> bool {
        self.service.is_closed() || self.service.is_transport_closed()
    }

    pub(super) async fn tools(&self) -> Result<Vec<Tool>, ServiceError> {
        let (mut tools, mut cursor) = (Vec::new(), None);
        for _ in 0..TOOL_PAGES_MAX {
            let page = self.service.list_tools(Some(PaginatedRequestParams::default().with_cursor(cursor))).await?;
            tools.extend(page.tools);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        Ok(tools)
    }

    /// Sends one call, once.
    pub(super) async fn call(&self, tool: &str, arguments: Object) -> Result<CallToolResponse, ServiceError> {
        let call = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        self.service.call_tool_once(call).await
    }

    /// Says goodbye, and gives a child a moment to end by itself.
    pub(super) async fn close(mut self) {
        // Either way the session is over, and what failed is of no more use to anybody.
        let _ = self.service.close_with_timeout(FAREWELL).await;
        if let Some(mut child) = self.child.take() {
            let _ = tokio::time::timeout(FAREWELL, child.wait()).await;
        }
    }

    async fn spawn(config: &StoryConfig, mut command: Command) -> Result<Self, Error> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let place = config.place();
        let no_child =
            || Error::unavailable(format!("{place} cannot be started: check the command and its permissions"));
        let mut child = command.spawn().map_err(|error| no_child().because(error))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(no_child());
        };
        if let Some(stderr) = child.stderr.take() {
            tokio::spawn(log(stderr, place.clone()));
        }
        let transport = AsyncRwTransport::new_client(stdout, stdin).with_max_line_length(ANSWER_BYTES_MAX);
        let service = quietly(serve_client((), transport)).await?.map_err(|error| no_session(config, &error))?;
        Ok(Self { service, child: Some(child) })
    }

    async fn over_http(config: &StoryConfig, client: Client, url: &Url, token: Option<&str>) -> Result<Self, Error> {
        let mut http = StreamableHttpClientTransportConfig::with_uri(url.as_str())
            // A lost answer is not asked for again: this library decides what to do about it.
            .reinit_on_expired_session(false)
            .max_json_response_size(ANSWER_BYTES_MAX)
            .max_sse_event_size(ANSWER_BYTES_MAX);
        http.retry_config = Arc::new(NeverRetry::default());
        if let Some(token) = token {
            http = http.auth_header(token);
        }
        // It spawns at once.
        let service = quietly(async { ().serve(StreamableHttpClientTransport::with_client(client, http)).await });
        let service = service.await?.map_err(|error| no_session(config, &error))?;
        Ok(Self { service, child: None })
    }
}

fn no_session(config: &StoryConfig, error: &(dyn std::error::Error + 'static)) -> Error {
    let message = format!("{} cannot be reached, or does not speak MCP: repeat", config.place());
    Error::new(ErrorKind::Unavailable, message).because(told(config, error))
}

/// What went wrong, as text: rmcp's errors repeat what a server sent, at any length.
pub(super) fn told(config: &StoryConfig, error: &(dyn std::error::Error + 'static)) -> std::io::Error {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    std::io::Error::other(config.clean(&text))
}

/// A child's standard error as events, a buffer at a time, however much it writes.
async fn log(mut stderr: ChildStderr, place: String) {
    let mut buffer = vec![0; 4096];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        let text = String::from_utf8_lossy(buffer.get(..read).unwrap_or_default());
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            tracing::info!("{place} says: {}", line.escape_debug());
        }
    }
}
