//! The MCP tools, as a client sees them.
#![cfg(all(feature = "mcp", feature = "story-mcp"))]
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "what helpers of tests do")]

mod dry_run;
mod progress;
mod steps;
mod tasks;

use std::sync::Arc;

use distribution_backends::serve::mcp::PublishTool;
use distribution_core::{ArchiveMode, PublishRequest};
use distribution_testkit::{World, request};
use rmcp::model::{CallToolRequestParams, CallToolResult, JsonObject};
use rmcp::service::{RoleClient, RunningService};
use rmcp::{ClientHandler, ServiceError, ServiceExt};
use serde_json::{Value, json};

type Client<H = ()> = RunningService<RoleClient, H>;

async fn client(world: &World) -> Client {
    connect(PublishTool::new(Arc::new(world.publisher("host-1"))), ()).await
}

async fn connect<H: ClientHandler>(tools: PublishTool, client: H) -> Client<H> {
    let (near, far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move { tools.serve(far).await.unwrap().waiting().await });
    client.serve(near).await.unwrap()
}

fn staged() -> (World, PublishRequest) {
    let world = World::new();
    world.stage("clip.mp4", "approved bytes");
    (world, request("clip.mp4", b"approved bytes"))
}

async fn call<H: ClientHandler>(
    client: &Client<H>,
    tool: &'static str,
    arguments: Value,
) -> Result<CallToolResult, ServiceError> {
    let arguments: JsonObject = serde_json::from_value(arguments).unwrap();
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(arguments)).await
}

/// The link, which is in the structured content and in a resource link, and in no text.
fn link_of(result: &CallToolResult, link: &Value) -> String {
    let link = link.as_str().unwrap().to_owned();
    let content = serde_json::to_value(&result.content).unwrap();
    let content = content.as_array().unwrap();
    assert!(content.iter().any(|block| block["type"] == "resource_link" && block["uri"] == link.as_str()));
    for block in content.iter().filter(|block| block["type"] == "text") {
        assert!(!block.to_string().contains(&link) && !block.to_string().contains("://"), "{block}");
    }
    link
}

#[tokio::test]
async fn each_tool_has_an_object_as_input_and_output_and_says_what_it_does() {
    let client = client(&World::new()).await;
    let tools = client.list_all_tools().await.unwrap();
    let named: Vec<_> = tools.iter().map(|tool| (tool.name.as_ref(), tool.annotations.clone().unwrap())).collect();
    let hints = named.iter().map(|(name, hints)| (*name, hints.read_only_hint, hints.idempotent_hint));
    assert_eq!(
        hints.collect::<Vec<_>>(),
        [
            ("publish_final_asset", Some(false), Some(true)),
            ("get_distribution_record", Some(true), Some(true)),
            ("list_distribution_records", Some(true), Some(true)),
            ("get_latest_version", Some(true), Some(true)),
            ("roll_back_to_version", Some(false), Some(true)),
            ("restore_publication", Some(false), Some(true)),
            ("retract_publication", Some(false), Some(true)),
            ("issue_download_link", Some(false), Some(false)),
        ]
    );
    for tool in &tools {
        assert_eq!(tool.input_schema["type"], "object", "{}", tool.name);
        assert_eq!(tool.output_schema.as_ref().unwrap()["type"], "object", "{}", tool.name);
    }
}

#[tokio::test]
async fn a_publish_answers_its_record_and_no_text_holds_the_link() {
    let (world, request) = staged();
    let client = client(&world).await;
    let request = serde_json::to_value(request).unwrap();
    let first = call(&client, "publish_final_asset", request.clone()).await.unwrap();
    assert_eq!(first.is_error, Some(false), "{first:?}");
    let record = first.structured_content.clone().unwrap()["distribution_record"].clone();
    link_of(&first, &record["public_url"]);
    let again = call(&client, "publish_final_asset", request).await.unwrap();
    assert_eq!(again.structured_content, first.structured_content);

    let named = json!({"audit_log_id": record["audit_log_id"]});
    let found = call(&client, "get_distribution_record", named).await.unwrap().structured_content.unwrap();
    assert_eq!(found["record"]["state"], "published");
    let listed = call(&client, "list_distribution_records", json!({"state": "published"})).await.unwrap();
    assert_eq!(listed.structured_content.unwrap()["records"], json!([found["record"]]));
    let wanted = json!({"audit_log_id": record["audit_log_id"], "valid_for_secs": 60});
    let issued = call(&client, "issue_download_link", wanted).await.unwrap();
    link_of(&issued, &issued.structured_content.clone().unwrap()["public_url"]);
}

