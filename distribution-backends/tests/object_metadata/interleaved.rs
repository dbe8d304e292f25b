//! Writers and finders in any order, dying and coming back: at no moment is a marker missing that a row
//! needs, and each revision has one writer who is told that it is his.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use distribution_backends::ObjectMetadata;
use distribution_core::{Advance, Claim, Error, ErrorKind, MetadataStore as _, Query, Row, TargetName};
use distribution_testkit::{Budget, Effect, Fault, MemoryStorage, Schedule, Simulation, World, every_schedule};
use futures::executor::block_on;

use crate::conformance::prefix;
use crate::layout::broken;
use crate::shelf::{at, row};

/// Who was told that a revision is his: the bodies, by revision.
type Told = Arc<Mutex<BTreeMap<u64, Bytes>>>;

const FAULTS_MAX: usize = 8;

#[test]
fn proof_that_no_marker_is_missing_in_any_order() {
    let seeds = Budget::chosen().pick(400_u64, 1_000, 500_000);
    let (mut faults, mut crashes, mut revisions) = (0, 0, 0);
    for seed in 0..seeds {
        let (world, told) = (World::new(), Told::default());
        watch(&world, format!("seed {seed}"), Some(seed));
        let mut simulation = Simulation::new(&world).crashes(3);
        for writer in 0..3 {
            let told = told.clone();
            // Two of them claim at the same moment, the third later.
            let claimed_secs = (writer / 2) as i64;
            let write = move |world, name| write(world, name, told.clone(), claimed_secs, 5);
            simulation = simulation.process(&format!("writer-{writer}"), write);
        }
        let run = simulation.process("finder", |world, _| find(world, 4)).run(&Schedule::seeded(seed));
        assert!(run.ended, "seed {seed} does not end");
        let latest = settle(&world, &told, &format!("seed {seed}"));
        (faults, crashes) = (faults + run.faults, crashes + run.crashes);
        revisions += latest.map_or(0, |latest| latest.revision);
    }
    assert!(revisions > seeds * 3, "{revisions} revisions: nothing was written");
    println!(
        "proof_that_no_marker_is_missing_in_any_order: {seeds} runs of 3 writers and a finder, {revisions} revisions, \
         {faults} faults, {crashes} crashes"
    );
}

/// All orders of the requests of two writers and a finder.
#[test]
fn proof_that_no_marker_is_missing_in_every_order_of_a_race() {
    let runs_max = Budget::chosen().pick(3_000, 15_000, 2_000_000);
    let mut shown = Vec::new();
    for (what, steps) in [("claims", 0), ("advances", 1)] {
        let (runs, all) = every_schedule(runs_max, |schedule| {
            let (world, told) = (World::new(), Told::default());
            if steps > 0 {
                block_on(records(&world).claim(&row(1))).unwrap();
            }
            watch(&world, what.to_owned(), None);
            let mut simulation = Simulation::new(&world).whole_effects();
            for writer in 0..2 {
                let told = told.clone();
                let write = move |world, name| write(world, name, told.clone(), writer, steps);
                simulation = simulation.process(&format!("writer-{writer}"), write);
            }
            let run = simulation.process("finder", |world, _| find(world, 1)).run(schedule);
            if !run.known {
                settle(&world, &told, what);
            }
        });
        shown.push(format!("{what}: {runs} orders{}", if all { ", all" } else { "" }));
    }
    println!("proof_that_no_marker_is_missing_in_every_order_of_a_race: {}", shown.join("; "));
}

fn records(world: &World) -> ObjectMetadata {
    ObjectMetadata::new(Arc::new(MemoryStorage::new(world, &TargetName::default())), prefix())
}

/// Looks at the keys before each effect; with a seed, some effects go wrong too.
fn watch(world: &World, case: String, seed: Option<u64>) {
    let (watched, random) = (world.clone(), seed.map(|seed| Mutex::new((fastrand::Rng::with_seed(seed), 0))));
    world.fail(move |effect| {
        if let Some(broken) = broken(&watched, "default") {
            panic!("{case}, before {effect}: {broken}");
        }
        let mut random = random.as_ref()?.lock().unwrap();
        let (random, faults) = &mut *random;
        if *faults == FAULTS_MAX || random.usize(..10) > 0 {
            return None;
        }
        *faults += 1;
        random.choice(mendable(effect))
    });
}

