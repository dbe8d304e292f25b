//! The route without signatures: the host's authorizer decides.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use axum::Router;
use axum::http::{Method, StatusCode};
use distribution_backends::serve::{self, AuthenticatedRoute, Authorizer, BearerToken, Cors, Verdict, Wanted};
use distribution_core::Error;

use crate::shelf::Shelf;
use crate::{KEY, Stopped, ask, get};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const URL: &str = "/members/mvp/clip-0123456789ab.mp4";

fn mounted(shelf: &Arc<Shelf>, authorizer: impl Authorizer + 'static) -> Router {
    let route = serve::authenticated(shelf.clone(), Arc::new(authorizer), Arc::new(Stopped));
    Router::new().nest_service("/members", route)
}

struct Says(Result<Verdict, Error>);

#[async_trait]
impl Authorizer for Says {
    async fn authorize(&self, wanted: &Wanted<'_>) -> Result<Verdict, Error> {
        assert!(matches!(*wanted.method, Method::GET | Method::HEAD));
        assert_eq!((wanted.headers["cookie"].to_str().unwrap(), wanted.key.as_str()), ("session=1", KEY));
        self.0.clone()
    }
}

#[tokio::test]
async fn who_has_the_token_gets_the_file_in_every_way() {
    let shelf = Arc::new(Shelf::new("0123456789"));
    let router = mounted(&shelf, BearerToken::new(TOKEN).unwrap());
    let bearer = format!("Bearer {TOKEN}");
    let auth = ("authorization", bearer.as_str());
    let whole = get(&router, URL, &[auth]).await;
    assert_eq!((whole.status, whole.body.as_deref()), (StatusCode::OK, Some(&b"0123456789"[..])));
    assert_eq!(whole.header("cache-control"), Some("private, no-cache, no-transform"));
    assert_eq!(whole.header("vary"), Some("authorization"));
    let part = get(&router, URL, &[auth, ("range", "bytes=2-3")]).await;
    assert_eq!((part.status, part.body.as_deref()), (StatusCode::PARTIAL_CONTENT, Some(&b"23"[..])));
    assert_eq!(get(&router, URL, &[auth, ("if-none-match", "\"v1\"")]).await.status, StatusCode::NOT_MODIFIED);
    let head = ask(&router, Method::HEAD, URL, &[auth]).await;
    assert_eq!((head.status, &head.headers), (whole.status, &whole.headers));
    assert_eq!(get(&router, "/members/mvp/missing.mp4", &[auth]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn everybody_else_is_asked_who_they_are_and_the_store_is_not_asked() {
    let shelf = Arc::new(Shelf::new("0123456789"));
    let router = mounted(&shelf, BearerToken::new(TOKEN).unwrap());
    let nobody = get(&router, URL, &[]).await;
    assert_eq!((nobody.status, nobody.header("www-authenticate")), (StatusCode::UNAUTHORIZED, Some("Bearer")));
    assert_eq!((nobody.header("vary"), nobody.header("cache-control")), (Some("authorization"), Some("no-store")));
    assert_eq!(get(&router, "/members/mvp/missing.mp4", &[]).await, nobody);
    assert_eq!(get(&router, URL, &[("authorization", "Basic eDp5")]).await, nobody);
    for token in ["", "x", &TOKEN[1..], &format!("{TOKEN}0"), &format!(" {TOKEN}"), &TOKEN.replace('f', "F")] {
        let answer = get(&router, URL, &[("authorization", &format!("Bearer {token}"))]).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
    }
    let bearer = format!("Bearer {TOKEN}");
    let twice = [("authorization", bearer.as_str()), ("authorization", "Bearer x")];
    assert_eq!(get(&router, URL, &twice).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(shelf.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_authorizer_decides() {
    for (says, status) in [
        (Ok(Verdict::Allow), StatusCode::OK),
        (Ok(Verdict::Deny), StatusCode::FORBIDDEN),
        (Err(Error::unavailable("no session store")), StatusCode::SERVICE_UNAVAILABLE),
        (Err(Error::corrupt("torn")), StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        let shelf = Arc::new(Shelf::new("0123456789"));
        let answer = get(&mounted(&shelf, Says(says)), URL, &[("cookie", "session=1")]).await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("vary"), Some("authorization"));
        assert_eq!(shelf.opened.load(Ordering::Relaxed), u64::from(status == StatusCode::OK));
    }
}

#[tokio::test]
async fn scripts_of_listed_origins_may_read() {
    let shelf = Arc::new(Shelf::new("0123456789"));
    let route = |cors: Option<Cors>| {
        let token = Arc::new(BearerToken::new(TOKEN).unwrap());
        let route = AuthenticatedRoute::new(shelf.clone(), token, Arc::new(Stopped));
        let route = cors.into_iter().fold(route, AuthenticatedRoute::cors).into_router();
        Router::new().nest_service("/members", route)
    };
    let router = route(Some(Cors::origins(["https://studio.example"]).unwrap()));
    let (ours, theirs) = (("origin", "https://studio.example"), ("origin", "https://other.example"));
    let bearer = format!("Bearer {TOKEN}");
    let auth = ("authorization", bearer.as_str());

    // A browser asks without the token whether its script may send it.
    let asks = ("access-control-request-method", "GET");
    let preflight = ask(&router, Method::OPTIONS, URL, &[ours, asks]).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://studio.example"));
    assert!(preflight.header("access-control-allow-headers").unwrap().contains("Authorization"));
    assert_eq!(preflight.header("access-control-allow-credentials"), None);
    assert_eq!(ask(&router, Method::OPTIONS, "/members/none.mp4", &[ours, asks]).await, preflight);
    assert_eq!(ask(&router, Method::OPTIONS, URL, &[theirs, asks]).await.status, StatusCode::METHOD_NOT_ALLOWED);

    let answer = get(&router, URL, &[ours, auth]).await;
    assert_eq!((answer.status, answer.body.as_deref()), (StatusCode::OK, Some(&b"0123456789"[..])));
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://studio.example"));
    let vary: Vec<_> = answer.headers.get_all("vary").iter().collect();
    assert_eq!(vary, ["authorization", "Origin"]);
    // The script is told of a refusal, too; whether it has the token is as before.
    let nobody = get(&router, URL, &[ours]).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(nobody.header("access-control-allow-origin"), Some("https://studio.example"));
    assert_eq!(get(&router, URL, &[theirs, auth]).await.header("access-control-allow-origin"), None);

    let without = route(None);
    assert_eq!(get(&without, URL, &[ours, auth]).await.header("access-control-allow-origin"), None);
    assert_eq!(ask(&without, Method::OPTIONS, URL, &[ours, asks]).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn only_files_are_read() {
    let router = mounted(&Arc::new(Shelf::new("0123456789")), BearerToken::new(TOKEN).unwrap());
    let post = ask(&router, Method::POST, URL, &[]).await;
    assert_eq!((post.status, post.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, Some("GET, HEAD")));
    for path in ["/members", "/members/", "/members//mvp/clip-0123456789ab.mp4", "/members/mvp%2Fclip-0123456789ab.mp4"]
    {
        assert_eq!(get(&router, path, &[]).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[test]
fn a_token_that_can_be_guessed_is_refused_and_none_is_shown() {
    for token in ["", "short", &"é".repeat(32), &format!("{TOKEN} ")] {
        assert!(BearerToken::new(token).is_err());
    }
    assert!(!format!("{:?}", BearerToken::new(TOKEN).unwrap()).contains(TOKEN));
}