#[tokio::test]
async fn an_earlier_version_is_the_latest_again_and_what_was_taken_back_says_so() {
    let world = World::new();
    let client = client(&world).await;
    let mut ids = Vec::new();
    for n in 0..2 {
        let (name, bytes) = (format!("v{n}.mp4"), vec![n; 8]);
        world.stage(&name, bytes.clone());
        let mut request = request(&name, &bytes);
        request.distribution_settings.metadata.concept_id = Some("concept-7".parse().unwrap());
        let published = call(&client, "publish_final_asset", serde_json::to_value(request).unwrap()).await.unwrap();
        let record = published.structured_content.unwrap()["distribution_record"].clone();
        assert_eq!(record["version"], u64::from(n) + 1);
        ids.push(record["audit_log_id"].clone());
    }
    let latest = async |concept: &str| {
        let latest = call(&client, "get_latest_version", json!({ "concept_id": concept })).await.unwrap();
        latest.structured_content.unwrap()["record"].clone()
    };
    assert_eq!(latest("concept-7").await["audit_log_id"], ids[1]);
    assert_eq!(latest("concept-8").await, Value::Null);
    let back = json!({ "concept_id": "concept-7", "version": 1 });
    let answer = call(&client, "roll_back_to_version", back).await.unwrap().structured_content.unwrap();
    assert_eq!((&answer["record"]["audit_log_id"], &answer["record"]["version"]), (&ids[0], &json!(1)));
    assert_eq!(latest("concept-7").await, answer["record"]);

    let why = json!({ "audit_log_id": ids[0], "reason": "a person did not agree" });
    let gone = call(&client, "retract_publication", why).await.unwrap().structured_content.unwrap();
    assert_eq!((&gone["record"]["state"], &gone["readable_until_removed"]), (&json!("retracted"), &json!(false)));
    let asked = json!({ "audit_log_id": ids[0], "valid_for_secs": 60 });
    let refused = call(&client, "issue_download_link", asked).await.unwrap();
    assert_eq!(refused.is_error, Some(true));
    let told = refused.structured_content.unwrap();
    assert_eq!((&told["kind"], &told["retryable"]), (&json!("retracted"), &json!(false)));
}

#[tokio::test]
async fn what_is_in_the_archive_says_so_and_is_brought_back() {
    let (world, request) = staged();
    let parts = world.parts(&"cold".parse().unwrap());
    let builder = world.builder("mcp").target("cold".parse().unwrap(), parts.storage, parts.signer);
    let publisher = builder.archive(Default::default(), "cold".parse().unwrap()).build().unwrap();
    let client = connect(PublishTool::new(Arc::new(publisher.clone())), ()).await;
    let published = call(&client, "publish_final_asset", serde_json::to_value(request).unwrap()).await.unwrap();
    let id = published.structured_content.unwrap()["distribution_record"]["audit_log_id"].clone();
    publisher.archive(&id.as_str().unwrap().parse().unwrap(), ArchiveMode::FreeHot).await.unwrap();
    let asked = json!({ "audit_log_id": id, "valid_for_secs": 60 });
    let refused = call(&client, "issue_download_link", asked.clone()).await.unwrap();
    let told = refused.structured_content.unwrap();
    assert_eq!((&told["kind"], &told["retryable"]), (&json!("archived"), &json!(false)));
    let back = call(&client, "restore_publication", json!({ "audit_log_id": id })).await.unwrap();
    assert_eq!(back.structured_content.unwrap()["record"]["tier"], "hot");
    assert_eq!(call(&client, "issue_download_link", asked).await.unwrap().is_error, Some(false));
}

