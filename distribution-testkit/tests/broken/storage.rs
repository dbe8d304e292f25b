//! Flaws of storages.

mod store;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use distribution_core::{ContentHeaders, Digest, ObjectKey, ObjectStat, Storage, TargetName};
use distribution_testkit::conformance::{Harness, StorageHarness, storage::CHECKS};
use distribution_testkit::{Fault, MemoryStorage, Op, World};

use self::store::BrokenStorage;
use crate::{Caught, pass, prove};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    Nothing,
    AlignsLargeRanges,
    CachesStats,
    ChecksThenCreates,
    CreatesTheSameAgain,
    DestroysWhatIsHeld,
    EndsStreamsInSilence,
    EtagIsTheSize,
    FindsFolders,
    FlattensKeys,
    FoldsCase,
    ForgetsHeaders,
    ForgetsOnReopening,
    HoldsInWords,
    ListsAThousand,
    ListsByPosition,
    ListsFolders,
    ListsFromAfterOn,
    ListsInReverse,
    ListsLate,
    MetersNothing,
    Overwrites,
    OverwritesLarge,
    ProvesWhatItWasTold,
    RangesAreInclusive,
    RemembersDigests,
    RemovesInSteps,
    RemovesOnce,
    ReplacesFolders,
    ShowsLargeParts,
    ShowsParts,
    SignsLocations,
    StoresEmptyFiles,
    StoresHalf,
    TakesErrorsForNothing,
    TakesOtherBytes,
    TakesWhatCameBeforeAnError,
    TrustsFiles,
    TrustsLarge,
}

use Flaw::*;

const CAUGHT: Caught<'_, Flaw> = &[
    (Overwrites, &["never_changes_what_is_there", "one_of_many_creates_wins", "one_of_many_equal_creates_wins"]),
    (
        ChecksThenCreates,
        &[
            "one_of_many_creates_wins",
            "one_of_many_equal_creates_wins",
            "one_of_many_large_creates_wins",
            "creates_and_removes_at_once_leave_one_or_none",
        ],
    ),
    (OverwritesLarge, &["a_large_create_never_changes_what_is_there", "one_of_many_large_creates_wins"]),
    (CreatesTheSameAgain, &["a_create_whose_answer_is_lost_is_found_by_the_next", "one_of_many_equal_creates_wins"]),
    (
        ShowsParts,
        &[
            "never_shows_an_object_before_it_is_whole",
            "never_shows_part_of_an_object_to_a_parallel_reader",
            "a_create_dropped_while_it_reads_leaves_nothing",
            "a_dropped_create_is_all_or_nothing",
        ],
    ),
    (ShowsLargeParts, &["never_shows_part_of_a_large_object_to_a_parallel_reader"]),
    (TakesOtherBytes, &["refuses_other_bytes", "refuses_content_that_ends_early", "refuses_content_that_goes_on"]),
    (TrustsLarge, &["refuses_large_content_that_is_unfit"]),
    (TakesWhatCameBeforeAnError, &["refuses_content_that_fails"]),
    (StoresEmptyFiles, &["stores_a_local_file"]),
    (TrustsFiles, &["refuses_a_local_file_that_is_unfit", "never_stores_a_mix_of_a_file_that_changes"]),
    (StoresHalf, &["reads_back_what_was_created", "keeps_objects_of_any_size"]),
    (ForgetsOnReopening, &["survives_reopening"]),
    (ForgetsHeaders, &["keeps_headers_where_it_can"]),
    (FoldsCase, &["tells_upper_and_lower_case_apart"]),
    (FlattensKeys, &["takes_keys_of_any_shape"]),
    (ReplacesFolders, &["keeps_a_key_beside_its_folder_or_refuses_it"]),
    (FindsFolders, &["finds_nothing_where_nothing_is"]),
    (TakesErrorsForNothing, &["out_of_reach_is_an_error"]),
    (CachesStats, &["another_handle_sees_at_once"]),
    (RemembersDigests, &["digest_reads_what_is_really_stored"]),
    (ProvesWhatItWasTold, &["a_proof_is_true"]),
    (MetersNothing, &["meters_what_it_stores", "digest_meters_what_it_reads"]),
    (EtagIsTheSize, &["stat_tells_size_and_etag"]),
    (RangesAreInclusive, &["opens_any_range"]),
    (AlignsLargeRanges, &["opens_the_edges_of_a_large_object"]),
    (EndsStreamsInSilence, &["an_object_cut_short_ends_in_an_error"]),
    (RemovesOnce, &["removes_once_and_again"]),
    (RemovesInSteps, &["never_shows_part_of_what_is_removed"]),
    (DestroysWhatIsHeld, &["keeps_what_is_under_a_legal_hold"]),
    (HoldsInWords, &["keeps_what_is_under_a_legal_hold"]),
    (ListsInReverse, &["lists_in_byte_order"]),
    (ListsFolders, &["lists_by_any_beginning"]),
    (ListsFromAfterOn, &["lists_in_pages"]),
    (ListsAThousand, &["lists_more_than_a_thousand"]),
    (ListsLate, &["lists_what_was_just_created"]),
    (ListsByPosition, &["lists_the_same_while_others_write"]),
    (SignsLocations, &["locations_differ_and_hold_no_credentials"]),
];

