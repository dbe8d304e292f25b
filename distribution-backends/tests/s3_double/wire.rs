//! What is cut, by a plain HTTP/1.1 client.

use distribution_testkit::s3::{Fault, Op, S3Double};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::s3_server::S3Server;

/// All that the server says before the connection ends.
async fn ask(server: &S3Server, request: &str) -> String {
    let address = server.endpoint().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

fn put(body: &str) -> String {
    format!("PUT /media/clip HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

const GET: &str = "GET /media/clip HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_lost_answer_is_a_cut_connection() {
    let double = S3Double::open();
    double.create_bucket("media");
    let server = S3Server::start(double.clone()).await;
    double.inject(Op::PutObject, 0, Fault::LostRequest);
    double.inject(Op::PutObject, 1, Fault::LostAnswer);

    assert_eq!(ask(&server, &put("first")).await, "");
    assert!(double.keys("media").is_empty());
    assert_eq!(ask(&server, &put("second")).await, "");
    assert_eq!(double.object("media", "clip").unwrap().bytes, "second");
    assert!(ask(&server, &put("third")).await.starts_with("HTTP/1.1 200 OK\r\n"));
}

#[tokio::test]
async fn a_truncated_answer_has_a_whole_head_and_so_many_bytes() {
    let double = S3Double::open();
    double.create_bucket("media");
    let server = S3Server::start(double.clone()).await;
    ask(&server, &put("0123456789")).await;
    double.inject(Op::GetObject, 0, Fault::CutAfter(4));

    let cut = ask(&server, GET).await;
    assert!(cut.starts_with("HTTP/1.1 200 OK\r\n") && cut.contains("content-length: 10\r\n"), "{cut}");
    assert!(cut.ends_with("\r\n\r\n0123"), "{cut}");
    assert!(ask(&server, GET).await.ends_with("\r\n\r\n0123456789"));
    assert_eq!(double.bytes_out(), 14);

    let head = ask(&server, &GET.replace("GET", "HEAD")).await;
    assert!(head.contains("content-length: 10\r\n") && head.ends_with("\r\n\r\n"), "{head}");
}

#[tokio::test]
async fn an_upload_that_is_cut_is_no_request() {
    let double = S3Double::open();
    double.create_bucket("media");
    let server = S3Server::start(double.clone()).await;
    let address = server.endpoint().strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(put("0123456789").strip_suffix('9').unwrap().as_bytes()).await.unwrap();
    drop(stream);
    assert!(ask(&server, GET).await.starts_with("HTTP/1.1 404 "));
    assert_eq!(double.requests(Op::PutObject), 0);
}
