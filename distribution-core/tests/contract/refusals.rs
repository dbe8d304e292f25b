//! What is turned down: by QC, for its bytes, for its place.

use distribution_core::{
    AlertKind, AuditEvent, Checksum, ErrorKind, KeyTemplate, Policy, PublishRequest, QcPolicy, StoragePrefix, Trail,
};
use distribution_testkit::{Op, Plant, World, request};
use futures::executor::block_on;
use serde_json::json;

use crate::support::{VIDEO, publish, staged};

#[test]
fn what_qc_did_not_pass_is_refused_and_leaves_only_an_audit_entry_and_an_alert() {
    let reports = [
        json!({"status": "fail"}),
        json!({"status": "PASS"}),
        json!({"status": ""}),
        json!({"status": null}),
        json!({"status": "pass "}),
        json!({}),
        json!(null),
        json!({"status": true}),
        json!({"status": ["pass"]}),
        json!({"status": "pass", "checksum": Checksum::of(b"other")}),
        json!({"status": "pass", "expires_at": "2025-12-31T23:59:59Z"}),
    ];
    for report in reports {
        let world = staged();
        let json = json!({
            "final_edit": { "video_url": "clip.mp4", "duration_seconds": 1, "checksum": Checksum::of(VIDEO) },
            "qc_report": report,
        });
        let request = PublishRequest::from_json(json.to_string().as_bytes()).unwrap();
        let error = publish(&world, &request).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{report}");
        assert!(error.field().unwrap().starts_with("qc_report."), "{error}");

        assert!(world.objects().is_empty() && world.rows().is_empty(), "{report}");
        let effects = world.effects();
        assert_eq!(effects.iter().map(|e| e.op).filter(|op| op.writes()).collect::<Vec<_>>(), [Op::AuditAppend]);
        let [entry] = &world.audit()[..] else { panic!("one entry") };
        assert!(entry.id.trail == Trail::Refusals && matches!(entry.event, AuditEvent::Refused { .. }));
        let [alert] = &world.alerts()[..] else { panic!("one alert") };
        assert_eq!((alert.kind, alert.audit_log_id.as_ref()), (AlertKind::QcRefused, Some(&entry.id.audit_log_id)));
    }
}

#[test]
fn an_absent_report_and_a_doubled_verdict_do_not_pass() {
    let edit = format!(r#"{{"video_url":"clip.mp4","duration_seconds":1,"checksum":"{}"}}"#, Checksum::of(VIDEO));
    let absent = PublishRequest::from_json(format!(r#"{{"final_edit":{edit}}}"#).as_bytes()).unwrap();
    assert_eq!(publish(&staged(), &absent).unwrap_err().kind(), ErrorKind::Refused);
    for report in [r#"{"status":"fail","status":"pass"}"#, r#"{"status":"pass","status":"fail"}"#] {
        let json = format!(r#"{{"final_edit":{edit},"qc_report":{report}}}"#);
        assert_eq!(PublishRequest::from_json(json.as_bytes()).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn a_strict_policy_wants_the_report_to_name_the_bytes() {
    let world = staged();
    let policy = Policy { qc: QcPolicy { require_checksum: true }, ..Policy::default() };
    let publisher = world.builder("a").policy(policy).build().unwrap();
    let mut request = request("clip.mp4", VIDEO);
    assert_eq!(block_on(publisher.publish(request.clone())).unwrap_err().kind(), ErrorKind::Refused);
    request.qc_report.checksum = Some(Checksum::of(VIDEO));
    assert!(block_on(publisher.publish(request)).is_ok());
}

#[test]
fn a_url_that_the_source_does_not_serve_is_invalid_and_touches_nothing() {
    let world = staged();
    for url in ["../clip.mp4", "gopher://127.0.0.1/clip.mp4", "/etc/passwd"] {
        let error = publish(&world, &request(url, VIDEO)).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("final_edit.video_url")), "{url}");
    }
    assert!(world.effects().is_empty());
}

#[test]
fn other_bytes_than_approved_are_rejected_and_nothing_is_stored() {
    let world = staged();
    let wrong = request("clip.mp4", b"what QC saw");
    let error = publish(&world, &wrong).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Rejected, Some("final_edit.checksum")));
    assert!(world.objects().is_empty());
    assert_eq!(world.staged("clip.mp4").unwrap(), VIDEO, "staging is untouched");
    assert_eq!(world.alerts()[0].kind, AlertKind::Rejected);

    // Rejected is not poison: with the right file staged, the same request opens it again.
    world.stage("clip.mp4", &b"what QC saw"[..]);
    let record = publish(&world, &wrong).unwrap();
    assert_eq!(record.metadata.checksum, Checksum::of(b"what QC saw"));
}

#[test]
fn a_staged_file_that_changes_or_ends_early_is_never_published_wrong() {
    let plants = [
        Plant::Changes("other".into()),
        Plant::Tears("other bytes, same place".into()),
        Plant::EndsEarly,
        Plant::Fails,
    ];
    for plant in plants {
        let world = staged();
        world.plant("clip.mp4", plant.clone());
        let error = publish(&world, &request("clip.mp4", VIDEO)).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Unavailable), "{plant:?}: {error:?}");
        assert!(world.objects().is_empty(), "{plant:?}");
        world.stage("clip.mp4", VIDEO);
        assert!(publish(&world, &request("clip.mp4", VIDEO)).is_ok(), "{plant:?}");
    }
}

#[test]
fn a_missing_file_is_rejected_and_found_later() {
    let world = World::new();
    let error = publish(&world, &request("clip.mp4", VIDEO)).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Rejected, Some("final_edit.video_url")));
    world.stage("clip.mp4", VIDEO);
    assert!(publish(&world, &request("clip.mp4", VIDEO)).is_ok());
}

#[test]
fn without_a_digest_in_the_key_another_file_there_is_a_conflict_and_stays() {
    let world = staged();
    world.stage("b/clip.mp4", &b"another video"[..]);
    let policy = Policy {
        key_template: KeyTemplate::parse("{prefix}{stem}.mp4").unwrap(),
        storage_prefix: StoragePrefix::parse("mvp/").unwrap(),
        ..Policy::default()
    };
    let publisher = world.builder("a").policy(policy).build().unwrap();
    block_on(publisher.publish(request("clip.mp4", VIDEO))).unwrap();
    for _ in 0..2 {
        let error = block_on(publisher.publish(request("b/clip.mp4", b"another video"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
    assert_eq!(world.object("default", "mvp/clip.mp4").unwrap().bytes, VIDEO);
    assert_eq!(world.objects().len(), 1);
}
