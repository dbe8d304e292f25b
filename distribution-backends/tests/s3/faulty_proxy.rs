//! Stands between a publisher and its server, counts the requests, and lets one go wrong; or alters all
//! that is read.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{client, server};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection is cut before anything happens.
    LostRequest,
    /// It is done, and the connection is cut.
    LostAnswer,
    /// It is done, and half of the answer's body comes.
    HalfAnswer,
    /// Nothing is done: `503 SlowDown`.
    SlowDown,
    /// It is done, and the answer is `500 InternalError`.
    DoneAndFailed,
    /// It is done twice, and the second answer comes.
    DoneTwice,
    /// The connection is cut at once, and it is done later, while others are at work.
    DoneLate,
    /// The publisher dies before anything happens.
    CrashBefore,
    /// It is done, and the publisher dies without the answer.
    CrashAfter,
}

impl Fault {
    pub(crate) const ALL: [Self; 9] = [
        Self::LostRequest,
        Self::LostAnswer,
        Self::HalfAnswer,
        Self::SlowDown,
        Self::DoneAndFailed,
        Self::DoneTwice,
        Self::DoneLate,
        Self::CrashBefore,
        Self::CrashAfter,
    ];
}

/// How late [`Fault::DoneLate`] is.
const LATE: Duration = Duration::from_millis(150);

/// The proxy. It and its connections end when it is dropped.
pub(crate) struct FaultyProxy {
    pub(crate) addr: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    server: String,
    state: Mutex<State>,
    crashed: Notify,
}

#[derive(Default)]
struct State {
    /// All requests since the last arming, such as `PUT /bucket/key?partNumber=1`.
    requests: Vec<String>,
    /// What the server says to have created since the arming, such as `/bucket/key`.
    created: Vec<String>,
    armed: Vec<(usize, Fault)>,
    struck: usize,
    late: Vec<JoinHandle<()>>,
    alter: Option<(String, Alter)>,
}

/// What becomes of an object's bytes on their way.
pub(crate) type Alter = Box<dyn Fn(&[u8]) -> Vec<u8> + Send>;

type Reply = Result<Response<UnsyncBoxBody<Bytes, io::Error>>, io::Error>;

impl FaultyProxy {
    pub(crate) async fn start(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { server, state: Mutex::default(), crashed: Notify::new() });
        let accepting = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(Arc::clone(&accepting), stream));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { addr, shared, task }
    }

    /// Counts from now on, and lets the requests with these numbers go wrong.
    pub(crate) fn arm(&self, faults: &[(usize, Fault)]) {
        let mut state = self.shared.state.lock().unwrap();
        (state.requests, state.created, state.struck, state.armed) = (Vec::new(), Vec::new(), 0, faults.to_vec());
    }

    /// What was asked for since the arming.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().requests.clone()
    }

    /// The objects that the server has said to have created, once for each time that it said so.
    pub(crate) fn created(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().created.clone()
    }

    /// How many faults have happened since the arming.
    pub(crate) fn struck(&self) -> usize {
        self.shared.state.lock().unwrap().struck
    }

    /// Alters all objects that are read below this prefix; nothing any more if `None`.
    pub(crate) fn alter(&self, alter: Option<(String, Alter)>) {
        self.shared.state.lock().unwrap().alter = alter;
    }

    /// Waits until the publisher is to die.
    pub(crate) async fn crashed(&self) {
        self.shared.crashed.notified().await;
    }

    /// Waits for all that is late.
    pub(crate) async fn settle(&self) {
        let late = std::mem::take(&mut self.shared.state.lock().unwrap().late);
        for late in late {
            late.await.unwrap();
        }
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection; a client that goes away is no failure of the proxy.
async fn serve(shared: Arc<Shared>, stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| answer(Arc::clone(&shared), request));
    let _ = server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// `Err` cuts the connection.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| cut())?.to_bytes();
    let request = Request::from_parts(head, body);
    let fault = shared.count(&request);
    let Some(fault) = fault else { return shared.altered(&request).await };
    match fault {
        Fault::LostRequest => Err(cut()),
        Fault::LostAnswer => shared.forward(&request).await.and(Err(cut())),
        Fault::HalfAnswer => half(shared.forward(&request).await?),
        Fault::SlowDown => Ok(refusal(&request, StatusCode::SERVICE_UNAVAILABLE, "SlowDown")),
        Fault::DoneAndFailed => {
            shared.forward(&request).await?;
            Ok(refusal(&request, StatusCode::INTERNAL_SERVER_ERROR, "InternalError"))
        }
        Fault::DoneTwice => {
            shared.forward(&request).await?;
            shared.forward(&request).await.map(whole)
        }
        Fault::DoneLate => {
            shared.later(request);
            Err(cut())
        }
        Fault::CrashBefore => shared.crash().await,
        Fault::CrashAfter => {
            shared.forward(&request).await?;
            shared.crash().await
        }
    }
}

