//! A small HTTP/1.1 server that says what it is told to, right or wrong.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Answers each connection's one request by a closure, and notes the requests.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

/// One request: its path with query, and where the answer goes.
pub(crate) struct Exchange {
    pub(crate) path: String,
    /// The bytes that are asked for, first and last.
    pub(crate) range: Option<(usize, usize)>,
    pub(crate) stream: TcpStream,
}

impl Server {
    /// Listens at a free port of `ip`.
    pub(crate) fn start(ip: &str, answer: impl Fn(Exchange) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("an address of the loopback");
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (noted, answer) = (Arc::clone(&heads), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (noted, answer) = (Arc::clone(&noted), Arc::clone(&answer));
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    let Some(head) = head(&mut stream) else { return };
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let range = range(&head);
                    noted.lock().unwrap().push(head);
                    answer(Exchange { path, range, stream });
                });
            }
        });
        Self { address, heads }
    }

    /// One that answers every request with these bytes.
    pub(crate) fn saying(ip: &str, answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(ip, move |mut exchange| exchange.say(&answer))
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// The heads of the requests so far.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Exchange {
    /// Sends the bytes as they are; whether anybody took them does not matter.
    pub(crate) fn say(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.stream.write_all(bytes.as_ref());
    }
}

/// A whole answer with a file.
pub(crate) fn file(etag: &str, bytes: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"{etag}\"\r\nConnection: close\r\n\r\n", bytes.len());
    [head.as_bytes(), bytes].concat()
}

/// The bytes `first` to `last` of a file.
pub(crate) fn part(etag: &str, bytes: &[u8], (first, last): (usize, usize)) -> Vec<u8> {
    let Some(part) = bytes.get(first..=last) else { return status("416 Range Not Satisfiable", "").into_bytes() };
    let head = format!(
        "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{last}/{}\r\n\
         ETag: \"{etag}\"\r\nConnection: close\r\n\r\n",
        part.len(),
        bytes.len()
    );
    [head.as_bytes(), part].concat()
}

/// An answer of this status line, with these header lines and no body.
pub(crate) fn status(line: &str, headers: &str) -> String {
    format!("HTTP/1.1 {line}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

fn range(head: &str) -> Option<(usize, usize)> {
    let range = head.lines().find_map(|line| line.strip_prefix("range: bytes="))?;
    let (first, last) = range.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

fn head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}
