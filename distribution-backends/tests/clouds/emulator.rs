//! Google Cloud Storage, as an emulator serves it that keeps no preconditions: only what one caller sees.
//! `DISTRIBUTION_TEST_GCS` names one: its endpoint and a bucket, with a blank between them.

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use distribution_backends::{Ability, GcsConfig, Probe, SystemClock};
use distribution_core::{Clock as _, Storage};
use distribution_testkit::conformance::storage::CHECKS;
use distribution_testkit::conformance::{Harness, StorageHarness};
use futures::future::BoxFuture;
use tokio::runtime::Runtime;

struct Emulated {
    uri: String,
    runtime: Runtime,
}

impl Emulated {
    /// Below a prefix of its own.
    fn new(endpoint: &str, bucket: &str) -> Self {
        static PREFIXES: AtomicUsize = AtomicUsize::new(0);
        let nanos = std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let prefix = format!("t{nanos}-{}", PREFIXES.fetch_add(1, Ordering::Relaxed));
        let endpoint = endpoint.replace(':', "%3A").replace('/', "%2F");
        Self { uri: format!("gs://{bucket}/{prefix}?anonymous=true&endpoint={endpoint}"), runtime: crate::runtime() }
    }
}

impl Harness for Emulated {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }

    fn trials(&self) -> usize {
        2
    }
}

#[async_trait]
impl StorageHarness for Emulated {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(GcsConfig::from_uri(&self.uri).unwrap().open().unwrap())
    }

    fn large_bytes(&self) -> usize {
        8 << 20
    }
}

/// What needs preconditions, or an intruder, or a server that takes 16 connections at once.
const LEFT_OUT: [&str; 16] = [
    "out_of_reach_is_an_error",
    "never_changes_what_is_there",
    "a_large_create_never_changes_what_is_there",
    "stores_a_local_file",
    "one_of_many_creates_wins",
    "one_of_many_equal_creates_wins",
    "one_of_many_large_creates_wins",
    "another_handle_sees_at_once",
    "a_dropped_create_is_all_or_nothing",
    "a_create_whose_answer_is_lost_is_found_by_the_next",
    "survives_reopening",
    "digest_reads_what_is_really_stored",
    "an_object_cut_short_ends_in_an_error",
    "creates_and_removes_at_once_leave_one_or_none",
    "lists_more_than_a_thousand",
    "lists_the_same_while_others_write",
];

#[test]
fn proof_of_a_gcs_emulator() {
    let Ok(text) = env::var("DISTRIBUTION_TEST_GCS") else {
        return println!("NOT RUN: proof_of_a_gcs_emulator: DISTRIBUTION_TEST_GCS names no server");
    };
    let (endpoint, bucket) = text.split_once(' ').unwrap();
    let checks: Vec<_> = CHECKS.iter().filter(|check| !LEFT_OUT.contains(&check.name)).collect();
    assert_eq!(checks.len() + LEFT_OUT.len(), CHECKS.len());
    for check in &checks {
        println!("{}", check.name);
        (check.run)(&Emulated::new(endpoint, bucket));
    }
    // And who asks is told that it must not be used.
    let emulated = Emulated::new(endpoint, bucket);
    let probe = emulated.runtime.block_on(async { Probe::of(&*emulated.open().await, None, SystemClock.now()).await });
    assert!(probe.unwrap().fault(Ability::CreateByPut).is_some());
    println!("proof: gcs emulator: {} checks, {} left out: it keeps no preconditions", checks.len(), LEFT_OUT.len());
}
