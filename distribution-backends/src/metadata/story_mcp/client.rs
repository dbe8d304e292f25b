//! Calls of a server's tools, each sent once, over a session that is made anew when it is lost.

use std::fmt;
use std::sync::Arc;

use distribution_core::{Error, ErrorKind};
use rmcp::model::{CallToolResponse, CallToolResult, ErrorCode, Tool};
use rmcp::service::ServiceError;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::config::StoryConfig;
use super::contract::{Offer, StoryContract};
use super::document::Object;
use super::session::{Connector, Session, told};

/// Whether a server's tools will do.
type Check = fn(&StoryContract, &[Tool], &str) -> Result<Offer, Error>;

#[derive(Clone)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    connector: Connector,
    contract: StoryContract,
    check: Check,
    place: String,
    state: Mutex<State>,
}

enum State {
    Closed,
    /// Made by the next call.
    Lost,
    Open(Arc<Session>, Offer),
}

/// A call that gave no answer, or one that is an error.
pub(super) struct Failed {
    pub(super) error: Error,
    /// Whether the session is of no use any more.
    lost: bool,
}

impl Client {
    /// Connects, and checks what the server offers.
    pub(super) async fn open(config: StoryConfig, contract: StoryContract, check: Check) -> Result<Self, Error> {
        contract.check()?;
        let (place, connector) = (config.place(), Connector::new(config)?);
        let client = Self(Arc::new(Inner { connector, contract, check, place, state: Mutex::new(State::Lost) }));
        client.offer().await?;
        Ok(client)
    }

    pub(super) fn contract(&self) -> &StoryContract {
        &self.0.contract
    }

    /// The server, for messages.
    pub(super) fn place(&self) -> &str {
        &self.0.place
    }

    /// What the server offers, once connected.
    pub(super) async fn offer(&self) -> Result<Offer, Error> {
        let inner = Arc::clone(&self.0);
        run(async move { inner.session().await.map(|(_, offer)| offer) }).await
    }

    /// Calls the tool once, to the end even if the caller is dropped, and gives back what it answered.
    ///
    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) whenever it is unknown what the server did.
    pub(super) async fn call(&self, tool: &str, arguments: Object) -> Result<Value, Error> {
        let (inner, tool) = (Arc::clone(&self.0), tool.to_owned());
        run(async move { inner.call(&tool, arguments).await }).await
    }

    /// # Errors
    /// [`Unavailable`](ErrorKind::Unavailable) if it was closed before.
    pub(super) async fn close(&self) -> Result<(), Error> {
        match std::mem::replace(&mut *self.0.state.lock().await, State::Closed) {
            State::Closed => Err(self.0.closed()),
            State::Lost => Ok(()),
            State::Open(session, _) => {
                if let Some(session) = Arc::into_inner(session) {
                    session.close().await;
                }
                Ok(())
            }
        }
    }
}

impl Inner {
    async fn call(&self, tool: &str, arguments: Object) -> Result<Value, Error> {
        let (session, _) = self.session().await?;
        let answer = match timeout(self.connector.config.call_timeout, session.call(tool, arguments)).await {
            Ok(Ok(answer)) => self.value(tool, answer),
            Ok(Err(error)) => Err(self.failed(tool, &error)),
            Err(_) => {
                let message = format!("tool {tool:?} of {} has not answered in time: repeat", self.place);
                Err(Failed { error: Error::unavailable(message), lost: true })
            }
        };
        match answer {
            Ok(value) => Ok(value),
            Err(failed) => {
                if failed.lost {
                    self.lose(&session).await;
                }
                Err(failed.error)
            }
        }
    }

    /// The session; connects once if there is none. Whoever comes meanwhile waits, as long as a call may
    /// take.
    async fn session(&self) -> Result<(Arc<Session>, Offer), Error> {
        let connected = timeout(self.connector.config.call_timeout, async {
            let mut state = self.state.lock().await;
            match &*state {
                State::Closed => return Err(self.closed()),
                State::Open(session, offer) if !session.is_over() => return Ok((Arc::clone(session), *offer)),
                State::Open(..) | State::Lost => *state = State::Lost,
            }
            let (session, offer) = self.connect().await?;
            *state = State::Open(Arc::clone(&session), offer);
            Ok((session, offer))
        });
        connected.await.unwrap_or_else(|_| {
            Err(Error::unavailable(format!("{} could not be connected to in time: repeat", self.place)))
        })
    }

