//! Left-overs: what is found and removed, and what is never touched.

use std::time::Duration;

use bytes::Bytes;
use chrono::TimeDelta;
use distribution_core::{
    Body, Checksum, Content, ContentHeaders, ErrorKind, LeftOver, LeftOverKind, LeftOverOutcome, Meter, ObjectKey,
    Publisher, Storage,
};
use distribution_testkit::{Fault, Op, World, request};
use futures::executor::block_on;
use futures::{StreamExt as _, stream};

use crate::support::{VIDEO, publish, staged};

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn tidy(publisher: &Publisher, removes: bool) -> Vec<LeftOver> {
    let grace = TimeDelta::days(1);
    let mut pass = if removes { publisher.tidy(grace) } else { publisher.plan_tidy(grace) };
    block_on(async {
        let mut all = Vec::new();
        while let Some(left_over) = pass.next().await.unwrap() {
            all.push(left_over);
        }
        all
    })
}

fn put(world: &World, key: &str) {
    let headers = ContentHeaders {
        content_type: "video/mp4".into(),
        content_disposition: "inline".into(),
        cache_control: "no-store".into(),
        user_metadata: Default::default(),
    };
    let (expected, body) =
        (Checksum::of(b"trial"), Body::Stream(stream::iter([Ok(Bytes::from_static(b"trial"))]).boxed()));
    let content = Content { size: 5, expected, headers, body, meter: Meter::default() };
    let storage = world.parts(&Default::default()).storage;
    block_on(storage.create(&ObjectKey::parse(key).unwrap(), content)).unwrap();
}

/// A world in which the first attempt's object had other bytes.
fn with_a_failed_attempt() -> World {
    let world = staged();
    let spoilt = std::sync::atomic::AtomicBool::new(false);
    world.fail(move |effect| {
        let first = effect.op == Op::StorageCreate && !spoilt.swap(true, std::sync::atomic::Ordering::Relaxed);
        first.then_some(Fault::Corrupt)
    });
    publish(&world, &request("clip.mp4", VIDEO)).unwrap();
    world.heal();
    assert_eq!(world.objects().len(), 2);
    world
}

#[test]
fn what_was_left_goes_after_the_grace_time_and_nothing_else() {
    let world = with_a_failed_attempt();
    put(&world, "distribution-doctor/1/small.mp4");
    put(&world, "somebody-elses.mp4");
    let publisher = world.publisher("tidier");
    assert_eq!(tidy(&publisher, true), [], "it may still be in use");

    world.advance(DAY);
    let planned = tidy(&publisher, false);
    assert!(planned.iter().all(|left_over| left_over.outcome == LeftOverOutcome::Remove));
    assert_eq!(world.objects().len(), 4);
    let done = tidy(&publisher, true);
    let kinds: Vec<_> = done.iter().map(|left_over| &left_over.kind).collect();
    assert!(matches!(kinds[..], [LeftOverKind::Attempt { .. }, LeftOverKind::Trial]), "{kinds:?}");
    assert!(done.iter().all(|left_over| left_over.outcome == LeftOverOutcome::Removed), "{done:?}");

    let keys: Vec<String> = world.objects().into_keys().map(|(_, key)| key).collect();
    assert!(keys.iter().any(|key| key.ends_with("-r1.mp4")) && keys.contains(&"somebody-elses.mp4".to_owned()));
    assert_eq!(keys.len(), 2);
    publish(&world, &request("clip.mp4", VIDEO)).expect("what is published is as it was");
    assert_eq!(tidy(&publisher, true), []);
}

#[test]
fn the_object_of_another_publication_stays() {
    let world = with_a_failed_attempt();
    // Restored behind everybody's back, and published for another concept, which has the same key.
    let key = world.objects().into_keys().map(|(_, key)| key).find(|key| !key.ends_with("-r1.mp4")).unwrap();
    world.corrupt("default", &key, |bytes| *bytes = VIDEO.to_vec());
    let mut another = request("clip.mp4", VIDEO);
    another.distribution_settings.metadata.concept_id = Some("another".parse().unwrap());
    publish(&world, &another).unwrap();
    world.advance(DAY);
    let [kept] = tidy(&world.publisher("tidier"), true).try_into().unwrap();
    assert!(matches!(kept.outcome, LeftOverOutcome::Keep { .. }), "{kept}");
    world.keeps_promises().unwrap();
}

#[test]
fn what_was_cleared_away_is_never_stored_to_again() {
    let world = with_a_failed_attempt();
    world.advance(DAY);
    world.fail(|effect| {
        (effect.op == Op::StorageRemove && !effect.subject.contains("sweep")).then_some(Fault::AppliedLate)
    });
    tidy(&world.publisher("tidier"), true);
    world.heal();
    let mut another = request("clip.mp4", VIDEO);
    another.distribution_settings.metadata.concept_id = Some("another".parse().unwrap());
    let record = publish(&world, &another).unwrap();
    assert!(record.storage_location.as_str().ends_with("-r1.mp4"), "{}", record.storage_location);
    world.keeps_promises().unwrap();
}

#[test]
fn nothing_is_published_where_trials_are_made() {
    let world = staged();
    let mut call = request("clip.mp4", VIDEO);
    call.distribution_settings.storage_prefix = Some("distribution-doctor/".parse().unwrap());
    let error = publish(&world, &call).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("distribution_settings.storage_prefix")));
}
