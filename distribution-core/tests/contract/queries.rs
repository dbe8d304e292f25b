//! What a user interface asks: records, pages, the latest of a work, links of its own.

use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use distribution_core::{
    AssetRecord, AuditEvent, AuditLogId, Cursor, ErrorKind, MetadataStore, ObjectKey, Publisher, Query, Row, State,
    Storage, TargetName,
};
use distribution_testkit::{Fault, Op, Scenario, TestSigner, World, request};
use futures::executor::block_on;
use futures::future::join_all;
use serde_json::json;

use crate::support::{VIDEO, publish, staged};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_record_tells_what_is_known_and_holds_no_link() {
    let world = staged();
    let mut request = request("clip.mp4", VIDEO);
    let unknown = AuditLogId::parse("dist_00000000000000000000000000").unwrap();
    assert_eq!(block_on(world.publisher("ui").record(&unknown)).unwrap(), None);

    request.distribution_settings.metadata.title = Some("The clip".into());
    let answer = publish(&world, &request).unwrap();
    let record = block_on(world.publisher("ui").record(&answer.audit_log_id)).unwrap().unwrap();
    let (mut told, shown) = (serde_json::to_value(&answer).unwrap(), serde_json::to_value(&record).unwrap());
    for (name, value) in told.as_object_mut().unwrap() {
        if !["public_url", "expiry_limited_by"].contains(&name.as_str()) {
            assert_eq!(shown[name], *value, "{name}");
        }
    }
    assert_eq!((&shown["state"], &shown["storage_target"]), (&json!("published"), &json!("default")));
    assert!(shown.get("public_url").is_none() && !shown.to_string().contains("test.invalid"));
    assert_eq!(serde_json::from_value::<AssetRecord>(shown).unwrap(), record);
}

#[test]
fn what_is_not_published_says_why() {
    let world = World::new();
    assert_eq!(publish(&world, &request("clip.mp4", VIDEO)).unwrap_err().kind(), ErrorKind::Rejected);
    let ui = world.publisher("ui");
    let page = block_on(ui.records(&Query::default(), None, 10)).unwrap();
    let [record] = &page.records[..] else { panic!("{page:?}") };
    assert_eq!((record.state, &record.published), (State::Rejected, &None));
    assert_eq!(
        record.problem.as_deref(),
        Some("final_edit.video_url: no file is staged at clip.mp4: stage it and repeat")
    );

    let error = block_on(ui.link(&record.audit_log_id, HOUR)).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("audit_log_id")));
    assert!(error.to_string().ends_with("is rejected, not published: publish it first"), "{error}");
}

#[test]
fn pages_lead_through_all_records_even_past_a_damaged_one() {
    let world = World::new();
    for n in 0..25_u8 {
        let name = format!("clip-{n}.mp4");
        world.stage(&name, vec![n; 8]);
        publish(&world, &request(&name, &[n; 8])).unwrap();
        world.advance(Duration::from_secs(1));
    }
    let mut damaged = world.rows()[7].clone();
    damaged.id = AuditLogId::parse("dist_00000000000000000000000000").unwrap();
    (damaged.revision, damaged.body) = (0, Bytes::from_static(b"{"));
    let metadata = world.parts(&TargetName::default()).metadata;
    block_on(MetadataStore::claim(&*metadata, &damaged)).unwrap();

    let ui = world.publisher("ui");
    let (mut seen, mut unreadable, mut after) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let cursor = after.map(|text| text.parse::<Cursor>().unwrap());
        let page = block_on(ui.records(&Query::default(), cursor.as_ref(), 4)).unwrap();
        seen.extend(page.records);
        unreadable.extend(page.unreadable);
        after = page.next.map(|cursor| cursor.to_string());
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 25);
    assert!(seen.is_sorted_by(|a, b| a.claimed_at > b.claimed_at), "newest first");
    let [(id, error)] = &unreadable[..] else { panic!("{unreadable:?}") };
    assert_eq!((id, error.kind()), (&damaged.id, ErrorKind::Corrupt));

    for limit in [0, Publisher::PAGE_MAX + 1, usize::MAX] {
        assert_eq!(block_on(ui.records(&Query::default(), None, limit)).unwrap_err().kind(), ErrorKind::Invalid);
    }
    for text in ["", ".", "1", "x.dist_00000000000000000000000000", "1.dist_", "99999999999999999999.dist_0"] {
        assert_eq!(text.parse::<Cursor>().unwrap_err().kind(), ErrorKind::Invalid, "{text}");
    }
}

