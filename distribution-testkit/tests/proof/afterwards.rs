//! What comes after publishing, all at once: versions, rollbacks, retractions, holds, copies on a second target of
//! which some are lost, scrubs, sweeps and left-overs, in orders that follow from seeds, with all that can go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use chrono::TimeDelta;
use distribution_core::{
    ArchiveMode, AuditEvent, AuditLogId, Checksum, ConceptId, Digest, ErrorKind, HoldOn, LegalHold, ObjectKey, Phase,
    PublishRequest, Publisher, Reason, Record, Replication, State, SweepPolicy, TargetName,
};
use distribution_testkit::checker::{violations, violations_of_removal};
use distribution_testkit::{
    Budget, MemoryObject, MemoryStaging, Run, Schedule, Simulation, TestSigner, World, request,
};
use futures::executor::block_on;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// The target of the copies.
const SECOND: &str = "second";
/// The target of the archive.
const COLD: &str = "cold";
/// What the person can do.
const VERBS: usize = 9;
/// The edits of the work.
const EDITS: u8 = 3;

fn concept() -> ConceptId {
    ConceptId::parse("concept-1").unwrap()
}

fn why() -> Reason {
    Reason::parse("because").unwrap()
}

fn edit(n: u8, concept: &str) -> PublishRequest {
    let mut request = request(&format!("v{n}.mp4"), &[n; 8]);
    request.distribution_settings.metadata.concept_id = Some(concept.parse().unwrap());
    request
}

fn id_of(world: &World, n: u8) -> Option<AuditLogId> {
    let checksum = Checksum::of(&[n; 8]);
    world.rows().into_iter().find(|row| row.index.checksum == checksum).map(|row| row.id)
}

/// A publisher with a second target, on which a copy of everything is wanted: first for some, later for the others; and
/// with an archive.
fn host(world: &World, holder: &str) -> Publisher {
    let second = TargetName::parse(SECOND).unwrap();
    let parts = world.parts(&second);
    let quorum = if holder.contains('1') { 1 } else { 2 };
    let replication = Replication { targets: vec![second.clone()], quorum };
    let builder = world.builder(holder).target(second, parts.storage, parts.signer);
    let cold = TargetName::parse(COLD).unwrap();
    let parts = world.parts(&cold);
    let builder = builder.target(cold.clone(), parts.storage, parts.signer).archive(TargetName::default(), cold);
    builder.replicate(TargetName::default(), replication).build().unwrap()
}

/// Publishers of the edits, each of one; another of the first edit for a work of its own, which has the same object; a
/// reader; a person who rolls back, takes back and holds; a sweeper and a tidier.
fn simulate(seed: u64) -> (World, Run) {
    let (world, schedule) = (World::new(), Schedule::seeded(seed));
    [TargetName::default(), TargetName::parse(SECOND).unwrap()]
        .iter()
        .for_each(|target| world.give_legal_holds(target));
    let mut simulation = Simulation::new(&world);
    for n in 0..EDITS {
        world.stage(format!("v{n}.mp4"), vec![n; 8]);
        let later = HOUR * schedule.pick(3) as u32;
        let call = edit(n, "concept-1");
        simulation =
            simulation.process(&format!("host-{n}"), move |world, holder| publish(world, holder, call.clone(), later));
    }
    let call = edit(0, "concept-2");
    simulation = simulation.process("another", move |world, holder| publish(world, holder, call.clone(), HOUR));
    simulation = simulation.process("reader", read);
    let choices: Vec<usize> = (0..8).map(|_| schedule.pick(VERBS * EDITS as usize)).collect();
    simulation = simulation.process("person", move |world, holder| act(world, holder, choices.clone()));
    let sweeps = Arc::new(AtomicBool::new(false));
    let (sweeping, rotting) = (sweeps.clone(), sweeps);
    simulation = simulation.process("sweeper", move |world, holder| sweep(world, holder, sweeping.clone()));
    simulation = simulation.process("tidier", tidy).process("scrubber", scrub);
    let rots: Vec<usize> = (0..6).map(|_| schedule.pick(2 * EDITS as usize)).collect();
    simulation = simulation.process("rot", move |world, _| rot(world, rots.clone(), rotting.clone()));
    let run = simulation.crashes(2).clock_jumps(1).faults(3).run(&schedule);
    world.heal();
    (world, run)
}

