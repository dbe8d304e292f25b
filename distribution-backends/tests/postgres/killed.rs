//! The server is killed in the middle of the work: what was confirmed is there, and what was not is done
//! once when it is asked for again.

use std::sync::Arc;
use std::time::Duration;

use distribution_backends::PostgresMetadata;
use distribution_core::{ErrorKind, Publisher};
use distribution_testkit::checker::{Evidence, unsettled, violations};
use distribution_testkit::{Budget, World, request};

use crate::cluster::Cluster;
use crate::server::Schema;

const TASKS: usize = 8;
const FILES: usize = 40;
const PAUSE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn proof_that_a_killed_server_loses_and_doubles_nothing() {
    let Some(cluster) = Cluster::start("postgres, killed server") else { return };
    let cluster = Arc::new(cluster);
    let schema = Schema::on(&cluster.uri());
    let (mut repeats, mut told) = (0, 0);
    let rounds = Budget::chosen().pick(4, 10, 500);
    let world = World::new();
    let mut publishers = Vec::new();
    for host in ["host-1", "host-2"] {
        let store = schema.open().await;
        publishers.push(Arc::new(world.builder(host).metadata(Arc::new(store)).build().unwrap()));
    }
    for round in 0..rounds {
        for (name, bytes) in (0..TASKS).flat_map(|task| (0..FILES).map(move |file| staged(round, task, file))) {
            world.stage(name, bytes);
        }
        let tasks: Vec<_> = (0..TASKS)
            .map(|task| tokio::spawn(publish_all(world.clone(), Arc::clone(&publishers[task % 2]), round, task)))
            .collect();
        tokio::time::sleep(Duration::from_millis(fastrand::u64(20..400))).await;
        let killing = Arc::clone(&cluster);
        let killed = tokio::task::spawn_blocking(move || {
            killing.kill();
            killing.restart();
        });
        killed.await.unwrap();
        for task in tasks {
            repeats += task.await.unwrap();
        }
        told += TASKS * FILES;
        check(&schema, &world, round).await;
    }
    assert!(repeats > 0, "no call was hit");
    assert_eq!(world.objects().len(), rounds * (TASKS * FILES / 2 + TASKS / 2 * FILES / 2), "a file was stored twice");
    println!(
        "proof: postgres, killed server: killed {rounds} times under {TASKS} tasks on 2 hosts, {told} calls confirmed \
         and all on record, {repeats} told to repeat, every publication done once"
    );
}

/// The name and bytes of a staged file. Two tasks, of different hosts, share every other one.
fn staged(round: usize, task: usize, file: usize) -> (String, String) {
    let owner = if file.is_multiple_of(2) { task } else { task / 2 };
    (format!("{round}-{owner}-{file}.mp4"), format!("{round} {owner} {file}"))
}

/// How often a call had to be repeated.
async fn publish_all(world: World, publisher: Arc<Publisher>, round: usize, task: usize) -> usize {
    let mut repeats = 0;
    for file in 0..FILES {
        let (name, bytes) = staged(round, task, file);
        loop {
            match publisher.publish(request(&name, bytes.as_bytes())).await {
                Ok(record) => {
                    world.answered(record);
                    break;
                }
                Err(error) => {
                    assert!(error.is_retryable(), "a false failure: {error}");
                    repeats += usize::from(error.kind() == ErrorKind::Unavailable);
                    if error.kind() == ErrorKind::Busy {
                        world.advance(Duration::from_secs(1));
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
    repeats
}

async fn check(schema: &Schema, world: &World, round: usize) {
    let store: PostgresMetadata = schema.open().await;
    let parts = world.parts(&distribution_core::TargetName::default());
    let evidence = Evidence::of(&*parts.storage, &store, world.audit()).await.unwrap();
    let evidence = evidence.with_answers(world.answers());
    let found = violations(&evidence);
    assert!(found.is_empty(), "round {round}: {found:?}");
    assert!(unsettled(&evidence).is_empty(), "round {round}");
    store.close().await.unwrap();
}
