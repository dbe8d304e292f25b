//! The same request again: links, amendments, conflicts, keys.

use std::time::Duration;

use distribution_core::{AuditEvent, ErrorKind, IdempotencyKey};
use distribution_testkit::{Op, TestSigner, World, request};
use futures::executor::block_on;

use crate::support::{VIDEO, publish, staged};

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
fn every_duration_and_number_is_the_same_when_it_is_repeated() {
    for frames in 1..1000 {
        let seconds = f64::from(frames) / 29.97;
        let world = staged();
        let mut request = request("clip.mp4", VIDEO);
        request.final_edit.duration_seconds = distribution_core::DurationSeconds::new(seconds).unwrap();
        request.distribution_settings.metadata.extra.insert("loudness".into(), (-seconds).into());
        let first = publish(&world, &request).unwrap();
        assert_eq!(publish(&world, &request).unwrap(), first, "{seconds}");
        assert_eq!(first.metadata.duration_seconds.get(), seconds);
        let amended = world.audit().iter().any(|entry| matches!(entry.event, AuditEvent::Amended { .. }));
        assert!(!amended, "{seconds}: nothing was amended");
    }
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
    assert!(record.expiry_limited_by.is_some(), "and says why");
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
fn a_link_that_expires_while_it_is_made_is_asked_for_again() {
    let world = staged();
    let request = request("clip.mp4", VIDEO);
    publish(&world, &request).unwrap();
    world.advance(Duration::from_secs(72 * 3600 - 1));
    let slow = world.clone();
    world.fail(move |effect| {
        if effect.op == Op::StorageStat {
            slow.advance(Duration::from_secs(1));
        }
        None
    });
    assert_eq!(publish(&world, &request).unwrap_err().kind(), ErrorKind::Unavailable);
    let record = publish(&world, &request).unwrap();
    assert!(TestSigner::open(&record.public_url, world.now()).is_some());
}