#[test]
fn a_link_of_ones_own_is_audited_and_changes_nothing_for_others() {
    let world = staged();
    let request = request("clip.mp4", VIDEO);
    let answer = publish(&world, &request).unwrap();
    let ui = world.publisher("ui");
    world.advance(Duration::from_millis(1_234));
    let link = block_on(ui.link(&answer.audit_log_id, HOUR)).unwrap();
    let asked_at = world.now();
    let end = link.expires_at.unwrap();
    assert!(end <= asked_at + TimeDelta::hours(1) && end > asked_at + TimeDelta::hours(1) - TimeDelta::seconds(1));
    assert!(TestSigner::open(&link.link, end - TimeDelta::microseconds(1)).is_some());
    assert!(TestSigner::open(&link.link, end).is_none());
    let issued = |world: &World| {
        let trail = world.audit();
        trail.iter().filter(|entry| matches!(entry.event, AuditEvent::LinkIssued { .. })).count()
    };
    assert_eq!(issued(&world), 1);
    assert_eq!(world.audit().last().unwrap().event, AuditEvent::LinkIssued { expires_at: end });
    assert_eq!(publish(&world, &request).unwrap(), answer, "what publish answers stays");

    // Many at the same time: each has an entry, and the outbox stays small.
    let asked = block_on(join_all((0..200).map(|_| ui.link(&answer.audit_log_id, HOUR))));
    assert!(asked.iter().all(Result::is_ok), "{:?}", asked.iter().find(|asked| asked.is_err()));
    assert_eq!(issued(&world), 201);
    assert!(!format!("{:?} {:?}", world.audit(), world.rows()).contains("test.invalid"));
}

#[test]
fn a_link_that_cannot_be_is_refused_with_the_way_out() {
    let world = staged();
    let id = publish(&world, &request("clip.mp4", VIDEO)).unwrap().audit_log_id;
    let ui = world.publisher("ui");
    let trail = world.audit().len();
    for secs in [0, 168 * 3600 + 1, u64::MAX] {
        let error = block_on(ui.link(&id, Duration::from_secs(secs))).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("valid_for")), "{secs}");
    }
    let unknown = AuditLogId::parse("dist_00000000000000000000000000").unwrap();
    assert_eq!(block_on(ui.link(&unknown, HOUR)).unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(world.audit().len(), trail, "nothing was granted");

    // No link before the trail has arrived.
    world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostRequest));
    let signed = |world: &World| world.effects().iter().filter(|effect| effect.op == Op::SignerSign).count();
    let before = signed(&world);
    for _ in 0..300 {
        assert_eq!(block_on(ui.link(&id, HOUR)).unwrap_err().kind(), ErrorKind::Unavailable);
    }
    assert_eq!(signed(&world), before);
    assert!(Row::BODY_BYTES_MAX > 100 * world.rows()[0].body.len(), "the outbox did not grow");
    world.heal();
    block_on(ui.link(&id, HOUR)).unwrap();

    // A link that is over before it is on record is no damage.
    let slow = world.clone();
    world.fail(move |effect| {
        if effect.op == Op::AuditAppend {
            slow.advance(Duration::from_secs(2));
        }
        (effect.op == Op::AuditAppend).then_some(Fault::LostAnswer)
    });
    assert_eq!(block_on(ui.link(&id, HOUR)).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(block_on(ui.link(&id, Duration::from_secs(1))).unwrap_err().kind(), ErrorKind::Unavailable);
    let slow = world.clone();
    world.fail(move |effect| {
        if effect.op == Op::AuditAppend {
            slow.advance(Duration::from_secs(2));
        }
        None
    });
    let late = block_on(ui.link(&id, Duration::from_secs(1))).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::Unavailable, "{late}");
    world.heal();

    let storage = world.parts(&TargetName::default()).storage;
    let key: ObjectKey = world.objects().keys().next().unwrap().1.parse().unwrap();
    block_on(Storage::remove(&*storage, &key)).unwrap();
    assert_eq!(block_on(ui.link(&id, HOUR)).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn a_link_survives_every_fault_and_every_drop() {
    let scenario = Scenario::new(
        |world| world.stage("clip.mp4", VIDEO),
        |world, host| async move {
            let publisher = world.publisher(&host);
            let record = publisher.publish(request("clip.mp4", VIDEO)).await?;
            let link = publisher.link(&record.audit_log_id, HOUR).await?;
            assert!(TestSigner::open(&link.link, world.now()).is_some());
            Ok(vec![record])
        },
    );
    assert!(scenario.every_fault().unwrap().runs > 100);
    assert!(scenario.every_drop().unwrap().runs > 20);
}
