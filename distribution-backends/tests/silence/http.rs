//! Staged files behind presigned URLs: their queries, and what servers make of them.

use std::sync::Arc;

use distribution_backends::{HttpSource, Mp4Inspector};
use distribution_core::{PublishRequest, Publisher, VideoUrl};
use distribution_testkit::{World, request};

use crate::canary::{Secrets, canary};
use crate::server::{Server, file, part, status};
use crate::told::Told;
use crate::{VIDEO, use_all};

fn source(server: &Server) -> HttpSource {
    let host = server.address.to_string();
    HttpSource::builder().private_host_without_tls(&host, &["127.0.0.0/8"]).redirects_max(3).build().unwrap()
}

fn publisher(world: &World, server: &Server) -> Publisher {
    world.builder("a").source(Arc::new(source(server))).build().unwrap()
}

fn all_of(world: &World, told: &mut Told) {
    for row in world.rows() {
        told.debug(&row);
        told.say("record", row.body.to_vec());
    }
    told.json("audit", &world.audit());
    told.debug(&world.audit());
    told.debug(&world.alerts());
}

#[tokio::test]
async fn the_query_of_a_staged_url_goes_to_its_server_and_nowhere_else() {
    let mut told = Told::new();
    let mut secrets = Secrets::of(&["query", "fragment"]);
    let server = Server::start("127.0.0.1", |mut exchange| {
        let answer = match exchange.range {
            Some(range) => part("one", VIDEO, range),
            None => file("one", VIDEO),
        };
        exchange.say(answer);
    });
    let world = World::new();
    let publisher = publisher(&world, &server);
    told.debug(&source(&server));
    let url = server.url(&format!("clip.mp4?X-Amz-Signature={}#{}", canary("query"), canary("fragment")));
    use_all(&publisher, &url, &mut told, &mut secrets).await;
    assert!(server.heads()[0].contains(&canary("query")), "or else nothing is shown");
    all_of(&world, &mut told);
    told.holds_none_of(&secrets, &["reqwest", "distribution_core"]);
}

#[tokio::test]
async fn whatever_a_server_answers_no_query_is_told() {
    let mut told = Told::new();
    let secrets = Secrets::of(&["query", "elsewhere"]);
    let (query, elsewhere) = (canary("query"), canary("elsewhere"));
    let to = |place: &str| status("302 Found", &format!("Location: {place}\r\n"));
    for answer in [
        status("403 Forbidden", &format!("X-Why: {query}\r\n")),
        status("404 Not Found", ""),
        status("500 Oops", ""),
        to(&format!("http://127.0.0.1:1/?{elsewhere}")),
        to(&format!("https://u:{elsewhere}@other.example/?{elsewhere}")),
        to(&format!("//{elsewhere}\\")),
        format!("HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: \"one\"\r\n\r\n{query}"),
        format!("HTTP/1.1 200 OK\r\nContent-Length: {query}\r\n\r\n"),
        String::new(),
        format!("{query}\r\n\r\n"),
    ] {
        let server = Server::saying("127.0.0.1", answer);
        let world = World::new();
        let builder = world.builder("a").source(Arc::new(source(&server)));
        let publisher = builder.inspector(Arc::new(Mp4Inspector::default())).build().unwrap();
        let wanted = request(&server.url(&format!("clip.mp4?sig={query}")), VIDEO);
        told.debug(&wanted);
        told.refusal(publisher.plan(wanted.clone()).await);
        told.refusal(publisher.publish(wanted).await);
        all_of(&world, &mut told);
    }
    told.holds_none_of(&secrets, &["reqwest"]);
}

#[tokio::test]
async fn a_url_that_is_refused_is_not_repeated() {
    let mut told = Told::new();
    let secrets = Secrets::of(&["query", "password"]);
    let server = Server::saying("127.0.0.1", "");
    let (query, password) = (canary("query"), canary("password"));
    let world = World::new();
    let publisher = publisher(&world, &server);
    for url in [
        format!("https://other.example/clip.mp4?{query}"),
        format!("ftp://127.0.0.1/clip.mp4?{query}"),
        format!("{}#{query}", server.url("clip.mp4")),
        format!("http://127.0.0.1:1/clip.mp4?{query}"),
        format!("https://0x7f.1/clip.mp4?{query}"),
    ] {
        let wanted = request(&url, VIDEO);
        told.debug(&wanted);
        told.refusal(publisher.publish(wanted).await);
    }
    for url in [
        format!("https://u:{password}@media.example/clip.mp4"),
        format!("https://media.example:{password}/clip.mp4"),
        format!("?{query}://media.example"),
        format!("clip.mp4?{query}"),
        format!("https://media.example/clip.mp4?{query}\n"),
    ] {
        told.refusal(VideoUrl::parse(&url));
        let json = serde_json::to_string(&request("clip.mp4", VIDEO)).unwrap();
        told.refusal(PublishRequest::from_json(
            json.replace("\"clip.mp4\"", &serde_json::to_string(&url).unwrap()).as_bytes(),
        ));
    }
    let json = serde_json::to_string(&request("clip.mp4", VIDEO)).unwrap();
    for broken in [
        json.replace("\"clip.mp4\"", &format!("[\"{query}\"]")),
        json.replace("\"pass\"", &format!("\"{query}\"")).replace("\"qc_report\"", "\"qc_report\":1,\"qc_report\""),
        json.replace("9.7", &format!("\"https://h/?{query}\"")),
        json.replace("\"clip.mp4\"", &format!("\"https://h/?{query}\", \"video_url\": \"https://h/?{query}\"")),
        format!("{{ \"final_edit\": \"https://h/?{query}"),
    ] {
        told.refusal(PublishRequest::from_json(broken.as_bytes()));
    }
    all_of(&world, &mut told);
    told.holds_none_of(&secrets, &[]);
}