#[test]
fn proof_that_the_storage_suite_can_fail() {
    prove("storage", CHECKS, CAUGHT, |flaw, check| check(&Broken::new(flaw)));
}

#[test]
fn a_storage_without_a_flaw_passes() {
    pass(CHECKS, Flaw::Nothing, |flaw, check| check(&Broken::new(flaw)));
}

struct Broken {
    flaw: Flaw,
    world: World,
    shared: Arc<Shared>,
}

/// What the flawed stores of one harness remember together.
#[derive(Default)]
struct Shared {
    digests: Mutex<BTreeMap<ObjectKey, Option<Digest>>>,
    is_lagging: AtomicBool,
    /// Behind which position of the list each key was returned.
    positions: Mutex<BTreeMap<ObjectKey, usize>>,
}

impl Broken {
    fn new(flaw: Flaw) -> Self {
        let world = World::new();
        if flaw == StoresHalf {
            world.fail(|effect| (effect.op == Op::StorageCreate).then_some(Fault::Truncate));
        }
        if matches!(flaw, DestroysWhatIsHeld | HoldsInWords) {
            world.give_legal_holds(&TargetName::parse("main").unwrap());
        }
        Self { flaw, world, shared: Arc::default() }
    }
}

impl Harness for Broken {}

#[async_trait::async_trait]
impl StorageHarness for Broken {
    async fn open(&self) -> Arc<dyn Storage> {
        let world = if self.flaw == ForgetsOnReopening { World::new() } else { self.world.clone() };
        let inner = MemoryStorage::new(&world, &TargetName::parse("main").unwrap());
        let (flaw, shared, stats) = (self.flaw, Arc::clone(&self.shared), Mutex::default());
        Arc::new(BrokenStorage { flaw, world, inner, shared, stats })
    }

    async fn replace(&self, key: &ObjectKey, bytes: &[u8]) -> bool {
        self.world.corrupt("main", key.as_str(), |stored| *stored = bytes.to_vec())
    }

    async fn cut_off(&self, cut_off: bool) -> bool {
        if cut_off {
            self.world.fail(|_| Some(Fault::LostRequest));
        } else {
            self.world.heal();
        }
        true
    }

    async fn is_destroyed(&self, key: &ObjectKey) -> Option<bool> {
        Some(self.world.object("main", key.as_str()).is_none())
    }

    async fn headers(&self, key: &ObjectKey) -> Option<ContentHeaders> {
        self.world.object("main", key.as_str()).map(|object| object.headers)
    }
}

type Stats = Mutex<BTreeMap<ObjectKey, Option<ObjectStat>>>;
