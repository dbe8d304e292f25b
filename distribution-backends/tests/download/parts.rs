//! Several ranges in one answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::StatusCode;

use crate::shelf::{Fault, Shelf};
use crate::{Answer, KEY, get, link, mounted};

const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

fn boundary(answer: &Answer) -> &str {
    answer.header("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap()
}

#[tokio::test]
async fn each_range_is_a_part_of_its_own() {
    let (router, link) = (mounted(&Arc::new(Shelf::new(TEXT))), link(KEY));
    let answer = get(&router, &link, &[("range", "bytes=30-,0-9,20-20")]).await;
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    let boundary = boundary(&answer);
    let part = |range: &str, bytes: &str| {
        format!("--{boundary}\r\nContent-Type: video/mp4\r\nContent-Range: bytes {range}/36\r\n\r\n{bytes}\r\n")
    };
    let parts = [part("30-35", "uvwxyz"), part("0-9", "0123456789"), part("20-20", "k")].concat();
    let expected = format!("{parts}--{boundary}--\r\n");
    assert_eq!(answer.body.as_deref(), Some(expected.as_bytes()));
    assert_eq!(answer.header("content-length"), Some(expected.len().to_string().as_str()));
    assert_eq!((answer.header("content-range"), answer.header("etag")), (None, Some("\"v1\"")));
}

#[tokio::test]
async fn no_boundary_comes_twice() {
    let (router, link) = (mounted(&Arc::new(Shelf::new(TEXT))), link(KEY));
    let range = [("range", "bytes=0-1,9-9")];
    let (one, other) = (get(&router, &link, &range).await, get(&router, &link, &range).await);
    assert_ne!(boundary(&one), boundary(&other));
    assert!((32..=70).contains(&boundary(&one).len()));
}

#[tokio::test]
async fn what_meets_is_one_range() {
    let (router, link) = (mounted(&Arc::new(Shelf::new(TEXT))), link(KEY));
    for (range, content_range) in
        [("bytes=0-1,2-5", "bytes 0-5/36"), ("bytes=4-9,0-5", "bytes 0-9/36"), ("bytes=1-1,99-", "bytes 1-1/36")]
    {
        let answer = get(&router, &link, &[("range", range)]).await;
        assert_eq!((answer.status, answer.header("content-range")), (StatusCode::PARTIAL_CONTENT, Some(content_range)));
        assert_eq!(answer.header("content-type"), Some("video/mp4"));
    }
    let none = get(&router, &link, &[("range", "bytes=36-,99-100")]).await;
    assert_eq!(none.status, StatusCode::RANGE_NOT_SATISFIABLE);
}

#[tokio::test]
async fn who_asks_for_too_much_gets_the_file() {
    let (router, link) = (mounted(&Arc::new(Shelf::new(TEXT))), link(KEY));
    let many: Vec<_> = (0..17).map(|i| format!("{0}-{0}", i * 2)).collect();
    let killer: Vec<_> = (0..1300).map(|i| format!("5-{i}")).collect();
    for range in [many.join(","), killer.join(","), "0-,0-".into(), "0-20,10-35".into(), "-36,-36".into()] {
        let answer = get(&router, &link, &[("range", &format!("bytes={range}"))]).await;
        assert_eq!((answer.status, answer.body.as_deref()), (StatusCode::OK, Some(TEXT.as_bytes())), "{range}");
    }
}

#[tokio::test]
async fn a_store_that_fails_breaks_the_body() {
    for fault in [Fault::Breaks(0), Fault::Ends(1), Fault::Ends(3)] {
        let shelf = Shelf::failing(TEXT, fault);
        let answer = get(&mounted(&shelf), &link(KEY), &[("range", "bytes=0-1,9-10,20-21")]).await;
        assert_eq!((answer.status, answer.body), (StatusCode::PARTIAL_CONTENT, None));
        assert_eq!(shelf.opened.load(Ordering::Relaxed), 1, "no part is opened before those in front of it are sent");
    }
    let gone = get(&mounted(&Shelf::failing(TEXT, Fault::Gone)), &link(KEY), &[("range", "bytes=0-1,9-10")]).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}
