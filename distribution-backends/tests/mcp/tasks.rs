//! Long publishes as tasks.

use std::time::Duration;

use distribution_backends::serve::mcp::PublishTool;
use distribution_core::PublishRequest;
use distribution_testkit::World;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CancelTaskParams, ClientCapabilities, ClientConfig, DetailedTask,
    ErrorCode, GetTaskParams, Implementation, ProtocolVersion, Task, TaskPayload, TaskStatus,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _};
use rmcp::{ClientHandler, ServiceError, ServiceExt as _};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::progress::LONG;
use super::steps::{Gate, Steps};
use super::{Client, staged};

/// A client that takes tasks.
struct TakesTasks;

impl ClientHandler for TakesTasks {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(ClientCapabilities::builder().enable_tasks().build(), Implementation::new("test", "1"))
    }
}

/// A publish that waits for the rest of its bytes.
struct Underway {
    world: World,
    request: PublishRequest,
    gate: Gate,
    client: Client<TakesTasks>,
}

impl Underway {
    async fn new(limits: impl FnOnce(PublishTool) -> PublishTool) -> Self {
        let (world, request) = staged();
        let (tools, gate) = Steps::tools(&world);
        gate.send("approved ".into()).unwrap();
        let (near, far) = tokio::io::duplex(1 << 16);
        let tools = limits(tools);
        tokio::spawn(async move { tools.serve(far).await.unwrap().waiting().await });
        let lifecycle = ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
        let client = TakesTasks.serve_with_lifecycle(near, lifecycle).await.unwrap();
        Self { world, request, gate, client }
    }

    async fn call(&self) -> CallToolResponse {
        let arguments = serde_json::from_value(serde_json::to_value(&self.request).unwrap()).unwrap();
        let call = CallToolRequestParams::new("publish_final_asset").with_arguments(arguments);
        timeout(LONG, self.client.peer().call_tool_once(call)).await.unwrap().unwrap()
    }

    async fn task(&self) -> Task {
        let CallToolResponse::Task(created) = self.call().await else { panic!("no task") };
        created.task
    }

    async fn get(&self, task: &Task) -> Result<DetailedTask, ServiceError> {
        self.client.peer().get_task(GetTaskParams::new(&task.task_id)).await.map(|got| got.task)
    }

    async fn until(&self, task: &Task, is_so: impl Fn(&DetailedTask) -> bool) -> DetailedTask {
        let polling = async {
            loop {
                let got = self.get(task).await.unwrap();
                if is_so(&got) {
                    return got;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(LONG, polling).await.unwrap()
    }

    fn finish(&mut self) {
        self.gate.send("bytes".into()).unwrap();
        // The end of the file.
        self.gate = tokio::sync::mpsc::unbounded_channel().0;
    }

    fn published(&self, result: &Value) {
        let record = &result["structuredContent"]["distribution_record"];
        assert_eq!((&result["isError"], &record["size_bytes"]), (&json!(false), &json!(14)), "{result}");
        assert_eq!(self.world.objects().len(), 1);
    }

    async fn answered(&self) {
        let CallToolResponse::Complete(result) = self.call().await else { panic!("a task") };
        self.published(&serde_json::to_value(result).unwrap());
    }
}

fn is_unknown(got: Result<DetailedTask, ServiceError>) -> bool {
    matches!(got, Err(ServiceError::McpError(error)) if error.code == ErrorCode::INVALID_PARAMS)
}

#[tokio::test]
async fn a_long_publish_is_a_task_that_ends_in_its_record() {
    let mut underway = Underway::new(|tools| tools).await;
    let server = underway.client.peer_info().unwrap();
    assert!(server.capabilities.supports_tasks());
    let task = underway.task().await;
    assert_eq!((task.status, task.ttl_ms, task.poll_interval_ms), (TaskStatus::Working, Some(21_600_000), Some(1000)));
    let working = underway.until(&task, |got| got.task.status_message.is_some()).await;
    assert_eq!(working.status(), TaskStatus::Working);
    assert_eq!(working.task.status_message.as_deref(), Some("transfer: 9 of 14 bytes"));
    assert!(is_unknown(underway.get(&Task::new("another", TaskStatus::Working, "", "")).await));

    underway.finish();
    let ended = underway.until(&task, |got| got.status().is_terminal()).await;
    let TaskPayload::Completed { result } = ended.payload else { panic!("{:?}", ended.payload) };
    underway.published(&Value::Object(result));
    // What is there at once is answered at once.
    underway.answered().await;
}

#[tokio::test]
async fn a_cancelled_task_is_dropped_and_the_same_call_finishes() {
    let underway = Underway::new(|tools| tools).await;
    let task = underway.task().await;
    underway.client.peer().cancel_task(CancelTaskParams::new(&task.task_id)).await.unwrap();
    timeout(LONG, underway.gate.closed()).await.expect("nobody reads the staged file any more");
    let ended = underway.until(&task, |got| got.status().is_terminal()).await;
    assert_eq!(ended.status(), TaskStatus::Cancelled);
    assert!(underway.world.objects().is_empty());
    underway.answered().await;
}

#[tokio::test]
async fn without_a_place_for_a_task_a_call_is_answered_when_it_is_done() {
    let mut underway = Underway::new(|tools| tools.with_tasks(1, LONG)).await;
    underway.task().await;
    let gate = std::mem::replace(&mut underway.gate, tokio::sync::mpsc::unbounded_channel().0);
    let later = async move {
        sleep(Duration::from_millis(1_200)).await;
        gate.send("bytes".into()).unwrap();
    };
    tokio::join!(underway.answered(), later);
}

#[tokio::test]
async fn a_task_ends_with_its_time_and_its_result_is_dropped() {
    let ttl = Duration::from_millis(300);
    let underway = Underway::new(|tools| tools.with_tasks(1, ttl)).await;
    let task = underway.task().await;
    sleep(ttl).await;
    assert_eq!(underway.get(&task).await.unwrap().status(), TaskStatus::Failed);
    timeout(LONG, underway.gate.closed()).await.expect("nobody reads the staged file any more");
    sleep(ttl).await;
    assert!(is_unknown(underway.get(&task).await));
    underway.answered().await;
}
