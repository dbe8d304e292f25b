//! Links that were changed, are too old or under a key that is gone, asked of the real route.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};

use axum::Router;
use axum::http::{StatusCode, Uri};
use distribution_backends::{HmacKey, HmacSigner, LocalDisk, StoredRevocations, serve};
use distribution_core::{LinkRequest, ObjectKey, UrlSigner as _};

use crate::shelf::Shelf;
use crate::{BASE, KEY, NOW, Stopped, at, get, link, link_of, link_until, mounted};

#[tokio::test]
async fn every_single_bit_counts_and_no_refusal_differs() {
    // A long key, so that there are more than 2,000 bits.
    let long = format!("{}/clip.mp4", ["segment"; 24].join("/"));
    let shelf = Arc::new(Shelf::new("secret bytes"));
    let router = mounted(&shelf);
    let denied = get(&router, "/files/x", &[]).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
    let (mut asked, mut unsendable) = (0, 0);
    for link in [link(KEY), link(&long)] {
        for (index, bit) in ("/files/".len()..link.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut bytes = link.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            // What is no URI never reaches a route: the server itself refuses the request.
            let Ok(uri) = Uri::try_from(&bytes[..]) else {
                unsendable += 1;
                continue;
            };
            assert_eq!(get(&router, &uri.to_string(), &[]).await, denied, "{uri}");
            asked += 1;
        }
    }
    assert!(asked > 2_000, "{asked} of {}", asked + unsendable);
    assert_eq!(shelf.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_link_ends_with_its_last_second() {
    let router = mounted(&Arc::new(Shelf::new("bytes")));
    let denied = get(&router, "/files/x", &[]).await;
    for (expires_at, status) in [
        ("2026-01-01T23:59:59Z", 403),
        (NOW, 403),
        ("2026-01-02T00:00:01Z", 200),
        // The longest that a link can live is looked at again, give or take a minute between clocks.
        ("2026-01-09T00:00:00Z", 200),
        ("2026-01-09T00:01:00Z", 200),
        ("2026-01-09T00:01:01Z", 403),
    ] {
        let signed_at = if expires_at < "2026-01-03" { "2026-01-01T00:00:00Z" } else { "2026-01-08T00:00:00Z" };
        let answer = get(&router, &link_until(KEY, expires_at, signed_at), &[]).await;
        assert_eq!(answer.status, status, "{expires_at}");
        assert!(status == 200 || answer == denied, "{expires_at}");
    }
}

fn key(id: &str) -> HmacKey {
    HmacKey::new(id, [id.len() as u8; 32]).unwrap()
}

fn router(shelf: &Arc<Shelf>, signer: HmacSigner) -> Router {
    Router::new().nest_service("/files", serve::router(shelf.clone(), Arc::new(signer), Arc::new(Stopped)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn keys_are_replaced_while_links_are_used() {
    let shelf = Arc::new(Shelf::new("bytes"));
    let signer = |id| HmacSigner::new(BASE, key(id)).unwrap();
    let (old, new) = (link_of(&signer("old")), link_of(&signer("newer")));
    let current = Arc::new(RwLock::new(router(&shelf, signer("old"))));
    let (stop, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (current, stop, served, old) = (current.clone(), stop.clone(), served.clone(), old.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let router = current.read().unwrap().clone();
                    assert_eq!(get(&router, &old, &[]).await.status, StatusCode::OK);
                    served.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for next in [signer("old").accept(key("newer")).unwrap(), signer("newer").accept(key("old")).unwrap()] {
        let next = router(&shelf, next);
        assert_eq!(get(&next, &new, &[]).await.status, StatusCode::OK);
        let before = served.load(Ordering::Relaxed);
        *current.write().unwrap() = next;
        while served.load(Ordering::Relaxed) < before + 200 {
            tokio::task::yield_now().await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let retired = router(&shelf, signer("newer"));
    let refused = get(&retired, &old, &[]).await;
    assert_eq!(refused, get(&retired, "/files/x", &[]).await);
    assert_eq!(get(&retired, &new, &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_link_is_refused_as_any_other_is() {
    let (dir, shelf) = (tempfile::tempdir().unwrap(), Arc::new(Shelf::new("bytes")));
    let revocable = || {
        let revocations = StoredRevocations::new(Arc::new(LocalDisk::open(dir.path()).unwrap()));
        HmacSigner::new(BASE, key("k1")).unwrap().revocations(Arc::new(revocations))
    };
    let (host, route) = (revocable(), router(&shelf, revocable()));
    let wanted = LinkRequest { key: ObjectKey::parse(KEY).unwrap(), expires_at: at("2026-01-05T00:00:00Z") };
    let sign =
        async || host.sign(&wanted, at(NOW)).await.unwrap().link.expose()["http://media.example".len()..].to_owned();
    let leaked = sign().await;
    assert_eq!(get(&route, &leaked, &[]).await.status, StatusCode::OK);
    host.revoke(&wanted.key).await.unwrap();
    let asked = shelf.asked.load(Ordering::Relaxed);
    assert_eq!(get(&route, &leaked, &[]).await, get(&route, "/files/x", &[]).await);
    assert_eq!(shelf.asked.load(Ordering::Relaxed), asked);
    assert_eq!(get(&route, &sign().await, &[]).await.status, StatusCode::OK);

    // Where nobody knows whether it was revoked, the reader is to try again.
    std::fs::remove_dir_all(dir.path()).unwrap();
    let unknown = get(&route, &leaked, &[]).await;
    assert_eq!((unknown.status, unknown.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, Some("5")));
    assert_eq!(get(&route, &format!("{leaked}A"), &[]).await, get(&route, "/files/x", &[]).await);
}