impl Shared {
    fn count(&self, request: &Request<Bytes>) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let number = state.requests.len();
        state.requests.push(format!("{} {}", request.method(), request.uri()));
        let (_, fault) = *state.armed.iter().find(|(armed, _)| *armed == number)?;
        state.struck += 1;
        Some(fault)
    }

    async fn altered(self: &Arc<Self>, request: &Request<Bytes>) -> Reply {
        let response = self.forward(request).await?;
        let is_read = request.method() == Method::GET && response.status().is_success();
        let state = self.state.lock().unwrap();
        Ok(whole(match &state.alter {
            Some((prefix, alter)) if is_read && request.uri().path().contains(prefix.as_str()) => {
                response.map(|body| alter(&body).into())
            }
            _ => response,
        }))
    }

    /// What has begun is ended and counted, whether or not the publisher is still there for the answer.
    async fn forward(self: &Arc<Self>, request: &Request<Bytes>) -> Result<Response<Bytes>, io::Error> {
        let (shared, request) = (Arc::clone(self), request.clone());
        tokio::spawn(async move { shared.pass_on(&request).await }).await.map_err(io::Error::other)?
    }

    /// Each over a connection of its own. The `Host` is signed and stays.
    async fn pass_on(&self, request: &Request<Bytes>) -> Result<Response<Bytes>, io::Error> {
        let stream = TcpStream::connect(&self.server).await?;
        let (mut sender, connection) =
            client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        let connection = tokio::spawn(connection);
        let sent = sender.send_request(request.clone().map(Full::new)).await.map_err(io::Error::other)?;
        let (mut head, body) = sent.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        connection.abort();
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let creates = match *request.method() {
            Method::PUT => !query.contains("partNumber"),
            _ => request.method() == Method::POST && query.contains("uploadId"),
        };
        if creates && head.status.is_success() {
            self.state.lock().unwrap().created.push(path.to_owned());
        }
        for hop in [CONNECTION, TRANSFER_ENCODING] {
            head.headers.remove(hop);
        }
        if request.method() != Method::HEAD {
            head.headers.remove(CONTENT_LENGTH);
        }
        Ok(Response::from_parts(head, body))
    }

    fn later(self: &Arc<Self>, request: Request<Bytes>) {
        let shared = Arc::clone(self);
        let late = tokio::spawn(async move {
            tokio::time::sleep(LATE).await;
            let _ = shared.forward(&request).await;
        });
        self.state.lock().unwrap().late.push(late);
    }

    async fn crash(&self) -> Reply {
        self.crashed.notify_one();
        std::future::pending().await
    }
}

fn cut() -> io::Error {
    io::Error::other("cut")
}

fn whole(response: Response<Bytes>) -> Response<UnsyncBoxBody<Bytes, io::Error>> {
    response.map(|body| Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync())
}

/// All of an answer that has no body is cut: its head is its whole.
fn half(mut response: Response<Bytes>) -> Reply {
    let len = response.body().len();
    if len == 0 {
        return Err(cut());
    }
    response.headers_mut().insert(CONTENT_LENGTH, len.into());
    Ok(response.map(|body| {
        let first = stream::iter([Ok(Frame::data(body.slice(..len / 2)))]);
        // What comes before the cut is flushed while this waits.
        let end = stream::once(async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Err(cut())
        });
        StreamBody::new(first.chain(end)).boxed_unsync()
    }))
}

fn refusal(request: &Request<Bytes>, status: StatusCode, code: &str) -> Response<UnsyncBoxBody<Bytes, io::Error>> {
    let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code></Error>");
    let body = if request.method() == Method::HEAD { Bytes::new() } else { xml.into() };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    whole(response)
}
