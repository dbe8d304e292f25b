//! What a host may choose: names, and origins.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::http::{Method, StatusCode};
use distribution_backends::ContentDisposition;
use distribution_backends::serve::{Cors, DownloadRoute};

use crate::shelf::Shelf;
use crate::{BASE, KEY, Stopped, ask, get, link, link_of, mounted, signer};

fn route(shelf: &Arc<Shelf>) -> DownloadRoute {
    DownloadRoute::new(shelf.clone(), Arc::new(signer(BASE)), Arc::new(Stopped))
}

fn with_cors(shelf: &Arc<Shelf>, cors: Cors) -> Router {
    Router::new().nest_service("/files", route(shelf).cors(cors).into_router())
}

#[tokio::test]
async fn a_link_names_its_file() {
    let shelf = Arc::new(Shelf::new("bytes"));
    let router = mounted(&shelf);
    let long = format!("{}.mp4", "x".repeat(300));
    for (name, header) in [
        ("clip one.mp4", "attachment; filename=\"clip one.mp4\""),
        ("Größe 4€.mp4", "attachment; filename=\"Gr__e 4_.mp4\"; filename*=UTF-8''Gr%C3%B6%C3%9Fe%204%E2%82%AC.mp4"),
        ("a\"b%41.mp4", "attachment; filename=\"a_b_41.mp4\"; filename*=UTF-8''a%22b%2541.mp4"),
        ("../../etc\\passwd", "attachment; filename=\"_.._etc_passwd\""),
        ("a\r\nSet-Cookie: x=y", "attachment; filename=\"a__Set-Cookie: x=y\""),
        ("gpj\u{202e}.mp4", "attachment; filename=\"gpj_.mp4\""),
        ("", "attachment"),
        ("..", "attachment"),
        (&long, &format!("attachment; filename=\"{}.mp4\"", "x".repeat(196))),
    ] {
        let name = name.to_owned();
        let link = link_of(&signer(BASE).disposition(move |_| ContentDisposition::attachment(&name)));
        let answer = get(&router, &link, &[]).await;
        assert_eq!(answer.header("content-disposition"), Some(header));
    }
}

#[tokio::test]
async fn listed_origins_may_read() {
    let shelf = Arc::new(Shelf::new("bytes"));
    let router = with_cors(&shelf, Cors::origins(["https://studio.example"]).unwrap());
    let ours = get(&router, &link(KEY), &[("origin", "https://studio.example")]).await;
    assert_eq!(ours.header("access-control-allow-origin"), Some("https://studio.example"));
    let exposed = ours.header("access-control-expose-headers").unwrap();
    for name in ["Content-Range", "Accept-Ranges", "ETag", "Content-Length"] {
        assert!(exposed.contains(name));
    }
    for other in ["https://other.example", "null", "https://studio.example.evil", "https://STUDIO.example"] {
        let answer = get(&router, &link(KEY), &[("origin", other)]).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (StatusCode::OK, None));
        assert_eq!(answer.header("vary"), Some("Origin"));
    }
    let any = get(&with_cors(&shelf, Cors::any()), &link(KEY), &[("origin", "null")]).await;
    assert_eq!((any.header("access-control-allow-origin"), any.header("vary")), (Some("*"), None));
}

#[tokio::test]
async fn a_preflight_tells_nothing_about_a_link() {
    let shelf = Arc::new(Shelf::new("bytes"));
    let router = with_cors(&shelf, Cors::origins(["https://studio.example"]).unwrap());
    let (good, forged) = (link(KEY), format!("{}A", link(KEY)));
    let wants = |origin| [("origin", origin), ("access-control-request-method", "GET")];
    let answer = ask(&router, Method::OPTIONS, &good, &wants("https://studio.example")).await;
    assert_eq!(answer.status, StatusCode::NO_CONTENT);
    assert_eq!(answer.header("access-control-allow-methods"), Some("GET, HEAD"));
    assert!(answer.header("access-control-allow-headers").unwrap().contains("Range"));
    assert_eq!(ask(&router, Method::OPTIONS, &forged, &wants("https://studio.example")).await, answer);
    for (headers, origin) in [(true, "https://other.example"), (false, "https://studio.example")] {
        let headers = &wants(origin)[..if headers { 2 } else { 1 }];
        let denied = ask(&router, Method::OPTIONS, &good, headers).await;
        assert_eq!(denied.status, StatusCode::FORBIDDEN);
        assert_eq!(denied, ask(&router, Method::OPTIONS, &forged, headers).await);
        assert_eq!(denied, get(&router, &forged, headers).await);
    }
    assert_eq!(shelf.asked.load(Ordering::Relaxed), 0);
}

#[test]
fn an_origin_is_an_origin() {
    for origin in ["https://a.example", "http://localhost:3000", "https://[::1]:8443"] {
        assert!(Cors::origins([origin]).is_ok(), "{origin}");
    }
    for origin in [
        "",
        "*",
        "null",
        "a.example",
        "https://a.example/",
        "https://a.example/x",
        "https://A.example",
        "https://a:443",
    ] {
        assert!(Cors::origins([origin]).is_err(), "{origin}");
    }
}
