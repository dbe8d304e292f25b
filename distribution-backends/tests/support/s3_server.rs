//! An [`S3Double`] behind a real socket on loopback, by hyper. What the double cuts is really cut.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use distribution_testkit::s3::{Answer, S3Double};
use futures::stream::{self, StreamExt as _};
use http::{Request, Response};
use http_body_util::{BodyExt as _, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How long a request whose check races is held, so that others come in between.
const RACE: Duration = Duration::from_millis(50);

/// The server. It and its connections end when it is dropped.
pub(crate) struct S3Server {
    endpoint: String,
    task: JoinHandle<()>,
}

impl S3Server {
    /// Serves the double at a free port.
    pub(crate) async fn start(double: S3Double) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(double.clone(), stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { endpoint, task }
    }

    /// Such as `http://127.0.0.1:40321`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection; a client that goes away is no failure of the server.
async fn serve(double: S3Double, stream: TcpStream) {
    // Heads and short bodies are two writes.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(double.clone(), request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// `Err` cuts the connection. A body that does not arrive is no request: its bytes are not told.
async fn answer(
    double: S3Double,
    request: Request<Incoming>,
) -> Result<Response<UnsyncBoxBody<Bytes, io::Error>>, io::Error> {
    let cut = || io::Error::other("cut");
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| cut())?.to_bytes();
    let begun = double.begin(Request::from_parts(head, body));
    if begun.is_racy() {
        tokio::time::sleep(RACE).await;
    }
    match begun.finish() {
        Answer::Whole(response) => Ok(response
            .map(|body| http_body_util::Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync())),
        Answer::Cut(response, after) => Ok(response.map(|body| {
            let first = stream::iter([Ok(Frame::data(body.slice(..after)))]);
            // What comes before the cut is flushed while this waits.
            let end = stream::once(async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(io::Error::other("cut"))
            });
            StreamBody::new(first.chain(end)).boxed_unsync()
        })),
        Answer::Nothing => Err(cut()),
    }
}
