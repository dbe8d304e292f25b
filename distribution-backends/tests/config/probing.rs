//! `probe = true`: a link is tried before it is handed out.

use std::fs;
use std::sync::Arc;

use axum::Router;
use distribution_backends::{Config, SystemClock, serve};
use distribution_core::ErrorKind;
use tokio::net::TcpListener;

use super::opening::request;
use super::{RECORDS, STAGING, site};

#[tokio::test]
async fn a_publish_whose_link_does_not_work_fails_and_its_repeat_goes_on() {
    let folder = site();
    fs::write(folder.path().join("staging/clip.mp4"), b"bytes").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let target = format!(
        "[targets.media]\nstorage = \"objects\"\nlinks = {{ kind = \"hmac\", base_url = \"http://{address}/files\", key_file \
         = \"k\", probe = true }}\n"
    );
    let config = Config::parse(&format!("{target}{STAGING}{RECORDS}"), folder.path()).unwrap();
    let opened = config.open().await.unwrap();
    let error = opened.publisher.publish(request("clip.mp4", b"bytes")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("has a server that cannot be reached"), "{error}");
    assert_eq!(fs::read_dir(folder.path().join("objects")).unwrap().filter(is_clip).count(), 1, "it is published");

    let download = opened.downloads[0].clone();
    let route = serve::router(download.storage, download.signer, Arc::new(SystemClock));
    let listener = TcpListener::bind(address).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().nest_service("/files", route)).await });
    let record = opened.publisher.publish(request("clip.mp4", b"bytes")).await.unwrap();
    assert!(record.public_url.expose().starts_with(&format!("http://{address}/files/clip-")));
}

fn is_clip(entry: &std::io::Result<fs::DirEntry>) -> bool {
    entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("clip-")
}
