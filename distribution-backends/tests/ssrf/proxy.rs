//! Proxies in the environment. An environment cannot be changed safely from within, so a child has it.

use std::env;
use std::process::Command;

use distribution_backends::HttpSource;

use crate::canary::Canary;
use crate::read;
use crate::server::{Server, file};

const URL: &str = "SSRF_TEST_URL";
const NAMES: [&str; 6] = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

#[test]
fn no_proxy_of_the_environment_is_used() {
    let server = Server::saying("127.0.0.1", file("one", b"bytes"));
    let canary = Canary::everywhere();
    let run = |body: &str| {
        let proxy = format!("http://127.0.0.1:{}", canary.port());
        let mut child = Command::new(env::current_exe().unwrap());
        child.args(["--exact", body]).env(URL, server.url("clip.mp4")).env_remove("no_proxy").env_remove("NO_PROXY");
        let output = child.envs(NAMES.map(|name| (name, &proxy))).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    run("proxy::child_of_the_source");
    assert_eq!((server.heads().len(), canary.hits()), (1, 0));
    run("proxy::child_of_a_client_that_uses_proxies");
    assert_eq!(server.heads().len(), 1);
    assert!(canary.hits() > 0, "the proxy counts for those who use it");
}

#[tokio::test]
async fn child_of_the_source() {
    let Ok(url) = env::var(URL) else { return };
    let host = url.split('/').nth(2).unwrap();
    let source = HttpSource::builder().private_host_without_tls(host, &["127.0.0.1/32"]).build().unwrap();
    assert_eq!(read(&source, &url).await.unwrap().unwrap().1, b"bytes");
}

#[tokio::test]
async fn child_of_a_client_that_uses_proxies() {
    let Ok(url) = env::var(URL) else { return };
    rustls::crypto::ring::default_provider().install_default().unwrap();
    assert!(reqwest::get(url).await.is_err());
}
