//! How long it takes to plan the sweep of a full staging area, and in how much memory.
//!
//! Half of the files are published and half are not; their records are in SQLite in `--dir`. A plan that takes longer or
//! more than it may fails the bench.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use chrono::TimeDelta;
use clap::Parser;
use distribution_backends::{LocalFiles, SqliteMetadata};
use distribution_core::{Sweep, SweepPolicy, Verdict, VideoUrl};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use self::common::{Result, Scratch, memory_kib};

mod common;
#[path = "common/nowhere.rs"]
mod nowhere;
#[path = "common/request.rs"]
mod request;

/// Times the plan of a sweep.
#[derive(Parser)]
struct Options {
    /// How many files are staged.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(2..))]
    files: u64,
    /// How often it is planned.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The longest that a plan may take.
    #[arg(long, default_value_t = 10.0)]
    secs_max: f64,
    /// The most memory, in MiB, that a plan may add to what was there before.
    #[arg(long, default_value_t = 128)]
    mib_max: u64,
    /// Where the files go; they are removed at the end.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    dir: PathBuf,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

const IN_FLIGHT: usize = 64;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let work = Scratch(options.dir.join(format!("sweep-{}", std::process::id())));
    let staging = work.0.join("staging");
    for n in 0..options.files {
        let folder = staging.join(format!("{:03}", n % 1_000));
        if n < 1_000 {
            fs::create_dir_all(&folder)?;
        }
        fs::write(folder.join(name(n)), nowhere::FILE)?;
    }
    let store = Arc::new(SqliteMetadata::open(work.0.join("records.sqlite")).await?);
    let publisher = nowhere::publisher(store, &work.0.join("audit.jsonl")).await?;
    let published = stream::iter(0..options.files / 2).map(|n| {
        let publisher = publisher.clone();
        async move {
            let mut request = nowhere::request(n)?;
            request.final_edit.video_url = VideoUrl::parse(format!("{:03}/{}", n % 1_000, name(n)))?;
            publisher.publish(request).await.map_err(Box::<dyn std::error::Error>::from)
        }
    });
    published.buffer_unordered(IN_FLIGHT).try_for_each(async |_| Ok(())).await?;

    let files = Arc::new(LocalFiles::open(&staging)?);
    let policy = SweepPolicy { retention: TimeDelta::zero(), ..SweepPolicy::default() };
    println!("{} files, {} looked at together at most:", options.files, Sweep::FILES_AT_ONCE);
    for _ in 0..options.rounds {
        forget_peak();
        let (started, before) = (Instant::now(), memory_kib("VmRSS:")?);
        let mut sweep = publisher.plan_sweep(files.clone(), policy.clone());
        let (mut all, mut removable) = (0, 0);
        while let Some(decision) = sweep.next().await? {
            all += 1;
            removable += u64::from(matches!(decision.verdict, Verdict::Remove { .. }));
        }
        if (all, removable) != (options.files, options.files / 2) {
            return Err(format!("{all} files were told of, {removable} to be removed").into());
        }
        let (secs, peak) = (started.elapsed().as_secs_f64(), memory_kib("VmHWM:")?);
        let grown = peak.saturating_sub(before) >> 10;
        println!("  planned in {secs:.2} s; peak memory {} MiB, {grown} MiB more than before", peak >> 10);
        if secs > options.secs_max || grown > options.mib_max {
            let limits = format!("{} s and {} MiB", options.secs_max, options.mib_max);
            return Err(format!("a plan may take {limits} at most: find out what has become slower or larger").into());
        }
    }
    Ok(())
}

/// From here on `VmHWM` is of what comes now, and not of the publishes before (`proc(5)`, `clear_refs`). Where that is
/// forbidden, it counts both.
fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

fn name(n: u64) -> String {
    format!("clip-{n}.mp4")
}
