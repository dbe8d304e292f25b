//! The tools over streamable HTTP, as a service of the host's server.

use std::convert::Infallible;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use distribution_core::Error;
use futures::future::BoxFuture;
use futures::{FutureExt as _, stream};
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, StreamBody};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tower_service::Service;

use super::PublishTool;
use crate::quiet::quietly;

type Sdk = StreamableHttpService<PublishTool, LocalSessionManager>;
type Answer = Response<BoxBody<Bytes, Infallible>>;

/// A `tower` service that [`PublishTool::http`] makes. It works within a Tokio runtime, the same for all requests.
#[derive(Clone)]
pub struct HttpTools {
    sdk: Sdk,
    /// Where the publisher works: where the first request came from.
    home: Arc<OnceLock<Handle>>,
}

impl HttpTools {
    pub(super) fn new(tools: PublishTool, config: StreamableHttpServerConfig) -> Self {
        let home = Arc::new(OnceLock::<Handle>::new());
        let of_tools = Arc::clone(&home);
        let tools = move || Ok(PublishTool { home: of_tools.get().cloned(), ..tools.clone() });
        Self { sdk: StreamableHttpService::new(tools, Arc::default(), config), home }
    }
}

impl<B> Service<Request<B>> for HttpTools
where
    B: Send + 'static,
    Sdk: Service<Request<B>, Response = Answer, Error = Infallible>,
    <Sdk as Service<Request<B>>>::Future: Send,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut sdk, home) = (self.sdk.clone(), Arc::clone(&self.home));
        async move {
            home.get_or_init(Handle::current);
            let answer = quietly(async move { sdk.call(request).await.map(at_once) }).await;
            answer.unwrap_or_else(|_: Error| Ok(unavailable()))
        }
        .boxed()
    }
}

/// The same answer, whose body is made where this is called and only handed over where it is read: the SDK logs
/// messages while they are read, too.
fn at_once(answer: Answer) -> Answer {
    let (head, mut body) = answer.into_parts();
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let frame = tokio::select! {
                frame = body.frame() => frame,
                () = sender.closed() => return,
            };
            let Some(frame) = frame else { return };
            if sender.send(frame).await.is_err() {
                return;
            }
        }
    });
    let frames = stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    Response::from_parts(head, BodyExt::boxed(StreamBody::new(frames)))
}

fn unavailable() -> Answer {
    let mut answer = Response::new(BodyExt::boxed(Empty::new()));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}
