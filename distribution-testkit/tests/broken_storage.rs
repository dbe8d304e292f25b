//! Negative controls: each flaw is caught by the check that is named after what it breaks, and no
//! check is without a flaw that it catches.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use distribution_core::{
    Body, ByteStream, Checksum, Content, CreateOutcome, Digest, Error, Location, Meter, ObjectKey, ObjectStat, Proof,
    Storage, TargetName, Verification,
};
use distribution_testkit::conformance::{Harness, StorageHarness, storage::CHECKS};
use distribution_testkit::{Fault, MemoryStorage, Op, World};
use futures::{StreamExt as _, stream};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    Overwrites,
    ChecksThenCreates,
    ShowsParts,
    TakesOtherBytes,
    TakesWhatCameBeforeAnError,
    StoresHalf,
    ForgetsOnReopening,
    FoldsCase,
    FlattensKeys,
    FindsFolders,
    RemembersDigests,
    ProvesWhatItWasTold,
    MetersNothing,
    EtagIsTheSize,
    RangesAreInclusive,
    RemovesOnce,
    ListsInReverse,
    ListsFolders,
    ListsFromAfterOn,
    ListsAThousand,
    ListsLate,
    SignsLocations,
}

use Flaw::{
    ChecksThenCreates, EtagIsTheSize, FindsFolders, FlattensKeys, FoldsCase, ForgetsOnReopening, ListsAThousand,
    ListsFolders, ListsFromAfterOn, ListsInReverse, ListsLate, MetersNothing, Overwrites, ProvesWhatItWasTold,
    RangesAreInclusive, RemembersDigests, RemovesOnce, ShowsParts, SignsLocations, StoresHalf, TakesOtherBytes,
    TakesWhatCameBeforeAnError,
};

/// What catches each flaw, first of all.
const CAUGHT: [(Flaw, &[&str]); 22] = [
    (Overwrites, &["never_changes_what_is_there", "one_of_many_creates_wins", "one_of_many_equal_creates_wins"]),
    (ChecksThenCreates, &["one_of_many_creates_wins", "one_of_many_equal_creates_wins"]),
    (
        ShowsParts,
        &[
            "never_shows_an_object_before_it_is_whole",
            "never_shows_part_of_an_object_to_a_parallel_reader",
            "a_create_dropped_while_it_reads_leaves_nothing",
            "a_dropped_create_is_all_or_nothing",
        ],
    ),
    (TakesOtherBytes, &["refuses_other_bytes", "refuses_content_that_ends_early", "refuses_content_that_goes_on"]),
    (TakesWhatCameBeforeAnError, &["refuses_content_that_fails"]),
    (StoresHalf, &["reads_back_what_was_created", "keeps_objects_of_any_size"]),
    (ForgetsOnReopening, &["survives_reopening"]),
    (FoldsCase, &["tells_upper_and_lower_case_apart"]),
    (FlattensKeys, &["takes_keys_of_any_shape"]),
    (FindsFolders, &["finds_nothing_where_nothing_is"]),
    (RemembersDigests, &["digest_reads_what_is_really_stored"]),
    (ProvesWhatItWasTold, &["a_proof_is_true"]),
    (MetersNothing, &["meters_what_it_stores"]),
    (EtagIsTheSize, &["stat_tells_size_and_etag"]),
    (RangesAreInclusive, &["opens_any_range"]),
    (RemovesOnce, &["removes_once_and_again"]),
    (ListsInReverse, &["lists_in_byte_order"]),
    (ListsFolders, &["lists_by_any_beginning"]),
    (ListsFromAfterOn, &["lists_in_pages"]),
    (ListsAThousand, &["lists_more_than_a_thousand"]),
    (ListsLate, &["lists_what_was_just_created"]),
    (SignsLocations, &["locations_differ_and_hold_no_credentials"]),
];

#[test]
fn every_flaw_is_caught_and_every_check_catches_one() {
    let mut catching = BTreeSet::new();
    for (flaw, checks) in CAUGHT {
        for name in checks {
            let check = CHECKS.iter().find(|check| check.name == *name).unwrap();
            let caught = catch_unwind(AssertUnwindSafe(|| (check.run)(&Broken::new(flaw)))).is_err();
            assert!(caught, "{flaw:?} is not caught by {name}");
            catching.insert(*name);
        }
    }
    let all = CHECKS.iter().map(|check| check.name).collect::<BTreeSet<_>>();
    assert_eq!(catching, all);
}

#[test]
fn the_wrapper_without_a_flaw_passes() {
    for check in CHECKS {
        (check.run)(&Broken::new(Flaw::None));
    }
}

struct Broken {
    flaw: Flaw,
    world: World,
    digests: Digests,
    lagging: Arc<AtomicBool>,
}

type Digests = Arc<Mutex<BTreeMap<ObjectKey, Option<Digest>>>>;

impl Broken {
    fn new(flaw: Flaw) -> Self {
        let world = World::new();
        if flaw == StoresHalf {
            world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::Truncate));
        }
        Self { flaw, world, digests: Arc::default(), lagging: Arc::default() }
    }
}

impl Harness for Broken {}

#[async_trait::async_trait]
impl StorageHarness for Broken {
    async fn open(&self) -> Arc<dyn Storage> {
        let world = if self.flaw == ForgetsOnReopening { World::new() } else { self.world.clone() };
        let inner = MemoryStorage::new(&world, &TargetName::parse("main").unwrap());
        Arc::new(BrokenStorage {
            flaw: self.flaw,
            world,
            inner,
            digests: Arc::clone(&self.digests),
            lagging: Arc::clone(&self.lagging),
        })
    }

    async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
        self.world.corrupt("main", key.as_str(), |stored| *stored = bytes.to_vec())
    }
}

