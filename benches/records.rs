//! Records at scale: what a user interface waits for among a million, and how many publishes a second a
//! store of records allows when the files cost nothing.
//!
//! SQLite runs on a file in `--dir`; PostgreSQL is the one that `DISTRIBUTION_TEST_POSTGRES` names, where
//! it is set. Every write is durable, and so is the audit trail.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use clap::Parser;
use distribution_backends::{PostgresConfig, PostgresMetadata, SqliteMetadata};
use distribution_core::{
    AuditLogId, Checksum, Claim, ConceptId, Identity, Index, MetadataStore, ObjectKey, Query, Row, State, TargetName,
    Timestamp,
};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use self::common::{Result, Scratch, memory_kib};

mod common;
#[path = "common/nowhere.rs"]
mod nowhere;
#[path = "common/request.rs"]
mod request;

/// Times queries among many records, and publishes that move no bytes.
#[derive(Parser)]
struct Options {
    /// How many records there are to look among.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    records: u64,
    /// How many queries of each kind.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(1..))]
    queries: u64,
    /// How many publishes.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    publishes: u64,
    /// How many of them at a time.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Where the files go; they are removed at the end.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    dir: PathBuf,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

const KINDS: [&str; 7] = [
    "by id",
    "latest of a concept",
    "a tag of one in 1,000",
    "a tag of every second",
    "the newest",
    "the newest rejected",
    "a page in the middle",
];
/// How many rows a page has.
const PAGE_ROWS: usize = 50;
/// About how long a record is.
const BODY_BYTES: usize = 950;
/// How many rows are written at a time, to fill a store.
const FILL_IN_FLIGHT: usize = 256;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let work = Scratch(options.dir.join(format!("records-{}", std::process::id())));
    fs::create_dir_all(&work.0)?;
    let postgres = match std::env::var("DISTRIBUTION_TEST_POSTGRES") {
        Ok(uri) => {
            let uri = format!("{uri}?schema=bench_{}", std::process::id());
            Some(Arc::new(PostgresMetadata::open(PostgresConfig::from_uri(&uri)?).await?))
        }
        Err(_) => {
            println!("DISTRIBUTION_TEST_POSTGRES names no PostgreSQL, see .ci/servers: SQLite alone");
            None
        }
    };
    let sqlite = Arc::new(SqliteMetadata::open(work.0.join("records.sqlite")).await?);
    println!("publishes a second, {} in flight, {} in all:", options.in_flight, options.publishes);
    throughput("SQLite", sqlite.clone(), &work, &options).await?;
    if let Some(postgres) = &postgres {
        throughput("PostgreSQL", postgres.clone(), &work, &options).await?;
    }
    println!("queries among {} records, milliseconds:", options.records);
    look("SQLite", &*sqlite, &options).await?;
    if let Some(postgres) = &postgres {
        look("PostgreSQL", &**postgres, &options).await?;
    }
    Ok(())
}

async fn throughput(name: &str, store: Arc<dyn MetadataStore>, work: &Scratch, options: &Options) -> Result<()> {
    let publisher = nowhere::publisher(store, &work.0.join(format!("{name}.audit.jsonl"))).await?;
    let publish = |from: u64, count: u64| {
        let publisher = publisher.clone();
        stream::iter(from..from + count)
            .map(move |n| {
                let publisher = publisher.clone();
                async move { publisher.publish(nowhere::request(n)?).await.map_err(Box::<dyn std::error::Error>::from) }
            })
            .buffer_unordered(options.in_flight)
            .try_for_each(async |_| Ok(()))
    };
    publish(0, options.publishes / 10).await?; // what is cold is not counted
    let started = Instant::now();
    publish(options.publishes, options.publishes).await?;
    println!("{name:>10}  {:8.0}", options.publishes as f64 / started.elapsed().as_secs_f64());
    Ok(())
}