async fn publish(world: World, holder: String, call: PublishRequest, later: Duration) {
    world.sleep(later).await;
    let publisher = host(&world, &holder);
    for _ in 0..20 {
        match world.timeout(HOUR, publisher.publish(call.clone())).await {
            Some(Ok(answer)) => return world.answered(answer),
            Some(Err(error)) if matches!(error.kind(), ErrorKind::Retracted | ErrorKind::Archived) => return,
            Some(Err(error)) if error.field().is_some() => {
                world.stage(call.final_edit.video_url.expose(), bytes_of(&call));
            }
            Some(Err(_)) | None => world.sleep(Duration::from_secs(60)).await,
        }
    }
}

fn bytes_of(call: &PublishRequest) -> Vec<u8> {
    let n = (0..EDITS).find(|n| Checksum::of(&[*n; 8]) == call.final_edit.checksum).unwrap();
    vec![n; 8]
}

/// Asks for the latest again and again. It is there once it has been, with a link that opens what is stored; and it
/// has no lower number than before, unless somebody rolled back.
async fn read(world: World, holder: String) {
    let publisher = host(&world, &holder);
    let mut seen = 0;
    for _ in 0..40 {
        world.sleep(HOUR / 4).await;
        let Some(Ok(latest)) = world.timeout(HOUR, publisher.latest(&concept())).await else { continue };
        let Some(latest) = latest else {
            assert_eq!(seen, 0, "the latest was not found");
            continue;
        };
        let published = latest.published.clone().expect("a version was published");
        if let Some(version) = published.version {
            assert!(version >= seen || rolled_back(&world), "the latest was {seen} and is {version}");
            seen = version;
        }
        let Some(link) = world.timeout(HOUR, publisher.link(&latest.audit_log_id, HOUR)).await else { continue };
        match link {
            Ok(issued) => {
                let key = TestSigner::open(&issued.link, world.now()).map(|key| key.to_string());
                // This signer's links do not tell of which target they are.
                let objects = key.map(|key| ["default", SECOND].map(|target| world.object(target, &key)));
                let objects: Vec<_> = objects.into_iter().flatten().flatten().collect();
                let is_right = |object: &MemoryObject| Checksum::of(&object.bytes) == latest.metadata.checksum;
                assert!(objects.is_empty() || objects.iter().any(is_right), "a link leads to other bytes");
            }
            // Where its object is lost, nobody may know yet of another copy.
            Err(error) => {
                let place = published.storage_location.as_str().strip_prefix("memory://default/").unwrap();
                let is_lost = world.object("default", place).is_none();
                assert!(error.kind() != ErrorKind::Corrupt || is_lost, "{error}");
            }
        }
    }
}

/// Whether anybody has rolled back, or is about to.
fn rolled_back(world: &World) -> bool {
    let waiting = world.rows().into_iter().flat_map(|row| Record::decode(&row).unwrap().trail.waiting);
    waiting.chain(world.audit()).any(|entry| matches!(entry.event, AuditEvent::RolledBack { .. }))
}

