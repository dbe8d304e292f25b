//! The contract: what goes in, what comes out, and every way in which a request is turned down.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::time::Duration;

use distribution_core::{
    AlertKind, AuditEvent, AuditLogId, Checksum, ErrorKind, IdempotencyKey, KeyTemplate, Policy, PublishRequest,
    PublishResponse, QcPolicy, StoragePrefix, Trail,
};
use distribution_testkit::{Op, Plant, TestSigner, World, request};
use futures::executor::block_on;
use serde_json::{Value, json};

const VIDEO: &[u8] = b"approved bytes of a video";

fn staged() -> World {
    let world = World::new();
    world.stage("clip.mp4", VIDEO);
    world
}

/// What one publish in this world gives.
fn publish(
    world: &World,
    request: &PublishRequest,
) -> Result<distribution_core::DistributionRecord, distribution_core::Error> {
    block_on(world.publisher("a").publish(request.clone()))
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn the_golden_requests_are_read_and_written_without_loss() {
    for golden in [include_str!("golden/request_basic.json"), include_str!("golden/request_full.json")] {
        let request = PublishRequest::from_json(golden.as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), serde_json::from_str::<Value>(golden).unwrap());
    }
    let golden = include_str!("golden/response.json");
    let response: PublishResponse = serde_json::from_str(golden).unwrap();
    assert_eq!(serde_json::to_value(&response).unwrap(), serde_json::from_str::<Value>(golden).unwrap());
}

#[test]
fn the_basic_request_gives_the_documented_response() {
    let world = World::new();
    world.stage("edits/clip.mp4", "");
    let request = PublishRequest::from_json(include_bytes!("golden/request_basic.json")).unwrap();
    let response = PublishResponse::from(publish(&world, &request).unwrap());
    let json = serde_json::to_value(&response).unwrap();

    assert_eq!(names(&json), ["distribution_record"]);
    let record = &json["distribution_record"];
    assert_eq!(
        names(record),
        [
            "audit_log_id",
            "expires_at",
            "expiry_limited_by",
            "metadata",
            "public_url",
            "published_at",
            "size_bytes",
            "storage_location",
            "verification"
        ]
    );
    assert_eq!(names(&record["metadata"]), ["checksum", "concept_id", "duration_seconds", "tags", "title"]);
    assert_eq!(record["storage_location"], "memory://default/mvp/clip-e3b0c44298fc.mp4");
    assert_eq!(record["audit_log_id"], "dist_5k5615rxxzmaysk4wpdgk6dek4");
    assert_eq!(record["expires_at"], "2026-01-04T00:00:00Z", "72 hours after the virtual clock's start");
    assert_eq!(record["metadata"]["duration_seconds"], 9.7);
    assert_eq!(record["verification"], "read_back");
    assert!(!format!("{response:?}").contains("test.invalid"), "the link is not in Debug");
}

#[test]
fn without_settings_the_defaults_hold() {
    let world = staged();
    let json = json!({
        "final_edit": { "video_url": "clip.mp4", "duration_seconds": 1, "checksum": Checksum::of(VIDEO), "codec": "h264" },
        "qc_report": { "status": "pass", "score": 11 }, "distribution_settings": null, "from_the_future": {},
    });
    let record = publish(&world, &PublishRequest::from_json(json.to_string().as_bytes()).unwrap()).unwrap();
    assert_eq!(record.expires_at.unwrap() - record.published_at, chrono::TimeDelta::hours(72));
    assert_eq!(record.size_bytes, VIDEO.len() as u64);
}