async fn look(name: &str, store: &dyn MetadataStore, options: &Options) -> Result<()> {
    let started = Instant::now();
    let rows = stream::iter(0..options.records).map(async |n| store.claim(&row(n)?).await.map_err(Into::into));
    rows.buffer_unordered(FILL_IN_FLIGHT)
        .try_for_each(async |claim| if claim == Claim::Claimed { Ok(()) } else { Err("claimed before".into()) })
        .await
        .map_err(|error: Box<dyn std::error::Error>| error)?;
    println!("{name:>10}  filled in {:.0} s", started.elapsed().as_secs_f64());

    println!("{:>10}  {:28} {:>8} {:>8} {:>8}", "", "", "median", "p99", "worst");
    for kind in KINDS {
        let mut millis = Vec::new();
        for n in (0..options.queries).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % options.records) {
            let started = Instant::now();
            let found = match query(kind, n)? {
                None => usize::from(store.load(&row(n)?.id).await?.is_some()),
                Some((query, limit)) => store.find(&query, None, limit).await?.rows.len(),
            };
            millis.push(started.elapsed().as_secs_f64() * 1e3);
            if found == 0 && kind != "a page in the middle" {
                return Err(format!("{kind}: nothing was found").into());
            }
        }
        millis.sort_by(f64::total_cmp);
        let at = |part: f64| {
            millis.get((millis.len() as f64 * part) as usize).or(millis.last()).copied().unwrap_or(f64::NAN)
        };
        println!("{name:>10}  {kind:28} {:8.2} {:8.2} {:8.2}", at(0.5), at(0.99), at(1.0));
    }
    page_through(name, store, options).await
}

/// What is asked; `None` where it is a look at one id.
fn query(kind: &str, n: u64) -> Result<Option<(Query, usize)>> {
    let any = Query::default();
    Ok(Some(match kind {
        "by id" => return Ok(None),
        "latest of a concept" => (Query { concept_id: Some(concept(n)?), state: Some(State::Published), ..any }, 1),
        "a tag of one in 1,000" => (Query { tag: Some(rare(n)), ..any }, PAGE_ROWS),
        "a tag of every second" => (Query { tag: Some("every-second".into()), ..any }, PAGE_ROWS),
        "the newest rejected" => (Query { state: Some(State::Rejected), ..any }, PAGE_ROWS),
        "a page in the middle" => (Query { claimed_before: Some(claimed_at(n)), ..any }, PAGE_ROWS),
        _ => (any, PAGE_ROWS),
    }))
}

async fn page_through(name: &str, store: &dyn MetadataStore, options: &Options) -> Result<()> {
    let (mut after, mut seen, mut resident) = (None, 0, Vec::new());
    let started = Instant::now();
    loop {
        let page = store.find(&Query::default(), after.as_ref(), 1_000).await?.rows;
        seen += page.len() as u64;
        resident.push(memory_kib("VmRSS:")?);
        after = page.last().map(Row::cursor);
        if page.len() < 1_000 {
            break;
        }
    }
    if seen < options.records {
        return Err(format!("{seen} records were found, not {}", options.records).into());
    }
    let (first, most) = (resident.first().copied().unwrap_or(0), resident.iter().max().copied().unwrap_or(0));
    println!(
        "{name:>10}  paging through all: {:.0} records/s, {:.1} MiB resident after the first page, {:.1} MiB at most",
        seen as f64 / started.elapsed().as_secs_f64(),
        first as f64 / 1024.0,
        most as f64 / 1024.0
    );
    Ok(())
}

/// One of many records: ten versions of each concept, a body of the usual size.
fn row(n: u64) -> Result<Row> {
    let (concept_id, checksum) = (concept(n)?, Checksum::of(&n.to_be_bytes()));
    let key = ObjectKey::parse(format!("mvp/clip-{n}.mp4"))?;
    let (target, concept) = (TargetName::default(), Some(&concept_id));
    let id = AuditLogId::of(Identity { target: &target, key: &key, checksum: &checksum, concept_id: concept });
    let mut tags = vec![rare(n)];
    tags.extend(n.is_multiple_of(2).then(|| "every-second".to_owned()));
    tags.sort_unstable();
    let state = if n.is_multiple_of(500) { State::Rejected } else { State::Published };
    let body = Bytes::from(format!(r#"{{"n":{n},"padding":"{}"}}"#, "x".repeat(BODY_BYTES)));
    let index = Index { concept_id: Some(concept_id), checksum, tags, state, settled: true, claimed_at: claimed_at(n) };
    Ok(Row { id, revision: 0, index, body })
}

fn concept(n: u64) -> Result<ConceptId> {
    Ok(ConceptId::parse(format!("concept-{}", n / 10))?)
}

fn rare(n: u64) -> String {
    format!("tag-{}", n % 1_000)
}

/// A second apart.
fn claimed_at(n: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + chrono::TimeDelta::seconds(1_700_000_000 + n as i64)
}
