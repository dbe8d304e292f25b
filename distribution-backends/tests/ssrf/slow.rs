//! Servers that take their time.

use std::thread;
use std::time::{Duration, Instant};

use distribution_backends::{HttpSource, HttpSourceBuilder};
use distribution_core::ErrorKind;

use crate::read;
use crate::server::{Exchange, Server};

const HEAD: &str = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 100000\r\n\r\n";
const LONG: Duration = Duration::from_secs(20);

/// Sends the bytes one by one, twenty a second.
fn drip(exchange: &mut Exchange, bytes: &[u8]) {
    for byte in bytes {
        exchange.say([*byte]);
        thread::sleep(Duration::from_millis(50));
    }
}

/// Expects the time to be up long before the server is done.
async fn gives_up(
    answer: impl Fn(Exchange) + Send + Sync + 'static,
    limit: impl Fn(HttpSourceBuilder) -> HttpSourceBuilder,
) {
    let server = Server::start("127.0.0.1", answer);
    let source = HttpSource::builder().private_host_without_tls(&server.address.to_string(), &["127.0.0.1/32"]);
    let source = limit(source).build().unwrap();
    let begun = Instant::now();
    let error = read(&source, &server.url("clip.mp4")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(begun.elapsed() < LONG / 2, "{error}: {:?}", begun.elapsed());
}

fn in_all(builder: HttpSourceBuilder) -> HttpSourceBuilder {
    builder.time_max(Duration::from_millis(700)).silence_max(LONG)
}

fn silent(builder: HttpSourceBuilder) -> HttpSourceBuilder {
    builder.time_max(LONG).silence_max(Duration::from_millis(300))
}

#[tokio::test]
async fn a_drop_at_a_time_ends_with_the_time_for_all_of_it() {
    let head = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(1000));
    gives_up(move |mut exchange| drip(&mut exchange, head.as_bytes()), in_all).await;
    gives_up(
        |mut exchange| {
            exchange.say(HEAD);
            drip(&mut exchange, &[7; 1000]);
        },
        in_all,
    )
    .await;
}

#[tokio::test]
async fn silence_ends_with_the_time_for_silence() {
    gives_up(|_exchange| thread::sleep(LONG), silent).await;
    gives_up(
        |mut exchange| {
            exchange.say(HEAD);
            thread::sleep(LONG);
        },
        silent,
    )
    .await;
}
