//! A host that Prometheus scrapes. `cargo run --example metrics` publishes in memory (`publish` has a real store), and
//! serves `http://127.0.0.1:9464/metrics` until Ctrl-C; `cargo test --example metrics` scrapes it.

#[path = "shared/metrics.rs"]
mod prometheus;

use std::process::ExitCode;

use distribution_core::{Error, ErrorKind, QcReport};
use distribution_testkit::{World, request};
use tokio::net::TcpListener;

const ADDR: &str = "127.0.0.1:9464";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match TcpListener::bind(ADDR).await.map_err(unavailable) {
        Ok(listener) => match run(listener).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        },
        Err(error) => failed(&error),
    }
}

async fn run(listener: TcpListener) -> Result<(), Error> {
    let routes = prometheus::route(prometheus::record()?);
    let world = World::new();
    world.stage("clip.mp4", "approved bytes");
    let publisher = world.publisher("host-1");
    publisher.publish(request("clip.mp4", b"approved bytes")).await?;
    let mut refused = request("clip.mp4", b"approved bytes");
    refused.qc_report = QcReport { status: "fail".into(), ..QcReport::pass() };
    match publisher.publish(refused).await {
        Err(error) if error.kind() == ErrorKind::Refused => {}
        outcome => return outcome.map(drop),
    }
    axum::serve(listener, routes).await.map_err(unavailable)
}

fn unavailable(error: std::io::Error) -> Error {
    Error::unavailable(format!("cannot serve {ADDR}: {error}"))
}

#[expect(clippy::print_stderr, reason = "a command line speaks to people on stderr")]
fn failed(error: &Error) -> ExitCode {
    eprintln!("{}: {error}", error.kind());
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn what_is_published_is_scraped() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let server = tokio::spawn(run(listener));
        stream.write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        server.abort();
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
        for line in [
            "distribution_publish_success_rate 1",
            "distribution_replica_count{target=\"default\"} 1",
            "distribution_latency_ms_count{target=\"default\",outcome=\"published\"} 1",
            "distribution_publish_total{target=\"default\",outcome=\"turned_away\",kind=\"refused\"} 1",
            "distribution_bytes_total{target=\"default\"} 14",
            "distribution_alerts_total{kind=\"qc_refused\"} 1",
            "distribution_stage_ms_count{target=\"default\",stage=\"transfer\",outcome=\"done\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "no `{line}` in {text}");
        }
    }
}
