//! Every fault at every effect, every pair of them, a drop at every wait.

use chrono::TimeDelta;
use distribution_core::{
    ArchiveMode, Builder, Error, ErrorKind, IdempotencyKey, PublishRequest, Publisher, Record, Replication, TargetName,
    Verification,
};
use distribution_testkit::{MemoryStorage, Scenario, World, request};

use crate::VIDEO;

fn stage(world: &World) {
    world.stage("clip.mp4", VIDEO);
    world.stage("other.mp4", "another approved video");
}

fn named() -> PublishRequest {
    PublishRequest { idempotency_key: Some(IdempotencyKey::parse("order-7").unwrap()), ..request("clip.mp4", VIDEO) }
}

/// Pieces of work that together have every effect that a publisher has.
fn scenarios() -> [(&'static str, Scenario); 7] {
    let two = Scenario::new(stage, |world, host| async move {
        let publisher = world.publisher(&host);
        let first = publisher.publish(request("clip.mp4", VIDEO)).await?;
        world.sleep(std::time::Duration::from_secs(5)).await;
        Ok(vec![first, publisher.publish(request("other.mp4", b"another approved video")).await?])
    });
    let recovering = Scenario::new(stage, |world, host| async move {
        let publisher = world.publisher(&host);
        let _ = publisher.recover().await?;
        Ok(vec![publisher.publish(request("clip.mp4", VIDEO)).await?])
    });
    let proving = Scenario::new(stage, |world, host| async move {
        let (target, parts) = (Default::default(), world.parts(&Default::default()));
        let storage = MemoryStorage::new(&world, &target).with_proof(Verification::ReadBack);
        let builder = world.builder(&host).target(target, std::sync::Arc::new(storage), parts.signer);
        Ok(vec![builder.build()?.publish(request("clip.mp4", VIDEO)).await?])
    });
    let three_targets = Scenario::new(stage, |world, host| async move {
        Ok(vec![replicated(&world, &host, 3)?.publish(request("clip.mp4", VIDEO)).await?])
    });
    // The answer of a call that finds all copies there, however far an earlier one has come.
    let later = Scenario::new(stage, |world, host| async move {
        let publisher = replicated(&world, &host, 1)?;
        publisher.publish(request("clip.mp4", VIDEO)).await?;
        let (recovery, scrub) = (publisher.recover().await?, publisher.scrub(None, u64::MAX).await?);
        match recovery.failures.into_iter().chain(scrub.failures).next() {
            Some((_, error)) => Err(error),
            None => Ok(vec![publisher.publish(request("clip.mp4", VIDEO)).await?]),
        }
    });
    let archived = Scenario::new(stage, |world, host| async move {
        let publisher = archiving(&world, &host)?;
        match publisher.publish(request("clip.mp4", VIDEO)).await {
            // An earlier call has come so far.
            Err(error) if error.kind() == ErrorKind::Archived => {}
            published => drop(published?),
        }
        let row = world.rows().remove(0);
        let (id, known) = (row.id.clone(), Record::decode(&row)?);
        if known.attempt == 0 || known.is_archived() {
            publisher.archive(&id, ArchiveMode::FreeHot).await?;
            world.sleep(LINKS_LIVE).await;
            let mut tidy = publisher.tidy(TimeDelta::hours(1));
            while tidy.next().await?.is_some() {}
            publisher.restore(&id).await?;
        }
        Ok(vec![publisher.publish(request("clip.mp4", VIDEO)).await?])
    });
    [
        ("a publish by name", Scenario::publish(stage, named())),
        ("two publishes", two),
        ("a recovery and a publish", recovering),
        ("a store that proves", proving),
        ("a publish to three targets", three_targets),
        ("a publish, copied and scrubbed later", later),
        ("a publish, archived, cleared away and restored", archived),
    ]
}

/// How long the links live that a publish answers.
const LINKS_LIVE: std::time::Duration = std::time::Duration::from_secs(72 * 3_600);

/// A publisher that has an archive.
fn archiving(world: &World, holder: &str) -> Result<Publisher, Error> {
    let cold = TargetName::parse("cold")?;
    let parts = world.parts(&cold);
    let builder = world.builder(holder).target(cold.clone(), parts.storage, parts.signer);
    builder.archive(TargetName::default(), cold).build()
}

/// A publisher that wants a copy on two more targets.
fn replicated(world: &World, holder: &str, quorum: u32) -> Result<Publisher, Error> {
    let targets = ["eu", "us"].map(|name| TargetName::parse(name).unwrap());
    let with = |builder: Builder, target: &TargetName| {
        let parts = world.parts(target);
        builder.target(target.clone(), parts.storage, parts.signer)
    };
    let builder = targets.iter().fold(world.builder(holder), with);
    builder.replicate(TargetName::default(), Replication { targets: targets.into(), quorum }).build()
}

#[test]
fn proof_every_fault_at_every_effect() {
    for (name, scenario) in scenarios() {
        let survived = scenario.every_fault().unwrap_or_else(|failure| panic!("{name}: {failure}"));
        println!("proof: {name}: {} runs, every fault at each of {} effects", survived.runs, survived.effects);
        assert!(survived.runs > 90, "{survived:?}");
    }
}

#[test]
fn proof_every_pair_of_faults() {
    let survived = Scenario::publish(stage, request("clip.mp4", VIDEO)).every_pair_of_faults().unwrap();
    println!("proof: {} runs, every pair of faults from {} effects on", survived.runs, survived.effects);
    assert!(survived.runs > 5_000, "{survived:?}");
}

#[test]
fn proof_a_drop_at_every_wait() {
    for (name, scenario) in scenarios() {
        let survived = scenario.every_drop().unwrap_or_else(|failure| panic!("{name}: {failure}"));
        println!("proof: {name}: {} runs, dropped at every wait", survived.runs);
        assert!(survived.runs > 15, "{survived:?}");
    }
}

#[test]
fn proof_caught_a_work_that_does_not_notice_a_failure() {
    let careless = Scenario::new(stage, |world, host| async move {
        let publisher = world.publisher(&host);
        let first = publisher.publish(request("clip.mp4", VIDEO)).await.ok();
        let second = publisher.publish(request("other.mp4", b"another approved video")).await?;
        Ok(first.into_iter().chain([second]).collect())
    });
    println!("proof: caught, a work that does not notice: {}", careless.every_fault().unwrap_err());
}