async fn act(world: World, holder: String, choices: Vec<usize>) {
    let publisher = host(&world, &holder);
    for choice in choices {
        world.sleep(HOUR / 2).await;
        let n = (choice / VERBS) as u8;
        let Some(id) = id_of(&world, n) else { continue };
        let (publication, work) = (HoldOn::Publication(id.clone()), HoldOn::Concept(concept()));
        let acted = async {
            match choice % VERBS {
                0 => publisher.rollback(&concept(), u64::from(n) + 1).await.map(drop),
                1 => publisher.retract(&id, &why()).await.map(drop),
                2 => publisher.hold(&publication, &why()).await.map(drop),
                3 => publisher.release(&publication, &why()).await.map(drop),
                4 => publisher.hold(&work, &why()).await.map(drop),
                5 => publisher.archive(&id, ArchiveMode::FreeHot).await.map(drop),
                6 => publisher.archive(&id, ArchiveMode::KeepHot).await.map(drop),
                7 => publisher.restore(&id).await.map(drop),
                _ => publisher.release(&work, &why()).await.map(drop),
            }
        };
        if let Some(Err(error)) = world.timeout(HOUR, acted).await {
            // A rollback may read back other bytes, where a fault has it so.
            let is_read = error.to_string().contains("is now missing or has other bytes");
            assert!(error.kind() != ErrorKind::Corrupt || is_read, "{error}");
        }
    }
}

/// Loses or damages one copy where there are more and all are sound, now and then: never while a sweep may have read it already.
async fn rot(world: World, choices: Vec<usize>, sweeps: Arc<AtomicBool>) {
    for choice in choices {
        world.sleep(HOUR * 2 / 3).await;
        let Some(id) = id_of(&world, (choice / 2) as u8) else { continue };
        let row = world.rows().into_iter().find(|row| row.id == id).unwrap();
        let record = Record::decode(&row).unwrap();
        let is_sound = |(target, key): &(TargetName, ObjectKey)| {
            let object = world.object(target.as_str(), key.as_str());
            object.is_some_and(|object| Checksum::of(&object.bytes) == record.publication.checksum)
        };
        let places = record.proven_places();
        let [first, .., last] = &places[..] else { continue };
        if sweeps.load(SeqCst) || !places.iter().all(is_sound) {
            continue;
        }
        match choice % 2 {
            0 => assert!(world.lose(first.0.as_str(), first.1.as_str())),
            _ => assert!(world.corrupt(last.0.as_str(), last.1.as_str(), |bytes| bytes[0] ^= 0x80)),
        }
    }
}

async fn scrub(world: World, holder: String) {
    let publisher = host(&world, &holder);
    for wait in [HOUR / 2, HOUR, HOUR, HOUR, DAY, DAY * 7] {
        world.sleep(wait).await;
        let _ = world.timeout(HOUR, publisher.recover()).await;
        let _ = world.timeout(HOUR, publisher.scrub(None, u64::MAX)).await;
    }
}

async fn sweep(world: World, holder: String, sweeps: Arc<AtomicBool>) {
    let publisher = host(&world, &holder);
    for wait in [HOUR, DAY * 7, HOUR, DAY] {
        sweeps.store(false, SeqCst);
        world.sleep(wait).await;
        sweeps.store(true, SeqCst);
        let mut pass = publisher.sweep(Arc::new(MemoryStaging::new(&world)), SweepPolicy::default());
        world.timeout(HOUR, async { while let Ok(Some(_)) = pass.next().await {} }).await;
    }
}

async fn tidy(world: World, holder: String) {
    let publisher = host(&world, &holder);
    for _ in 0..6 {
        world.sleep(HOUR).await;
        tidy_once(&world, &publisher).await;
    }
}

async fn tidy_once(world: &World, publisher: &Publisher) {
    let mut pass = publisher.tidy(TimeDelta::minutes(90));
    world.timeout(HOUR, async { while let Ok(Some(_)) = pass.next().await {} }).await;
}

