//! A staged file that comes as slowly as the test says, and a client that hears of it.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use distribution_backends::serve::mcp::PublishTool;
use distribution_core::{Body, Error, PublishRequest, Source, Staged, VideoUrl};
use distribution_testkit::{MemorySource, World};
use futures::{StreamExt as _, stream};
use rmcp::ClientHandler;
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, ProgressNotificationParam};
use rmcp::service::{NotificationContext, Peer, PeerRequestOptions, RequestHandle, RoleClient};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The file's bytes, sent by the test; its end is when this is dropped. It is closed when nobody reads any more.
pub(crate) type Gate = UnboundedSender<Bytes>;

/// The staged files of a world, but what is read first comes through the gate.
pub(crate) struct Steps {
    whole: MemorySource,
    first: Mutex<Option<UnboundedReceiver<Bytes>>>,
}

impl Steps {
    pub(crate) fn new(world: &World) -> (Arc<Self>, Gate) {
        let (gate, pieces) = unbounded_channel();
        let whole = MemorySource::new(world);
        (Arc::new(Self { whole, first: Mutex::new(Some(pieces)) }), gate)
    }

    /// The tools over these files.
    pub(crate) fn tools(world: &World) -> (PublishTool, Gate) {
        let (source, gate) = Self::new(world);
        (PublishTool::new(Arc::new(world.builder("host-1").source(source).build().unwrap())), gate)
    }
}

#[async_trait]
impl Source for Steps {
    fn check(&self, url: &VideoUrl) -> Result<(), Error> {
        self.whole.check(url)
    }

    async fn open(&self, url: &VideoUrl) -> Result<Option<Staged>, Error> {
        let whole = self.whole.open(url).await?;
        let Some(mut pieces) = self.first.lock().unwrap().take() else { return Ok(whole) };
        let pieces = stream::poll_fn(move |context| pieces.poll_recv(context).map(|piece| piece.map(Ok)));
        Ok(whole.map(|staged| Staged { body: Body::Stream(pieces.boxed()), ..staged }))
    }
}

/// A client that passes on what it is told of progress.
pub(crate) struct Watching(pub(crate) UnboundedSender<ProgressNotificationParam>);

impl ClientHandler for Watching {
    async fn on_progress(&self, params: ProgressNotificationParam, _: NotificationContext<RoleClient>) {
        let _ = self.0.send(params);
    }
}

/// A publish that has begun.
pub(crate) async fn begin(client: &Peer<RoleClient>, request: &PublishRequest) -> RequestHandle<RoleClient> {
    let arguments = serde_json::from_value(serde_json::to_value(request).unwrap()).unwrap();
    let params = CallToolRequestParams::new("publish_final_asset").with_arguments(arguments);
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
    client.send_cancellable_request(request, PeerRequestOptions::no_options()).await.unwrap()
}
