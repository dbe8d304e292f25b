//! Answers of every form, also those that no server should give.

use std::time::Duration;

use bytes::Bytes;
use distribution_backends::{StoryContract, StoryMcpMetadata};
use distribution_core::{Claim, ErrorKind, IdempotencyKey, MetadataStore, Query, Row};
use distribution_testkit::World;
use http::StatusCode;
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::{Value, json};

use crate::contract::row;
use crate::server::{Fate, Http, Story, serve_bytes};

fn says(value: Value) -> Fate {
    let mut result = CallToolResult::success(Vec::new());
    result.structured_content = Some(value);
    Fate::Instead(Box::new(result))
}

fn document(row: &Row) -> Value {
    json!({
        "id": row.id.as_str(), "revision": row.revision, "concept_id": null,
        "checksum": row.index.checksum.to_string(), "tags": row.index.tags, "state": "in_progress",
        "settled": false, "claimed_at": row.index.claimed_at.timestamp_micros(),
        "body": std::str::from_utf8(&row.body).unwrap(),
    })
}

async fn opened() -> (Story, Http, StoryMcpMetadata) {
    let story = Story::over_memory(&World::new());
    let http = Http::serve(&story).await;
    let store = http.open().await;
    (story, http, store)
}

#[tokio::test]
async fn an_answer_may_be_one_text_that_is_json() {
    let (story, _http, store) = opened().await;
    story.fate(|_| Fate::AsText);
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Claimed);
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Exists(row(1)));
    assert_eq!(store.load(&row(1).id).await.unwrap(), Some(row(1)));
    assert_eq!(store.find(&Query::default(), None, 10).await.unwrap().rows, [row(1)]);
}

#[tokio::test]
async fn what_is_in_the_way_is_read_where_put_does_not_tell() {
    let (story, _http, store) = opened().await;
    store.claim(&row(1)).await.unwrap();
    story.fate(|tool| if tool == "put" { says(json!({"outcome": "superseded"})) } else { Fate::Answered });
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Exists(row(1)));
    assert_eq!(store.claim(&row(2)).await.unwrap_err().kind(), ErrorKind::Corrupt, "nothing is in the way");

    let key = IdempotencyKey::parse("order-66").unwrap();
    story.fate(|tool| match tool {
        "put" => says(json!({"outcome": "superseded", "current": null})),
        _ => says(json!({"document": {"id": "order-66", "revision": 0, "body": row(7).id.as_str()}})),
    });
    assert_eq!(store.bind(&key, &row(1).id).await.unwrap(), row(7).id);
    let other = IdempotencyKey::parse("order-67").unwrap();
    assert_eq!(store.bind(&other, &row(1).id).await.unwrap_err().kind(), ErrorKind::Corrupt, "another key's");
}

#[tokio::test]
async fn a_write_without_a_clear_answer_is_unavailable() {
    let (story, _http, store) = opened().await;
    let text = |text: &str| Fate::Instead(Box::new(CallToolResult::success(vec![ContentBlock::text(text)])));
    let two = CallToolResult::success(vec![ContentBlock::text("{}"), ContentBlock::text("{}")]);
    let answers = [
        says(json!({})),
        says(json!(null)),
        says(json!([1, 2])),
        says(json!({"outcome": "perhaps"})),
        says(json!({"outcome": 1})),
        text("{\"outcome\": \"stored\""),
        text("stored"),
        text(&"[".repeat(100_000)),
        Fate::Instead(Box::new(two)),
        Fate::Error(ErrorData::internal_error("no", None)),
    ];
    for answer in answers {
        let shown = format!("{answer:?}").chars().take(200).collect::<String>();
        story.fate(move |_| answer.clone());
        assert_eq!(store.claim(&row(1)).await.unwrap_err().kind(), ErrorKind::Unavailable, "{shown}");
    }
    story.heal();
    assert_eq!(store.claim(&row(1)).await.unwrap(), Claim::Claimed, "the session is as good as before");
}

