//! The MCP tools: their requests hold presigned URLs, and their answers links.

use std::sync::Arc;
use std::thread;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use distribution_backends::serve::mcp::PublishTool;
use distribution_core::Link;
use distribution_testkit::{World, request};
use rmcp::ServiceExt as _;
use rmcp::model::{CallToolRequestParams, CallToolResult, JsonObject};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt as _;
use tracing::subscriber::NoSubscriber;

use crate::VIDEO;
use crate::canary::{Secrets, canary};
use crate::told::Told;

type Answers = Vec<CallToolResult>;

/// What a client on a thread of its own is answered, whose own logs are not the library's.
fn ask(tools: PublishTool, calls: Vec<(&'static str, Value)>) -> Answers {
    let (near, far) = tokio::io::duplex(1 << 16);
    let client = thread::spawn(move || {
        let _silent = tracing::subscriber::set_default(NoSubscriber::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = ().serve(near).await.unwrap();
            let mut answers = Vec::new();
            for (tool, arguments) in calls {
                let arguments: JsonObject = serde_json::from_value(arguments).unwrap();
                answers
                    .push(client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await.unwrap());
            }
            client.cancel().await.unwrap();
            answers
        })
    });
    let (read, write) = tokio::io::split(far);
    Runtime::new().unwrap().block_on(tools.serve_client(read, write)).unwrap();
    client.join().unwrap()
}

#[test]
fn a_call_is_answered_and_neither_its_query_nor_its_link_is_logged() {
    let mut told = Told::new();
    let mut secrets = Secrets::of(&["mcp query"]);
    let world = World::new();
    let url = "https://staging.example/clip.mp4";
    world.stage(url, VIDEO);
    let url = format!("{url}?X-Amz-Signature={}", canary("mcp query"));
    let wanted = serde_json::to_value(request(&url, VIDEO)).unwrap();
    let mut refused = wanted.clone();
    refused["qc_report"]["status"] = "fail".into();
    let mut planned = wanted.clone();
    planned["dry_run"] = true.into();
    let tools = PublishTool::new(Arc::new(world.publisher("a")));
    let publish = "publish_final_asset";
    let calls = vec![(publish, planned), (publish, refused), (publish, wanted.clone()), (publish, wanted)];
    let answers = ask(tools.clone(), calls);
    let record = &answers[3].structured_content.as_ref().unwrap()["distribution_record"];
    let link = record["public_url"].as_str().unwrap().to_owned();
    let id = record["audit_log_id"].clone();
    let calls = vec![
        ("issue_download_link", json!({ "audit_log_id": id, "valid_for_secs": 3_600 })),
        ("get_distribution_record", json!({ "audit_log_id": id })),
        ("get_distribution_record", json!({ "audit_log_id": link })),
        ("get_latest_version", json!({ "concept_id": link })),
        ("retract_publication", json!({ "audit_log_id": link, "reason": "because" })),
        ("list_distribution_records", json!({ "after": link })),
    ];
    let more = ask(tools, calls);
    let issued = more[0].structured_content.as_ref().unwrap()["public_url"].as_str().unwrap().to_owned();

    told.link(&Link::new(link.clone()), &mut secrets);
    told.link(&Link::new(issued.clone()), &mut secrets);
    for mut answer in answers.into_iter().chain(more) {
        // The links are meant for the caller, and nowhere but here.
        if answer.is_error == Some(false) {
            answer.content.retain(|block| block.as_resource_link().is_none());
            for field in ["/distribution_record/public_url", "/public_url"] {
                answer.structured_content.as_mut().and_then(|content| content.pointer_mut(field)).map(Value::take);
            }
        }
        told.json("mcp", &answer);
    }
    told.json("audit", &world.audit());
    told.debug(&world.alerts());
    world.rows().into_iter().for_each(|row| told.say("record", row.body.to_vec()));
    told.holds_none_of(&secrets, &["distribution_core"]);
}

/// One message to the service, in the session that it belongs to; what it answers, and the session's name.
async fn post(router: &Router, session: Option<&str>, message: Value) -> (Value, Option<String>) {
    let request = Request::post("/mcp").header("host", "localhost").header("content-type", "application/json");
    let request = request.header("accept", "application/json, text/event-stream");
    let request = session.into_iter().fold(request, |request, id| request.header("mcp-session-id", id));
    let answer = router.clone().oneshot(request.body(Body::from(message.to_string())).unwrap()).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let session = answer.headers().get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
    let body = to_bytes(answer.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    let mut events =
        text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:").unwrap_or(line)).ok());
    (events.next_back().unwrap_or_default(), session)
}

#[test]
fn nor_over_http() {
    let (mut told, mut secrets) = (Told::new(), Secrets::of(&["http query"]));
    let world = World::new();
    let staged = "https://staging.example/clip.mp4";
    world.stage(staged, VIDEO);
    let url = format!("{staged}?{}", canary("http query"));
    let arguments = serde_json::to_value(request(&url, VIDEO)).unwrap();
    let runtime = Runtime::new().unwrap();
    let answer = runtime.block_on(async {
        let service = PublishTool::new(Arc::new(world.publisher("http"))).http([]);
        let router = Router::new().nest_service("/mcp", service);
        let client = json!({ "name": "test", "version": "1" });
        let hello = json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client });
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello });
        let (_, session) = post(&router, None, hello).await;
        let ready = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        post(&router, session.as_deref(), ready).await;
        let call = json!({ "name": "publish_final_asset", "arguments": arguments });
        let call = json!({ "jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call });
        post(&router, session.as_deref(), call).await.0
    });
    let link = answer.pointer("/result/structuredContent/distribution_record/public_url");
    told.link(&Link::new(link.unwrap_or_else(|| panic!("{answer}")).as_str().unwrap()), &mut secrets);
    told.holds_none_of(&secrets, &["distribution_core"]);
}

/// If this fails, the SDK logs messages no more, and needs no thread of its own.
#[test]
fn the_sdk_would_log_all_of_it() {
    let told = Told::new();
    let (near, far) = tokio::io::duplex(1 << 16);
    let query = canary("sdk query");
    let wanted = serde_json::to_value(request(&format!("https://staging.example/?{query}"), VIDEO)).unwrap();
    let arguments: JsonObject = serde_json::from_value(wanted).unwrap();
    Runtime::new().unwrap().block_on(async {
        let tools = PublishTool::new(Arc::new(World::new().publisher("a")));
        tokio::spawn(async { tools.serve(far).await.unwrap().waiting().await });
        let client = ().serve(near).await.unwrap();
        client.call_tool(CallToolRequestParams::new("publish_final_asset").with_arguments(arguments)).await.unwrap();
    });
    drop(told);
    assert!(!Secrets::of(&["sdk query"]).found_in(&crate::a_heard::so_far()).is_empty());
}
