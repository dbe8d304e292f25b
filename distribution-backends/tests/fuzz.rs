//! The fuzz targets without a fuzzer: over their seeds, and over mutations of these. See `fuzz/README.md`.
//!
//! A second or two by default; `PROOF=ci` and `PROOF=long` run more.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    reason = "tests"
)]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::panic::catch_unwind;
use std::path::Path;

use distribution_testkit::Budget;
use fastrand::Rng;

type Target = (&'static str, fn(&[u8]));

const TARGETS: &[Target] = &[
    ("request", targets::request::run),
    ("key_template", targets::key_template::run),
    ("record", targets::record::run),
    ("events", targets::events::run),
    ("checker", targets::checker::run),
    ("link", targets::link::run),
    #[cfg(feature = "preflight")]
    ("preflight", targets::preflight::run),
];

#[test]
fn proof_that_fuzz_targets_hold_on_seeds_and_their_mutations() {
    let mutations = Budget::chosen().pick(500, 20_000, 1_000_000);
    let mut runs = 0_u64;
    for &(name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for (file, seed) in &seeds {
            run(target, seed, &format!("{name} on seeds/{name}/{file}"));
            for n in 0..mutations {
                let (_, other) = &seeds[n % seeds.len()];
                run(target, &mutated(seed, other, n as u64), &format!("{name} on seeds/{name}/{file}, mutation {n}"));
            }
            runs += mutations as u64 + 1;
        }
    }
    println!("fuzz targets: {} targets, {runs} inputs, none fails", TARGETS.len());
}

#[test]
fn the_seeds_get_through() {
    let seed = |name: &str, file: &str| seeds(name).into_iter().find(|(name, _)| name == file).unwrap().1;
    let signed = targets::link::seed("GET", "mvp/clip-0123456789ab.mp4", 72);
    assert_eq!(seed("link", "get"), signed, "links are signed as they were when the seeds were made");
    assert!(seeds("link").iter().all(|(_, seed)| targets::link::lets_through(seed)));
    for (file, seed) in seeds("request") {
        assert!(distribution_core::PublishRequest::from_json(&seed).is_ok(), "{file}");
    }
    assert!(serde_json::from_slice::<[targets::checker::Seen; 2]>(&seed("checker", "healthy.json")).is_ok());
}

fn run(target: fn(&[u8]), input: &[u8], which: &str) {
    assert!(catch_unwind(|| target(input)).is_ok(), "{which}: {:?}", String::from_utf8_lossy(input));
}

/// The seeds of a target, by file name.
fn seeds(name: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(name);
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap());
    let mut seeds: Vec<_> =
        files.map(|file| (file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap())).collect();
    seeds.sort();
    seeds
}

/// The seed with one to four small changes that follow from `n`.
fn mutated(seed: &[u8], other: &[u8], n: u64) -> Vec<u8> {
    let mut chance = Rng::with_seed(n);
    let mut random = move |below: usize| chance.usize(..below.max(1));
    let mut bytes = seed.to_vec();
    for _ in 0..=random(4) {
        let at = random(bytes.len());
        let end = (at + 1 + random(16)).min(bytes.len());
        match random(6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random(8),
            1 if at < bytes.len() => bytes[at] = random(256) as u8,
            2 if at < end => drop(bytes.drain(at..end)),
            3 if at < end => {
                let twice = bytes[at..end].to_vec();
                bytes.splice(at..at, twice);
            }
            4 => bytes.insert(at, b"\0\"{}[],:0-e1\xff/.%"[random(16)]),
            _ => {
                let from = random(other.len());
                let to = (from + random(64)).min(other.len());
                bytes.splice(at..at, other[from.min(to)..to].to_vec());
            }
        }
    }
    bytes
}
