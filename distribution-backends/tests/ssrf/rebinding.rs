//! Names that change their address between two questions, or have good and bad ones at once.

use distribution_backends::HttpSource;
use distribution_core::ErrorKind;

use crate::canary::Canary;
use crate::server::{Server, file};
use crate::{Names, assert_refused, names, read};

/// What stands for the public Internet here.
const PUBLIC: &str = "127.0.0.2";

struct Rebinding {
    server: Server,
    canary: Canary,
    url: String,
}

impl Rebinding {
    /// A server at the public address, and a canary at the same port of 127.0.0.1.
    fn new() -> Self {
        let server = Server::saying(PUBLIC, file("one", b"bytes"));
        let canary = Canary::at(format!("127.0.0.1:{}", server.address.port()).parse().unwrap());
        let url = format!("http://rebind.example:{}/clip.mp4", canary.port());
        Self { server, canary, url }
    }

    fn source(&self, ranges: &[&str], answers: &[&[&str]]) -> HttpSource {
        HttpSource::builder()
            .private_host_without_tls(&format!("rebind.example:{}", self.canary.port()), ranges)
            .resolver(names(Names::default().with("rebind.example", answers)))
            .build()
            .unwrap()
    }
}

#[tokio::test]
async fn a_name_that_is_bound_anew_is_looked_at_anew() {
    let place = Rebinding::new();
    let source = place.source(&["127.0.0.2/32"], &[&[PUBLIC], &["127.0.0.1"]]);
    for _ in 0..20 {
        assert_eq!(read(&source, &place.url).await.unwrap().unwrap().1, b"bytes");
        assert_refused(read(&source, &place.url).await, &place.url);
    }
    assert_eq!((place.server.heads().len(), place.canary.hits()), (20, 0));
}

#[tokio::test]
async fn without_the_check_it_would_hit() {
    let place = Rebinding::new();
    let source = place.source(&["0.0.0.0/0"], &[&[PUBLIC], &["127.0.0.1"]]);
    read(&source, &place.url).await.unwrap();
    assert_eq!(read(&source, &place.url).await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(place.canary.hits() > 0);
}

#[tokio::test]
async fn one_bad_address_among_good_ones_refuses_all() {
    let place = Rebinding::new();
    for answer in [[PUBLIC, "127.0.0.1"], ["127.0.0.1", PUBLIC], [PUBLIC, "::1"], [PUBLIC, "::ffff:127.0.0.1"]] {
        let source = place.source(&["127.0.0.2/32"], &[&answer]);
        assert_refused(read(&source, &place.url).await, &place.url);
    }
    assert_eq!((place.server.heads().len(), place.canary.hits()), (0, 0));
}

#[tokio::test]
async fn global_addresses_do_not_excuse_one_that_is_not() {
    let canary = Canary::everywhere();
    let host = format!("mixed.example:{}", canary.port());
    for answer in [
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["8.8.8.8", "::1"],
        ["2606:4700::1111", "127.0.0.1"],
        ["2606:4700::1111", "::ffff:127.0.0.1"],
        ["2606:4700::1111", "64:ff9b::7f00:1"],
    ] {
        let resolver = names(Names::default().with("mixed.example", &[&answer]));
        let source = HttpSource::builder().host(&host).resolver(resolver).build().unwrap();
        assert_refused(read(&source, &format!("https://{host}/x")).await, answer[0]);
    }
    assert_eq!(canary.hits(), 0);
}

#[tokio::test]
async fn a_name_without_an_address_may_have_one_later() {
    let resolver = names(Names::default().with("media.example", &[&[]]));
    let source = HttpSource::builder().host("media.example").resolver(resolver).build().unwrap();
    let error = read(&source, "https://media.example/clip.mp4?signature=hidden").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.message(), "cannot open https://media.example/clip.mp4: the host has no address");
}