struct BrokenStorage {
    flaw: Flaw,
    world: World,
    inner: MemoryStorage,
    digests: Digests,
    lagging: Arc<AtomicBool>,
}

impl BrokenStorage {
    fn key(&self, key: &ObjectKey) -> ObjectKey {
        match self.flaw {
            FoldsCase => ObjectKey::parse(key.as_str().to_lowercase()).unwrap(),
            FlattensKeys => ObjectKey::parse(key.as_str().replace('/', "_")).unwrap(),
            _ => key.clone(),
        }
    }

    /// Stores whatever the content turns out to be; one object for each piece, if it shows parts.
    async fn create_anything(&self, key: &ObjectKey, content: Content) -> Result<CreateOutcome, Error> {
        let Body::Stream(mut pieces) = content.body else { panic!("not a stream") };
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(_) if self.flaw == TakesWhatCameBeforeAnError => break,
                Err(error) => return Err(error),
            }
            if self.flaw == ShowsParts {
                self.inner.remove(key).await?;
                self.inner.create(key, whole(&bytes, &content.headers)).await?;
            }
        }
        if self.flaw == ShowsParts {
            self.inner.remove(key).await?;
        }
        let outcome = self.inner.create(key, whole(&bytes, &content.headers)).await?;
        if matches!(self.flaw, Overwrites | ChecksThenCreates) && outcome == CreateOutcome::AlreadyExists {
            // As rename(2) does.
            self.world.corrupt("main", key.as_str(), |stored| *stored = bytes);
            return Ok(CreateOutcome::Created { proof: None });
        }
        Ok(outcome)
    }
}

fn whole(bytes: &[u8], headers: &distribution_core::ContentHeaders) -> Content {
    let body = stream::iter([Ok(Bytes::copy_from_slice(bytes))]).boxed();
    Content {
        size: bytes.len() as u64,
        expected: Checksum::of(bytes),
        headers: headers.clone(),
        body: Body::Stream(body),
        meter: Meter::default(),
    }
}

#[async_trait::async_trait]
impl Storage for BrokenStorage {
    async fn create(&self, key: &ObjectKey, mut content: Content) -> Result<CreateOutcome, Error> {
        let (key, expected) = (&self.key(key), content.expected);
        match self.flaw {
            ChecksThenCreates if self.inner.stat(key).await?.is_some() => return Ok(CreateOutcome::AlreadyExists),
            Overwrites | ChecksThenCreates | ShowsParts | TakesOtherBytes | TakesWhatCameBeforeAnError => {
                return self.create_anything(key, content).await;
            }
            MetersNothing => content.meter = Meter::default(),
            _ => {}
        }
        let outcome = self.inner.create(key, content).await?;
        self.lagging.store(true, Ordering::SeqCst);
        if self.flaw == ProvesWhatItWasTold && matches!(outcome, CreateOutcome::Created { .. }) {
            let digest = Digest { checksum: expected, size: 0 };
            return Ok(CreateOutcome::Created { proof: Some(Proof { digest, how: Verification::ReadBack }) });
        }
        Ok(outcome)
    }

    async fn digest(&self, key: &ObjectKey, meter: &Meter) -> Result<Option<Digest>, Error> {
        let digest = self.inner.digest(&self.key(key), meter).await?;
        if self.flaw == RemembersDigests {
            return Ok(*self.digests.lock().unwrap().entry(key.clone()).or_insert(digest));
        }
        Ok(digest)
    }

    async fn stat(&self, key: &ObjectKey) -> Result<Option<ObjectStat>, Error> {
        let stat = self.inner.stat(&self.key(key)).await?;
        if self.flaw == FindsFolders && !self.inner.list(&format!("{key}/"), None, 1).await?.is_empty() {
            return Ok(Some(ObjectStat { size: 4096, modified: None, etag: None }));
        }
        if self.flaw == EtagIsTheSize {
            return Ok(stat.map(|stat| ObjectStat { etag: Some(stat.size.to_string()), ..stat }));
        }
        Ok(stat)
    }

    async fn open(&self, key: &ObjectKey, range: Range<u64>) -> Result<Option<ByteStream>, Error> {
        let end = if self.flaw == RangesAreInclusive { range.end.saturating_add(1) } else { range.end };
        self.inner.open(&self.key(key), range.start..end).await
    }

    async fn remove(&self, key: &ObjectKey) -> Result<(), Error> {
        if self.flaw == RemovesOnce && self.inner.stat(key).await?.is_none() {
            return Err(Error::unavailable("nothing is there to remove"));
        }
        self.inner.remove(&self.key(key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&ObjectKey>, limit: usize) -> Result<Vec<ObjectKey>, Error> {
        match self.flaw {
            ListsInReverse => {
                let mut keys = self.inner.list(prefix, after, limit).await?;
                keys.reverse();
                Ok(keys)
            }
            ListsFolders if !prefix.is_empty() && !prefix.ends_with('/') => {
                self.inner.list(&format!("{prefix}/"), after, limit).await
            }
            ListsFromAfterOn => {
                let mut keys = self.inner.list(prefix, None, usize::MAX).await?;
                keys.retain(|key| after.is_none_or(|after| key >= after));
                keys.truncate(limit);
                Ok(keys)
            }
            ListsAThousand => self.inner.list(prefix, after, limit.min(1_000)).await,
            // As if by a cache that every create leaves stale for one look.
            ListsLate if self.lagging.swap(false, Ordering::SeqCst) => Ok(Vec::new()),
            _ => self.inner.list(prefix, after, limit).await,
        }
    }

    fn location(&self, key: &ObjectKey) -> Location {
        let location = self.inner.location(&self.key(key));
        if self.flaw == SignsLocations {
            return Location::parse(format!("https://user:secret@host/{key}")).unwrap();
        }
        location
    }
}
