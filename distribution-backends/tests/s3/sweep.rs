//! Every fault at every request of a publish: the same call, repeated, finishes the job, no promise is
//! broken, and the answer is the one that local disk gives.

use std::time::Instant;

use distribution_core::{DistributionRecord, ErrorKind, Publisher, State};
use distribution_testkit::Budget;
use futures::StreamExt as _;
use futures::stream;

use crate::faulty_proxy::Fault;
use crate::server::Server;
use crate::site::{LocalAnswer, Road, Site, Stage};
use crate::tampering::Defect;

/// How often a call is repeated before it counts as lost.
const REPEATS_MAX: usize = 10;
/// How many runs there are at a time: most of their time is spent in waiting.
const LANES: usize = 6;
/// The faults of which pairs are made.
const IN_PAIRS: [Fault; 4] = [Fault::LostRequest, Fault::LostAnswer, Fault::DoneLate, Fault::CrashAfter];

/// A fault, and the number of the request that it happens to.
type Plan = Vec<(usize, Fault)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_s3_sweep_on_the_server() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    sweep("proof_s3_sweep_on_the_server", server, &Road::ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_s3_sweep_on_the_double() {
    let (server, ..) = &Server::double().await;
    let roads: &[Road] = Budget::chosen().pick(&[Road::Put, Road::Copied], &[Road::Put, Road::Copied], &Road::ALL);
    sweep("proof_s3_sweep_on_the_double", server.clone(), roads).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_s3_pairs_of_faults_on_the_server() {
    let Some(server) = Server::named("DISTRIBUTION_TEST_S3") else { return };
    pairs("proof_s3_pairs_of_faults_on_the_server", server, Budget::chosen().pick(16, 30, usize::MAX)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_s3_pairs_of_faults_on_the_double() {
    let (server, ..) = &Server::double().await;
    pairs("proof_s3_pairs_of_faults_on_the_double", server.clone(), Budget::chosen().pick(16, 30, usize::MAX)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proof_s3_sweep_catches_a_broken_storage() {
    let (server, ..) = &Server::double().await;
    let mut stage = Stage::new(server.clone(), Road::Put).await;
    let local = LocalAnswer::to(&stage.bytes).await;
    let requests = run(&stage, &local, &[]).await.unwrap().requests;
    stage.defect = Some(Defect::Hasty);
    let (mut caught, mut first) = (0, String::new());
    for n in 0..requests {
        if let Err(wrong) = run(&stage, &local, &[(n, Fault::LostRequest)]).await {
            caught += 1;
            first = wrong;
        }
    }
    assert!(caught > 0, "a storage that takes lost requests for done was not caught");
    println!("proof_s3_sweep_catches_a_broken_storage: Hasty at {caught} of {requests} requests: {first}");
}

async fn sweep(proof: &str, server: Server, roads: &[Road]) {
    let started = Instant::now();
    let (mut told, mut runs, mut uploads) = (Vec::new(), 0, 0);
    for &road in roads {
        let stage = Stage::new(server.clone(), road).await;
        let local = LocalAnswer::to(&stage.bytes).await;
        let clean = run(&stage, &local, &[]).await.unwrap();
        let cases = (0..clean.requests).flat_map(|n| Fault::ALL.map(|fault| vec![(n, fault)]));
        let (done, left) = all(&stage, &local, cases.collect()).await;
        told.push(format!("{road:?} {} requests", clean.requests));
        (runs, uploads) = (runs + 1 + done.len(), uploads + left);
        stage.clear().await;
    }
    println!(
        "{proof}: every one of {} faults at every request ({}): {runs} publishes, each finished by the same call with \
         the answer of local disk; {uploads} unfinished uploads left to abort; 0 violations; {:.1} s",
        Fault::ALL.len(),
        told.join(", "),
        started.elapsed().as_secs_f64()
    );
}

/// Pairs of faults, some of all of them.
async fn pairs(proof: &str, server: Server, count: usize) {
    let started = Instant::now();
    let (mut runs, mut of) = (0, 0);
    for road in [Road::Put, Road::Copied] {
        let stage = Stage::new(server.clone(), road).await;
        let local = LocalAnswer::to(&stage.bytes).await;
        let clean = run(&stage, &local, &[]).await.unwrap();
        let firsts = (0..clean.requests).flat_map(|n| IN_PAIRS.map(|fault| vec![(n, fault)])).collect();
        let mut cases = Vec::new();
        for (first, requests) in all(&stage, &local, firsts).await.0 {
            let seconds = (first[0].0 + 1..requests).flat_map(|n| IN_PAIRS.map(|fault| (n, fault)));
            cases.extend(seconds.map(|second| vec![first[0], second]));
        }
        of += cases.len();
        fastrand::Rng::with_seed(seed()).shuffle(&mut cases);
        cases.truncate(count / 2);
        runs += all(&stage, &local, cases).await.0.len();
        stage.clear().await;
    }
    println!(
        "{proof}: {runs} of {of} pairs of faults (seed {}), each finished by the same call with the answer of local \
         disk; 0 violations; {:.1} s",
        seed(),
        started.elapsed().as_secs_f64()
    );
}

fn seed() -> u64 {
    std::env::var("PROOF_SEED").map_or(1, |seed| seed.parse().expect("PROOF_SEED is a number"))
}

/// Runs all, and says how many requests each had, and how many uploads were left.
async fn all(stage: &Stage, local: &LocalAnswer, cases: Vec<Plan>) -> (Vec<(Plan, usize)>, usize) {
    let runs = cases.into_iter().map(|case| async move {
        let done = run(stage, local, &case).await;
        (case, done)
    });
    let done: Vec<_> = stream::iter(runs).buffer_unordered(LANES).collect().await;
    let lost: Vec<_> = done.iter().filter_map(|(case, run)| Some((case, run.as_ref().err()?))).collect();
    assert!(lost.is_empty(), "{:?}: {} of {} runs: {lost:#?}", stage.road, lost.len(), done.len());
    let left = done.iter().map(|(_, run)| run.as_ref().unwrap().uploads_left).sum();
    (done.into_iter().map(|(case, run)| (case, run.unwrap().requests)).collect(), left)
}

struct Done {
    requests: usize,
    uploads_left: usize,
}

/// Publishes with these faults, again and again until it is done; and looks.
async fn run(stage: &Stage, local: &LocalAnswer, faults: &[(usize, Fault)]) -> Result<Done, String> {
    let site = Site::new(stage).await;
    site.proxy.arm(faults);
    let first = insist(&site).await?;
    let (requests, log) = (site.proxy.requests().len(), site.proxy.requests());
    if site.proxy.struck() != faults.len() {
        return Err(format!("{} faults happened in {log:#?}", site.proxy.struck()));
    }
    let mut wrong = Vec::new();
    let mut expect = |holds: bool, what: String| {
        if !holds {
            wrong.push(what)
        }
    };
    let again = site.publisher("another host", 2).await.publish(stage.request.clone()).await;
    expect(
        again.as_ref().is_ok_and(|again| *again == first),
        format!("a repeat was told {again:?} instead of {first:?}"),
    );
    let answer = crate::site::comparable(&first);
    expect(answer == local.answer, format!("the answer is {answer}, that of local disk {}", local.answer));

    let seen = site.seen().await;
    let broken = seen.violations(&[first]);
    expect(broken.is_empty(), format!("{broken:?}"));
    expect(seen.keys() == [&*local.key], format!("the objects are {:?}", seen.keys()));
    expect(site.fetch(&local.key) == stage.bytes, "curl fetches other bytes".to_owned());
    expect(
        seen.events() == local.events,
        format!("the trail is {:?}, on local disk {:?}", seen.events(), local.events),
    );
    let states: Vec<_> = seen.records.iter().map(|record| record.state()).collect();
    expect(states == [State::Published], format!("the records are {states:?}"));
    let uploads_left = site.clear().await;
    if wrong.is_empty() { Ok(Done { requests, uploads_left }) } else { Err(format!("{wrong:#?} after {log:#?}")) }
}

/// Repeats the call until it is answered. Who crashed is another process when it comes back.
async fn insist(site: &Site<'_>) -> Result<DistributionRecord, String> {
    let (mut crashes, mut last) = (0, String::new());
    let mut publisher = site.publisher("host", 0).await;
    for _ in 0..REPEATS_MAX {
        match call(site, &publisher).await {
            None => {
                crashes += 1;
                publisher = site.publisher(&format!("host#{crashes}"), crashes).await;
            }
            Some(Ok(record)) => return Ok(record),
            Some(Err(error)) if error.kind() == ErrorKind::Unavailable => last = error.to_string(),
            Some(Err(error)) => return Err(format!("{}: {error}", error.kind())),
        }
    }
    Err(format!("not finished after {REPEATS_MAX} calls: {last}"))
}

/// `None` if it crashed.
async fn call(site: &Site<'_>, publisher: &Publisher) -> Option<Result<DistributionRecord, distribution_core::Error>> {
    tokio::select! {
        outcome = publisher.publish(site.stage.request.clone()) => Some(outcome),
        () = site.proxy.crashed() => None,
    }
}