#[tokio::test]
async fn what_is_wrong_with_a_call_is_for_the_caller_to_act_on() {
    let (world, request) = staged();
    let client = client(&world).await;
    let mut refused = serde_json::to_value(request).unwrap();
    refused["qc_report"]["status"] = "fail".into();
    for (tool, arguments, kind) in [
        ("publish_final_asset", json!({}), "invalid"),
        ("publish_final_asset", refused, "refused"),
        ("get_distribution_record", json!({"id": 1}), "invalid"),
        ("list_distribution_records", json!({"limit": 0}), "invalid"),
        ("roll_back_to_version", json!({"concept_id": "concept-7", "version": 1}), "invalid"),
        ("restore_publication", json!({"audit_log_id": "dist_00000000000000000000000000"}), "invalid"),
        (
            "retract_publication",
            json!({"audit_log_id": "dist_00000000000000000000000000", "reason": "because"}),
            "invalid",
        ),
        (
            "issue_download_link",
            json!({"audit_log_id": "dist_00000000000000000000000000", "valid_for_secs": 60}),
            "invalid",
        ),
    ] {
        let result = call(&client, tool, arguments).await.unwrap();
        assert_eq!(result.is_error, Some(true), "{tool}");
        let told = result.structured_content.unwrap();
        assert_eq!((&told["kind"], &told["retryable"]), (&json!(kind), &json!(false)), "{tool}: {told}");
        assert!(told["message"].as_str().is_some_and(|message| !message.is_empty()));
    }
    assert!(matches!(call(&client, "publish", json!({})).await, Err(ServiceError::McpError(_))));
}

#[tokio::test]
async fn what_does_not_fit_is_named_and_not_repeated() {
    const CANARY: &str = "s=c4n4ry";
    let link = format!("https://media.example/a/very/long/way/to/the/video/clip.mp4?e=1767225600&{CANARY}");
    let client = client(&World::new()).await;
    let id = "dist_00000000000000000000000000";
    for (tool, arguments, told) in [
        ("get_distribution_record", json!({}), "missing field `audit_log_id`"),
        ("get_distribution_record", json!({"audit_log_id": [link]}), "audit_log_id: must be a string"),
        ("get_distribution_record", json!({"audit_log_id": link}), "audit_log_id: must be `dist_` and 26 characters"),
        (
            "get_distribution_record",
            json!({"audit_log_id": id, "link": link}),
            "link: is not known here: use `audit_log_id`",
        ),
        ("get_distribution_record", json!({"audit_log_id": id, link.as_str(): 1}), "is not known here"),
        ("issue_download_link", json!({"audit_log_id": id, "valid_for_secs": link}), "valid_for_secs: must be u64"),
        ("issue_download_link", json!({"audit_log_id": id, "valid_for_secs": -1}), "valid_for_secs: must be u64"),
        ("list_distribution_records", json!({"concept_id": link}), "concept_id: "),
        ("list_distribution_records", json!({"checksum": link}), "checksum: must be `sha256:`"),
        ("list_distribution_records", json!({"tag": {"name": link}}), "tag: must be a string"),
        ("list_distribution_records", json!({"state": link}), "state: must be one of `in_progress`"),
        ("list_distribution_records", json!({"state": [link]}), "state: "),
        ("list_distribution_records", json!({"claimed_from": link}), "claimed_from: "),
        ("list_distribution_records", json!({"claimed_before": {"at": link}}), "claimed_before: must be "),
        ("list_distribution_records", json!({"after": link}), "after: is no place in a list"),
        ("list_distribution_records", json!({"limit": link}), "limit: must be "),
        ("list_distribution_records", json!({"limit": format!("x, expected {link}")}), "limit: must be "),
    ] {
        let result = call(&client, tool, arguments.clone()).await.unwrap();
        assert_eq!(result.is_error, Some(true), "{tool} {arguments}");
        let message = result.structured_content.as_ref().unwrap()["message"].as_str().unwrap();
        assert!(message.contains(told), "{tool} {arguments}: {message}");
        let all = serde_json::to_string(&result).unwrap();
        assert!(!all.contains(CANARY), "{all}");
    }
}
