//! Whoever has no living link learns nothing, not even what is wrong.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Bytes;
use axum::http::{Method, StatusCode};

use crate::shelf::Shelf;
use crate::{KEY, ask, get, link, link_until, mounted};

#[tokio::test]
async fn every_refusal_is_the_same_and_asks_the_store_nothing() {
    let shelf = Arc::new(Shelf::new("secret bytes"));
    let (router, good) = (mounted(&shelf), link(KEY));
    let (path, query) = good.split_once('?').unwrap();
    let forged = format!("{}A", &good[..good.len() - 1]);
    let first = get(&router, path, &[]).await;
    assert_eq!(first.status, StatusCode::FORBIDDEN);
    assert_eq!(first.header("cache-control"), Some("no-store"));

    let mut links = vec![
        forged.clone(),
        link_until(KEY, "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"),
        link_until(KEY, "2026-01-19T00:00:00Z", "2026-01-18T00:00:00Z"),
        "/files".into(),
        format!("/files?{query}"),
        format!("/files/?{query}"),
        format!("{path}?"),
        format!("{path}/?{query}"),
        format!("{good}&download=1"),
        format!("{path}?response-content-type=text/html&{query}"),
        good.replace("k=k1", "k=k2"),
        good.replace("k=k1", "k=%6B1"),
    ];
    for other in [
        "mvp%2Fclip-0123456789ab.mp4",
        "mvp%2fclip-0123456789ab.mp4",
        "mvp/clip-0123456789ab%2Emp4",
        "mvp/clip-0123456789ab%2emp4",
        "mvp/%2e%2e/mvp/clip-0123456789ab.mp4",
        "%2e%2e/files/mvp/clip-0123456789ab.mp4",
        "../files/mvp/clip-0123456789ab.mp4",
        "mvp/../mvp/clip-0123456789ab.mp4",
        "mvp/./clip-0123456789ab.mp4",
        "mvp//clip-0123456789ab.mp4",
        "/mvp/clip-0123456789ab.mp4",
        "mvp/clip-0123456789ab.mp4;x",
        "mvp/clip-0123456789ab.mp4%00",
        "mvp/clip-0123456789AB.mp4",
        "mvp/other.mp4",
    ] {
        links.push(format!("/files/{other}?{query}"));
    }
    for link in &links {
        assert_eq!(get(&router, link, &[]).await, first, "{link}");
        assert_eq!(get(&router, link, &[("range", "bytes=0-1"), ("if-range", "\"v1\"")]).await, first, "{link}");
        let head = ask(&router, Method::HEAD, link, &[]).await;
        assert_eq!(
            (head.status, &head.headers, head.body),
            (first.status, &first.headers, Some(Bytes::new())),
            "{link}"
        );
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "get"] {
        for link in [&good, &forged] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(ask(&router, method.clone(), link, &[]).await, first, "{method}");
        }
    }
    assert_eq!(shelf.asked.load(Ordering::Relaxed), 0);
    assert_eq!(get(&router, &good, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn only_a_living_link_learns_that_its_object_is_missing() {
    let router = mounted(&Arc::new(Shelf::new("bytes")));
    let missing = link("mvp/missing.mp4");
    for method in [Method::GET, Method::HEAD] {
        let answer = ask(&router, method.clone(), &missing, &[]).await;
        assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::NOT_FOUND, Some("no-store")));
        let forged = format!("{}A", &missing[..missing.len() - 1]);
        assert_eq!(ask(&router, method, &forged, &[]).await.status, StatusCode::FORBIDDEN);
    }
}
