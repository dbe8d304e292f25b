//! The route behind a real listener, asked by a plain HTTP/1.1 client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::shelf::{Fault, Shelf};
use crate::{KEY, link, mounted};

const SIZE: usize = 4_000_000;

pub(crate) fn clip() -> Vec<u8> {
    (0..SIZE as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

pub(crate) fn shelf(fault: Option<Fault>) -> Shelf {
    Shelf { chunk: 65_536, fault, ..Shelf::new(clip()) }
}

pub(crate) async fn start(shelf: &Arc<Shelf>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = mounted(shelf);
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// Sends a request and reads the head of the answer, in lower case.
    pub(crate) async fn ask(&mut self, method: &str, target: &str, headers: &str) -> String {
        let request = format!("{method} {target} HTTP/1.1\r\nHost: media.example\r\n{headers}\r\n");
        self.0.write_all(request.as_bytes()).await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).await.unwrap(), 0, "the connection broke in the head: {head}");
        }
        head.to_lowercase()
    }

    /// Reads the body that the head announces, or what there is of it.
    async fn body(&mut self, head: &str) -> Vec<u8> {
        let length = field(head, "content-length").unwrap().parse().unwrap();
        let mut body = Vec::new();
        // A reset is an end like any other here.
        let _ = (&mut self.0).take(length).read_to_end(&mut body).await;
        body
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

#[tokio::test]
async fn one_connection_serves_everything() {
    let (clip, link) = (clip(), link(KEY));
    let mut client = Client::connect(start(&Arc::new(shelf(None))).await).await;

    let head = client.ask("HEAD", &link, "").await;
    assert!(head.starts_with("http/1.1 200 "), "{head}");
    assert_eq!(field(&head, "content-length"), Some("4000000"));
    assert_eq!(field(&head, "transfer-encoding"), None);

    let whole = client.ask("GET", &link, "").await;
    assert!(whole.starts_with("http/1.1 200 "), "{whole}");
    assert_eq!(field(&whole, "content-length"), Some("4000000"));
    assert_eq!(field(&whole, "transfer-encoding"), None);
    assert!(client.body(&whole).await == clip);

    let part = client.ask("GET", &link, "Range: bytes=3999000-\r\n").await;
    assert!(part.starts_with("http/1.1 206 "), "{part}");
    assert_eq!(field(&part, "content-range"), Some("bytes 3999000-3999999/4000000"));
    assert!(client.body(&part).await == clip[3_999_000..]);

    let parts = client.ask("GET", &link, "Range: bytes=0-99,2000000-2999999\r\n").await;
    assert!(parts.starts_with("http/1.1 206 "), "{parts}");
    assert_eq!(field(&parts, "transfer-encoding"), None);
    let body = client.body(&parts).await;
    let at = body.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert!(body[at..at + 100] == clip[..100] && body.ends_with(b"--\r\n"));

    // What follows on the connection shows that nothing came behind the head.
    let unchanged = client.ask("GET", &link, "If-None-Match: \"v1\"\r\n").await;
    assert!(unchanged.starts_with("http/1.1 304 "), "{unchanged}");

    let beyond = client.ask("GET", &link, "Range: bytes=4000000-\r\n").await;
    assert!(beyond.starts_with("http/1.1 416 "), "{beyond}");
    assert_eq!(field(&beyond, "content-range"), Some("bytes */4000000"));
    client.body(&beyond).await;

    for target in [link.replace("mvp/", "mvp%2F"), link.replace("mvp/", "x/../mvp/"), format!("{link}&x"), "*".into()] {
        let denied = client.ask("GET", &target, "").await;
        let status = if target == "*" { "http/1.1 4" } else { "http/1.1 403 " };
        assert!(denied.starts_with(status), "{denied}");
        client.body(&denied).await;
    }
}

#[tokio::test]
async fn a_store_that_fails_breaks_the_connection_and_the_client_resumes() {
    let (clip, link) = (clip(), link(KEY));
    for fault in [Fault::Breaks(3_000_000), Fault::Ends(3_000_000)] {
        let mut client = Client::connect(start(&Arc::new(shelf(Some(fault)))).await).await;
        let head = client.ask("GET", &link, "").await;
        let first = client.body(&head).await;
        assert_eq!(field(&head, "content-length"), Some("4000000"));
        assert!(first.len() <= 3_000_000, "the connection ends where the store failed");
        assert_eq!(client.0.read(&mut [0; 1]).await.unwrap_or(0), 0);

        let etag = field(&head, "etag").unwrap();
        let resume = format!("Range: bytes={}-\r\nIf-Range: {etag}\r\n", first.len());
        let mut client = Client::connect(start(&Arc::new(shelf(None))).await).await;
        let head = client.ask("GET", &link, &resume).await;
        assert!(head.starts_with("http/1.1 206 "), "{head}");
        assert!([first, client.body(&head).await].concat() == clip);
    }
}

#[tokio::test]
async fn no_more_is_read_than_the_client_takes() {
    let shelf = Arc::new(Shelf { chunk: 65_536, ..Shelf::new(vec![0; 64 << 20]) });
    let mut client = Client::connect(start(&shelf).await).await;
    client.ask("GET", &link(KEY), "").await;
    // Wait until nothing more is taken: all buffers on the way are full.
    let mut taken = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = shelf.taken.load(Ordering::Relaxed);
        if now == taken {
            break;
        }
        taken = now;
    }
    assert!(taken > 0 && taken < 32 << 20, "{taken} bytes were read ahead");
}
