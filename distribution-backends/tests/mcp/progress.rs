//! Progress of a publish, and its end before its time.

use std::time::Duration;

use distribution_core::PublishRequest;
use distribution_testkit::World;
use rmcp::model::{ProgressNotificationParam, ServerResult};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::steps::{Gate, Steps, Watching, begin};
use super::{Client, call, connect, staged};

/// Longer than anything here takes.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// A publish that has had nine of its fourteen bytes, all told.
struct Underway {
    world: World,
    request: PublishRequest,
    gate: Gate,
    told: UnboundedReceiver<ProgressNotificationParam>,
    client: Client<Watching>,
    call: rmcp::service::RequestHandle<rmcp::RoleClient>,
}

impl Underway {
    async fn new() -> Self {
        let (world, request) = staged();
        let (tools, gate) = Steps::tools(&world);
        let (tell, told) = unbounded_channel();
        let client = connect(tools, Watching(tell)).await;
        let call = begin(client.peer(), &request).await;
        gate.send("approved ".into()).unwrap();
        let mut underway = Self { world, request, gate, told, client, call };
        let first = underway.told().await;
        assert_eq!(first.progress_token, underway.call.progress_token);
        assert_eq!((first.progress, first.message.as_deref()), (9.0, Some("transfer: 9 of 14 bytes")));
        underway
    }

    async fn told(&mut self) -> ProgressNotificationParam {
        timeout(LONG, self.told.recv()).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn progress_is_told_by_the_bytes_and_rises() {
    let mut underway = Underway::new().await;
    underway.gate.send("bytes".into()).unwrap();
    let second = underway.told().await;
    assert_eq!((second.progress, second.message.as_deref()), (14.0, Some("transfer: 14 of 14 bytes")));
    drop(underway.gate);
    let ServerResult::CallToolResult(published) = underway.call.await_response().await.unwrap() else { panic!() };
    assert_eq!(published.is_error, Some(false));
    underway.client.cancel().await.unwrap();
    let mut last = 14.0;
    while let Some(told) = underway.told.recv().await {
        assert!(told.progress > last, "{told:?}");
        last = told.progress;
    }
}

#[tokio::test]
async fn a_cancelled_call_is_dropped_and_the_same_call_finishes() {
    let Underway { world, request, gate, client, call: cancelled, .. } = Underway::new().await;
    cancelled.cancel(None).await.unwrap();
    timeout(LONG, gate.closed()).await.expect("nobody reads the staged file any more");
    assert!(world.objects().is_empty());

    let again = call(&client, "publish_final_asset", serde_json::to_value(request).unwrap()).await.unwrap();
    assert_eq!(again.is_error, Some(false), "{again:?}");
    let record: Value = again.structured_content.unwrap()["distribution_record"].clone();
    assert_eq!((&record["size_bytes"], world.objects().len()), (&json!(14), 1));
}
