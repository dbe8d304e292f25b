//! What goes in and what comes out: names, defaults, limits, schemas.

use distribution_core::{AuditLogId, Checksum, ErrorKind, Policy, PublishRequest, PublishResponse};
use distribution_testkit::{World, request};
use serde_json::{Value, json};

use crate::support::{VIDEO, names, publish, staged};

#[test]
fn the_golden_requests_are_read_and_written_without_loss() {
    for golden in [include_str!("../golden/request_basic.json"), include_str!("../golden/request_full.json")] {
        let request = PublishRequest::from_json(golden.as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), serde_json::from_str::<Value>(golden).unwrap());
    }
    let golden = include_str!("../golden/response.json");
    let response: PublishResponse = serde_json::from_str(golden).unwrap();
    assert_eq!(serde_json::to_value(&response).unwrap(), serde_json::from_str::<Value>(golden).unwrap());
}

#[test]
fn the_basic_request_gives_the_documented_response() {
    let world = World::new();
    world.stage("edits/clip.mp4", "");
    let request = PublishRequest::from_json(include_bytes!("../golden/request_basic.json")).unwrap();
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
            "replica_count",
            "size_bytes",
            "storage_location",
            "verification",
            "version"
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
    let json = include_str!("../golden/request_full.json").replace("archive-eu", "default");
    let record = publish(&world, &PublishRequest::from_json(json.as_bytes()).unwrap()).unwrap();
    let metadata = serde_json::to_value(record.metadata).unwrap();
    assert_eq!(metadata["campaign"], json!({ "id": 12, "regions": ["eu", "us"] }));
    assert_eq!((&metadata["rating"], &metadata["tags"]), (&Value::Null, &json!(["launch", "été"])));
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
    let golden: Value = serde_json::from_str(include_str!("../golden/response.json")).unwrap();
    let record = &response["$defs"]["DistributionRecord"];
    assert_eq!(names(&record["properties"]), names(&golden["distribution_record"]));
    for name in record["required"].as_array().unwrap() {
        assert!(golden["distribution_record"].get(name.as_str().unwrap()).is_some(), "{name}");
    }
}
