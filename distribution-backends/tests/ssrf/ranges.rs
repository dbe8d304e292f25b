//! Parts of a file: of the state that was opened, of that size, from where the file may come from, or none.

use distribution_backends::HttpSource;
use distribution_core::{Error, ErrorKind, Source, VideoUrl};

use crate::everything;
use crate::server::{Server, file, part, status};

const FILE: &[u8] = b"0123456789";

/// The file's bytes 2 to 5, from a server that answers ranges so.
async fn read(answer: impl Fn(&Server) -> Vec<u8>) -> Result<bytes::Bytes, Error> {
    // Its address is known only when it runs.
    let aim = Server::saying("127.0.0.1", file("a", FILE));
    let said = answer(&aim);
    let server = Server::start("127.0.0.1", move |mut exchange| match exchange.range {
        Some(range) => {
            assert_eq!(range, (2, 5));
            exchange.say(&said);
        }
        None => exchange.say(file("a", FILE)),
    });
    let source = HttpSource::builder().private_host_without_tls(&server.address.to_string(), &["127.0.0.0/8"]);
    let url = VideoUrl::parse(server.url("clip.mp4?signature=hidden")).unwrap();
    let staged = source.redirects_max(1).build().unwrap().open(&url).await.unwrap().unwrap();
    let read = staged.ranges.unwrap().read(2..6).await;
    read.inspect_err(|error| assert!(!everything(error).contains("hidden"), "{}", everything(error)))
}

#[tokio::test]
async fn the_part_that_was_asked_for_is_read() {
    assert_eq!(read(|_| part("a", FILE, (2, 5))).await.unwrap(), &FILE[2..6]);
}

#[tokio::test]
async fn a_server_without_ranges_has_no_parts() {
    let error = read(|_| file("a", FILE)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

#[tokio::test]
async fn another_part_or_another_file_is_none() {
    let longer = [FILE, b"more"].concat();
    let sound = String::from_utf8(part("a", FILE, (2, 5))).unwrap();
    for answer in [
        part("b", FILE, (2, 5)),
        part("a", FILE, (3, 5)),
        part("a", FILE, (2, 6)),
        part("a", &longer, (2, 5)),
        sound.replace("Content-Length: 4", "Content-Length: 5").into_bytes(),
        sound.replace("Content-Length: 4", "Content-Length: 3").into_bytes(),
        sound.replace("Content-Length: 4\r\n", "").replace("2345", "23456").into_bytes(),
        sound.replace("ETag: \"a\"\r\n", "").into_bytes(),
        status("404 Not Found", "").into_bytes(),
        status("416 Range Not Satisfiable", "").into_bytes(),
        status("403 Forbidden", "").into_bytes(),
        Vec::new(),
    ] {
        let error = read(|_| answer.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{}: {error}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test]
async fn a_part_is_not_fetched_from_where_no_file_may_come_from() {
    let error = read(|aim| status("302 Found", &format!("Location: {}\r\n", aim.url("x"))).into_bytes()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
}
