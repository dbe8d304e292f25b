//! What a living link is answered with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::http::{Method, StatusCode};
use distribution_core::ObjectStat;

use crate::shelf::Shelf;
use crate::{Answer, BASE, KEY, NOW, ask, at, get, link, mounted, route, signer};

const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

fn shelf() -> Arc<Shelf> {
    Arc::new(Shelf::new(TEXT))
}

fn headers(answer: &Answer) -> BTreeMap<&str, &str> {
    answer.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect()
}

#[tokio::test]
async fn the_whole_object_with_all_its_headers() {
    let answer = get(&mounted(&shelf()), &link(KEY), &[]).await;
    assert_eq!((answer.status, answer.body.as_deref()), (StatusCode::OK, Some(TEXT.as_bytes())));
    let expected = BTreeMap::from([
        ("accept-ranges", "bytes"),
        ("cache-control", "private, no-transform, max-age=259200"),
        ("content-disposition", "inline; filename=\"clip-0123456789ab.mp4\""),
        ("content-length", "36"),
        ("content-type", "video/mp4"),
        ("etag", "\"v1\""),
        ("last-modified", "Fri, 02 Jan 2026 00:00:00 GMT"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ]);
    assert_eq!(headers(&answer), expected);
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_reads_nothing() {
    let (shelf, link) = (shelf(), link(KEY));
    let router = mounted(&shelf);
    let head = ask(&router, Method::HEAD, &link, &[]).await;
    assert_eq!(shelf.opened.load(Ordering::Relaxed), 0);
    assert_eq!(head.body.as_deref(), Some(&b""[..]));
    assert_eq!(headers(&head), headers(&get(&router, &link, &[]).await));
    // RFC 9110 §14.2 defines ranges for GET only.
    assert_eq!(ask(&router, Method::HEAD, &link, &[("range", "bytes=0-1")]).await, head);
}

#[tokio::test]
async fn one_range_is_a_part_of_the_same_object() {
    let (router, link) = (mounted(&shelf()), link(KEY));
    let whole = get(&router, &link, &[]).await;
    for (range, content_range, body) in [
        ("bytes=0-0", "bytes 0-0/36", "0"),
        ("bytes=10-15", "bytes 10-15/36", "abcdef"),
        ("bytes=30-", "bytes 30-35/36", "uvwxyz"),
        ("bytes=-6", "bytes 30-35/36", "uvwxyz"),
        ("bytes=30-999999", "bytes 30-35/36", "uvwxyz"),
        ("bytes=-999999", "bytes 0-35/36", TEXT),
    ] {
        let part = get(&router, &link, &[("range", range)]).await;
        assert_eq!((part.status, part.body.as_deref()), (StatusCode::PARTIAL_CONTENT, Some(body.as_bytes())));
        let length = body.len().to_string();
        let mut expected = headers(&whole);
        expected.insert("content-range", content_range);
        expected.insert("content-length", &length);
        assert_eq!(headers(&part), expected, "{range}");
    }
}

#[tokio::test]
async fn a_range_beyond_the_end_is_told_the_size() {
    let answer = get(&mounted(&shelf()), &link(KEY), &[("range", "bytes=36-")]).await;
    assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!(answer.header("content-range"), Some("bytes */36"));
    assert_eq!((answer.header("etag"), answer.header("cache-control")), (None, Some("no-store")));
}

#[tokio::test]
async fn other_range_headers_are_ignored() {
    let (router, link) = (mounted(&shelf()), link(KEY));
    let whole = get(&router, &link, &[]).await;
    for range in ["bytes=0-35,0-1", "bytes=5-4", "bytes=", "bytes=x", "items=0-1", ""] {
        assert_eq!(get(&router, &link, &[("range", range)]).await, whole, "{range}");
    }
}

#[tokio::test]
async fn if_range_gives_the_whole_object_if_it_is_another() {
    let (router, link) = (mounted(&shelf()), link(KEY));
    for (etag, status) in [("\"v1\"", 206), ("\"v0\"", 200), ("W/\"v1\"", 200), ("Fri, 02 Jan 2026 00:00:00 GMT", 200)]
    {
        for range in ["bytes=1-2", "bytes=99-"] {
            let answer = get(&router, &link, &[("range", range), ("if-range", etag)]).await;
            let expected = if status == 206 && range == "bytes=99-" { 416 } else { status };
            assert_eq!(answer.status, expected, "{etag} {range}");
        }
    }
}

#[tokio::test]
async fn what_the_store_does_not_tell_is_left_out() {
    for (modified, told) in [
        (None, None),
        (Some(at("2025-06-09T08:07:06.5Z")), Some("Mon, 09 Jun 2025 08:07:06 GMT")),
        (Some(at("2027-01-01T00:00:00Z")), Some("Fri, 02 Jan 2026 00:00:00 GMT")),
    ] {
        for (etag, quoted) in
            [(None, None), (Some("a\"b"), None), (Some("a b"), None), (Some("é"), None), (Some("x-1"), Some("\"x-1\""))]
        {
            let stat = ObjectStat { modified, etag: etag.map(str::to_owned), ..Shelf::new(TEXT).stat };
            let shelf = Arc::new(Shelf { stat, ..Shelf::new(TEXT) });
            let answer = get(&mounted(&shelf), &link(KEY), &[]).await;
            assert_eq!(answer.status, StatusCode::OK);
            assert_eq!((answer.header("last-modified"), answer.header("etag")), (told, quoted));
        }
    }
}

#[tokio::test]
async fn what_its_store_keeps_in_an_archive_is_told_to_be_there() {
    let stat = ObjectStat { is_archived: true, ..Shelf::new(TEXT).stat };
    let shelf = Arc::new(Shelf { stat, ..Shelf::new(TEXT) });
    let answer = get(&mounted(&shelf), &link(KEY), &[]).await;
    assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::CONFLICT, Some("no-store")));
    assert_eq!(answer.body.unwrap(), "this file is in an archive, and must be restored first\n");
}

