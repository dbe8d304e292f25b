//! A server that sends on to somewhere else.

use distribution_backends::{HttpSource, HttpSourceBuilder};

use crate::canary::Canary;
use crate::server::{Server, file, status};
use crate::{ALLOWED, Names, assert_refused, names, read, table};

/// Redirects `/to/N` to the N-th of the places, and has a file at `/file`.
fn redirector(places: Vec<String>) -> Server {
    Server::start("127.0.0.2", move |mut exchange| {
        let answer = match exchange.path.strip_prefix("/to/") {
            Some(n) => {
                let to = &places[n.parse::<usize>().unwrap()];
                status("302 Found", &format!("Set-Cookie: a=b\r\nLocation: {to}\r\n")).into_bytes()
            }
            None => file("one", b"bytes"),
        };
        exchange.say(answer);
    })
}

fn allowing(server: &Server) -> HttpSourceBuilder {
    let host = server.address.to_string();
    HttpSource::builder().host(ALLOWED).private_host_without_tls(&host, &["127.0.0.2/32"])
}

#[tokio::test]
async fn a_redirect_to_what_is_not_allowed_is_not_followed() {
    let (canary, asked) = (Canary::everywhere(), names(Names::default()));
    // What is no header value cannot be sent. What has no scheme is on the server itself.
    let sendable = |url: &String| !url.contains(char::is_control) && url.contains("://");
    let places: Vec<String> = table::all(canary.port()).into_iter().filter(sendable).collect();
    let server = redirector(places.clone());
    let source = allowing(&server).redirects_max(3).resolver(asked.clone()).build().unwrap();
    let mut followed = Vec::new();
    for (n, place) in places.iter().enumerate() {
        let before = asked.asked().len();
        assert_refused(read(&source, &server.url(&format!("to/{n}"))).await, place);
        if asked.asked().len() > before {
            followed.push(place.as_str());
        }
    }
    assert_eq!((canary.hits(), server.heads().len()), (0, places.len()));
    // What a redirect writes oddly is judged by what it is read as, which is the allowed host.
    assert!(followed.iter().all(|place| place.contains("example")), "{followed:?}");
    assert!(asked.asked().iter().all(|host| host == ALLOWED), "{:?}", asked.asked());
    assert!(places.len() >= 100, "{}", places.len());
    println!("proof: ssrf: {} redirects to hostile URLs, 0 connections", places.len());

    // The planted flaw: with the canary's host and address allowed, it is hit.
    let canary_host = format!("127.0.0.1:{}", canary.port());
    let source = allowing(&server).private_host(&canary_host, &["127.0.0.0/8"]).redirects_max(3).build().unwrap();
    read(&source, &server.url("to/0")).await.unwrap_err();
    assert!(canary.hits() > 0);
}

#[tokio::test]
async fn none_is_followed_unless_allowed_and_then_at_most_so_many() {
    let server = redirector(["/file", "../to/0", "1", "2", "//127.0.0.1/x", "http:/file"].map(str::to_owned).into());
    let unasked = allowing(&server).build().unwrap();
    let error = read(&unasked, &server.url("to/0")).await.unwrap_err();
    assert!(error.message().starts_with("is redirected, which is not followed"), "{error}");

    let three = allowing(&server).redirects_max(3).build().unwrap();
    for place in ["to/0", "to/1", "to/2", "to/5"] {
        assert_eq!(read(&three, &server.url(place)).await.unwrap().unwrap().1, b"bytes", "{place}");
    }
    let error = read(&three, &server.url("to/3")).await.unwrap_err();
    assert_eq!(error.message(), "is redirected more than 3 times");
    assert_refused(read(&three, &server.url("to/4")).await, "another host");
    let port = server.address.port();
    let with_user = redirector(vec![format!("http://user:password@127.0.0.2:{port}/file")]);
    let both = allowing(&server).private_host_without_tls(&with_user.address.to_string(), &["127.0.0.2/32"]);
    let error = read(&both.redirects_max(3).build().unwrap(), &with_user.url("to/0")).await.unwrap_err();
    assert!(error.message().starts_with("is redirected to a URL that holds a user name or password"), "{error}");
    // Nothing of one answer goes into the next request.
    for head in server.heads().iter().map(|head| head.to_lowercase()) {
        assert!(!head.contains("cookie") && !head.contains("referer") && !head.contains("authorization"), "{head}");
    }
}
