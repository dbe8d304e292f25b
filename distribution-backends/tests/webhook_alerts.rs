//! Alerts over a receiver that answers as it is told, by a clock that the test turns.
#![cfg(feature = "alert-webhook")]

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use distribution_backends::{WebhookAlerts, WebhookConfig, WebhookFormat};
use distribution_core::{
    Alert, AlertKind, AlertSink as _, AuditLogId, Checksum, Clock as _, Identity, ObjectKey, TargetName,
};
use distribution_testkit::{ManualClock, World};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers with what is planned, then with 200; keeps the bodies that it took.
#[derive(Clone, Default)]
struct Receiver {
    plan: Arc<Mutex<VecDeque<&'static str>>>,
    down: Arc<Mutex<bool>>,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Receiver {
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook/canary-secret", listener.local_addr().unwrap());
        let this = self.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut bytes = Vec::new();
                let body = loop {
                    let mut more = [0; 4096];
                    let read = stream.read(&mut more).await.unwrap();
                    bytes.extend(&more[..read]);
                    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4);
                    let body = end.and_then(|end| serde_json::from_slice::<Value>(&bytes[end..]).ok());
                    if body.is_some() || read == 0 {
                        break body;
                    }
                };
                let planned = this.plan.lock().unwrap().pop_front();
                let planned = if *this.down.lock().unwrap() { Some("503 Down") } else { planned };
                let head = planned.unwrap_or("200 OK");
                if head.starts_with("200") {
                    this.taken.lock().unwrap().extend(body);
                }
                let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        url
    }

    fn texts(&self) -> Vec<String> {
        self.taken.lock().unwrap().iter().map(|body| body["text"].as_str().unwrap().to_owned()).collect()
    }
}

fn alert(name: &str) -> Alert {
    let (target, key) = (TargetName::default(), ObjectKey::parse(name).unwrap());
    let identity = Identity { target: &target, key: &key, checksum: &Checksum::of(b""), concept_id: None };
    Alert {
        kind: AlertKind::Corrupt,
        audit_log_id: AuditLogId::of(identity),
        target: None,
        message: format!("about <{name}>"),
    }
}

async fn open(url: &str, spool: &Path, world: &World, format: WebhookFormat) -> WebhookAlerts {
    let mut config = WebhookConfig::new(url, format, spool);
    config.entries_max = 20;
    assert!(!format!("{config:?}").contains("canary"));
    WebhookAlerts::open(config, Arc::new(ManualClock::new(world))).await.unwrap()
}

#[tokio::test]
async fn what_fails_is_sent_again_when_it_is_due() {
    let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
    let alerts = open(&receiver.start().await, spool.path(), &world, WebhookFormat::Slack).await;
    receiver.plan.lock().unwrap().extend(["500 Oops", "429 Slow\r\nretry-after: 90"]);
    alerts.raise(alert("one.mp4"));
    let now = || ManualClock::new(&world).now();
    let seconds = |due: Option<distribution_core::Timestamp>| (due.unwrap() - now()).num_seconds();
    assert_eq!(seconds(alerts.deliver().await.unwrap()), 1);
    world.advance(Duration::from_secs(1));
    assert_eq!(seconds(alerts.deliver().await.unwrap()), 90, "as the receiver says");
    world.advance(Duration::from_secs(89));
    assert_eq!(seconds(alerts.deliver().await.unwrap()), 1);
    world.advance(Duration::from_secs(1));
    assert_eq!(alerts.deliver().await.unwrap(), None);
    let texts = receiver.texts();
    assert!(texts[0].starts_with("[critical] corrupt: about &lt;one.mp4&gt;"), "{texts:?}");
    alerts.raise(alert("one.mp4"));
    alerts.deliver().await.unwrap();
    assert_eq!(receiver.texts().len(), 1, "the same within the window");
    assert!(!format!("{alerts:?}").contains("canary"));
}

#[tokio::test]
async fn ten_minutes_down_and_a_restart_lose_nothing() {
    let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
    let url = receiver.start().await;
    *receiver.down.lock().unwrap() = true;
    let names: Vec<String> = (0..10).map(|n| format!("clip-{n}.mp4")).collect();
    let mut alerts = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    for name in &names {
        alerts.raise(alert(name));
        alerts.raise(alert(name));
        alerts.deliver().await.unwrap();
        world.advance(Duration::from_secs(60));
        drop(alerts);
        let mut file = OpenOptions::new().append(true).open(spool.path().join("alerts.jsonl")).unwrap();
        file.write_all(b"{\"alert\":{\"seq").unwrap(); // what a crash leaves
        alerts = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    }
    *receiver.down.lock().unwrap() = false;
    assert_eq!(alerts.deliver().await.unwrap(), None);
    let texts = receiver.texts();
    assert_eq!(texts.len(), names.len(), "{texts:?}");
    assert!(texts.iter().zip(&names).all(|(text, name)| text.contains(name)), "in order: {texts:?}");
    drop(alerts);
    let alerts = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    assert_eq!(alerts.deliver().await.unwrap(), None);
    assert_eq!(receiver.texts().len(), names.len(), "nothing twice");
}

#[tokio::test]
async fn a_full_queue_drops_the_oldest_and_says_so() {
    let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
    let alerts = open(&receiver.start().await, spool.path(), &world, WebhookFormat::Slack).await;
    (0..25).for_each(|n| alerts.raise(alert(&format!("clip-{n}.mp4"))));
    assert_eq!(alerts.deliver().await.unwrap(), None);
    let texts = receiver.texts();
    assert_eq!(texts.len(), 20);
    assert!(texts[0].contains("clip-5.mp4") && texts[0].contains("(5 alerts were dropped before this one)"));
    assert!(!texts[1].contains("dropped"));
}

#[tokio::test]
async fn alertmanager_gets_labels_that_tell_publications_apart() {
    let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
    let alerts = open(&receiver.start().await, spool.path(), &world, WebhookFormat::Alertmanager).await;
    alerts.raise(alert("one.mp4"));
    alerts.raise(Alert { kind: AlertKind::LinkShortened, target: Some(TargetName::default()), ..alert("two.mp4") });
    alerts.deliver().await.unwrap();
    let taken = receiver.taken.lock().unwrap().clone();
    assert_eq!(taken[0][0]["labels"]["audit_log_id"], alert("one.mp4").audit_log_id.to_string());
    assert_eq!(taken[0][0]["labels"]["alertname"], "distribution_corrupt");
    assert_eq!(taken[1][0]["labels"]["target"], TargetName::default().as_str());
    assert!(taken[1][0]["labels"].get("audit_log_id").is_none());
}
