//! The order of the numbers that publications get whose publishers died before they had one.

use std::time::Duration;

use distribution_core::{AuditLogId, Checksum, Phase, Reason, Record, Retracted, Retraction, Row, Version};
use distribution_testkit::{Ended, Fault, Op, World};
use futures::executor::block_on;

use crate::support::publish;
use crate::versions::{concept, edit, stage};

/// Publishes it with a publisher that dies before the publication is numbered.
fn publish_and_die(world: &World, n: u8) {
    die_at(world, n, Op::MetadataBind);
}

fn die_at(world: &World, n: u8, op: Op) {
    world.fail(move |effect| (effect.op == op).then_some(Fault::CrashBefore));
    let publisher = world.publisher(&format!("dies-{n}"));
    assert!(matches!(world.run(async move { publisher.publish(edit(n)).await }), Ended::Crashed));
    world.heal();
}

/// The numbers on record, in the order of publication.
fn numbers(world: &World) -> Vec<Option<u64>> {
    let mut published: Vec<_> =
        world.rows().iter().filter_map(|row| Record::decode(row).unwrap().published().cloned()).collect();
    published.sort_by_key(|published| published.at);
    published.into_iter().map(|published| published.version?.number()).collect()
}

/// Whatever died is finished, and every promise is kept.
fn settled(world: &World) {
    world.advance(Duration::from_secs(100));
    let _ = block_on(world.publisher("later").recover()).unwrap();
    world.keeps_promises().unwrap();
}

fn retract(world: &World, id: &AuditLogId) -> Retraction {
    block_on(world.publisher("ops").retract(id, &Reason::parse("because").unwrap())).unwrap()
}

#[test]
fn whose_publisher_died_before_it_was_numbered_is_no_later_version() {
    let clean = {
        let world = World::new();
        stage(&world, 1);
        publish(&world, &edit(1)).unwrap();
        world.effects().len()
    };
    let mut late = 0;
    for number in 0..clean {
        for fault in [Fault::CrashBefore, Fault::CrashAfter] {
            let world = World::new();
            (1..=2).for_each(|n| stage(&world, n));
            world.inject(number, fault);
            let publisher = world.publisher("dies");
            let _ = world.run(async move { publisher.publish(edit(1)).await });
            late += usize::from(numbers(&world) == [None]);
            world.advance(Duration::from_secs(100));
            publish(&world, &edit(2)).unwrap();
            settled(&world);
            publish(&world, &edit(1)).unwrap();
            assert_eq!(numbers(&world), [Some(1), Some(2)], "{fault:?} at {number}");
        }
    }
    assert!(late > 2, "{late}");
}

#[test]
fn many_that_were_not_numbered_are_numbered_as_they_were_published() {
    let world = World::new();
    // More than are read at a time, claimed in one order and published in the other.
    let count = 150;
    for n in 1..=count + 2 {
        stage(&world, n);
    }
    for n in 1..=count {
        die_at(&world, n, Op::StorageCreate);
        world.advance(Duration::from_secs(1));
    }
    world.advance(Duration::from_secs(3_600));
    for n in (1..=count).rev() {
        publish_and_die(&world, n);
        world.advance(Duration::from_secs(1));
    }
    // One that nobody can read hinders none.
    let sound = world.rows().into_iter().next().unwrap();
    world.show(Row { body: b"{}".as_slice().into(), ..sound.clone() });
    assert_eq!(publish(&world, &edit(count + 1)).unwrap().version, Some(u64::from(count)));
    world.show(sound.clone());
    // It is the next then, for no number is taken back.
    assert_eq!(publish(&world, &edit(count + 2)).unwrap().version, Some(u64::from(count) + 2));
    let late = block_on(world.publisher("ui").record(&sound.id)).unwrap().unwrap();
    assert_eq!(late.published.unwrap().version, Some(u64::from(count) + 1));
    let mut others: Vec<_> = numbers(&world).into_iter().map(Option::unwrap).collect();
    others.retain(|number| *number != u64::from(count) + 1);
    assert_eq!((others.len(), others.is_sorted()), (usize::from(count) + 1, true), "{others:?}");
    settled(&world);
}

#[test]
fn an_earlier_version_whose_record_cannot_be_written_hinders_no_later_one() {
    let world = World::new();
    (1..=2).for_each(|n| stage(&world, n));
    publish_and_die(&world, 1);
    world.advance(Duration::from_secs(1));
    let first = world.rows()[0].id.clone();
    world.fail(move |effect| {
        (effect.op == Op::MetadataAdvance && effect.subject.contains(first.as_str())).then_some(Fault::LostRequest)
    });
    assert_eq!(publish(&world, &edit(2)).unwrap().version, Some(2));
    world.heal();
    settled(&world);
    assert_eq!(numbers(&world), [Some(1), Some(2)]);
}

#[test]
fn what_is_taken_back_before_it_is_numbered_is_a_version_all_the_same() {
    let world = World::new();
    for n in 1..=4 {
        stage(&world, n);
        world.advance(Duration::from_secs(1));
        if n < 4 {
            publish_and_die(&world, n);
        }
    }
    let id = |n: u8| {
        let checksum = Checksum::of(&[n]);
        world.rows().into_iter().find(|row| row.index.checksum == checksum).unwrap().id
    };
    let retraction = retract(&world, &id(2));
    assert_eq!(retraction.record.published.unwrap().version, Some(2), "the first comes before it, the third does not");
    assert_eq!(publish(&world, &edit(4)).unwrap().version, Some(4));
    let ui = world.publisher("ui");
    for n in 1..=4_u8 {
        let version = block_on(ui.version(&concept(), n.into())).unwrap().unwrap();
        let number = version.published.unwrap().version;
        assert_eq!((version.audit_log_id, number), (id(n), Some(n.into())));
    }
    settled(&world);
}

#[test]
fn what_is_published_while_it_is_taken_back_has_its_number() {
    let clean = {
        let world = World::new();
        stage(&world, 1);
        publish(&world, &edit(1)).unwrap();
        world.effects().len()
    };
    let mut numbered = 0;
    for at in 0..clean {
        let world = World::new();
        stage(&world, 1);
        let (other, begun) = (world.clone(), std::sync::atomic::AtomicBool::new(false));
        world.fail(move |effect| {
            if effect.number == at && !begun.swap(true, std::sync::atomic::Ordering::Relaxed) {
                let row = other.rows().first().map(|row| row.id.clone());
                // On a thread of its own: this one is in the middle of a call.
                std::thread::scope(|scope| drop(scope.spawn(|| row.map(|id| retract(&other, &id)))));
            }
            None
        });
        let _ = publish(&world, &edit(1));
        world.heal();
        let record = Record::decode(&world.rows()[0]).unwrap();
        if let Phase::Retracted(Retracted { published: Some(published), .. }) = &record.phase {
            assert_eq!(published.version, Some(Version::Number(1)), "at effect {at}");
            numbered += 1;
        }
        world.keeps_promises().unwrap();
    }
    assert!(numbered > 1, "{numbered}");
}