/// An object of what is held and published, which its store does not keep though it could.
fn not_kept(world: &World, publisher: &Publisher) -> Option<String> {
    let is_in_force = |on: HoldOn| block_on(publisher.holds(&on)).unwrap().is_some();
    let records = world.rows().into_iter().map(|row| Record::decode(&row).unwrap());
    let held = records.filter(|record| {
        record.hold.is_some() || is_in_force(HoldOn::Concept(record.publication.concept_id.clone().unwrap()))
    });
    let published = held.filter(|record| matches!(record.phase, Phase::Published(_)));
    published.flat_map(|record| record.proven_places()).find_map(|(target, key)| {
        let object = world.object(target.as_str(), key.as_str())?;
        let is_kept = target.as_str() == COLD || object.legal_hold == LegalHold::On;
        (!is_kept).then(|| format!("{target}/{key}"))
    })
}

/// The first thing that is not as it has to be.
fn complaint(world: &World, run: &Run) -> Option<String> {
    if !run.ended {
        return Some(format!("not ended: {run:?}"));
    }
    let publisher = host(world, "last");
    let _ = world.run({
        let publisher = publisher.clone();
        async move { publisher.recover().await }
    });
    let scrubbed = world.run({
        let publisher = publisher.clone();
        async move { publisher.scrub(None, u64::MAX).await }
    });
    let Some(Ok(scrubbed)) = scrubbed.returned() else { return Some("the last scrub did not end".to_owned()) };
    if let Some((id, error)) = scrubbed.failures.first() {
        return Some(format!("{id} could not be brought back to all its copies: {error}"));
    }
    for cleared in world.cleared() {
        let bytes = Digest { checksum: Checksum::of(&cleared.bytes), size: cleared.bytes.len() as u64 };
        let retention = SweepPolicy::default().retention;
        let found = violations_of_removal(&cleared.evidence, &cleared.name, bytes, cleared.at, retention);
        if let Some(violation) = found.first() {
            return Some(violation.to_string());
        }
    }
    if let Some(place) = not_kept(world, &publisher) {
        return Some(format!("{place} is held, and not kept by its store"));
    }
    // What was published and not taken back is there, whatever else was cleared away.
    violations(&world.evidence()).first().map(ToString::to_string)
}

#[test]
fn proof_all_verbs_at_once() {
    let seeds = Budget::chosen().pick(500, 3_000, 300_000);
    let (mut faults, mut crashes, mut retracted, mut removed, mut versions, mut held) = (0, 0, 0, 0, 0, 0);
    let (mut copies, mut lost, mut restored, mut freed) = (0, 0, 0, 0);
    for seed in 0..seeds {
        let (world, run) = simulate(seed);
        if let Some(complaint) = complaint(&world, &run) {
            panic!("seed {seed}: {complaint}\n{:#?}", world.effects());
        }
        (faults, crashes) = (faults + run.faults, crashes + run.crashes);
        for entry in world.audit() {
            match entry.event {
                AuditEvent::Retracted { .. } => retracted += 1,
                AuditEvent::CopyReleased { .. } => removed += 1,
                AuditEvent::Numbered { .. } => versions += 1,
                AuditEvent::HoldPlaced { .. } => held += 1,
                AuditEvent::Replicated { .. } => copies += 1,
                AuditEvent::ReplicaLost { .. } => lost += 1,
                AuditEvent::Restored { .. } => restored += 1,
                AuditEvent::HotFreed { .. } => freed += 1,
                _ => {}
            }
        }
        assert!(world.rows().iter().all(|row| row.index.state != State::InProgress || run.faults > 0), "seed {seed}");
    }
    assert!(retracted > seeds / 10 && removed > seeds / 20 && held > seeds / 10, "{retracted} {removed} {held}");
    assert!(copies > seeds && lost > seeds / 20 && restored > seeds / 20, "{copies} {lost} {restored}");
    assert!(freed > seeds / 20, "{freed}");
    println!(
        "proof: {seeds} worlds with every verb, {versions} versions, {copies} copies elsewhere, {lost} of them lost, \
         {freed} moved to the archive, {restored} objects restored, {retracted} retracted, {removed} objects let go, \
         {held} holds, {faults} faults, {crashes} crashes"
    );
}
