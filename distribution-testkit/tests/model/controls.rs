//! Negative controls: each seeded bug, where it shows soonest, and the promise that it breaks there.

use crate::bugs::Bug;
use crate::configurations::{LEASES, budget, two_files_one_process, two_reports, two_works, video};
use crate::scenario::{Budget, Content, Scenario};

const DAY: i64 = 24 * 3600;

/// The promise that the bug breaks, and where. Every bug has its control.
pub(crate) fn control(bug: Bug) -> (&'static str, Scenario) {
    match bug {
        Bug::CasIgnored => ("P5 trail", pair()),
        Bug::LostCreateTakenAsFailure => ("P3 once", one_fault()),
        Bug::LostClaimTakenAsFailure | Bug::LostAdvanceTakenAsDone => ("P7 answers", one_fault()),
        Bug::SourceNotPinned => ("P6 staging", restaged_and_swept()),
        Bug::FoundCountsAsCopied => ("P6 staging", restaged_and_swept()),
        Bug::ProofSkipped => ("P1 proof", rotting()),
        Bug::OutboxDropped | Bug::LinkBeforeTrail => ("P5 trail", one_fault()),
        Bug::DeliveredMarksMore => ("P5 trail", other_details()),
        Bug::ReplayGrantsAgain | Bug::LinkBeyondGrant => ("P8 links", replayed()),
        Bug::LeaseTrustedForSafety => ("P4 additive", pair()),
        Bug::ObservationReapplied => ("P3 once", rotting_pair()),
        Bug::OthersFileBlamed => ("P7 blame", two_files()),
        Bug::OthersReportBlamed => ("P7 blame", two_reports("one process, one report lapses", "a")),
        Bug::ReportsConfused => ("P7 answers", two_reports("one process, one report lapses", "a")),
        Bug::RejectedNotReopened => ("P7 recovery", badly_staged()),
        Bug::RejectedWithoutLook => ("P7 recovery", disappearing()),
        Bug::GateNotAskedAgain => ("P2 gate", lapsing()),
        Bug::RetryReusesKey => ("P4 additive", rotting()),
        Bug::AmendedAgainAndAgain => ("P10 bounded", other_details()),
        Bug::TombstoneIgnored | Bug::TombstoneReadTooEarly | Bug::PublicationsReadFirst | Bug::OnePublicationRead => {
            ("P6 staging", shared_and_swept())
        }
        Bug::TombstoneTakenBack => ("P6 staging", swept_twice()),
        Bug::SweptWithoutPin => ("P6 staging", restaged_and_swept()),
        Bug::SweptWithoutProof => ("P6 staging", rotting_and_swept()),
        Bug::RetentionIgnored => ("P6 staging", swept()),
    }
}

fn one_fault() -> Scenario {
    video("one publisher, one fault").publisher("a", 0, "title", 0).budget(budget(0, 1, 0))
}

fn pair() -> Scenario {
    let pair = video("two publishers").publisher("a", 0, "title", 0).publisher("b", 0, "title", 0);
    pair.clock(&LEASES)
}

fn other_details() -> Scenario {
    let pair = video("two publishers of other details").publisher("a", 0, "title", 0);
    pair.publisher("b", 0, "other title", 0).budget(Budget { repeats_max: 1, ..Budget::default() })
}

fn rotting() -> Scenario {
    video("an object rots").publisher("a", 0, "title", 0).budget(Budget { rots_max: 1, ..Budget::default() })
}

fn rotting_pair() -> Scenario {
    Scenario { name: "an object rots between two", ..pair() }.budget(Budget { rots_max: 1, ..Budget::default() })
}

fn badly_staged() -> Scenario {
    video("other bytes are staged").publisher("a", 0, "title", 0).restaged(0, Content::Second)
}

fn two_files() -> Scenario {
    two_files_one_process().budget(Budget { calls_max: 1, ..Budget::default() })
}

fn disappearing() -> Scenario {
    let one = video("the staged file disappears after a lost answer").publisher("a", 0, "title", 0);
    one.unstaged(0).budget(Budget { calls_max: 3, ..budget(0, 1, 0) })
}

fn lapsing() -> Scenario {
    video("the approval lapses").judged_publisher("a", 0, "title", 0, Some(61)).clock(&[0, 61])
}

fn replayed() -> Scenario {
    video("a call is repeated")
        .publisher("a", 0, "title", 0)
        .clock(&[0, 3600])
        .budget(Budget { repeats_max: 1, ..Budget::default() })
}

fn swept() -> Scenario {
    video("one publisher, a sweep").publisher("a", 0, "title", 0).sweeper(0).clock(&[0, DAY, 8 * DAY])
}

fn rotting_and_swept() -> Scenario {
    let budget = Budget { rots_max: 1, ..Budget::default() };
    Scenario { name: "an object rots before a sweep", ..swept() }.clock(&[0, 8 * DAY]).budget(budget)
}

fn restaged_and_swept() -> Scenario {
    Scenario { name: "a file is replaced before a sweep", ..swept() }
        .restaged(0, Content::Second)
        .clock(&[0, 8 * DAY])
        .budget(Budget { calls_max: 2, ..budget(0, 1, 0) })
}

fn shared_and_swept() -> Scenario {
    two_works("two works of one file, a sweep")
        .publisher("a", 0, "title", 0)
        .publisher("b", 1, "title", 0)
        .sweeper(0)
        .clock(&[0, 8 * DAY])
}

fn swept_twice() -> Scenario {
    two_works("two works of one file, two sweeps")
        .publisher("a", 0, "title", 0)
        .publisher("b", 1, "title", 0)
        .from(1)
        .sweeper(0)
        .sweeper(0)
        .clock(&[0, 8 * DAY])
}
