//! Every kind of alert that a publisher raises, each planted once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{Alert, AlertKind, PublishRequest, Publisher, Severity};
use distribution_testkit::{Fault, Op, Parts, TestSigner, World, request};

struct Case {
    plant: fn(&World),
    kind: AlertKind,
    severity: Severity,
    /// What the key is besides the kind; `None` for the publication's id.
    about: Option<&'static str>,
}

const CASES: [Case; 8] = [
    Case { plant: |_| {}, kind: AlertKind::QcRefused, severity: Severity::Error, about: None },
    Case {
        plant: |world| world.unstage("clip.mp4"),
        kind: AlertKind::Rejected,
        severity: Severity::Error,
        about: None,
    },
    Case {
        plant: |world| once(world, Op::StorageCreate, Fault::Corrupt),
        kind: AlertKind::Corrupt,
        severity: Severity::Critical,
        about: None,
    },
    Case {
        plant: |world| always(world, Op::StorageCreate),
        kind: AlertKind::Unavailable,
        severity: Severity::Warning,
        about: None,
    },
    Case {
        plant: |world| always(world, Op::AuditAppend),
        kind: AlertKind::AuditUnreachable,
        severity: Severity::Error,
        about: Some(""),
    },
    Case {
        plant: |world| always(world, Op::MetadataClaim),
        kind: AlertKind::MetadataUnreachable,
        severity: Severity::Error,
        about: Some(""),
    },
    Case {
        plant: |world| always(world, Op::MetadataAdvance),
        kind: AlertKind::MetadataUnreachable,
        severity: Severity::Error,
        about: Some(""),
    },
    Case { plant: |_| {}, kind: AlertKind::LinkShortened, severity: Severity::Warning, about: Some("/default") },
];

fn once(world: &World, op: Op, fault: Fault) {
    let happened = AtomicBool::new(false);
    world.fail(move |effect| (effect.op == op && !happened.swap(true, Ordering::Relaxed)).then_some(fault));
}

fn always(world: &World, op: Op) {
    world.fail(move |effect| (effect.op == op).then_some(Fault::LostRequest));
}

fn publisher(world: &World, kind: AlertKind) -> Publisher {
    let target = distribution_core::TargetName::default();
    let Parts { storage, signer, .. } = world.parts(&target);
    let signer = match kind {
        AlertKind::LinkShortened => {
            Arc::new(TestSigner::new(world).with_credentials_until(world.now() + TimeDelta::hours(1)))
        }
        _ => signer,
    };
    world.builder("host-1").target(target, storage, signer).build().unwrap()
}

fn call(kind: AlertKind) -> PublishRequest {
    let mut request = request("clip.mp4", b"approved bytes");
    if kind == AlertKind::QcRefused {
        request.qc_report = serde_json::from_str(r#"{ "status": "fail" }"#).unwrap();
    }
    request
}

fn alert_of(case: &Case) -> Option<Alert> {
    let world = World::new();
    world.stage("clip.mp4", "approved bytes");
    (case.plant)(&world);
    let publisher = publisher(&world, case.kind);
    let _ = world.run(publisher.publish(call(case.kind))).returned().unwrap();
    let mut alerts = world.alerts();
    assert!(alerts.len() <= 1, "once: {alerts:?}");
    alerts.pop()
}

#[test]
fn each_is_raised_once_and_says_what_to_do() {
    for case in &CASES {
        let alert = alert_of(case).unwrap_or_else(|| panic!("{:?}", case.kind));
        let id = alert.audit_log_id.as_ref().unwrap().to_string();
        let about = case.about.map_or(format!("/{id}"), str::to_owned);
        assert_eq!((alert.kind, alert.kind.severity()), (case.kind, case.severity), "{alert:?}");
        assert_eq!(alert.dedup_key(), format!("{}{about}", case.kind.as_str()));
        assert!(id.starts_with("dist_"));
        assert!(alert.message.ends_with(&format!(". To do: {}", case.kind.to_do())), "{}", alert.message);
        assert!(!alert.message.contains('\n') && !alert.message.contains("https://test.invalid"), "{}", alert.message);
        assert_eq!(alert_of(case).unwrap().dedup_key(), alert.dedup_key(), "the same on every host");
    }
}

#[test]
fn what_a_link_or_a_recovery_finds_is_told_too() {
    let world = World::new();
    world.stage("clip.mp4", "approved bytes");
    let publisher = world.publisher("host-1");
    let record = world.run(publisher.publish(request("clip.mp4", b"approved bytes"))).returned().unwrap().unwrap();
    let (target, key) = world.objects().into_keys().next().unwrap();
    assert!(world.lose(&target, &key));
    let link = publisher.link(&record.audit_log_id, Duration::from_secs(60));
    world.run(link).returned().unwrap().unwrap_err();
    let [alert] = &world.alerts()[..] else { panic!("one alert") };
    assert_eq!((alert.kind, alert.audit_log_id.as_ref()), (AlertKind::Corrupt, Some(&record.audit_log_id)));

    let world = World::new();
    world.stage("clip.mp4", "approved bytes");
    world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::CrashBefore));
    assert!(world.run(world.publisher("host-1").publish(request("clip.mp4", b"approved bytes"))).returned().is_none());
    world.heal();
    world.unstage("clip.mp4");
    world.advance(Duration::from_secs(120));
    let recovery = world.run(world.publisher("host-2").recover()).returned().unwrap().unwrap();
    assert_eq!(recovery.settled, 1);
    let [alert] = &world.alerts()[..] else { panic!("one alert: {:?}", world.alerts()) };
    assert_eq!(alert.kind, AlertKind::Rejected);
}

#[test]
fn no_alert_holds_what_is_secret_in_a_staged_files_url() {
    let world = World::new();
    let publisher = world.publisher("host-1");
    let url = "https://staging.invalid/clip.mp4?X-Amz-Signature=canary";
    world.run(publisher.publish(request(url, b"approved bytes"))).returned().unwrap().unwrap_err();
    assert!(!format!("{:?}", world.alerts()).contains("canary"));
}
