//! The configurations that the unchanged protocol must survive, in three sizes.

use distribution_testkit::Budget as Size;

use crate::scenario::{Budget, Content, Scenario};

/// So many crashes, faults and late writes.
pub(crate) fn budget(crashes_max: u8, faults_max: u8, late_writes_max: u8) -> Budget {
    Budget { crashes_max, faults_max, late_writes_max, ..Budget::default() }
}

pub(crate) const LEASES: [i64; 2] = [0, 61];
const DAY: i64 = 24 * 3600;

/// One video for one work, staged as file 0, at a key that tells its bytes.
pub(crate) fn video(name: &'static str) -> Scenario {
    Scenario::new(name).publication("clip-0123456789ab.mp4", Content::First, "work", true).staged(Content::First)
}

/// The same bytes, staged once, for two works.
pub(crate) fn two_works(name: &'static str) -> Scenario {
    video(name).publication("clip-0123456789ab.mp4", Content::First, "other-work", true)
}

/// Two videos whose keys do not tell them apart.
pub(crate) fn two_videos_one_key(name: &'static str) -> Scenario {
    Scenario::new(name)
        .publication("clip.mp4", Content::First, "work", false)
        .publication("clip.mp4", Content::Second, "work", false)
        .staged(Content::First)
        .staged(Content::Second)
}

pub(crate) fn all(size: Size) -> Vec<Scenario> {
    let mut all = publishers(size);
    all.extend(accidents(size));
    all.extend(sweeps(size));
    all
}

/// Who publishes, with whom.
fn publishers(size: Size) -> Vec<Scenario> {
    vec![
        video("two publishers of one request")
            .publisher("a", 0, "title", 0)
            .publisher("b", 0, "title", 0)
            .clock(&LEASES)
            .budget(size.pick(budget(0, 1, 0), budget(1, 1, 1), budget(1, 2, 1))),
        video("two publishers, a store that proves what it creates")
            .publisher("a", 0, "title", 0)
            .publisher("b", 0, "title", 0)
            .store_proves()
            .clock(&LEASES)
            .budget(size.pick(budget(0, 1, 0), budget(1, 1, 1), budget(2, 2, 1))),
        video("two publishers of other details")
            .publisher("a", 0, "title", 0)
            .publisher("b", 0, "other title", 0)
            .clock(&LEASES)
            .budget(size.pick(budget(0, 0, 0), budget(1, 1, 1), budget(1, 1, 1))),
        video("two calls of one process")
            .publisher("a", 0, "title", 0)
            .publisher("a", 0, "other title", 0)
            .clock(&LEASES)
            .budget(size.pick(budget(0, 0, 0), budget(1, 1, 0), budget(1, 1, 1))),
        video("a publisher and a recoverer")
            .publisher("a", 0, "title", 0)
            .recoverer("r", 0)
            .clock(size.pick(&[0, 61], &[0, 61, 122], &[0, 61, 122]))
            .budget(size.pick(budget(0, 1, 0), budget(1, 1, 0), budget(1, 1, 1))),
        video("a publisher and a recoverer without the file's signature")
            .signed_urls()
            .publisher("a", 0, "title", 0)
            .recoverer("r", 0)
            .clock(&LEASES)
            .budget(size.pick(budget(0, 1, 0), budget(1, 1, 1), budget(2, 1, 1))),
        video("three publishers")
            .publisher("a", 0, "title", 0)
            .publisher("b", 0, "title", 0)
            .publisher("c", 0, "title", 0)
            .clock(&LEASES)
            .budget(size.pick(budget(0, 0, 0), budget(1, 0, 0), budget(1, 1, 0))),
        two_videos_one_key("two videos, one key")
            .publisher("a", 0, "title", 0)
            .publisher("b", 1, "title", 1)
            .clock(&LEASES)
            .budget(size.pick(budget(1, 0, 0), budget(1, 1, 0), budget(1, 2, 1))),
        two_works("two works, one object")
            .publisher("a", 0, "title", 0)
            .publisher("b", 1, "title", 0)
            .clock(&LEASES)
            .budget(size.pick(budget(1, 0, 0), budget(1, 1, 0), budget(1, 2, 1))),
    ]
}

/// Two calls of one process for one publication, from two copies of the file, one of them bad.
pub(crate) fn two_files_one_process() -> Scenario {
    video("one process, two copies of the file, one of them bad")
        .staged(Content::Second)
        .publisher("a", 0, "title", 0)
        .publisher("a", 0, "title", 1)
}

/// Two calls for one publication: the QC report of one lapses, that of the other does not.
pub(crate) fn two_reports(name: &'static str, other_holder: &'static str) -> Scenario {
    video(name)
        .judged_publisher("a", 0, "title", 0, Some(100))
        .publisher(other_holder, 0, "title", 0)
        .clock(&[0, 61, 122])
}

