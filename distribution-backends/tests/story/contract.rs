//! What a server is called by, and what it must offer.

use std::sync::Arc;

use crate::server::{Http, Story};
use bytes::Bytes;
use distribution_backends::{StoryConfig, StoryContract, StoryMcpMetadata, StoryMirror};
use distribution_core::{
    Advance, AuditLogId, Checksum, Claim, ErrorKind, IdempotencyKey, Index, MetadataStore, Query, Row, State, Timestamp,
};
use distribution_testkit::story::StoryServer;
use distribution_testkit::{MemoryMetadata, World};

pub(crate) fn row(n: u32) -> Row {
    let index = Index {
        concept_id: None,
        checksum: Checksum::of(b""),
        tags: vec!["a tag".into()],
        state: State::InProgress,
        settled: false,
        claimed_at: Timestamp::from_timestamp_micros(1_767_225_600_123_456 + i64::from(n)).unwrap(),
    };
    let id = AuditLogId::parse(format!("dist_{n:025}0")).unwrap();
    Row { id, revision: 0, index, body: Bytes::from_static(b"{\"a\":1}") }
}

/// Every name of the contract, with an underscore and its group before it.
fn renamed() -> (StoryServer, StoryContract) {
    let mut contract = serde_json::to_value(StoryContract::default()).unwrap();
    let mut server = StoryServer::new(Arc::new(MemoryMetadata::new(&World::new())));
    for group in ["tools", "arguments", "document", "answers"] {
        for (name, value) in contract[group].as_object_mut().unwrap() {
            *value = format!("story_{name}").into();
            server = server.renamed(name, &format!("story_{name}"));
        }
    }
    (server, serde_json::from_value(contract).unwrap())
}

#[tokio::test]
async fn every_name_can_be_another() {
    let (server, contract) = renamed();
    let http = Http::serve(&Story::new(server)).await;
    let store = StoryMcpMetadata::open(http.config(), contract).await.unwrap();
    let first = row(1);
    let next = Row { revision: 1, body: Bytes::from_static(b"\xff\0"), ..first.clone() };
    assert_eq!(store.claim(&first).await.unwrap(), Claim::Claimed);
    assert_eq!(store.claim(&first).await.unwrap(), Claim::Exists(first.clone()));
    assert_eq!(store.advance(&next).await.unwrap(), Advance::Advanced);
    assert_eq!(store.advance(&next).await.unwrap(), Advance::Superseded(next.clone()));
    assert_eq!(store.load(&first.id).await.unwrap(), Some(next.clone()));
    let query = Query { tag: Some("a tag".into()), settled: Some(false), ..Query::default() };
    assert_eq!(store.find(&query, None, 10).await.unwrap().rows, [next]);
    let key = IdempotencyKey::parse("order-66").unwrap();
    assert_eq!(store.bind(&key, &first.id).await.unwrap(), first.id);
    assert_eq!(store.bind(&key, &row(2).id).await.unwrap(), first.id);
}

#[tokio::test]
async fn a_server_that_cannot_compare_is_refused_with_the_way_out() {
    let server = StoryServer::new(Arc::new(MemoryMetadata::new(&World::new()))).without_revision();
    let http = Http::serve(&Story::new(server)).await;
    let error = StoryMcpMetadata::open(http.config(), StoryContract::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for part in ["\"put\"", "\"expected_revision\"", "arguments.expected_revision", "ops database", "MirrorTo"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // And the other way around.
    let http = Http::serve(&Story::over_memory(&World::new())).await;
    let error = StoryMirror::open(http.config(), StoryContract::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("StoryMcpMetadata"), "{error}");
}

#[tokio::test]
async fn what_is_missing_is_named_with_what_to_configure() {
    for missing in ["put", "get", "query"] {
        let story = Story::over_memory(&World::new()).with_tools(|tools| tools.retain(|tool| tool.name != missing));
        let http = Http::serve(&story).await;
        let error = StoryMcpMetadata::open(http.config(), StoryContract::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(&format!("no tool \"{missing}\"")), "{error}");
        assert!(error.to_string().contains(&format!("tools.{missing}")), "{error}");
    }
    for (tool, argument, setting) in [
        (0, "collection", "arguments.collection"),
        (0, "body_encoding", "document.body_encoding"),
        (1, "id", "document.id"),
        (2, "after", "arguments.after"),
        (2, "settled", "document.settled"),
    ] {
        let story = Story::over_memory(&World::new()).with_tools(|tools| {
            let schema = Arc::make_mut(&mut tools[tool].input_schema);
            schema["properties"].as_object_mut().unwrap().remove(argument).unwrap();
        });
        let http = Http::serve(&story).await;
        let error = StoryMcpMetadata::open(http.config(), StoryContract::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(&format!("\"{argument}\" ({setting})")), "{error}");
    }
}

#[tokio::test]
async fn a_contract_with_empty_or_equal_names_is_invalid() {
    let config = || StoryConfig::http("http://127.0.0.1:1/mcp").unwrap();
    for wrong in [
        r#"{"tools": {"put": ""}}"#,
        r#"{"tools": {"put": "get"}}"#,
        r#"{"collections": {"publications": "idempotency_keys"}}"#,
        r#"{"arguments": {"tag": "state"}}"#,
        r#"{"answers": {"stored": "superseded"}}"#,
        r#"{"answers": {"current": "document"}}"#,
    ] {
        let contract: StoryContract = serde_json::from_str(wrong).unwrap();
        let error = StoryMcpMetadata::open(config(), contract).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{wrong}");
    }
    assert!(serde_json::from_str::<StoryContract>(r#"{"tools": {"upsert": "put"}}"#).is_err(), "an unknown name");
}

#[test]
fn a_configuration_that_cannot_be_right_is_invalid() {
    for url in
        ["", "story.example", "ftp://story.example/", "https://u:p@story.example/", "https://x/?key=1", "https://x/#a"]
    {
        let error = StoryConfig::http(url).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(!error.to_string().contains("u:p"), "{error}");
    }
    let https = || StoryConfig::http("https://story.example/mcp").unwrap();
    for token in ["", "two words", "line\n", "ü"] {
        assert_eq!(https().bearer(token).unwrap_err().kind(), ErrorKind::Invalid);
    }
    let plain = StoryConfig::http("http://story.example/mcp").unwrap();
    assert!(plain.bearer("secret").unwrap_err().to_string().contains("unencrypted"));
    assert!(StoryConfig::http("http://[::1]:8080/mcp").unwrap().bearer("secret").is_ok());
    assert!(StoryConfig::stdio("story-server", ["--stdio"]).bearer("secret").is_err());
    let nothing = std::time::Duration::ZERO;
    assert_eq!(https().call_timeout(nothing).unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn the_bearer_token_is_sent_and_never_shown() {
    const TOKEN: &str = "s3cr3t-t0k3n";
    let story = Story::over_memory(&World::new());
    let http = Http::serve_behind(TOKEN, &story).await;
    let right = http.config().bearer(TOKEN).unwrap();
    let store = StoryMcpMetadata::open(right.clone(), StoryContract::default()).await.unwrap();
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Claimed);
    assert!(!format!("{store:?} {right:?}").contains(TOKEN));

    // The server repeats what it was given.
    let wrong = http.config().bearer("wr0ng-t0k3n").unwrap();
    let error = StoryMcpMetadata::open(wrong, StoryContract::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let cause = std::error::Error::source(&error).expect("what the server said").to_string();
    assert!(!format!("{error:?} {error} {cause}").contains("wr0ng-t0k3n"), "{cause}");
}
