//! Flaws of metadata stores.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use distribution_core::{
    Advance, AuditLogId, Claim, Cursor, Error, Found, IdempotencyKey, Index, MetadataStore, Query, Row, Timestamp,
};
use distribution_testkit::conformance::{Harness, MetadataHarness, metadata::CHECKS};
use distribution_testkit::{MemoryMetadata, World, let_others_go_first};

use crate::{Caught, pass, prove};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    Nothing,
    AdvanceIsAClaim,
    AdvancesTwice,
    BindsTheLast,
    CachesLoads,
    ClaimsAgain,
    CutsBodies,
    FindsOldestFirst,
    FoldsNames,
    ForgetsNamesOnReopening,
    ForgetsOnReopening,
    IgnoresSettled,
    IgnoresTheRevision,
    InsertsOnAdvance,
    KeepsMilliseconds,
    KeepsTextOnly,
    KeepsTheFirstIndex,
    KnowsNoNames,
    LoadsAnything,
    LooksThenWrites,
    PagesByPosition,
    PagesByRow,
    PagesByTimeOnly,
    TearsRows,
    TrimsTags,
    WritesBodiesLater,
}

use Flaw::*;

const CAUGHT: Caught<'_, Flaw> = &[
    (ClaimsAgain, &["claims_once_and_returns_what_is_there", "one_of_many_claims_wins"]),
    (LooksThenWrites, &["one_of_many_claims_wins", "one_of_many_advances_wins", "loses_no_advance"]),
    (ForgetsOnReopening, &["survives_reopening", "loads_what_was_claimed"]),
    (ForgetsNamesOnReopening, &["each_write_survives_reopening", "binds_for_ever"]),
    (LoadsAnything, &["loads_nothing_of_what_was_not"]),
    (IgnoresTheRevision, &["a_superseded_advance_changes_nothing", "one_of_many_advances_wins", "loses_no_advance"]),
    (AdvancesTwice, &["a_late_duplicate_changes_nothing"]),
    (InsertsOnAdvance, &["advancing_nothing_is_corrupt"]),
    (CachesLoads, &["another_handle_sees_at_once", "one_of_many_publishers_publishes"]),
    (TearsRows, &["readers_see_index_and_body_of_one_revision"]),
    (WritesBodiesLater, &["a_dropped_write_is_all_or_nothing"]),
    (KeepsTextOnly, &["keeps_any_bytes"]),
    (CutsBodies, &["keeps_the_largest_body"]),
    (TrimsTags, &["keeps_any_index", "finds_tags_exactly"]),
    (KeepsMilliseconds, &["keeps_any_index", "finds_newest_first"]),
    (BindsTheLast, &["binds_for_ever", "one_of_many_binds_wins"]),
    (FoldsNames, &["tells_names_apart"]),
    (KnowsNoNames, &["binds_for_ever", "one_of_many_binds_wins"]),
    (KeepsTheFirstIndex, &["finds_by_the_advanced_index", "advances_the_revision_before"]),
    (IgnoresSettled, &["finds_what_matches"]),
    (FindsOldestFirst, &["finds_newest_first"]),
    (PagesByTimeOnly, &["finds_in_pages"]),
    (AdvanceIsAClaim, &["pages_stay_while_rows_advance", "publishing_survives_every_fault"]),
    (PagesByPosition, &["pages_hold_each_row_while_others_move"]),
    (PagesByRow, &["finds_behind_a_cursor_of_no_row"]),
];

#[test]
fn proof_that_the_metadata_suite_can_fail() {
    prove("metadata", CHECKS, CAUGHT, |flaw, check| check(&Broken::new(flaw)));
}

#[test]
fn a_metadata_store_without_a_flaw_passes() {
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
    /// Behind which position of the order each row was returned.
    positions: Mutex<BTreeMap<AuditLogId, usize>>,
    bodies: Mutex<BTreeMap<AuditLogId, Bytes>>,
}

impl Broken {
    fn new(flaw: Flaw) -> Self {
        Self { flaw, world: World::new(), shared: Arc::default() }
    }
}

impl Harness for Broken {}

#[async_trait::async_trait]
impl MetadataHarness for Broken {
    async fn open(&self) -> Arc<dyn MetadataStore> {
        let world = if self.flaw == ForgetsOnReopening { World::new() } else { self.world.clone() };
        let names = if self.flaw == ForgetsNamesOnReopening { World::new() } else { world.clone() };
        Arc::new(BrokenMetadata {
            flaw: self.flaw,
            inner: MemoryMetadata::new(&world),
            names: MemoryMetadata::new(&names),
            shared: Arc::clone(&self.shared),
            loaded: Mutex::default(),
        })
    }
}

