//! Servers of streamable HTTP in this process, which can be told what to do to which call.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use distribution_backends::{StoryConfig, StoryContract, StoryMcpMetadata};
use distribution_testkit::story::StoryServer;
use distribution_testkit::{MemoryMetadata, World};
use http::{Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Empty};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult, PaginatedRequestParams,
    ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

/// What happens to a call.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Answered,
    /// It does not arrive, and nobody says so.
    LostRequest,
    /// It is done, and nobody says so.
    LostAnswer,
    /// It is done, and answered by a text that is JSON.
    AsText,
    /// It is not done; this is the answer.
    Instead(Box<CallToolResult>),
    /// It is not done; this is the error.
    Error(ErrorData),
}

type Fates = Arc<Mutex<Box<dyn Fn(&str) -> Fate + Send>>>;

/// The reference server, with a fate for each call.
#[derive(Clone)]
pub(crate) struct Story {
    server: StoryServer,
    fates: Fates,
    pub(crate) calls: Arc<AtomicUsize>,
    tools: Vec<Tool>,
}

impl Story {
    pub(crate) fn new(server: StoryServer) -> Self {
        let fates: Fates = Arc::new(Mutex::new(Box::new(|_| Fate::Answered)));
        Self { tools: server.tools(), server, fates, calls: Arc::default() }
    }

    pub(crate) fn over_memory(world: &World) -> Self {
        Self::new(StoryServer::new(Arc::new(MemoryMetadata::new(world))))
    }

    pub(crate) fn with_tools(mut self, change: impl FnOnce(&mut Vec<Tool>)) -> Self {
        change(&mut self.tools);
        self
    }

    pub(crate) fn fate(&self, fate: impl Fn(&str) -> Fate + Send + 'static) {
        *self.fates.lock().unwrap() = Box::new(fate);
    }

    pub(crate) fn heal(&self) {
        self.fate(|_| Fate::Answered);
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl ServerHandler for Story {
    fn get_info(&self) -> ServerConfig {
        self.server.get_info()
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.tools.clone()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let fate = self.fates.lock().unwrap()(&request.name);
        let arguments = request.arguments.unwrap_or_default();
        let answer = self.server.answer(&request.name, &arguments);
        let answer = match fate {
            Fate::Answered => answer.await,
            Fate::AsText => {
                let mut answer = answer.await;
                let value = answer.structured_content.take().unwrap();
                answer.content = vec![ContentBlock::text(value.to_string())];
                answer
            }
            Fate::LostRequest => std::future::pending().await,
            Fate::LostAnswer => {
                answer.await;
                std::future::pending().await
            }
            Fate::Instead(answer) => *answer,
            Fate::Error(error) => return Err(error),
        };
        Ok(CallToolResponse::Complete(answer))
    }
}

/// A server on a port of its own; it dies when it is dropped.
pub(crate) struct Http {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Http {
    pub(crate) async fn serve(story: &Story) -> Self {
        Self::serve_on("127.0.0.1:0".parse().unwrap(), story, None).await
    }

    pub(crate) async fn serve_behind(token: &'static str, story: &Story) -> Self {
        Self::serve_on("127.0.0.1:0".parse().unwrap(), story, Some(token)).await
    }

    /// At this address, which another one may have had.
    pub(crate) async fn serve_on(address: SocketAddr, story: &Story, token: Option<&'static str>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let story = story.clone();
        let config = StreamableHttpServerConfig::default().with_max_request_body_bytes(8 << 20);
        let service: StreamableHttpService<Story, LocalSessionManager> =
            StreamableHttpService::new(move || Ok(story.clone()), Arc::default(), config);
        let task = tokio::spawn(accept(listener, service, token));
        Self { address, task }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn config(&self) -> StoryConfig {
        StoryConfig::http(&format!("http://{}/mcp", self.address)).unwrap()
    }

    pub(crate) async fn open(&self) -> StoryMcpMetadata {
        StoryMcpMetadata::open(self.config(), StoryContract::default()).await.unwrap()
    }

    /// Closes the port and every connection.
    pub(crate) async fn die(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    service: StreamableHttpService<Story, LocalSessionManager>,
    token: Option<&'static str>,
) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // An answer is more than one segment: each would wait for the one before to be acknowledged.
        stream.set_nodelay(true).unwrap();
        let service = service.clone();
        let answer = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let service = service.clone();
            async move {
                let given = request.headers().get("authorization").and_then(|value| value.to_str().ok());
                if token.is_some_and(|token| given != Some(format!("Bearer {token}").as_str())) {
                    let said = format!("not with {given:?}");
                    let body = http_body_util::Full::from(said).boxed();
                    return Ok(Response::builder().status(StatusCode::FORBIDDEN).body(body).unwrap());
                }
                Ok::<_, Infallible>(service.handle(request).await)
            }
        });
        connections.spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// What answers every request with this, whatever was asked.
pub(crate) async fn serve_bytes(status: StatusCode, kind: &'static str, body: bytes::Bytes) -> (StoryConfig, Http) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            // An answer is more than one segment: each would wait for the one before to be acknowledged.
            stream.set_nodelay(true).unwrap();
            let body = body.clone();
            let answer = service_fn(move |_: http::Request<hyper::body::Incoming>| {
                let full: BoxBody<bytes::Bytes, Infallible> = if body.is_empty() {
                    Empty::new().boxed()
                } else {
                    http_body_util::Full::new(body.clone()).boxed()
                };
                let answer = Response::builder().status(status).header("content-type", kind).body(full);
                async move { Ok::<_, Infallible>(answer.unwrap()) }
            });
            connections.spawn(async move {
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    });
    let http = Http { address, task };
    (http.config(), http)
}