/// What happens to files, objects and time meanwhile.
fn accidents(size: Size) -> Vec<Scenario> {
    let rots = |rots_max, budget| Budget { rots_max, ..budget };
    let repeats = |repeats_max, budget| Budget { repeats_max, ..budget };
    let calls = |calls_max, budget| Budget { calls_max, ..budget };
    vec![
        video("objects rot")
            .publisher("a", 0, "title", 0)
            .publisher("b", 0, "title", 0)
            .clock(&LEASES)
            .budget(size.pick(rots(1, budget(0, 0, 0)), rots(1, budget(0, 1, 0)), rots(2, budget(0, 1, 0)))),
        two_works("a shared object rots")
            .publisher("a", 0, "title", 0)
            .publisher("b", 1, "title", 0)
            .clock(&LEASES)
            .budget(size.pick(rots(1, budget(0, 0, 0)), rots(1, budget(0, 1, 0)), rots(2, budget(1, 1, 0)))),
        video("the staged file is replaced, and put back")
            .publisher("a", 0, "title", 0)
            .publisher("b", 0, "title", 0)
            .restaged(0, Content::Second)
            .restaged(0, Content::First)
            .clock(&LEASES)
            .budget(calls(
                size.pick(1, 2, 2),
                size.pick(budget(0, 0, 0), budget(0, 1, 0), repeats(1, budget(1, 1, 0))),
            )),
        video("the staged file disappears, and comes back")
            .publisher("a", 0, "title", 0)
            .publisher("b", 0, "title", 0)
            .unstaged(0)
            .restaged(0, Content::First)
            .clock(&LEASES)
            .budget(calls(
                size.pick(1, 2, 2),
                size.pick(budget(0, 0, 0), budget(0, 1, 0), repeats(1, budget(1, 1, 0))),
            )),
        video("the same file is staged twice, one copy is bad")
            .staged(Content::Second)
            .publisher("a", 0, "title", 0)
            .publisher("b", 0, "title", 1)
            .clock(&LEASES)
            .budget(calls(2, size.pick(budget(0, 0, 0), repeats(1, budget(0, 1, 0)), repeats(1, budget(1, 1, 1))))),
        two_files_one_process()
            .clock(&LEASES)
            .budget(calls(2, size.pick(budget(0, 0, 0), repeats(1, budget(0, 1, 0)), repeats(1, budget(1, 1, 1))))),
        video("the approval lapses")
            .judged_publisher("a", 0, "title", 0, Some(100))
            .judged_publisher("b", 0, "title", 0, Some(61))
            .clock(&[0, 61, 122])
            .budget(size.pick(budget(0, 0, 0), budget(1, 1, 0), budget(1, 1, 1))),
        two_reports("one process, two calls, the report of one lapses", "a").budget(size.pick(
            budget(0, 0, 0),
            budget(1, 0, 0),
            budget(1, 1, 0),
        )),
        two_reports("two processes, the report of one lapses", "b").budget(size.pick(
            budget(0, 0, 0),
            budget(1, 0, 0),
            budget(1, 1, 0),
        )),
        video("the link expires")
            .publisher("a", 0, "title", 0)
            .publisher("b", 0, "title", 0)
            .clock(&[0, 4 * DAY])
            .budget(size.pick(repeats(1, budget(0, 0, 0)), repeats(1, budget(0, 1, 0)), repeats(2, budget(0, 1, 1)))),
    ]
}

/// The staging sweep of DESIGN §8.
fn sweeps(size: Size) -> Vec<Scenario> {
    let rots = |rots_max, budget| Budget { rots_max, ..budget };
    vec![
        two_works("a sweep, and another work that uses the file")
            .publisher("a", 0, "title", 0)
            .publisher("b", 1, "title", 0)
            .sweeper(0)
            .clock(&[0, 8 * DAY])
            .budget(size.pick(budget(0, 0, 0), budget(0, 1, 0), budget(1, 1, 1))),
        two_works("two sweeps")
            .publisher("a", 0, "title", 0)
            .publisher("b", 1, "title", 0)
            .from(1)
            .sweeper(0)
            .sweeper(1)
            .clock(size.pick(&[0, 8 * DAY], &[0, 8 * DAY, 16 * DAY], &[0, 8 * DAY, 16 * DAY]))
            .budget(size.pick(budget(0, 0, 0), budget(0, 0, 0), budget(0, 0, 1))),
        video("a sweep of a file that is staged again")
            .publisher("a", 0, "title", 0)
            .publisher("b", 0, "title", 0)
            .sweeper(0)
            .restaged(0, Content::First)
            .clock(&[0, 8 * DAY])
            .budget(size.pick(budget(0, 0, 0), budget(0, 1, 0), budget(0, 1, 1))),
        video("a sweep while objects rot")
            .publisher("a", 0, "title", 0)
            .recoverer("r", 0)
            .sweeper(0)
            .clock(&[0, 8 * DAY])
            .budget(size.pick(rots(1, budget(0, 0, 0)), rots(1, budget(0, 1, 0)), rots(2, budget(1, 1, 1)))),
    ]
}