#[test]
fn fields_of_the_callers_own_come_back() {
    let world = World::new();
    world.stage("s3://staging/edits/clip.mp4", "");
    let json = include_str!("golden/request_full.json").replace("archive-eu", "default");
    let record = publish(&world, &PublishRequest::from_json(json.as_bytes()).unwrap()).unwrap();
    let metadata = serde_json::to_value(record.metadata).unwrap();
    assert_eq!(metadata["campaign"], json!({ "id": 12, "regions": ["eu", "us"] }));
    assert_eq!((&metadata["rating"], &metadata["tags"]), (&Value::Null, &json!(["launch", "été"])));
}

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
        assert_eq!((alert.kind, &alert.audit_log_id), (AlertKind::QcRefused, &entry.id.audit_log_id));
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
fn a_malformed_request_names_the_field() {
    let hex = "0".repeat(64);
    let cases = [
        ("/final_edit/checksum", json!(hex), "final_edit.checksum"),
        ("/final_edit/checksum", json!(format!("sha256:{}", "A".repeat(64))), "final_edit.checksum"),
        ("/final_edit/checksum", json!(format!("sha256:{}", &hex[1..])), "final_edit.checksum"),
        ("/final_edit/checksum", json!(7), "final_edit.checksum"),
        ("/final_edit/video_url", json!("  "), "final_edit.video_url"),
        ("/final_edit/duration_seconds", json!(0), "final_edit.duration_seconds"),
        ("/final_edit/duration_seconds", json!("9.7"), "final_edit.duration_seconds"),
        ("/distribution_settings/storage_prefix", json!("../up/"), "distribution_settings.storage_prefix"),
        ("/distribution_settings/storage_prefix", json!("mvp"), "distribution_settings.storage_prefix"),
        ("/distribution_settings/storage_target", json!("NOPE"), "distribution_settings.storage_target"),
        ("/distribution_settings/storage_target", json!("other"), "distribution_settings.storage_target"),
        ("/distribution_settings/url_expiry_hours", json!(-1), "distribution_settings.url_expiry_hours"),
        ("/distribution_settings/url_expiry_hours", json!(0), "distribution_settings.url_expiry_hours"),
        ("/distribution_settings/url_expiry_hours", json!(169), "distribution_settings.url_expiry_hours"),
        ("/distribution_settings/access", json!("secret"), "distribution_settings.access"),
        ("/distribution_settings/access", json!("public"), "distribution_settings.access"),
        ("/distribution_settings/metadata/concept_id", json!("a/b"), "distribution_settings.metadata.concept_id"),
        ("/distribution_settings/metadata/title", json!("two\nlines"), "distribution_settings.metadata.title"),
        ("/distribution_settings/metadata/title", json!("x".repeat(4096)), "distribution_settings.metadata.title"),
        ("/distribution_settings/metadata/tags", json!(["a", "\u{0}"]), "distribution_settings.metadata.tags[1]"),
        ("/distribution_settings/metadata/tags", json!(vec!["t"; 65]), "distribution_settings.metadata.tags"),
        ("/distribution_settings/metadata/checksum", json!("sha256:0"), "distribution_settings.metadata.checksum"),
        ("/distribution_settings/metadata/big", json!("x".repeat(40_000)), "distribution_settings.metadata"),
        ("/qc_report/reviewer", json!("x".repeat(300)), "qc_report.reviewer"),
        ("/qc_report/expires_at", json!("tomorrow"), "qc_report.expires_at"),
        ("/idempotency_key", json!("with space"), "idempotency_key"),
    ];
    for (pointer, value, field) in cases {
        let world = staged();
        let mut json = json!({
            "final_edit": { "video_url": "clip.mp4", "duration_seconds": 1, "checksum": Checksum::of(VIDEO) },
            "qc_report": { "status": "pass" }, "distribution_settings": { "metadata": {} },
        });
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        json.pointer_mut(parent).unwrap()[name] = value.clone();
        let parsed = PublishRequest::from_json(json.to_string().as_bytes());
        let error = parsed.and_then(|request| publish(&world, &request)).expect_err(pointer);
        let kinds = [ErrorKind::Invalid, ErrorKind::Unsupported];
        assert!(kinds.contains(&error.kind()), "{pointer}: {error:?}");
        assert_eq!(error.field(), Some(field), "{error}");
        assert!(world.effects().is_empty(), "{pointer}: nothing was touched");
    }
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
fn the_same_bytes_with_another_duration_are_a_conflict() {
    let world = staged();
    publish(&world, &request("clip.mp4", VIDEO)).unwrap();
    let mut longer = request("clip.mp4", VIDEO);
    longer.final_edit.duration_seconds = distribution_core::DurationSeconds::new(99.0).unwrap();
    let error = publish(&world, &longer).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Conflict, Some("final_edit.duration_seconds")));
}

