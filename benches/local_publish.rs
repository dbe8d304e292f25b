//! Publishing on a local disk against what people run instead, in interleaved rounds.
//!
//! Every round publishes a file from the page cache on the embedded defaults, in a process that does
//! nothing else, then runs `openssl dgst -sha256 FILE`, then the whole shell way: openssl, cp, sync,
//! openssl. The noise of the machine is about the same for all three, so read the ratios.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use clap::Parser;
use distribution_backends::LocalDisk;
use distribution_core::Checksum;

use self::common::{Result, Scratch, memory_kib};
use self::files::{openssl, publisher, timed};
use self::measured::{make_file, median, ratio, run};
use self::request::request;

mod common;
#[path = "common/files.rs"]
mod files;
#[path = "common/measured.rs"]
mod measured;
#[path = "common/request.rs"]
mod request;

/// Times publishing on a local disk against `openssl` and against `openssl; cp; sync; openssl`.
#[derive(Parser)]
struct Options {
    /// Size of the file in MiB.
    #[arg(long, default_value_t = 1024)]
    mib: u64,
    /// How many interleaved rounds.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Where the files go; they are removed at the end.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/target"))]
    dir: PathBuf,
    /// Publishes `clip.mp4`, of this checksum, in --dir, and prints seconds and peak KiB.
    #[arg(long, hide = true)]
    publish: Option<String>,
    /// What `cargo bench` passes.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    match &options.publish {
        Some(checksum) => publish(&options.dir, Checksum::parse(checksum)?),
        None => compare(&options),
    }
}

fn compare(options: &Options) -> Result<()> {
    let work = Scratch(options.dir.join(format!("local-publish-{}", std::process::id())));
    fs::create_dir_all(work.0.join("store"))?;
    let clip = work.0.join("clip.mp4");
    make_file(&clip, options.mib << 20)?;
    let checksum = openssl(&clip)?;
    let (mut publish, mut one_hash, mut shell, mut peak_kib) = (vec![], vec![], vec![], 0);
    println!("{} MiB, {} rounds; seconds", options.mib, options.rounds);
    println!("{:>9} {:>9} {:>9}", "publish", "openssl", "shell");
    for _ in 0..options.rounds {
        let (seconds, kib) = publish_in_child(&work.0, &checksum)?;
        publish.push(seconds);
        peak_kib = peak_kib.max(kib);
        fs::remove_dir_all(work.0.join("store"))?;
        fs::create_dir(work.0.join("store"))?;
        one_hash.push(timed(|| openssl(&clip).map(drop))?);
        shell.push(timed(|| shell_way(&clip, &work.0.join("store/copy.mp4")))?);
        fs::remove_file(work.0.join("store/copy.mp4"))?;
        let last = |times: &[f64]| times.last().copied().unwrap_or_default();
        println!("{:9.3} {:9.3} {:9.3}", last(&publish), last(&one_hash), last(&shell));
    }
    println!("{:9.3} {:9.3} {:9.3}  medians", median(&publish), median(&one_hash), median(&shell));
    println!("{:9.2}x one openssl pass (median of the rounds' ratios)", ratio(&publish, &one_hash));
    println!("{:9.2}x openssl; cp; sync; openssl (the same)", ratio(&publish, &shell));
    println!("{:9.1} MiB peak memory of the process that publishes", peak_kib as f64 / 1024.0);
    Ok(())
}

/// Publishes in a process of its own; seconds and peak KiB.
fn publish_in_child(dir: &Path, checksum: &str) -> Result<(f64, u64)> {
    let output = Command::new(std::env::current_exe()?).arg("--dir").arg(dir).args(["--publish", checksum]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let (seconds, kib) = text.trim().split_once(' ').ok_or_else(|| {
        io::Error::other(format!("the publishing process failed: {}", String::from_utf8_lossy(&output.stderr)))
    })?;
    Ok((seconds.parse()?, kib.parse()?))
}

/// The whole publish on the embedded defaults: gate, claim, copy, proof, record, audit trail, link.
fn publish(dir: &Path, checksum: Checksum) -> Result<()> {
    let (store, objects) = (dir.join("store"), dir.join("store/objects"));
    fs::create_dir(&objects)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let publisher = runtime.block_on(publisher(dir, &store, Arc::new(LocalDisk::open(&objects)?)))?;
    let request = request(checksum)?;
    let seconds = timed(|| Ok(runtime.block_on(publisher.publish(request)).map(drop)?))?;
    println!("{seconds} {}", memory_kib("VmHWM:")?);
    Ok(())
}

/// Openssl, cp, sync, openssl: what a careful person types.
fn shell_way(from: &Path, to: &Path) -> Result<()> {
    let before = openssl(from)?;
    run(Command::new("cp").arg(from).arg(to))?;
    run(Command::new("sync").arg(to))?;
    if openssl(to)? != before {
        return Err("the copy differs".into());
    }
    Ok(())
}
