//! A server that says what it is told to, right or wrong.

use std::error::Error as _;
use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use distribution_backends::{HmacKey, HmacSigner, LinkProbe, Probed};
use distribution_core::{Error, ErrorKind, LinkRequest, UrlSigner as _};

use crate::server::{Server, status};
use crate::{Disk, SECRET, key, probe};

const SIZE: usize = 10_000;
const FIRST: usize = 4_096;

/// A 206 with these header lines and this body.
fn part(headers: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 206 Partial Content\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn right(disk: &Disk) -> Vec<u8> {
    part("Content-Type: video/mp4\r\nContent-Range: bytes 0-4095/10000\r\n", &disk.bytes[..FIRST])
}

/// What the probe says of a link whose server answers like this.
async fn said(disk: &Disk, answer: impl Into<Vec<u8>>) -> Result<(), Error> {
    let server = Server::saying("127.0.0.1", answer);
    let said = disk.check(&probe(), &server.url(&format!("mvp/clip.mp4?{SECRET}"))).await;
    let [head] = server.heads().try_into().expect("one request");
    let head = head.to_lowercase();
    assert!(head.starts_with("get /mvp/clip.mp4?s=canary-signature http/1.1\r\n"), "{head}");
    assert!(
        head.contains("\r\nrange: bytes=0-4095\r\n") && head.contains("\r\naccept-encoding: identity\r\n"),
        "{head}"
    );
    if let Err(error) = &said {
        is_silent(error);
    }
    said
}

#[track_caller]
fn is_silent(error: &Error) {
    let mut shown = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        shown += &format!(" {error} {error:?}");
        cause = error.source();
    }
    assert!(!shown.contains("canary"), "{shown}");
}

#[tokio::test]
async fn a_link_that_works() {
    let disk = Disk::of(SIZE);
    said(&disk, right(&disk)).await.unwrap();
    let parameter = part(
        "Content-Type: Video/MP4; codecs=\"avc1\"\r\nContent-Encoding: identity\r\nContent-Range: Bytes 0-4095/10000\r\n",
        &disk.bytes[..FIRST],
    );
    said(&disk, parameter).await.unwrap();
}

#[tokio::test]
async fn an_object_of_fewer_bytes_than_are_asked_for() {
    for size in [1, FIRST - 1, FIRST] {
        let disk = Disk::of(size);
        let headers = format!("Content-Type: video/mp4\r\nContent-Range: bytes 0-{}/{size}\r\n", size - 1);
        let server = Server::saying("127.0.0.1", part(&headers, &disk.bytes));
        disk.check(&probe(), &server.url("clip.mp4")).await.unwrap();
    }
}

#[tokio::test]
async fn each_fault_is_named_with_a_way_out() {
    let disk = Disk::of(SIZE);
    let first = &disk.bytes[..FIRST];
    let of = |headers: &str| part(&format!("{headers}\r\n"), first);
    let redirect = format!("Location: http://127.0.0.1:1/mvp/clip.mp4?{SECRET}\r\n");
    let whole =
        [&b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 10000\r\n\r\n"[..], &disk.bytes].concat();
    let mut other = first.to_vec();
    other[FIRST - 1] ^= 1;
    let mp4 = "Content-Type: video/mp4\r\n";
    let range = "Content-Range: bytes 0-4095/10000\r\n";
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (status("401 Unauthorized", "").into(), "is refused (HTTP 401): look whether its server knows the key"),
        (status("403 Forbidden", "").into(), "is refused (HTTP 403): look whether its server knows the key"),
        (status("404 Not Found", "").into(), "leads to no object (HTTP 404): look at its base"),
        (status("410 Gone", "").into(), "leads to no object (HTTP 410): look at its base"),
        (status("302 Found", &redirect).into(), "is redirected (HTTP 302): correct its base"),
        (status("308 Permanent Redirect", &redirect).into(), "is redirected (HTTP 308): correct its base"),
        (status("400 Bad Request", "").into(), "is not understood by its server (HTTP 400): look at its base"),
        (status("416 Range Not Satisfiable", "").into(), "is not understood by its server (HTTP 416)"),
        (status("204 No Content", "").into(), "is not understood by its server (HTTP 204)"),
        (whole, "is answered whole, not with the range that was asked for (HTTP 200): have its server honour ranges"),
        (of(&range.replace("\r\n", "")), "is not answered with the type video/mp4"),
        (of(&format!("Content-Type: application/octet-stream\r\n{}", range.trim())), "is not answered with the type"),
        (of(&format!("Content-Type: video/mp4v\r\n{}", range.trim())), "is not answered with the type video/mp4"),
        (of(mp4.trim()), "is not answered with `bytes 0-4095/10000`: have its server honour ranges"),
        (of(&format!("{mp4}Content-Range: bytes 0-4095/*")), "is not answered with `bytes 0-4095/10000`"),
        (of(&format!("{mp4}Content-Range: bytes 1-4096/10000")), "is not answered with `bytes 0-4095/10000`"),
        (
            of(&format!("{mp4}Content-Range: bytes 0-4095/9999")),
            "leads to an object of 9999 bytes, and the stored one has 10000",
        ),
        (of(&format!("{mp4}{range}Content-Encoding: gzip")), "is answered with a content coding"),
        (part(&format!("{mp4}{range}"), &other), "leads to other bytes than the stored object has"),
        (part(&format!("{mp4}{range}"), &disk.bytes), "sends more bytes than it was asked for"),
        (part(&format!("{mp4}{range}"), &first[1..]), "sends fewer bytes than it was asked for"),
        (part(&format!("{mp4}{range}"), b""), "sends fewer bytes than it was asked for"),
    ];
    for (answer, expected) in cases {
        let error = said(&disk, answer).await.expect_err(expected);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let text = error.to_string();
        assert!(text.starts_with(&format!("the link to mvp/clip.mp4 {expected}")) && text.contains(": "), "{text}");
    }
}