#[tokio::test]
async fn an_error_of_a_tool_is_unavailable_unless_it_names_its_kind() {
    let (story, _http, store) = opened().await;
    for (kind, expected) in [
        (json!("invalid"), ErrorKind::Invalid),
        (json!("conflict"), ErrorKind::Conflict),
        (json!("corrupt"), ErrorKind::Corrupt),
        (json!("unsupported"), ErrorKind::Unsupported),
        (json!("busy"), ErrorKind::Unavailable),
        (json!("oops"), ErrorKind::Unavailable),
        (json!(7), ErrorKind::Unavailable),
    ] {
        let answer = CallToolResult::structured_error(json!({"kind": kind, "message": "the disk\nis full"}));
        story.fate(move |_| Fate::Instead(Box::new(answer.clone())));
        let error = store.load(&row(1).id).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{kind}");
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("is full") && !cause.contains('\n'), "{cause}");
    }
    let plain = CallToolResult::error(vec![ContentBlock::text("x".repeat(1_000_000))]);
    story.fate(move |_| Fate::Instead(Box::new(plain.clone())));
    let error = store.claim(&row(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(std::error::Error::source(&error).unwrap().to_string().len() < 1_000);
    story.fate(|_| Fate::Error(ErrorData::invalid_params("no such argument", None)));
    assert_eq!(store.load(&row(1).id).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_document_that_does_not_decode_is_corrupt_and_its_field_is_named() {
    let (story, _http, store) = opened().await;
    for (field, value) in [
        ("id", json!(7)),
        ("id", json!(row(2).id.as_str())),
        ("revision", json!(-1)),
        ("revision", json!(null)),
        ("concept_id", json!(1)),
        ("checksum", json!("sha256:zz")),
        ("tags", json!("a")),
        ("state", json!("done")),
        ("settled", json!("yes")),
        ("claimed_at", json!(1.5)),
        ("claimed_at", json!(i64::MAX)),
        ("body", json!({"a": 1})),
        ("body", json!("x".repeat(Row::BODY_BYTES_MAX + 1))),
        ("body_encoding", json!("hex")),
        ("body_encoding", json!("base64")),
    ] {
        let mut broken = document(&row(1));
        broken[field] = value.clone();
        story.fate(move |_| says(json!({"document": broken})));
        let error = store.load(&row(1).id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{field}");
        assert!(field == "id" || error.to_string().contains(if value == "base64" { "body" } else { field }), "{error}");
    }
    for document in [json!({}), json!([]), json!("x"), json!({"document": 7})] {
        story.fate(move |_| says(document.clone()));
        assert_eq!(store.load(&row(1).id).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
}

#[tokio::test]
async fn a_query_that_was_not_obeyed_is_corrupt() {
    let (story, _http, store) = opened().await;
    let (old, new) = (document(&row(1)), document(&row(2)));
    let newest = Query { claimed_from: Some(row(2).index.claimed_at), ..Query::default() };
    for (documents, query, limit) in [
        (json!([old, new]), Query::default(), 10),
        (json!([new, new]), Query::default(), 10),
        (json!([new, old]), Query::default(), 1),
        (json!([new, old]), newest, 10),
        (json!({"0": new}), Query::default(), 10),
    ] {
        story.fate(move |_| says(json!({"documents": documents})));
        let error = store.find(&query, None, limit).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("does it keep the contract?"), "{error}");
    }
    // The same page for ever.
    let page: Vec<_> = (1..=16).rev().map(|n| document(&row(n))).collect();
    story.fate(move |_| says(json!({"documents": page})));
    assert_eq!(store.find(&Query::default(), None, usize::MAX).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn an_answer_past_the_limit_is_an_error() {
    let (story, _http, store) = opened().await;
    story.fate(|_| says(json!({"document": "x".repeat(65 << 20)})));
    assert_eq!(store.load(&row(1).id).await.unwrap_err().kind(), ErrorKind::Unavailable);
    story.heal();
    assert_eq!(store.load(&row(1).id).await.unwrap(), None);
}

#[tokio::test]
async fn what_does_not_speak_the_protocol_is_unavailable() {
    let json = "application/json";
    for (status, kind, body) in [
        (StatusCode::OK, json, "{}"),
        (StatusCode::OK, json, ""),
        (StatusCode::OK, json, "{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":{}}"),
        (StatusCode::OK, "text/html", "<html>"),
        (StatusCode::OK, "text/event-stream", "data: {\n\n"),
        (StatusCode::FOUND, json, ""),
        (StatusCode::UNAUTHORIZED, json, ""),
        (StatusCode::NOT_FOUND, json, ""),
        (StatusCode::INTERNAL_SERVER_ERROR, json, "oops"),
    ] {
        let (config, _http) = serve_bytes(status, kind, Bytes::from_static(body.as_bytes())).await;
        let config = config.call_timeout(Duration::from_secs(2)).unwrap();
        let error = StoryMcpMetadata::open(config, StoryContract::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{status} {body}");
    }
}

#[tokio::test]
async fn a_document_that_cannot_be_read_hides_no_other() {
    let (story, _http, store) = opened().await;
    let mut damaged = document(&row(2));
    damaged["checksum"] = json!("md5:1");
    let documents = json!([document(&row(3)), damaged, document(&row(1))]);
    story.fate(move |_| says(json!({"documents": documents})));
    let found = store.find(&Query::default(), None, 10).await.unwrap();
    assert_eq!(found.rows, [row(3), row(1)]);
    let [(place, error)] = &found.damaged[..] else { panic!("{found:?}") };
    assert_eq!((place, error.kind()), (&row(2).cursor(), ErrorKind::Corrupt));
    assert!(error.to_string().starts_with("field \"checksum\" of document "), "{error}");
}
