//! Alerts over a receiver that answers as it is told, by a clock that the test turns.
#![cfg(feature = "alert-webhook")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use distribution_backends::{WebhookAlerts, WebhookConfig, WebhookFormat};
use distribution_core::{
    Alert, AlertKind, AlertSink as _, AuditLogId, Checksum, Clock as _, Identity, ObjectKey, TargetName,
};
use distribution_testkit::{ManualClock, World, request};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Answers with what is planned, then with 200; keeps the bodies that it took.
#[derive(Clone, Default)]
struct Receiver {
    plan: Arc<Mutex<VecDeque<&'static str>>>,
    down: Arc<Mutex<Option<&'static str>>>,
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
                let head = this.down.lock().unwrap().or(planned).unwrap_or("200 OK");
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
        audit_log_id: Some(AuditLogId::of(identity)),
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
    *receiver.down.lock().unwrap() = Some("503 Down");
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
    *receiver.down.lock().unwrap() = None;
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
async fn a_receiver_that_is_not_there_for_ten_minutes_loses_nothing() {
    for answer in ["401 Unauthorized", "403 Forbidden", "404 Not Found", "405 No", "410 Gone", "451 No"] {
        let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
        let alerts = open(&receiver.start().await, spool.path(), &world, WebhookFormat::Slack).await;
        *receiver.down.lock().unwrap() = Some(answer);
        let end = ManualClock::new(&world).now() + TimeDelta::minutes(10);
        ["one.mp4", "two.mp4"].iter().for_each(|name| alerts.raise(alert(name)));
        while ManualClock::new(&world).now() < end {
            let due = alerts.deliver().await.unwrap().expect("they wait");
            world.advance((due - ManualClock::new(&world).now()).to_std().unwrap());
        }
        *receiver.down.lock().unwrap() = None;
        assert_eq!(alerts.deliver().await.unwrap(), None, "{answer}");
        let texts = receiver.texts();
        assert!(matches!(&*texts, [one, two] if one.contains("one.mp4") && two.contains("two.mp4")), "{texts:?}");
        assert!(!texts.iter().any(|text| text.contains("dropped")), "{texts:?}");
    }
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
    assert_eq!(taken[0][0]["labels"]["audit_log_id"], alert("one.mp4").audit_log_id.unwrap().to_string());
    assert_eq!(taken[0][0]["labels"]["alertname"], "distribution_corrupt");
    assert_eq!(taken[1][0]["labels"]["target"], TargetName::default().as_str());
    assert!(taken[1][0]["labels"].get("audit_log_id").is_none());
}

fn read(spool: &Path, name: &str) -> String {
    std::fs::read_to_string(spool.join(name)).unwrap_or_default()
}

#[tokio::test]
async fn what_the_receiver_calls_wrong_is_dropped_after_ten_times_and_holds_nothing_up() {
    let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
    let alerts = open(&receiver.start().await, spool.path(), &world, WebhookFormat::Slack).await;
    receiver.plan.lock().unwrap().extend(["400 Bad Request", "413 Large", "422 Wrong"].iter().cycle().take(10));
    alerts.raise(alert("wrong.mp4"));
    alerts.raise(alert("right.mp4"));
    let mut calls = 0;
    while let Some(due) = alerts.deliver().await.unwrap() {
        let wait = due - ManualClock::new(&world).now();
        world.advance(wait.to_std().unwrap());
        calls += 1;
        assert!(calls < 10, "not for ever");
    }
    let texts = receiver.texts();
    assert_eq!((calls, texts.len()), (9, 1), "{texts:?}");
    assert!(texts[0].contains("right.mp4") && texts[0].contains("(1 alerts were dropped before this one)"));
}

#[tokio::test]
async fn a_damaged_line_is_kept_aside_and_told() {
    let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
    let url = receiver.start().await;
    *receiver.down.lock().unwrap() = Some("503 Down");
    let alerts = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    for name in ["one.mp4", "two.mp4", "three.mp4"] {
        alerts.raise(alert(name));
    }
    alerts.deliver().await.unwrap();
    drop(alerts);
    let damaged = read(spool.path(), "alerts.jsonl").replace("\"about <two.mp4>\"", "\"about <two.mp4>");
    std::fs::write(spool.path().join("alerts.jsonl"), damaged).unwrap();

    *receiver.down.lock().unwrap() = None;
    let alerts = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    assert_eq!(alerts.deliver().await.unwrap(), None);
    let texts = receiver.texts();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].contains("one.mp4") && texts[1].contains("three.mp4"));
    assert!(texts[2].starts_with("[error] alerts_damaged: 1 lines") && texts[2].contains("alerts.damaged.jsonl"));
    assert!(read(spool.path(), "alerts.damaged.jsonl").contains("two.mp4"));
    drop(alerts);
    let alerts = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    assert_eq!(alerts.deliver().await.unwrap(), None);
    assert_eq!(receiver.texts().len(), 3, "told once");
}

