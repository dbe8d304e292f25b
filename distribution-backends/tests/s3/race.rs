//! Many racers with distinct bytes for one key: one wins, and what is stored is the winner's.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use distribution_backends::S3Storage;
use distribution_core::{
    Body, Checksum, Content, ContentHeaders, CreateOutcome, Digest, Meter, ObjectKey, Storage as _,
};
use distribution_testkit::Budget;
use futures::StreamExt as _;
use futures::stream;
use sha2::Digest as _;
use tokio::sync::Barrier;

use crate::server::Server;
use crate::site::{KIB, MIB, unique};

/// Above what is put in one request.
const LARGE: usize = 17 * MIB;
const SMALL: usize = 64 * KIB;
/// What tells the racers' bytes apart.
const HEAD: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_s3_herd_on_the_server() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    let racers = Budget::chosen().pick(16, 64, 64);
    herd("proof_s3_herd_on_the_server", server, racers, Budget::chosen().pick(1, 2, 20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_s3_herd_on_the_double() {
    let (server, ..) = &Server::double().await;
    herd("proof_s3_herd_on_the_double", server.clone(), Budget::chosen().pick(4, 16, 64), 1).await;
}

async fn herd(proof: &str, server: Server, racers: usize, rounds: usize) {
    let started = Instant::now();
    let prefix = unique("herd");
    let config = server.config(server.bucket(), &prefix, &server.host);
    let storage = Arc::new(S3Storage::open(config).await.unwrap());
    for size in [SMALL, LARGE] {
        for round in 0..rounds {
            let key = ObjectKey::parse(format!("mvp/{size}-{round}.mp4")).unwrap();
            race(&server, &prefix, &storage, &key, size, racers).await;
        }
    }
    println!(
        "{proof}: {racers} racers with distinct bytes for one key, {rounds} times with {SMALL} bytes (one request) and \
         {rounds} times with {LARGE} (in parts): one winner each time, whose bytes are stored; {:.1} s",
        started.elapsed().as_secs_f64()
    );
}

async fn race(server: &Server, prefix: &str, storage: &Arc<S3Storage>, key: &ObjectKey, size: usize, racers: usize) {
    let tail = Bytes::from((0..size - HEAD).map(|n| (n * 31 % 251) as u8).collect::<Vec<_>>());
    let line = Arc::new(Barrier::new(racers));
    let runs = (0..racers).map(|n| {
        let (storage, key, content) = (Arc::clone(storage), key.clone(), content(n, &tail, &line));
        tokio::spawn(async move { storage.create(&key, content).await })
    });
    let mut outcomes = Vec::new();
    for run in runs.collect::<Vec<_>>() {
        outcomes.push(run.await.unwrap());
    }
    let is_winner = |outcome: &Result<_, _>| matches!(outcome, Ok(CreateOutcome::Created { .. }));
    let winners: Vec<_> = (0..racers).filter(|n| is_winner(&outcomes[*n])).collect();
    let losers = outcomes.iter().filter(|outcome| matches!(outcome, Ok(CreateOutcome::AlreadyExists))).count();
    assert_eq!((winners.len(), losers), (1, racers - 1), "{size} bytes: {outcomes:?}");

    let wanted = digest(winners[0], &tail);
    let stored = storage.digest(key, &Meter::default()).await.unwrap();
    assert_eq!(stored, Some(wanted), "what is stored is not the winner's");
    let path = format!("{}/{prefix}/{key}", server.bucket());
    let fetched = tokio::task::block_in_place(|| server.get(&path));
    assert_eq!(Checksum::of(&fetched), wanted.checksum, "curl fetches other bytes than the winner's");
    storage.remove(key).await.unwrap();
    let later = distribution_core::Clock::now(&distribution_backends::SystemClock) + chrono::TimeDelta::hours(1);
    let left = storage.unfinished(later, 1_000).await.unwrap();
    assert!(left.is_empty(), "losers leave nothing behind: {left:?}");
}

/// The racers' bytes differ in their head only, and all but that are one buffer. The last piece of each
/// waits for all others, so that all commit at once.
fn content(n: usize, tail: &Bytes, line: &Arc<Barrier>) -> Content {
    let Digest { checksum, size } = digest(n, tail);
    let (first, last) = (tail.slice(..tail.len() / 2), tail.slice(tail.len() / 2..));
    let line = Arc::clone(line);
    let end = stream::once(async move {
        line.wait().await;
        Ok(last)
    });
    let body = stream::iter([Ok(head(n)), Ok(first)]).chain(end);
    let headers = ContentHeaders {
        content_type: "video/mp4".to_owned(),
        content_disposition: "inline".to_owned(),
        cache_control: "private".to_owned(),
        user_metadata: [("racer".to_owned(), n.to_string())].into(),
    };
    Content { size, expected: checksum, headers, body: Body::Stream(body.boxed()), meter: Meter::default() }
}

fn head(n: usize) -> Bytes {
    format!("{n:0HEAD$}").into()
}

fn digest(n: usize, tail: &Bytes) -> Digest {
    let sha256 = sha2::Sha256::new().chain_update(head(n)).chain_update(tail).finalize();
    Digest { checksum: Checksum::from_bytes(sha256.into()), size: (HEAD + tail.len()) as u64 }
}
