//! A webhook's URL, whose path is the secret; and the key that signs the audit trail.

use std::fs;
use std::sync::Arc;

use data_encoding::BASE64;
use distribution_backends::{
    EvidenceKey, JsonlAudit, ObjectAudit, Seal, SystemClock, WebhookAlerts, WebhookConfig, WebhookFormat,
};
use distribution_core::{Alert, AlertKind, AlertSink as _, AuditLogId, AuditSink as _, StoragePrefix};
use distribution_testkit::World;

use crate::canary::{Secrets, canary};
use crate::told::Told;

#[tokio::test]
async fn the_url_of_a_webhook_is_shown_nowhere() {
    let mut told = Told::new();
    let secrets = Secrets::of(&["hook", "query"]);
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:1/services/{}?token={}", canary("hook"), canary("query"));
    for name in ["Slack", "Alertmanager", "running", "wrong"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    for format in [WebhookFormat::Slack, WebhookFormat::Alertmanager] {
        let config = WebhookConfig::new(&url, format, folder.path().join(format!("{format:?}")));
        told.debug(&config);
        let alerts = WebhookAlerts::open(config, Arc::new(SystemClock)).await.unwrap();
        told.debug(&alerts);
        let id = AuditLogId::parse("dist_00000000000000000000000000").unwrap();
        let message = "look at it".to_owned();
        alerts.raise(Alert { kind: AlertKind::Corrupt, audit_log_id: Some(id), target: None, message });
        // Nobody is there.
        match alerts.deliver().await {
            Ok(when) => told.debug(&when),
            Err(error) => told.error(error),
        }
    }
    let config = WebhookConfig::new(&url, WebhookFormat::Slack, folder.path().join("running"));
    // A `RunningAlerts`.
    told.debug(&WebhookAlerts::start(config, Arc::new(SystemClock)).await.unwrap());
    for wrong in [format!("ftp://{}", canary("hook")), format!("http://hook.example/{}", canary("hook"))] {
        let config = WebhookConfig::new(&wrong, WebhookFormat::Slack, folder.path().join("wrong"));
        told.debug(&config);
        match WebhookAlerts::open(config, Arc::new(SystemClock)).await {
            Ok(alerts) => told.debug(&alerts),
            Err(error) => told.error(error),
        }
    }
    told.folder(folder.path(), &[]);
    told.holds_none_of(&secrets, &[]);
}

#[tokio::test]
async fn the_key_that_signs_the_trail_is_shown_nowhere() {
    let mut told = Told::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.key");
    let key = EvidenceKey::load_or_create(&path).unwrap();
    // Behind 16 bytes that say what it is (RFC 8410 §7).
    let pem = fs::read_to_string(&path).unwrap();
    let der: String = pem.lines().filter(|line| !line.contains("-----")).collect();
    let der = BASE64.decode(der.as_bytes()).unwrap();
    let secrets = Secrets::of(&["in the key"]).and("private key", &der[16..48]);
    told.debug(&key);
    told.debug(&key.public_key());
    let seal = Seal::new("/distribution/test").unwrap().signed_by(key);
    told.debug(&seal);
    let audit = Arc::new(JsonlAudit::open_sealed(folder.path().join("audit.jsonl"), seal.clone()).await.unwrap());
    told.debug(&*audit);
    let world = World::new();
    world.stage("clip.mp4", crate::VIDEO);
    let publisher = world.builder("a").audit(audit).build().unwrap();
    publisher.publish(distribution_testkit::request("clip.mp4", crate::VIDEO)).await.unwrap();
    let storage = world.parts(&Default::default()).storage;
    let objects = ObjectAudit::open(storage, StoragePrefix::parse("audit/").unwrap(), seal).await.unwrap();
    told.debug(&objects);
    objects.append(&world.audit()).await.unwrap();
    for object in world.objects().into_values() {
        told.say("object", object.bytes.to_vec());
    }
    fs::write(folder.path().join("wrong.key"), canary("in the key")).unwrap();
    told.refusal(EvidenceKey::load_or_create(folder.path().join("wrong.key")));
    told.folder(folder.path(), &["audit.key", "wrong.key"]);
    told.holds_none_of(&secrets, &[]);
}