#[tokio::test]
async fn an_empty_object_is_served() {
    let router = mounted(&Arc::new(Shelf::new("")));
    let answer = get(&router, &link(KEY), &[]).await;
    assert_eq!((answer.status, answer.header("content-length")), (StatusCode::OK, Some("0")));
    assert_eq!(get(&router, &link(KEY), &[("range", "bytes=0-")]).await.status, StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn it_can_be_mounted_in_every_way() {
    use distribution_core::{LinkRequest, ObjectKey, UrlSigner as _};

    let (shelf, nested) = (shelf(), link(KEY));
    let within = Router::new().nest("/files", route(&shelf, BASE)).fallback(|| async { StatusCode::IM_A_TEAPOT });
    assert_eq!(get(&within, &nested, &[]).await.status, StatusCode::OK);
    assert_eq!(get(&within, "/files/x", &[]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(get(&within, "/elsewhere", &[]).await.status, StatusCode::IM_A_TEAPOT);
    let doubled = nested.replace("/files/", "/files//");
    assert_eq!(get(&within, &doubled, &[]).await.status, StatusCode::FORBIDDEN);
    // Too deep: what is left of the path is another key.
    let deep = Router::new().nest("/files", Router::new().nest("/mvp", route(&shelf, BASE)));
    assert_eq!(get(&deep, &nested, &[]).await.status, StatusCode::FORBIDDEN);

    let base = "http://media.example";
    let wanted = LinkRequest { key: ObjectKey::parse(KEY).unwrap(), expires_at: at("2026-01-05T00:00:00Z") };
    let signed = signer(base).sign(&wanted, at(NOW)).await.unwrap();
    let at_root = signed.link.expose().strip_prefix(base).unwrap();
    for router in [
        route(&shelf, base),
        Router::new().fallback_service(route(&shelf, base)),
        Router::new().merge(route(&shelf, base)),
    ] {
        assert_eq!(get(&router, at_root, &[]).await.status, StatusCode::OK);
        assert_eq!(get(&router, &nested, &[]).await.status, StatusCode::FORBIDDEN);
    }
}