#[tokio::test]
async fn what_the_disk_does_not_take_waits_in_memory() {
    let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
    let url = receiver.start().await;
    let mut config = WebhookConfig::new(&url, WebhookFormat::Slack, spool.path());
    config.bytes_max = 600;
    let alerts = WebhookAlerts::open(config, Arc::new(ManualClock::new(&world))).await.unwrap();
    // Where the queue would be written anew.
    let in_its_way = spool.path().join("alerts.jsonl.new");
    std::fs::create_dir(&in_its_way).unwrap();
    let mut errors = 0;
    for n in 0..6 {
        alerts.raise(alert(&format!("clip-{n}.mp4")));
        errors += usize::from(alerts.deliver().await.is_err());
    }
    assert!(errors > 0);
    std::fs::remove_dir(&in_its_way).unwrap();
    assert_eq!(alerts.deliver().await.unwrap(), None);
    let texts = receiver.texts();
    for n in 0..6 {
        let found = texts.iter().filter(|text| text.contains(&format!("clip-{n}.mp4"))).count();
        let dropped = texts.iter().any(|text| text.contains("were dropped"));
        assert!(found == 1 || dropped, "clip-{n}: {texts:?}");
    }
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_no_publish_and_changes_none() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook/canary-secret", listener.local_addr().unwrap());
    let (world, spool) = (World::new(), tempfile::tempdir().unwrap());
    let config = WebhookConfig::new(&url, WebhookFormat::Slack, spool.path());
    let alerts = Arc::new(WebhookAlerts::start(config, Arc::new(ManualClock::new(&world))).await.unwrap());
    alerts.raise(alert("one.mp4"));
    let (held, _) = listener.accept().await.unwrap();

    let (told, quiet) = (world.builder("host-1").alerts(alerts.clone()).build().unwrap(), world.publisher("host-2"));
    let call = || request("https://staging.invalid/gone.mp4?X-Amz-Signature=canary-query", b"approved bytes");
    let rejected = tokio::time::timeout(Duration::from_secs(10), told.publish(call())).await.unwrap().unwrap_err();
    assert_eq!(rejected.to_string(), quiet.publish(call()).await.unwrap_err().to_string());
    world.stage("clip.mp4", "approved bytes");
    let published = tokio::time::timeout(Duration::from_secs(10), told.publish(request("clip.mp4", b"approved bytes")));
    published.await.unwrap().unwrap();

    drop((told, alerts, held));
    let kept = read(spool.path(), "alerts.jsonl");
    assert!(kept.contains("about <one.mp4>") && kept.contains("\"rejected\""), "kept for the next process: {kept}");
    assert!(!kept.contains("canary"), "{kept}");
}

#[tokio::test]
async fn an_outage_of_a_shared_part_is_one_alert() {
    let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
    let alerts = open(&receiver.start().await, spool.path(), &world, WebhookFormat::Alertmanager).await;
    for name in ["one.mp4", "two.mp4", "three.mp4"] {
        alerts.raise(Alert { kind: AlertKind::AuditUnreachable, ..alert(name) });
    }
    alerts.deliver().await.unwrap();
    let taken = receiver.taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0][0]["labels"].as_object().unwrap().len(), 2, "no label tells publications apart: {taken:?}");
    assert_eq!(taken[0][0]["annotations"]["audit_log_id"], alert("one.mp4").audit_log_id.unwrap().to_string());
}

#[tokio::test]
async fn processes_share_a_directory_and_one_sends_what_another_has_left() {
    let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
    let url = receiver.start().await;
    let service = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    service.raise(alert("service.mp4"));
    assert_eq!(service.deliver().await.unwrap(), None);

    // One that runs beside it, such as a sweep, and sends its own.
    let beside = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    beside.raise(alert("beside.mp4"));
    assert_eq!(beside.deliver().await.unwrap(), None);

    // It ends while the receiver is down, and so does one more.
    *receiver.down.lock().unwrap() = Some("503 Down");
    let third = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    beside.raise(alert("left.mp4"));
    third.raise(alert("left-too.mp4"));
    third.raise(alert("left.mp4"));
    for process in [beside, third] {
        assert!(process.deliver().await.unwrap().is_some());
    }
    *receiver.down.lock().unwrap() = None;
    assert_eq!(service.deliver().await.unwrap(), None);
    assert_eq!(receiver.texts().len(), 2, "not before it looks");
    world.advance(Duration::from_secs(30));
    assert_eq!(service.deliver().await.unwrap(), None);
    let texts = receiver.texts();
    let sent = |name: &str| texts.iter().filter(|text| text.contains(&format!("about &lt;{name}&gt;"))).count();
    assert_eq!((texts.len(), sent("left.mp4"), sent("left-too.mp4")), (4, 1, 1), "{texts:?}");

    // Nothing is sent twice, whoever comes next.
    drop(service);
    let next = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    assert_eq!(next.deliver().await.unwrap(), None);
    assert_eq!(receiver.texts().len(), 4);
}

#[tokio::test]
async fn a_queue_that_a_running_process_has_is_left_alone() {
    let (receiver, world, spool) = (Receiver::default(), World::new(), tempfile::tempdir().unwrap());
    let url = receiver.start().await;
    let service = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    let beside = open(&url, spool.path(), &world, WebhookFormat::Slack).await;
    *receiver.down.lock().unwrap() = Some("503 Down");
    beside.raise(alert("beside.mp4"));
    assert!(beside.deliver().await.unwrap().is_some());
    *receiver.down.lock().unwrap() = None;
    world.advance(Duration::from_secs(60));
    assert_eq!(service.deliver().await.unwrap(), None);
    assert!(receiver.texts().is_empty());
    assert_eq!(beside.deliver().await.unwrap(), None);
    assert_eq!(receiver.texts().len(), 1);
}
