//! A transport on which the n-th request fails.

use std::sync::{Arc, Mutex};

use distribution_backends::opendal::{self, Buffer, Error, ErrorKind, HttpBody, HttpTransport};
use futures::stream::{self, StreamExt as _};
use http::{Method, Request, Response};

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never arrives.
    Lost,
    /// It arrives, and its answer does not.
    AnswerLost,
    /// It is turned away: 503 Service Unavailable.
    Unavailable,
    /// The same for good: 400 Bad Request.
    Refused,
    /// Only the first half of its answer arrives.
    AnswerCut,
}

pub(crate) const FAULTS: [Fault; 5] =
    [Fault::Lost, Fault::AnswerLost, Fault::Unavailable, Fault::Refused, Fault::AnswerCut];

/// Passes requests on but the one that is to fail. Clones are one.
#[derive(Clone)]
pub(crate) struct Faulty<T> {
    inner: T,
    plan: Arc<Mutex<Plan>>,
}

#[derive(Default)]
struct Plan {
    requests: Vec<String>,
    fault: Option<(usize, Fault)>,
}

impl<T> Faulty<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, plan: Arc::default() }
    }

    /// The n-th request from now on, counted from 0, fails.
    pub(crate) fn fail(&self, fault: Option<(usize, Fault)>) {
        *self.plan.lock().unwrap() = Plan { requests: Vec::new(), fault };
    }

    /// The methods of the requests since then.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.plan.lock().unwrap().requests.clone()
    }

    fn next(&self, method: &Method) -> Option<Fault> {
        let mut plan = self.plan.lock().unwrap();
        plan.requests.push(method.to_string());
        let n = plan.requests.len() - 1;
        plan.fault.filter(|(at, _)| *at == n).map(|(_, fault)| fault)
    }
}

impl<T: HttpTransport> HttpTransport for Faulty<T> {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let broken = || Error::new(ErrorKind::Unexpected, "the connection broke").set_temporary();
        let turned_away = |status| {
            let body = HttpBody::new(stream::iter([]), Some(0));
            Ok(Response::builder().status(status).body(body).unwrap())
        };
        match self.next(request.method()) {
            None => self.inner.fetch(request).await,
            Some(Fault::Lost) => Err(broken()),
            Some(Fault::Unavailable) => turned_away(503),
            Some(Fault::Refused) => turned_away(400),
            Some(Fault::AnswerLost) => {
                let (_, mut body) = self.inner.fetch(request).await?.into_parts();
                body.to_buffer().await?;
                Err(broken())
            }
            Some(Fault::AnswerCut) => {
                let (parts, mut body) = self.inner.fetch(request).await?.into_parts();
                let whole = body.to_buffer().await?;
                let half = whole.slice(..whole.len() / 2);
                let cut = stream::iter([Ok(half), Err(broken())]).filter(is_something);
                Ok(Response::from_parts(parts, HttpBody::new(cut, Some(whole.len() as u64))))
            }
        }
    }
}

fn is_something(piece: &opendal::Result<Buffer>) -> std::future::Ready<bool> {
    std::future::ready(piece.as_ref().map_or(true, |piece| !piece.is_empty()))
}
