//! Negative controls: a storage that breaks what records stand on is caught by the checks of metadata stores.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use async_trait::async_trait;
use distribution_backends::ObjectMetadata;
use distribution_core::{
    ByteStream, Content, CreateOutcome, Digest, Error, Location, MetadataStore, Meter, ObjectKey, ObjectStat, Storage,
    TargetName,
};
use distribution_testkit::conformance::{Harness, MetadataHarness, metadata};
use distribution_testkit::{MemoryStorage, World};

use crate::conformance::prefix;

/// What is wrong with it.
#[derive(Clone, Copy, Debug)]
enum Flaw {
    Nothing,
    /// It ignores `If-None-Match` without a word, as some S3 servers do.
    Overwrites,
    /// It looks, and then writes: two may both see nothing.
    LooksThenWrites,
    /// A list lacks what came last, as where lists are only consistent after a while.
    ListsLate,
}

struct Flawed(MemoryStorage, Flaw);

#[async_trait]
impl Storage for Flawed {
    async fn create(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        if matches!(self.1, Flaw::Nothing | Flaw::ListsLate) {
            return self.0.create(key, content).await;
        }
        if matches!(self.1, Flaw::LooksThenWrites) && self.0.stat(key).await?.is_some() {
            return Ok(CreateOutcome::AlreadyExists);
        }
        self.0.remove(key).await?;
        self.0.create(key, content).await.map(|_| CreateOutcome::Created { proof: None })
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        self.0.digest(key, meter).await
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        self.0.stat(key).await
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        self.0.open(key, range).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        self.0.remove(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        let mut keys = self.0.list(prefix, after, limit).await?;
        if matches!(self.1, Flaw::ListsLate) {
            keys.pop();
        }
        Ok(keys)
    }

    fn location(&self, key: &ObjectKey) -> Location {
        self.0.location(key)
    }
}

struct Harnessed(World, Flaw);

impl Harness for Harnessed {}

#[async_trait]
impl MetadataHarness for Harnessed {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        let storage = MemoryStorage::new(&self.0, &TargetName::default());
        Arc::new(ObjectMetadata::new(Arc::new(Flawed(storage, self.1)), prefix()))
    }
}

#[test]
fn proof_that_a_flawed_storage_is_caught() {
    let checks = [
        "one_of_many_claims_wins",
        "one_of_many_advances_wins",
        "loses_no_advance",
        "a_late_duplicate_changes_nothing",
        "binds_for_ever",
        "one_of_many_binds_wins",
        "another_handle_sees_at_once",
    ];
    let fails = |name: &str, flaw| {
        let check = metadata::CHECKS.iter().find(|check| check.name == name).unwrap();
        catch_unwind(AssertUnwindSafe(|| (check.run)(&Harnessed(World::new(), flaw)))).is_err()
    };
    for (flaw, caught_by) in [
        (Flaw::Nothing, &[][..]),
        (Flaw::Overwrites, &checks[..6]),
        (Flaw::LooksThenWrites, &[checks[0], checks[1], checks[5]]),
        (Flaw::ListsLate, &[checks[6]]),
    ] {
        let caught: Vec<_> = checks.into_iter().filter(|name| fails(name, flaw)).collect();
        assert!(caught_by.iter().all(|name| caught.contains(name)), "{flaw:?} is caught by {caught:?} only");
        assert!(!matches!(flaw, Flaw::Nothing) || caught.is_empty(), "{caught:?} fail without a flaw");
        println!("proof_that_a_flawed_storage_is_caught: {flaw:?} by {} of {} checks", caught.len(), checks.len());
    }
}
