//! The table of hostile URLs: what is on it is refused by the list of hosts, and once more by the addresses.

use std::net::IpAddr;
use std::sync::Arc;

use distribution_backends::HttpSource;
use distribution_core::{ErrorKind, Source as _, VideoUrl};
use reqwest::Url;

use crate::canary::Canary;
use crate::server::{Server, file};
use crate::{ALLOWED, Names, assert_refused, names, read, table};

#[tokio::test]
async fn no_hostile_url_gets_past_its_text() {
    let (canary, asked) = (Canary::everywhere(), names(Names::default()));
    let source = HttpSource::builder().host(ALLOWED).redirects_max(3).resolver(asked.clone()).build().unwrap();
    let urls = table::all(canary.port());
    for url in &urls {
        if let Ok(parsed) = VideoUrl::parse(url.as_str()) {
            assert_refused(source.check(&parsed), url);
        }
        assert_refused(read(&source, url).await, url);
    }
    assert_eq!((canary.hits(), asked.asked()), (0, Vec::new()));
    assert!(urls.len() >= 60);
    println!("proof: ssrf: {} hostile URLs, 0 connections, 0 names resolved", urls.len());
}

/// As if each host of the table were allowed by mistake, at the canary's port.
#[tokio::test]
async fn no_allowed_host_is_connected_to_at_an_address_that_is_not_global() {
    let canary = Canary::everywhere();
    let targets = targets(canary.port());
    for (host, url) in &targets {
        let source = HttpSource::builder().host(host).resolver(resolver()).build().unwrap();
        assert_refused(read(&source, url).await, url);
    }
    assert_eq!(canary.hits(), 0);

    // The planted flaw: with every address allowed, the same URLs hit it.
    let mut hits = 0;
    for (host, url) in targets.iter().filter(|(_, url)| is_here(url)) {
        let everything = ["0.0.0.0/0", "::/0"];
        let source = HttpSource::builder().private_host(host, &everything).resolver(resolver()).build().unwrap();
        let error = read(&source, url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{url}: {error}");
        assert!(canary.hits() > hits, "{url} does not reach the canary");
        hits = canary.hits();
    }
    println!("proof: ssrf: {} hosts allowed by mistake, 0 connections; unchecked, {hits}", targets.len());
    assert!(targets.len() >= 40 && hits >= 15, "{} hosts, {hits} hits", targets.len());
}

#[tokio::test]
async fn an_allowed_url_is_read_and_an_allowed_canary_is_hit() {
    let server = Server::saying("127.0.0.2", file("one", b"bytes"));
    let canary = Canary::everywhere();
    let here = ["127.0.0.0/8"];
    let source = HttpSource::builder()
        .private_host_without_tls(&server.address.to_string(), &here)
        .private_host_without_tls(&format!("127.0.0.1:{}", canary.port()), &here)
        .build()
        .unwrap();
    let (pin, bytes) = read(&source, &server.url("clip.mp4?signature=x")).await.unwrap().unwrap();
    assert_eq!((pin.size, pin.tag.as_str(), bytes.as_slice()), (5, "etag-one", b"bytes".as_slice()));
    assert_eq!(canary.hits(), 0);
    read(&source, &format!("http://127.0.0.1:{}/x", canary.port())).await.unwrap_err();
    assert!(canary.hits() > 0);
}

#[tokio::test]
async fn what_only_looks_hostile_leads_to_the_allowed_host() {
    let (canary, asked) = (Canary::everywhere(), names(Names::default()));
    let source = HttpSource::builder().host(ALLOWED).resolver(asked.clone()).build().unwrap();
    let urls = [
        "https://media.example/x",
        "HTTPS://MEDIA.EXAMPLE/x",
        "https://media.example:443/x",
        "https://media.example:0443/x",
        "https://media.example/@127.0.0.1:PORT/x",
        "https://media.example?@127.0.0.1:PORT/x",
        "https://media.example#@127.0.0.1:PORT/x",
        "https://media.example/../../127.0.0.1:PORT/%2e%2e/x",
        "https://media.example//127.0.0.1:PORT/x",
        "https://media.example/https://127.0.0.1:PORT/x",
    ];
    for url in urls {
        let url = url.replace("PORT", &canary.port().to_string());
        source.check(&VideoUrl::parse(url.as_str()).unwrap()).expect(&url);
        // Its name leads to the loopback here.
        let error = read(&source, &url).await.unwrap_err();
        assert!(error.message().starts_with("leads to 127.0.0.1, which is no global address"), "{url}: {error}");
    }
    assert_eq!(asked.asked(), vec![ALLOWED; urls.len()]);
    assert_eq!(canary.hits(), 0);
}

#[test]
fn outside_of_a_runtime_it_is_an_error_and_no_panic() {
    let source = HttpSource::builder().host(ALLOWED).build().unwrap();
    let url = VideoUrl::parse("https://media.example/x").unwrap();
    let error = futures::executor::block_on(source.open(&url)).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// The hosts of the table with a port to be allowed, and URLs that write them as they are read.
fn targets(port: u16) -> Vec<(String, String)> {
    let mut hosts: Vec<String> = table::all(port)
        .iter()
        .filter_map(|url| Url::parse(url).ok())
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .filter_map(|url| Some(format!("{}:{port}", url.host_str()?)))
        .filter(|host| !host.contains('*'))
        .collect();
    hosts.sort();
    hosts.dedup();
    hosts.into_iter().map(|host| (host.clone(), format!("https://{host}/x"))).collect()
}

/// Whether an unchecked connection stays on this machine.
fn is_here(url: &str) -> bool {
    let host = Url::parse(url).unwrap().host_str().unwrap().trim_matches(['[', ']']).to_owned();
    match host.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback() || address.is_unspecified(),
        Err(_) => !host.contains("metadata"),
    }
}

fn resolver() -> Arc<Names> {
    let metadata: &[&[&str]] = &[&["169.254.169.254"]];
    names(Names::default().with("metadata.google.internal", metadata).with("metadata", metadata))
}