    async fn connect(&self) -> Result<(Arc<Session>, Offer), Error> {
        let session = self.connector.connect().await?;
        let tools = session.tools().await.map_err(|error| self.failed("tools/list", &error).error)?;
        let offer = (self.check)(&self.contract, &tools, &self.place)?;
        Ok((Arc::new(session), offer))
    }

    /// Lets go of a session. Calls under way on it go on until they end.
    async fn lose(&self, lost: &Arc<Session>) {
        let mut state = self.state.lock().await;
        if matches!(&*state, State::Open(session, _) if Arc::ptr_eq(session, lost)) {
            *state = State::Lost;
        }
    }

    fn closed(&self) -> Error {
        Error::unavailable(format!("the connection to {} was closed: open it again", self.place))
    }

    /// The result of a tool: structured, or else the one text that is JSON.
    fn value(&self, tool: &str, answer: CallToolResponse) -> Result<Value, Failed> {
        let CallToolResponse::Complete(result) = answer else {
            let message = format!("tool {tool:?} of {} asks back instead of answering: repeat", self.place);
            return Err(Failed { error: Error::unavailable(message), lost: false });
        };
        let is_error = result.is_error == Some(true);
        let value = json(&result);
        if is_error {
            return Err(Failed { error: self.refused(tool, &result, value), lost: false });
        }
        value.ok_or_else(|| {
            let message =
                format!("tool {tool:?} of {} answers neither structured content nor one JSON text", self.place);
            Failed { error: Error::unavailable(message), lost: false }
        })
    }

    /// A tool that says that it failed. Unless it says how, what it did is unknown.
    fn refused(&self, tool: &str, result: &CallToolResult, value: Option<Value>) -> Error {
        let named = value.as_ref().and_then(|value| value.get(&self.contract.answers.kind)).and_then(Value::as_str);
        let known = [ErrorKind::Invalid, ErrorKind::Conflict, ErrorKind::Corrupt, ErrorKind::Unsupported];
        let kind = known.into_iter().find(|kind| named == Some(kind.as_str())).unwrap_or(ErrorKind::Unavailable);
        let text = result.content.iter().find_map(|content| content.as_text()).map(|text| text.text.as_str());
        let text = text.map(str::to_owned).or_else(|| value.map(|value| value.to_string())).unwrap_or_default();
        let message = format!("tool {tool:?} of {} answers that it failed: look at the cause", self.place);
        Error::new(kind, message).because(std::io::Error::other(self.connector.config.clean(&text)))
    }

    fn failed(&self, tool: &str, error: &ServiceError) -> Failed {
        let place = &self.place;
        let (kind, what, lost) = match error {
            ServiceError::McpError(error) if error.code == ErrorCode::METHOD_NOT_FOUND => {
                (ErrorKind::Unsupported, "is not there: compare the contract with the server's tools", false)
            }
            ServiceError::McpError(error) if error.code == ErrorCode::INVALID_PARAMS => {
                (ErrorKind::Unsupported, "takes other arguments: compare the contract with its schema", false)
            }
            ServiceError::McpError(_) => (ErrorKind::Unavailable, "failed, what it did is unknown: repeat", false),
            _ => (ErrorKind::Unavailable, "gave no answer, what it did is unknown: repeat", true),
        };
        let error =
            Error::new(kind, format!("tool {tool:?} of {place} {what}")).because(told(&self.connector.config, error));
        Failed { error, lost }
    }
}

fn json(result: &CallToolResult) -> Option<Value> {
    if let Some(value) = &result.structured_content {
        return Some(value.clone());
    }
    match result.content.as_slice() {
        [content] => serde_json::from_str(&content.as_text()?.text).ok(),
        _ => None,
    }
}

/// In a task of its own, so that a caller that is dropped, or not polled, holds nothing up.
async fn run<T: Send + 'static>(work: impl Future<Output = Result<T, Error>> + Send + 'static) -> Result<T, Error> {
    let done = tokio::spawn(work).await;
    done.map_err(|error| Error::unavailable("the runtime is shutting down: repeat").because(error))?
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.0.connector.config).finish_non_exhaustive()
    }
}
