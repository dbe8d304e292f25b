use std::fs;
use std::time::Duration;

use bytes::Bytes;
use distribution_core::{Body, Checksum, CreateOutcome, Error, Meter, Storage, Unfit};
use futures::{StreamExt, stream};

use crate::support::{MIB, Place, bytes_of, content, created, digest_of, key_of, pieces, stream_of};

#[tokio::test]
async fn a_stream_is_stored_however_it_is_cut() {
    let place = Place::new();
    let bytes = bytes_of(1, 3 * MIB + 5);
    for (n, piece) in [(1, 1000), (2, 256 << 10), (3, MIB + 1), (4, 8 * MIB)] {
        let key = key_of(&format!("clip-{n}.mp4"));
        assert_eq!(place.disk.create(&key, stream_of(&bytes, piece)).await.unwrap(), created(&bytes));
        assert!(fs::read(place.store(key.as_str())).unwrap() == bytes);
    }
    assert_eq!(place.disk.create(&key_of("empty"), stream_of(b"", 1)).await.unwrap(), created(b""));
}

#[tokio::test]
async fn empty_pieces_are_no_end() {
    let place = Place::new();
    let parts = ["", "one", "", "", "two", ""].map(|part| Ok(Bytes::from_static(part.as_bytes())));
    let body = Body::Stream(stream::iter(parts).boxed());
    let outcome = place.disk.create(&key_of("clip"), content(6, Checksum::of(b"onetwo"), body, Meter::default())).await;
    assert_eq!(outcome.unwrap(), created(b"onetwo"));
}

#[tokio::test]
async fn a_failing_stream_gives_its_own_error_and_leaves_nothing() {
    for len in [0, MIB, 2 * MIB] {
        let place = Place::new();
        let bytes = bytes_of(2, 2 * MIB);
        let failing = stream::iter([Err(Error::unavailable("the line was cut"))]);
        let body = Body::Stream(pieces(&bytes[..len], 100_000).chain(failing).boxed());
        let content = content(bytes.len(), Checksum::of(&bytes), body, Meter::default());
        let error = place.disk.create(&key_of("clip.mp4"), content).await.unwrap_err();
        assert_eq!(error.message(), "the line was cut");
        assert!(place.files().is_empty(), "{:?}", place.files());
    }
}

#[tokio::test]
async fn other_bytes_are_named_and_leave_nothing() {
    let approved = bytes_of(3, 2 * MIB);
    for found in [bytes_of(4, 2 * MIB), approved[..2 * MIB - 1].to_vec(), Vec::new()] {
        let place = Place::new();
        let body = Body::Stream(pieces(&found, 100_000));
        let content = content(approved.len(), Checksum::of(&approved), body, Meter::default());
        let outcome = place.disk.create(&key_of("clip.mp4"), content).await.unwrap();
        assert_eq!(outcome, CreateOutcome::Unfit(Unfit::OtherBytes { found: digest_of(&found) }));
        assert!(place.files().is_empty(), "{:?}", place.files());
    }
}

#[tokio::test]
async fn a_stream_longer_than_announced_is_cut_even_if_it_never_ends() {
    let place = Place::new();
    let bytes = bytes_of(5, MIB);
    let endless = stream::repeat_with(|| Ok(Bytes::from_static(&[7; 1000])));
    let body = Body::Stream(pieces(&bytes, 100_000).chain(endless).boxed());
    let content = content(bytes.len(), Checksum::of(&bytes), body, Meter::default());
    let key = key_of("clip.mp4");
    let create = tokio::time::timeout(Duration::from_secs(60), place.disk.create(&key, content));
    assert_eq!(create.await.unwrap().unwrap(), CreateOutcome::Unfit(Unfit::Changed));
    assert!(place.files().is_empty(), "{:?}", place.files());
}

#[tokio::test]
async fn an_answer_does_not_wait_for_a_stream_that_stalls() {
    let place = Place::new();
    place.put("clip.mp4", b"here").await;
    let body = Body::Stream(stream::pending().boxed());
    let content = content(4, Checksum::of(b"here"), body, Meter::default());
    let key = key_of("clip.mp4");
    let create = tokio::time::timeout(Duration::from_secs(60), place.disk.create(&key, content));
    assert_eq!(create.await.unwrap().unwrap(), CreateOutcome::AlreadyExists);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_create_leaves_nothing() {
    let place = Place::new();
    let bytes = bytes_of(6, 2 * MIB);
    let body = Body::Stream(pieces(&bytes[..MIB], 100_000).chain(stream::pending()).boxed());
    let content = content(bytes.len(), Checksum::of(&bytes), body, Meter::default());
    let key = key_of("clip.mp4");
    let create = place.disk.create(&key, content);
    assert!(tokio::time::timeout(Duration::from_millis(300), create).await.is_err(), "stalled");
    place.wait_until_clean().await;
    assert!(place.files().is_empty(), "{:?}", place.files());
}
