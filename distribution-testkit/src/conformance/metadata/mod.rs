//! What [`MetadataStore`] guarantees, a check for each sentence; and publishing over it, with faults and in
//! a race.
//!
//! Not checked, because no check can see it from outside: durability in a crash of the machine (only
//! reopening is tried), and that no write is retried whose outcome is unknown.

mod bind;
mod find;
mod publish;
mod read;
mod rows;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use distribution_core::MetadataStore;

use self::bind::*;
use self::find::*;
use self::publish::*;
use self::read::*;
use self::write::*;
use super::{Check, Harness, Waivers};

/// A metadata backend under test. Every check has a harness of its own, and so an empty store of its
/// own: a fresh file, schema or prefix.
#[async_trait]
pub trait MetadataHarness: Harness {
    /// Opens the store, or opens it again: what an earlier one stored is there.
    async fn open(&self) -> Arc<dyn MetadataStore>;

    /// The checks that this backend cannot pass, and why.
    fn waived(&self) -> Waivers {
        &[]
    }
}

/// One test per guarantee of [`MetadataStore`](distribution_core::MetadataStore). Takes an expression
/// that makes a new [`MetadataHarness`]; invoke it in a module of its own.
#[macro_export]
macro_rules! metadata_conformance {
    ($harness:expr) => {
        $crate::__metadata_checks! { __conformance_tests (metadata, MetadataHarness, $harness) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __metadata_checks {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            loads_what_was_claimed
            loads_nothing_of_what_was_not
            claims_once_and_returns_what_is_there
            one_of_many_claims_wins
            advances_the_revision_before
            a_superseded_advance_changes_nothing
            a_late_duplicate_changes_nothing
            advancing_nothing_is_corrupt
            one_of_many_advances_wins
            loses_no_advance
            readers_see_index_and_body_of_one_revision
            another_handle_sees_at_once
            a_dropped_write_is_all_or_nothing
            keeps_any_bytes
            keeps_the_largest_body
            keeps_any_index
            survives_reopening
            each_write_survives_reopening
            binds_for_ever
            one_of_many_binds_wins
            tells_names_apart
            finds_what_matches
            finds_by_the_advanced_index
            finds_tags_exactly
            finds_newest_first
            finds_in_pages
            pages_stay_while_rows_advance
            pages_hold_each_row_while_others_move
            finds_behind_a_cursor_of_no_row
            publishing_survives_every_fault
            one_of_many_publishers_publishes
        }
    };
}

/// The suite.
pub const CHECKS: &[Check<dyn MetadataHarness>] = __metadata_checks! { __conformance_checks (dyn MetadataHarness) };

const RACERS: usize = 16;
