//! Negative controls: each flaw is caught by the check that is named after what it breaks, and no
//! check is without a flaw that it catches.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use distribution_core::{
    Advance, AuditLogId, Claim, Cursor, Error, IdempotencyKey, Index, MetadataStore, Query, Row, Timestamp,
};
use distribution_testkit::conformance::{Harness, MetadataHarness, metadata::CHECKS};
use distribution_testkit::{MemoryMetadata, World};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    ClaimsAgain,
    LooksThenWrites,
    ForgetsOnReopening,
    LoadsAnything,
    IgnoresTheRevision,
    InsertsOnAdvance,
    KeepsTextOnly,
    CutsBodies,
    TrimsTags,
    KeepsMilliseconds,
    BindsTheLast,
    FoldsNames,
    KeepsTheFirstIndex,
    IgnoresSettled,
    FindsOldestFirst,
    PagesByTimeOnly,
    AdvanceIsAClaim,
}

use Flaw::{
    AdvanceIsAClaim, BindsTheLast, ClaimsAgain, CutsBodies, FindsOldestFirst, FoldsNames, ForgetsOnReopening,
    IgnoresSettled, IgnoresTheRevision, InsertsOnAdvance, KeepsMilliseconds, KeepsTextOnly, KeepsTheFirstIndex,
    LoadsAnything, LooksThenWrites, PagesByTimeOnly, TrimsTags,
};

/// What catches each flaw, first of all.
const CAUGHT: [(Flaw, &[&str]); 17] = [
    (ClaimsAgain, &["claims_once_and_returns_what_is_there", "one_of_many_claims_wins"]),
    (LooksThenWrites, &["one_of_many_claims_wins", "one_of_many_advances_wins", "loses_no_advance"]),
    (ForgetsOnReopening, &["survives_reopening", "loads_what_was_claimed"]),
    (LoadsAnything, &["loads_nothing_of_what_was_not"]),
    (IgnoresTheRevision, &["a_superseded_advance_changes_nothing", "one_of_many_advances_wins", "loses_no_advance"]),
    (InsertsOnAdvance, &["advancing_nothing_is_corrupt"]),
    (KeepsTextOnly, &["keeps_any_bytes"]),
    (CutsBodies, &["keeps_the_largest_body"]),
    (TrimsTags, &["keeps_any_index", "finds_tags_exactly"]),
    (KeepsMilliseconds, &["keeps_any_index", "finds_newest_first"]),
    (BindsTheLast, &["binds_for_ever", "one_of_many_binds_wins"]),
    (FoldsNames, &["tells_names_apart"]),
    (KeepsTheFirstIndex, &["finds_by_the_advanced_index", "advances_the_revision_before"]),
    (IgnoresSettled, &["finds_what_matches"]),
    (FindsOldestFirst, &["finds_newest_first"]),
    (PagesByTimeOnly, &["finds_in_pages"]),
    (AdvanceIsAClaim, &["pages_stay_while_rows_advance"]),
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
}

impl Broken {
    fn new(flaw: Flaw) -> Self {
        Self { flaw, world: World::new() }
    }
}

impl Harness for Broken {}

#[async_trait::async_trait]
impl MetadataHarness for Broken {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        let world = if self.flaw == ForgetsOnReopening { World::new() } else { self.world.clone() };
        Arc::new(BrokenMetadata { flaw: self.flaw, inner: MemoryMetadata::new(&world) })
    }
}

struct BrokenMetadata {
    flaw: Flaw,
    inner: MemoryMetadata,
}

impl BrokenMetadata {
    /// The row as this store keeps it.
    fn kept(&self, row: &Row) -> Row {
        let mut row = row.clone();
        match self.flaw {
            KeepsTextOnly => row.body = Bytes::from(String::from_utf8_lossy(&row.body).into_owned()),
            CutsBodies => row.body.truncate(1 << 16),
            TrimsTags => row.index.tags = row.index.tags.iter().map(|tag| tag.trim().to_owned()).collect(),
            KeepsMilliseconds => {
                let millis = row.index.claimed_at.timestamp_millis();
                row.index.claimed_at = Timestamp::from_timestamp_millis(millis).unwrap();
            }
            _ => {}
        }
        row
    }

    async fn all(&self) -> Vec<Row> {
        self.inner.find(&Query::default(), None, usize::MAX).await.unwrap()
    }
}

#[async_trait::async_trait]
impl MetadataStore for BrokenMetadata {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        if self.flaw == LooksThenWrites && self.inner.load(&first.id).await?.is_none() {
            self.inner.claim(first).await?;
            return Ok(Claim::Claimed);
        }
        let claim = self.inner.claim(&self.kept(first)).await?;
        Ok(if self.flaw == ClaimsAgain { Claim::Claimed } else { claim })
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let row = self.inner.load(id).await?;
        if self.flaw == LoadsAnything && row.is_none() {
            return Ok(self.all().await.pop());
        }
        Ok(row)
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        let present = self.inner.load(&next.id).await?;
        let mut next = self.kept(next);
        match (self.flaw, present) {
            (InsertsOnAdvance, None) => {
                self.inner.claim(&Row { revision: 0, ..next }).await?;
                return Ok(Advance::Advanced);
            }
            (IgnoresTheRevision, Some(present)) => {
                next.revision = present.revision + 1;
                self.inner.advance(&next).await?;
                return Ok(Advance::Advanced);
            }
            (LooksThenWrites, Some(present)) if present.revision + 1 == next.revision => {
                self.inner.advance(&next).await?;
                return Ok(Advance::Advanced);
            }
            (KeepsTheFirstIndex, Some(present)) => next.index = present.index,
            (AdvanceIsAClaim, Some(present)) => {
                let claimed_at = present.index.claimed_at - chrono::TimeDelta::seconds(1);
                next.index = Index { claimed_at, ..next.index };
            }
            _ => {}
        }
        self.inner.advance(&next).await
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        match self.flaw {
            BindsTheLast => Ok(id.clone()),
            FoldsNames => {
                let folded = IdempotencyKey::parse(key.as_str().to_lowercase()).unwrap();
                self.inner.bind(&folded, id).await
            }
            _ => self.inner.bind(key, id).await,
        }
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Vec<Row>, Error> {
        match (self.flaw, after) {
            (IgnoresSettled, _) => {
                let query = Query { settled: None, ..query.clone() };
                self.inner.find(&query, after, limit).await
            }
            (FindsOldestFirst, _) => {
                let mut rows = self.inner.find(query, after, limit).await?;
                rows.reverse();
                Ok(rows)
            }
            (PagesByTimeOnly, Some(after)) => {
                let mut rows = self.inner.find(query, None, usize::MAX).await?;
                rows.retain(|row| row.index.claimed_at < after.claimed_at);
                rows.truncate(limit);
                Ok(rows)
            }
            _ => self.inner.find(query, after, limit).await,
        }
    }
}