#[test]
fn an_idempotency_key_names_one_publication_for_ever() {
    let world = staged();
    world.stage("other.mp4", &b"other"[..]);
    let keyed = |url, bytes| {
        let mut request = request(url, bytes);
        request.idempotency_key = Some(IdempotencyKey::parse("order-1138").unwrap());
        request
    };
    let first = publish(&world, &keyed("clip.mp4", VIDEO)).unwrap();
    assert_eq!(publish(&world, &keyed("clip.mp4", VIDEO)).unwrap(), first);
    let error = publish(&world, &keyed("other.mp4", b"other")).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Conflict, Some("idempotency_key")));
    assert_eq!(world.objects().len(), 1);
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

#[test]
fn a_link_lives_as_long_as_it_says_and_is_then_granted_anew() {
    let world = staged();
    let request = request("clip.mp4", VIDEO);
    let first = publish(&world, &request).unwrap();
    let expires_at = first.expires_at.unwrap();
    assert!(TestSigner::open(&first.public_url, world.now()).is_some());

    world.advance(Duration::from_secs(72 * 3600 - 1));
    assert_eq!(publish(&world, &request).unwrap(), first, "a repeat never extends a link");
    world.advance(Duration::from_secs(1));
    assert!(TestSigner::open(&first.public_url, world.now()).is_none(), "it ends when it says");

    let second = publish(&world, &request).unwrap();
    assert_eq!(second.expires_at.unwrap() - expires_at, chrono::TimeDelta::hours(72));
    assert_eq!((second.published_at, second.audit_log_id), (first.published_at, first.audit_log_id));
    let grants = world.audit().iter().filter(|entry| matches!(entry.event, AuditEvent::LinkGranted { .. })).count();
    assert_eq!(grants, 2);
    assert!(!format!("{:?}", world.audit()).contains("test.invalid"), "no link in the audit trail");
}

#[test]
fn a_host_whose_clock_is_behind_hands_out_the_link_all_the_same() {
    let world = staged();
    let mut request = request("clip.mp4", VIDEO);
    request.distribution_settings.url_expiry_hours = Some(168);
    let granted = publish(&world, &request).unwrap().expires_at.unwrap();
    let behind = World::new_at(world.now() - chrono::TimeDelta::hours(5));
    let parts = behind.parts(&Default::default());
    let publisher = world.builder("b").clock(parts.clock).build().unwrap();
    let record = block_on(publisher.publish(request)).unwrap();
    assert_eq!(granted - record.expires_at.unwrap(), chrono::TimeDelta::hours(5), "no longer than can be signed");
    assert!(TestSigner::open(&record.public_url, behind.now()).is_some());
}