struct BrokenMetadata {
    flaw: Flaw,
    inner: MemoryMetadata,
    names: MemoryMetadata,
    shared: Arc<Shared>,
    /// What this handle has seen.
    loaded: Mutex<BTreeMap<AuditLogId, Row>>,
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

    /// The row is there at once, its body only a moment later.
    async fn claim_without_body(&self, first: &Row) -> Result<Claim, Error> {
        let claim = self.inner.claim(&Row { body: Bytes::new(), ..first.clone() }).await?;
        let_others_go_first().await;
        let mut bodies = self.shared.bodies.lock().unwrap();
        match claim {
            Claim::Claimed => {
                bodies.insert(first.id.clone(), first.body.clone());
                Ok(Claim::Claimed)
            }
            Claim::Exists(row) => {
                let body = bodies.get(&row.id).cloned().unwrap_or_default();
                Ok(Claim::Exists(Row { body, ..row }))
            }
        }
    }

    async fn all(&self) -> Vec<Row> {
        self.inner.find(&Query::default(), None, usize::MAX).await.unwrap().rows
    }
}

#[async_trait::async_trait]
impl MetadataStore for BrokenMetadata {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        if self.flaw == LooksThenWrites && self.inner.load(&first.id).await?.is_none() {
            self.inner.claim(first).await?;
            return Ok(Claim::Claimed);
        }
        if self.flaw == WritesBodiesLater {
            return self.claim_without_body(first).await;
        }
        let claim = self.inner.claim(&self.kept(first)).await?;
        Ok(if self.flaw == ClaimsAgain { Claim::Claimed } else { claim })
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let row = self.inner.load(id).await?;
        if self.flaw == LoadsAnything && row.is_none() {
            return Ok(self.all().await.pop());
        }
        match (self.flaw, row) {
            (CachesLoads, Some(row)) => Ok(Some(self.loaded.lock().unwrap().entry(id.clone()).or_insert(row).clone())),
            // The index by one query, the rest by another.
            (TearsRows, Some(row)) => {
                let_others_go_first().await;
                let later = self.inner.load(id).await?;
                Ok(later.map(|later| Row { index: row.index, ..later }))
            }
            (WritesBodiesLater, Some(row)) if row.revision == 0 => {
                let body = self.shared.bodies.lock().unwrap().get(id).cloned().unwrap_or_default();
                Ok(Some(Row { body, ..row }))
            }
            (_, row) => Ok(row),
        }
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
            (AdvancesTwice, Some(present)) if present == next => return Ok(Advance::Advanced),
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
                self.names.bind(&folded, id).await
            }
            _ => self.names.bind(key, id).await,
        }
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        let named = match self.flaw {
            FoldsNames => self.names.bound(&IdempotencyKey::parse(key.as_str().to_lowercase()).unwrap()).await?,
            _ => self.names.bound(key).await?,
        };
        Ok(named.filter(|_| self.flaw != KnowsNoNames))
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        match (self.flaw, after) {
            (IgnoresSettled, _) => {
                let query = Query { settled: None, ..query.clone() };
                self.inner.find(&query, after, limit).await
            }
            (FindsOldestFirst, _) => {
                let mut rows = self.inner.find(query, after, limit).await?;
                rows.rows.reverse();
                Ok(rows)
            }
            (PagesByTimeOnly, Some(after)) => {
                let mut rows = self.inner.find(query, None, usize::MAX).await?.rows;
                rows.retain(|row| row.index.claimed_at < after.claimed_at);
                rows.truncate(limit);
                Ok(rows.into())
            }
            (PagesByPosition, _) => {
                let rows = self.inner.find(query, None, usize::MAX).await?.rows.into_iter().enumerate();
                let mut positions = self.shared.positions.lock().unwrap();
                let from = after.and_then(|after| positions.get(&after.id).copied()).unwrap_or(0);
                let page: Vec<_> = rows.skip(from).take(limit).collect();
                positions.extend(page.iter().map(|(position, row)| (row.id.clone(), position + 1)));
                Ok(page.into_iter().map(|(_, row)| row).collect::<Vec<_>>().into())
            }
            (PagesByRow, Some(after)) => {
                let rows = self.inner.find(query, None, usize::MAX).await?.rows;
                let found = rows.iter().position(|row| row.id == after.id);
                Ok(found.map_or(Vec::new(), |at| rows.into_iter().skip(at + 1).take(limit).collect()).into())
            }
            _ => self.inner.find(query, after, limit).await,
        }
    }
}
