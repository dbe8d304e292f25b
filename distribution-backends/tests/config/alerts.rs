//! `[alerts]`: a webhook, its secret, and what it cannot be.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use distribution_backends::{Config, LogAlerts};
use distribution_core::ErrorKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::opening::request;
use super::{RECORDS, STAGING, TARGET, refusal, site};

fn with_alerts(keys: &str) -> String {
    format!("{TARGET}{STAGING}{RECORDS}[alerts]\n{keys}\n")
}

const WEBHOOK: &str = "kind = \"webhook\"\nurl = { file = \"hook\" }\nformat = \"slack\"\nspool = \"alerts\"\n";

#[tokio::test]
async fn a_webhook_is_told_of_what_goes_wrong() {
    let (folder, listener) = (site(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    fs::create_dir(folder.path().join("alerts")).unwrap();
    let url = format!("http://{}/hook/hunter2\n", listener.local_addr().unwrap());
    fs::write(folder.path().join("hook"), url).unwrap();
    let config = Config::parse(&with_alerts(WEBHOOK), folder.path()).unwrap();
    let opened = Arc::new(config.open().await.unwrap());
    assert!(!format!("{config:?} {opened:?}").contains("hunter2"));

    // Others may run beside it, such as a sweep.
    let _beside = config.open().await.unwrap();

    let missing = opened.publisher.publish(request("absent.mp4", b"")).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Rejected);
    let (mut stream, _) = tokio::time::timeout(Duration::from_secs(20), listener.accept()).await.unwrap().unwrap();
    let mut text = String::new();
    while !text.contains("audit_log_id") {
        let mut more = [0; 4096];
        let read = stream.read(&mut more).await.unwrap();
        assert!(read > 0, "{text}");
        text.push_str(std::str::from_utf8(&more[..read]).unwrap());
    }
    assert!(text.starts_with("POST /hook/hunter2 ") && text.contains("[error] rejected: "), "{text}");
}

#[tokio::test]
async fn a_host_with_alerts_of_its_own_opens_no_queue_and_may_send_to_both() {
    let (folder, listener) = (site(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let config = Config::parse(&with_alerts(WEBHOOK), folder.path()).unwrap();
    // Neither the secret nor the directory are there, and nobody needs them.
    let own = Arc::new(LogAlerts);
    config.open_with(|builder| builder.alerts(own)).await.unwrap().close().await.unwrap();
    assert_eq!(config.alerts().await.unwrap_err().field(), Some("alerts.url"));

    fs::create_dir(folder.path().join("alerts")).unwrap();
    fs::write(folder.path().join("hook"), format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let receiving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut text = String::new();
        while !text.ends_with('}') {
            let mut more = [0; 4096];
            let read = stream.read(&mut more).await.unwrap();
            text.push_str(std::str::from_utf8(&more[..read]).unwrap());
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        text
    });
    let alerts = config.alerts().await.unwrap();
    let both = Arc::new(alerts.clone());
    let opened = config.open_with(|builder| builder.alerts(both)).await.unwrap();
    opened.publisher.publish(request("absent.mp4", b"")).await.unwrap_err();
    opened.close().await.unwrap();
    alerts.settle(Duration::from_secs(20)).await;
    let text = tokio::time::timeout(Duration::from_secs(1), receiving).await.unwrap().unwrap();
    assert!(text.contains("[error] rejected: "), "sent before the program ends: {text}");
}

#[tokio::test]
async fn what_is_missing_is_named_by_its_key() {
    let folder = site();
    let open = async || Config::parse(&with_alerts(WEBHOOK), folder.path()).unwrap().open().await.unwrap_err();
    assert_eq!(open().await.field(), Some("alerts.url"));
    fs::write(folder.path().join("hook"), "hunter2://nowhere").unwrap();
    let error = open().await;
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("alerts.url")));
    assert!(!format!("{error} {error:?}").contains("hunter2"));
    fs::write(folder.path().join("hook"), "https://hooks.example/a").unwrap();
    let error = open().await;
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("alerts.spool")));
}

#[test]
fn what_it_cannot_be_is_told() {
    let refused = |keys: &str| refusal(&with_alerts(keys));
    for (keys, message) in [
        ("spool = \"alerts\"", "alerts.spool: is of use with `kind = \"webhook\"` only (line 12)"),
        (
            "kind = \"webhook\"",
            "alerts.kind: `webhook` needs `alerts.spool`, a directory for the alerts that wait (line 12)",
        ),
    ] {
        assert_eq!(refused(keys), message);
    }
    let literal = refused("kind = \"webhook\"\nurl = \"https://hooks.example/hunter2\"");
    assert!(literal.starts_with("alerts.url: must be a reference") && !literal.contains("hunter2"), "{literal}");
    for (key, range) in
        [("window_secs", "1 to 86400"), ("waiting_max", "1 to 1000000"), ("waiting_max_mib", "1 to 1024")]
    {
        let message = refused(&format!("{WEBHOOK}{key} = 0"));
        assert!(message.starts_with(&format!("alerts.{key}: must be {range}, not 0")), "{message}");
    }
}
