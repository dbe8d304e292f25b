//! How far a body is read ahead of who takes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::Request;
use futures::{FutureExt as _, StreamExt as _};
use tower::ServiceExt as _;

use crate::shelf::Shelf;
use crate::{KEY, link, mounted};

const SIZE: usize = 1 << 20;
const CHUNK: usize = 64 << 10;

fn shelf() -> Arc<Shelf> {
    Arc::new(Shelf { chunk: CHUNK, ..Shelf::new(vec![7; SIZE]) })
}

async fn body(shelf: &Arc<Shelf>, range: &str) -> Body {
    let request = Request::get(link(KEY)).header("range", range).body(Body::empty()).unwrap();
    mounted(shelf).oneshot(request).await.unwrap().into_body()
}

/// What comes without letting go of anything.
async fn all_there_is(body: &mut (impl futures::Stream<Item = Result<Bytes, axum::Error>> + Unpin)) -> Vec<Bytes> {
    let mut held = Vec::new();
    // A body that only gives others a chance wakes itself at once.
    for _ in 0..100 {
        while let Some(Some(piece)) = body.next().now_or_never() {
            held.push(piece.unwrap());
        }
    }
    held
}

#[tokio::test]
async fn little_is_read_ahead_of_a_reader_who_takes_nothing() {
    let shelf = shelf();
    let mut body = body(&shelf, "bytes=0-").await.into_data_stream();
    let mut read = body.next().await.unwrap().unwrap().len();
    let mut ahead = 0;
    while read < SIZE {
        let held = all_there_is(&mut body).await;
        assert!(!held.is_empty(), "it goes on when what waits is let go");
        read += held.iter().map(Bytes::len).sum::<usize>();
        ahead = ahead.max(held.iter().map(Bytes::len).sum());
        assert_eq!(shelf.taken.load(Ordering::Relaxed), read as u64, "nothing is read that is not handed on");
    }
    assert!(ahead < 2 * CHUNK, "{ahead} bytes waited");
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn whoever_waits_is_woken() {
    let shelf = shelf();
    let mut body = body(&shelf, "bytes=0-").await.into_data_stream();
    drop(body.next().await.unwrap().unwrap());
    let held = all_there_is(&mut body).await;
    let next = tokio::spawn(async move { body.next().await.unwrap().unwrap().len() });
    tokio::task::yield_now().await;
    assert!(!next.is_finished());
    drop(held);
    assert_eq!(next.await.unwrap(), CHUNK);
}

#[tokio::test]
async fn whoever_collects_gets_everything() {
    for range in ["bytes=0-", "bytes=0-299999,400000-999999"] {
        let body = body(&shelf(), range).await;
        assert!(to_bytes(body, usize::MAX).await.unwrap().len() >= 900_000);
    }
}
