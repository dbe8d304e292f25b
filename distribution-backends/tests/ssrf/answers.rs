//! What servers answer, and what is made of it.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use distribution_backends::{HttpSource, HttpSourceBuilder};
use distribution_core::{Error, ErrorKind};

use crate::server::{Server, file, status};
use crate::{everything, read};

const MIB: usize = 1 << 20;

fn source(server: &Server) -> HttpSourceBuilder {
    HttpSource::builder().private_host_without_tls(&server.address.to_string(), &["127.0.0.0/8"])
}

async fn answered(answer: impl Into<Vec<u8>>) -> Result<Option<(u64, String)>, Error> {
    let server = Server::saying("127.0.0.1", answer);
    let source = source(&server).size_max(MIB as u64).build().unwrap();
    let read = read(&source, &server.url("clip.mp4?signature=hidden")).await;
    read.inspect_err(|error| assert!(!everything(error).contains("hidden"), "{}", everything(error)))
        .map(|found| found.map(|(pin, _)| (pin.size, pin.tag)))
}

#[tokio::test]
async fn the_status_says_whether_there_is_a_file() {
    for line in ["404 Not Found", "410 Gone"] {
        assert_eq!(answered(status(line, "")).await.unwrap(), None);
    }
    for line in [
        "201 Created",
        "204 No Content",
        "206 Partial Content",
        "300 Multiple Choices",
        "304 Not Modified",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "429 Too Many Requests",
        "500 Oops",
        "503 Busy",
    ] {
        let error = answered(status(line, "ETag: \"one\"\r\n")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{line}: {error}");
        assert!(error.message().contains(&line[..3]), "{line}: {error}");
    }
    let error = answered(status("403 Forbidden", "")).await.unwrap_err();
    assert!(error.message().contains("expired"), "{error}");
    for junk in ["", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -5\r\nETag: \"a\"\r\n\r\n"] {
        assert_eq!(answered(junk).await.unwrap_err().kind(), ErrorKind::Unavailable, "{junk}");
    }
}

#[tokio::test]
async fn a_file_is_pinned_or_it_is_not_read() {
    let head = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}Connection: close\r\n\r\nbytes");
    let size = "Content-Length: 5\r\n";
    let pinned = |headers: &str| answered(head(&format!("{size}{headers}")));
    let tag = |tag: &str| Some((5, tag.to_owned()));
    assert_eq!(pinned("ETag: \"a-b\"\r\n").await.unwrap(), tag("etag-a-b"));
    let date = "Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n";
    let modified = tag("modified-Thu, 01 Jan 2026 00:00:00 GMT");
    assert_eq!(pinned(date).await.unwrap(), modified);
    assert_eq!(pinned(&format!("{date}ETag: W/\"a\"\r\n")).await.unwrap(), modified);
    assert_eq!(pinned(&format!("{date}ETag: \"a\"\r\n")).await.unwrap(), tag("etag-a"));
    assert_eq!(pinned("ETag: \"a\"\r\nContent-Encoding: identity\r\n").await.unwrap(), tag("etag-a"));

    let long = format!("ETag: \"{}\"\r\n", "x".repeat(300));
    for unfit in ["", "ETag: W/\"a\"\r\n", "ETag: a\r\n", "ETag: \"a\"\r\nContent-Encoding: gzip\r\n", &long] {
        assert_eq!(pinned(unfit).await.unwrap_err().kind(), ErrorKind::Invalid, "{unfit}");
    }
    let unknown = answered(head("ETag: \"a\"\r\n")).await.unwrap_err();
    assert!(unknown.kind() == ErrorKind::Invalid && unknown.message().contains("Content-Length"), "{unknown}");
    let chunked = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbytes\r\n0\r\n\r\n";
    assert_eq!(answered(chunked).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_file_may_be_as_long_as_the_limit() {
    assert_eq!(answered(file("a", &vec![7; MIB])).await.unwrap().unwrap().0, MIB as u64);
    let error = answered(file("a", &vec![7; MIB + 1])).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (ErrorKind::Invalid, "is 1048577 bytes long, the limit is 1048576"));
    let huge = "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 10737418240\r\n\r\n";
    assert_eq!(answered(huge).await.unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn fewer_bytes_than_declared_are_no_file() {
    for sent in [0, 1, 999] {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: \"a\"\r\nConnection: close\r\n\r\n";
        let error = answered([head.as_bytes(), &vec![7; sent]].concat()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{sent}: {error}");
    }
    // A server that ends its chunks early, against the length that it told.
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nTransfer-Encoding: chunked\r\nETag: \"a\"\r\n\r\n";
    let error = answered(format!("{head}5\r\nbytes\r\n0\r\n\r\n")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Invalid), "{error}");
}

#[tokio::test]
async fn a_body_without_an_end_is_cut() {
    let endless = [
        ("Content-Length: 1000\r\nTransfer-Encoding: chunked\r\n", "10000\r\n"),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1000\r\n", "10000\r\n"),
        ("Transfer-Encoding: chunked\r\n", "10000\r\n"),
        ("Connection: close\r\n", ""),
    ];
    for (headers, chunk) in endless {
        let taken = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&taken);
        let server = Server::start("127.0.0.1", move |mut exchange| {
            exchange.say(format!("HTTP/1.1 200 OK\r\nETag: \"a\"\r\n{headers}\r\n"));
            let piece = [chunk.as_bytes(), &[7; 0x10000], if chunk.is_empty() { b"" } else { b"\r\n" }].concat();
            while exchange.stream.write_all(&piece).is_ok() {
                count.fetch_add(piece.len(), Ordering::SeqCst);
            }
        });
        let source = source(&server).size_max(MIB as u64).time_max(Duration::from_secs(30)).build().unwrap();
        read(&source, &server.url("clip.mp4")).await.expect_err(headers);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let before = taken.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(taken.load(Ordering::SeqCst), before, "{headers}: it goes on");
        // What the buffers between the two hold.
        assert!(before < 16 * MIB, "{headers}: {before} bytes were taken");
    }
}

#[tokio::test]
async fn the_request_says_no_more_than_it_must() {
    let server = Server::start("127.0.0.1", |mut exchange| {
        // One answer a connection: a client that used it again would meet its end.
        let cookie = "HTTP/1.1 200 OK\r\nConnection: close\r\nSet-Cookie: session=1\r\nContent-Length: 1\r\nETag: \"a\"\r\n\r\nx";
        exchange.say(cookie);
    });
    let source = source(&server).build().unwrap();
    for _ in 0..2 {
        read(&source, &server.url("clip.mp4?signature=x#part")).await.unwrap().unwrap();
    }
    let heads = server.heads();
    assert_eq!(heads.len(), 2);
    for head in heads {
        let mut lines: Vec<String> = head.trim_end().lines().map(str::to_lowercase).collect();
        lines.sort();
        let host = format!("host: {}", server.address);
        let wanted = ["accept-encoding: identity", "accept: */*", "get /clip.mp4?signature=x http/1.1", host.as_str()];
        assert_eq!(lines, wanted);
    }
}

#[tokio::test]
async fn a_server_that_is_away_may_come_back_and_no_secret_is_told() {
    let away = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let source = HttpSource::builder().private_host_without_tls(&away.to_string(), &["127.0.0.1/32"]).build().unwrap();
    let error = read(&source, &format!("http://{away}/clip.mp4?signature=hidden")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!everything(&error).contains("hidden"), "{}", everything(&error));
    assert!(everything(&error).to_lowercase().contains("refused"), "the cause is told: {}", everything(&error));
}