/// The faults that a repeat gets over: what damages a record is told, and what hangs is a crash to others.
fn mendable(effect: &Effect) -> Vec<Fault> {
    use Fault::{Conflict, Corrupt, HangAfter, HangBefore, Truncate};
    let is_mendable = |fault: &Fault| !matches!(fault, Conflict | Corrupt | Truncate | HangBefore | HangAfter);
    effect.op.faults().filter(is_mendable).collect()
}

/// Claims, and advances so often. Half of the rows have something left to do.
async fn write(world: World, name: String, told: Told, claimed_secs: i64, steps: usize) {
    let records = records(&world);
    let mut first = Row { body: format!("{name} claims").into(), ..row(1) };
    first.index.claimed_at = at(claimed_secs);
    let tell = |row: &Row| {
        let before = told.lock().unwrap().insert(row.revision, row.body.clone());
        assert_eq!(before, None, "{name} and another were both told that revision {} is theirs", row.revision);
    };
    let mut known = loop {
        match records.claim(&first).await {
            Ok(Claim::Claimed) => {
                tell(&first);
                break first.clone();
            }
            Ok(Claim::Exists(row)) => break row,
            Err(error) => assert_mendable(&error),
        }
    };
    for step in 0..steps {
        let mut next = Row { revision: known.revision + 1, body: format!("{name} {step}").into(), ..known.clone() };
        next.index.settled = fastrand::Rng::with_seed(next.revision + name.len() as u64 + step as u64).bool();
        match records.advance(&next).await {
            Ok(Advance::Advanced) => {
                tell(&next);
                known = next;
            }
            Ok(Advance::Superseded(row)) => {
                assert!(row.revision >= next.revision, "superseded by revision {}", row.revision);
                known = row;
            }
            Err(error) => assert_mendable(&error),
        }
    }
}

async fn find(world: World, times: usize) {
    let records = records(&world);
    for _ in 0..times {
        for settled in [Some(false), None] {
            match records.find(&Query { settled, ..Query::default() }, None, 10).await {
                Ok(found) => assert!(found.len() <= 1, "one row is found twice"),
                Err(error) => assert_mendable(&error),
            }
        }
    }
}

/// After all: the row is found by whatever it can be, what was told is so, and no marker is left that the
/// finder should have removed.
fn settle(world: &World, told: &Told, case: &str) -> Option<Row> {
    world.heal();
    assert_eq!(broken(world, "default"), None, "{case}");
    let (records, id) = (records(world), row(1).id);
    let latest = block_on(records.load(&id)).unwrap();
    for settled in [Some(false), None] {
        let found = block_on(records.find(&Query { settled, ..Query::default() }, None, 10)).unwrap().rows;
        let is_meant = |row: &Row| settled.is_none_or(|settled| settled == row.index.settled);
        let expected: Vec<_> = latest.clone().into_iter().filter(is_meant).collect();
        assert_eq!(found, expected, "{case}, settled {settled:?}");
    }
    for (revision, body) in &*told.lock().unwrap() {
        let object = world.object("default", &format!("records/publication/{id}/{revision:06}.jsonl"));
        let stored = object.unwrap_or_else(|| panic!("{case}: revision {revision} is lost")).bytes;
        assert!(stored.ends_with(body), "{case}: revision {revision} is another's");
    }
    let latest = latest?;
    for (_, key) in world.objects().into_keys().filter(|(_, key)| key.starts_with("records/open/")) {
        let revision: u64 = key.rsplit('-').next().unwrap().parse().unwrap();
        let is_needed = revision > latest.revision || revision == latest.revision && !latest.index.settled;
        assert!(is_needed, "{case}: {key} is of no use and was left");
    }
    Some(latest)
}

fn assert_mendable(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
}
