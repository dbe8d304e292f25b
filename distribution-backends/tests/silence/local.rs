//! Local disk, SQLite, JSONL and HMAC links, from a configuration to the route that serves them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use data_encoding::BASE64URL_NOPAD;
use distribution_backends::serve::{self, BearerToken};
use distribution_backends::{Config, HmacKey, Opened, SystemClock};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::canary::{Secrets, canary};
use crate::told::Told;
use crate::{VIDEO, use_all};

fn site(base_url: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["objects", "staging", "revocations"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(folder.path().join("staging/clip.mp4"), VIDEO).unwrap();
    for name in ["link", "old"] {
        let line = format!("{name}:{}\n", BASE64URL_NOPAD.encode(canary(name).as_bytes()));
        fs::write(folder.path().join(name), line).unwrap();
    }
    let text = format!(
        "[targets.media]\nstorage = \"objects\"\n\
         [targets.media.links]\nkind = \"hmac\"\nbase_url = \"{base_url}\"\nkey = {{ file = \"link\" }}\n\
         accepted_keys = [{{ file = \"old\" }}]\nrevocations = \"revocations\"\nprobe = true\n\
         authenticated_url = \"https://studio.example/files\"\n\
         [staging.edits]\nroot = \"staging\"\n[preflight]\nmp4 = \"warn\"\n\
         [metadata]\nuri = \"sqlite:records.db\"\n[audit]\njsonl = \"audit.jsonl\"\n"
    );
    fs::write(folder.path().join("distribution.toml"), text).unwrap();
    folder
}

async fn open(folder: &Path, told: &mut Told) -> Opened {
    let config = Config::load(folder.join("distribution.toml")).unwrap();
    let alerts = told.alerts();
    let opened = config.open_with(|builder| builder.alerts(alerts)).await.unwrap();
    told.debug(&config);
    told.debug(&opened);
    opened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_on_its_own_disk_tells_no_key_and_no_signature() {
    let mut told = Told::new();
    let mut secrets = Secrets::of(&["link", "old"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/files", listener.local_addr().unwrap());
    let folder = site(&base);
    let opened = open(folder.path(), &mut told).await;
    let router = opened.router().unwrap().unwrap();
    let served = router.clone();
    tokio::spawn(async move { axum::serve(listener, served).await });

    let record = use_all(&opened.publisher, "clip.mp4", &mut told, &mut secrets).await;
    let (path, query) = record.public_url.expose().split_once('?').unwrap();
    let path = path.strip_prefix(base.trim_end_matches("/files")).unwrap();
    fetch(&router, path, query, &mut told).await;
    opened.publisher.revoke_links(&record.audit_log_id).await.unwrap();
    fetch(&router, path, query, &mut told).await;

    // Then everything breaks, one part after the other.
    fs::remove_dir_all(folder.path().join("revocations")).unwrap();
    fetch(&router, path, query, &mut told).await;
    fs::remove_dir_all(folder.path().join("staging")).unwrap();
    told.refusal(opened.publisher.publish(distribution_testkit::request("other.mp4", b"other")).await);
    fs::rename(folder.path().join("objects"), folder.path().join("gone")).unwrap();
    fetch(&router, path, query, &mut told).await;
    told.say("diagnosis", opened.publisher.doctor(&distribution_backends::LinkProbe::new().unwrap()).await.to_string());

    told.folder(folder.path(), &["link", "old"]);
    told.holds_none_of(&secrets, &["distribution_core", "sqlx", "reqwest"]);
}

/// What the route says, to its own links and to those that somebody has changed.
async fn fetch(router: &Router, path: &str, query: &str, told: &mut Told) {
    for uri in [format!("{path}?{query}"), format!("{path}?{query}0"), format!("{path}x?{query}"), path.to_owned()] {
        for method in ["GET", "HEAD", "DELETE", "OPTIONS"] {
            let request = Request::builder().method(method).uri(&uri).header("range", "bytes=0-3");
            let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            told.debug(answer.headers());
            let body = to_bytes(answer.into_body(), usize::MAX).await;
            told.say("body", body.unwrap_or_default().to_vec());
        }
    }
}

#[tokio::test]
async fn a_route_that_asks_for_a_token_does_not_repeat_it() {
    let mut told = Told::new();
    let secrets = Secrets::of(&["token", "wrong token"]);
    let folder = site("https://media.example/files");
    let opened = open(folder.path(), &mut told).await;
    let token = BearerToken::new(&canary("token")).unwrap();
    told.debug(&token);
    told.refusal(BearerToken::new(&format!("{} {}", canary("token"), canary("wrong token"))));
    let storage = Arc::clone(&opened.guarded[0].storage);
    let router = serve::authenticated(storage, Arc::new(token), Arc::new(SystemClock));
    for name in ["token", "wrong token"] {
        let request = Request::get("/clip.mp4").header("authorization", format!("Bearer {}", canary(name)));
        let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        told.debug(answer.headers());
        told.say("body", to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec());
    }
    told.holds_none_of(&secrets, &[]);
}

#[test]
fn a_key_that_is_none_is_not_repeated() {
    let mut told = Told::new();
    let mut secrets = Secrets::of(&["link", "raw"]);
    let folder = tempfile::tempdir().unwrap();
    let line = format!("id:{}", BASE64URL_NOPAD.encode(canary("link").as_bytes()));
    told.debug(&HmacKey::from_line(&line).unwrap());
    for wrong in [canary("raw"), format!("{line}!"), format!("{line}\n{line}"), format!("i d:{}", canary("raw"))] {
        told.refusal(HmacKey::from_line(&wrong));
        let path = folder.path().join("key");
        fs::write(&path, &wrong).unwrap();
        told.refusal(HmacKey::load_or_create(&path));
    }
    told.refusal(HmacKey::new(canary("raw") + "!", canary("link")));
    let made = folder.path().join("made");
    let key = HmacKey::load_or_create(&made).unwrap();
    let secret = fs::read_to_string(&made).unwrap();
    let secret = secret.trim().split_once(':').unwrap().1.to_owned();
    secrets.add("made", secret.as_bytes());
    secrets.add("made", &BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap());
    told.debug(&key);
    let signer = distribution_backends::HmacSigner::new("https://media.example", key).unwrap();
    told.debug(&signer);
    told.refusal(distribution_backends::HmacSigner::new(
        &format!("https://u:{}@media.example", canary("raw")),
        HmacKey::from_line(&line).unwrap(),
    ));
    told.holds_none_of(&secrets, &[]);
}