#[tokio::test]
async fn a_fault_of_the_moment_may_be_gone_on_a_repeat() {
    let disk = Disk::of(SIZE);
    for line in ["408 Request Timeout", "429 Too Many Requests", "500 Internal Server Error", "503 Service Unavailable"]
    {
        let error = said(&disk, status(line, "")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains(&format!("has a server with a fault (HTTP {})", &line[..3])), "{error}");
    }
    let mut cut = right(&disk);
    cut.truncate(cut.len() - 1);
    for broken in [cut, b"HTTP/1.1 206 Par".to_vec(), b"".to_vec(), b"SSH-2.0-OpenSSH\r\n".to_vec()] {
        let error = said(&disk, broken).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert_eq!(error.to_string(), "the link to mvp/clip.mp4 broke while it was fetched: repeat");
    }
}

#[tokio::test]
async fn nobody_answers() {
    let disk = Disk::of(SIZE);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = format!("http://{}/mvp/clip.mp4?{SECRET}", listener.local_addr().unwrap());
    drop(listener);
    let error = disk.check(&probe(), &link).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().starts_with("the link to mvp/clip.mp4 has a server that cannot be reached: "), "{error}");
    is_silent(&error);
}

#[tokio::test]
async fn a_server_that_is_slow_in_its_head_or_body() {
    let disk = Disk::of(SIZE);
    for said_at_once in [0, 40, right(&disk).len() - 1] {
        let answer = right(&disk);
        let server = Server::start("127.0.0.1", move |mut exchange| {
            exchange.say(&answer[..said_at_once]);
            thread::sleep(Duration::from_secs(20));
        });
        let (begun, probe) = (Instant::now(), probe().time_max(Duration::from_millis(300)));
        let error = disk.check(&probe, &server.url(&format!("clip.mp4?{SECRET}"))).await.unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.to_string().contains("did not give its first bytes within 0.3 seconds"), "{error}");
        is_silent(&error);
    }
}

#[tokio::test]
async fn a_body_that_never_ends_is_left() {
    let disk = Disk::of(SIZE);
    let head = "HTTP/1.1 206 Partial Content\r\nContent-Type: video/mp4\r\nContent-Range: bytes 0-4095/10000\r\n\r\n";
    let server = Server::start("127.0.0.1", move |mut exchange| {
        exchange.say(head);
        for _ in 0..100_000 {
            exchange.say([7; 1_024]);
        }
    });
    let error = disk.check(&probe(), &server.url("clip.mp4")).await.unwrap_err();
    assert!(error.to_string().contains("sends more bytes than it was asked for"), "{error}");
}

#[tokio::test]
async fn what_is_no_link_asks_nobody() {
    let disk = Disk::of(SIZE);
    for link in ["", "canary", "file:///etc/canary", "https://", "ftp://canary@127.0.0.1/"] {
        let error = disk.check(&probe(), link).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{link}: {error}");
        is_silent(&error);
    }
}

#[tokio::test]
async fn an_object_that_is_missing_or_empty_asks_nobody() {
    let disk = Disk::of(0);
    let empty = disk.check(&probe(), "http://127.0.0.1:1/clip.mp4").await.unwrap_err();
    fs::remove_file(disk.dir.path().join(crate::KEY)).unwrap();
    let missing = disk.check(&probe(), "http://127.0.0.1:1/clip.mp4").await.unwrap_err();
    assert_eq!((empty.kind(), missing.kind()), (ErrorKind::Corrupt, ErrorKind::Corrupt));
    assert_eq!(missing.to_string(), "mvp/clip.mp4 is not in its storage: restore it, then repeat");
}

#[test]
fn outside_of_a_runtime_it_says_so() {
    let disk = Disk::of(SIZE);
    let error = futures::executor::block_on(disk.check(&probe(), "http://127.0.0.1:1/clip.mp4")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("Tokio runtime"), "{error}");
}

#[tokio::test]
async fn a_signer_that_is_probed_hands_out_what_works() {
    let disk = Disk::of(SIZE);
    let (works, gone) =
        (Server::saying("127.0.0.1", right(&disk)), Server::saying("127.0.0.1", status("404 Not Found", "")));
    let signer = |server: &Server| {
        let signer = HmacSigner::new(&server.url("files"), HmacKey::new("k1", [7; 32]).unwrap()).unwrap();
        Arc::new(signer)
    };
    let wanted = LinkRequest { key: key(), expires_at: "2026-01-05T00:00:00Z".parse().unwrap() };
    let now = "2026-01-02T00:00:00Z".parse().unwrap();
    let plain = signer(&works);
    let probed = Probed::new(plain.clone(), Arc::new(disk.storage()), probe());
    assert_eq!(probed.limits(), plain.limits());
    assert_eq!(probed.sign(&wanted, now).await.unwrap(), plain.sign(&wanted, now).await.unwrap());
    assert_eq!(works.heads().len(), 1);

    let refused = Probed::new(signer(&gone), Arc::new(disk.storage()), LinkProbe::new().unwrap());
    let error = refused.sign(&wanted, now).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().starts_with("the link to mvp/clip.mp4 leads to no object (HTTP 404)"), "{error}");
    let late = LinkRequest { expires_at: now, ..wanted };
    assert_eq!(refused.sign(&late, now).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(gone.heads().len(), 1, "what is not signed is not tried");
    assert!(!format!("{probed:?} {:?}", probe()).contains("http"));
}