#[test]
fn a_verdict_that_expires_after_publishing_takes_nothing_back() {
    let world = staged();
    let mut request = request("clip.mp4", VIDEO);
    request.qc_report.expires_at = Some(world.now() + chrono::TimeDelta::hours(1));
    let first = publish(&world, &request).unwrap();
    world.advance(Duration::from_secs(3600));
    assert_eq!(publish(&world, &request).unwrap(), first);
    request.qc_report.status = "fail".into();
    assert_eq!(publish(&world, &request).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn credentials_that_die_earlier_show_in_the_answer() {
    let world = staged();
    let until = world.now() + chrono::TimeDelta::hours(1);
    let parts = world.parts(&Default::default());
    let signer = TestSigner::new(&world).with_credentials_until(until);
    let builder = world.builder("a").target(Default::default(), parts.storage, std::sync::Arc::new(signer));
    let record = block_on(builder.build().unwrap().publish(request("clip.mp4", VIDEO))).unwrap();
    assert_eq!(record.expires_at, Some(until));
    assert!(record.expiry_limited_by.is_some());
}

#[test]
fn a_repeat_with_another_title_amends_and_uploads_nothing() {
    let world = staged();
    let mut request = request("clip.mp4", VIDEO);
    let first = publish(&world, &request).unwrap();
    request.distribution_settings.metadata.title = Some("A better title".into());
    request.distribution_settings.metadata.tags = vec!["late".into()];
    let second = publish(&world, &request).unwrap();
    assert_eq!(second.metadata.title.as_deref(), Some("A better title"));
    assert_eq!((second.audit_log_id, second.expires_at), (first.audit_log_id, first.expires_at));
    assert_eq!(world.rows()[0].index.tags, ["late"]);
    let transfers = world.effects().iter().filter(|effect| effect.op == Op::StorageCreate).count();
    assert_eq!(transfers, 1);
    assert!(world.audit().iter().any(|entry| matches!(entry.event, AuditEvent::Amended { .. })));
}

#[test]
fn ids_in_the_record_are_those_of_the_identity() {
    let world = staged();
    let record = publish(&world, &request("clip.mp4", VIDEO)).unwrap();
    let row = &world.rows()[0];
    assert_eq!(row.id, record.audit_log_id);
    assert!(AuditLogId::parse(record.audit_log_id.as_str()).is_ok());
}

#[test]
fn a_publisher_without_a_part_says_which() {
    let error = distribution_core::Publisher::builder().build().err().unwrap();
    assert_eq!(error.field(), Some("policy.target"));
    let world = World::new();
    for policy in [
        Policy { attempts_max: 0, ..Policy::default() },
        Policy { attempts_max: 101, ..Policy::default() },
        Policy { lease_secs: 0, ..Policy::default() },
        Policy { lease_secs: 3601, ..Policy::default() },
    ] {
        let error = world.builder("a").policy(policy).build().err().unwrap();
        assert!(error.field().unwrap().starts_with("policy."), "{error}");
    }
    let parts = world.parts(&Default::default());
    let builder = distribution_core::Publisher::builder().target(Default::default(), parts.storage, parts.signer);
    assert_eq!(builder.holder("a").build().err().unwrap().field(), Some("source"));
    assert_eq!(world.builder("").build().err().unwrap().field(), Some("holder"));
}

#[test]
fn the_json_schemas_say_what_the_types_take() {
    let request = serde_json::to_value(schemars::schema_for!(PublishRequest)).unwrap();
    assert_eq!(request["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(request["required"], json!(["final_edit"]));
    let defs = &request["$defs"];
    assert_eq!(names(&defs["FinalEdit"]["properties"]), ["checksum", "duration_seconds", "video_url"]);
    assert_eq!(defs["Checksum"]["pattern"], "^sha256:[0-9a-f]{64}$");
    assert_eq!(defs["DurationSeconds"]["maximum"], 1_000_000);
    assert_eq!(defs["Access"]["oneOf"].as_array().map(Vec::len), Some(3));
    assert_eq!(defs["AssetMetadata"]["additionalProperties"], true, "other fields are kept");

    let response = serde_json::to_value(schemars::schema_for!(PublishResponse)).unwrap();
    let golden: Value = serde_json::from_str(include_str!("golden/response.json")).unwrap();
    let record = &response["$defs"]["DistributionRecord"];
    assert_eq!(names(&record["properties"]), names(&golden["distribution_record"]));
    for name in record["required"].as_array().unwrap() {
        assert!(golden["distribution_record"].get(name.as_str().unwrap()).is_some(), "{name}");
    }
}
