//! Preconditions (RFC 9110 §13).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::Method;

use crate::shelf::Shelf;
use crate::{KEY, ask, at, link, mounted};

/// The object has the etag `"v1"` and was last modified on 1 January at noon, half a day ago.
fn shelf() -> Shelf {
    let mut shelf = Shelf::new("0123456789");
    shelf.stat.modified = Some(at("2026-01-01T12:00:00.7Z"));
    shelf
}

const THEN: &str = "Thu, 01 Jan 2026 12:00:00 GMT";
const BEFORE: &str = "Thu, 01 Jan 2026 11:59:59 GMT";

#[tokio::test]
async fn they_count_in_their_order() {
    let (router, link) = (mounted(&Arc::new(shelf())), link(KEY));
    let rows: &[(&[(&str, &str)], u16)] = &[
        (&[("if-match", "\"v1\"")], 200),
        (&[("if-match", "*")], 200),
        (&[("if-match", "\"v0\", \"a,b\" ,\"v1\"")], 200),
        (&[("if-match", "\"v0\""), ("if-match", "\"v1\"")], 200),
        (&[("if-match", "\"v0\"")], 412),
        (&[("if-match", "W/\"v1\"")], 412),
        (&[("if-match", "v1")], 412),
        (&[("if-match", "\"v1\"x")], 412),
        (&[("if-match", "")], 412),
        (&[("if-unmodified-since", THEN)], 200),
        (&[("if-unmodified-since", BEFORE)], 412),
        (&[("if-unmodified-since", "yesterday")], 200),
        (&[("if-match", "\"v1\""), ("if-unmodified-since", BEFORE)], 200),
        (&[("if-none-match", "\"v1\"")], 304),
        (&[("if-none-match", "W/\"v1\"")], 304),
        (&[("if-none-match", "\"v0\",W/\"v1\"")], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"v0\"")], 200),
        (&[("if-none-match", "v1")], 200),
        (&[("if-modified-since", THEN)], 304),
        (&[("if-modified-since", "Thursday, 01-Jan-26 12:00:00 GMT")], 304),
        (&[("if-modified-since", "Thu Jan  1 12:00:00 2026")], 304),
        (&[("if-modified-since", BEFORE)], 200),
        (&[("if-modified-since", "Fri, 01 Jan 2026 12:00:00 GMT")], 200),
        (&[("if-none-match", "\"v0\""), ("if-modified-since", THEN)], 200),
        (&[("if-match", "\"v0\""), ("if-none-match", "\"v1\"")], 412),
        (&[("if-match", "\"v1\""), ("if-none-match", "\"v1\"")], 304),
        (&[("if-none-match", "\"v1\""), ("range", "bytes=0-1")], 304),
        (&[("if-match", "\"v0\""), ("range", "bytes=99-")], 412),
        (&[("if-match", "\"v1\""), ("range", "bytes=0-1")], 206),
        (&[("if-range", THEN), ("range", "bytes=0-1")], 206),
        (&[("if-range", BEFORE), ("range", "bytes=0-1")], 200),
        (&[("if-range", "Thu, 01 Jan 2026 12:00:01 GMT"), ("range", "bytes=0-1")], 200),
    ];
    for (headers, status) in rows {
        let answer = ask(&router, Method::GET, &link, headers).await;
        assert_eq!(answer.status, *status, "{headers:?}");
        if *status != 206 && !headers.iter().any(|(name, _)| *name == "range") {
            assert_eq!(ask(&router, Method::HEAD, &link, headers).await.status, *status, "{headers:?}");
        }
    }
}

#[tokio::test]
async fn not_modified_has_validators_and_no_body() {
    let shelf = Arc::new(shelf());
    let answer = ask(&mounted(&shelf), Method::GET, &link(KEY), &[("if-none-match", "\"v1\"")]).await;
    assert_eq!((answer.header("etag"), answer.header("last-modified")), (Some("\"v1\""), Some(THEN)));
    assert_eq!(answer.header("cache-control"), Some("private, no-transform, max-age=259200"));
    assert_eq!((answer.header("content-length"), answer.header("content-type")), (Some("10"), None));
    assert_eq!((answer.body.unwrap().len(), shelf.opened.load(Ordering::Relaxed)), (0, 0));
}

#[tokio::test]
async fn a_date_is_strong_a_minute_later_only() {
    for (modified, date, status) in [
        ("2026-01-01T23:59:00Z", "Thu, 01 Jan 2026 23:59:00 GMT", 206),
        ("2026-01-01T23:59:01Z", "Thu, 01 Jan 2026 23:59:01 GMT", 200),
        ("2027-01-01T00:00:00Z", "Fri, 02 Jan 2026 00:00:00 GMT", 200),
    ] {
        let mut shelf = shelf();
        shelf.stat.modified = Some(at(modified));
        let headers = [("if-range", date), ("range", "bytes=0-1")];
        assert_eq!(ask(&mounted(&Arc::new(shelf)), Method::GET, &link(KEY), &headers).await.status, status, "{date}");
    }
}

#[tokio::test]
async fn without_validators_only_a_star_matches() {
    let mut shelf = shelf();
    (shelf.stat.modified, shelf.stat.etag) = (None, None);
    let (router, link) = (mounted(&Arc::new(shelf)), link(KEY));
    for (name, value, status) in [
        ("if-match", "*", 200),
        ("if-match", "\"v1\"", 412),
        ("if-none-match", "\"v1\"", 200),
        ("if-modified-since", THEN, 200),
        ("if-unmodified-since", BEFORE, 200),
    ] {
        assert_eq!(ask(&router, Method::GET, &link, &[(name, value)]).await.status, status, "{name}");
    }
}
