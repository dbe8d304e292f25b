//! Records in memory.

use std::collections::btree_map::Entry;

use async_trait::async_trait;
use distribution_core::{Advance, AuditLogId, Claim, Cursor, Error, Found, IdempotencyKey, MetadataStore, Query, Row};

use crate::faults::{Fault, Op};
use crate::world::{State, World};

/// The records and names of a [`World`]. Stricter than it must be: a row that no publisher may
/// write, too large or at an impossible revision, is refused as `Corrupt`.
#[derive(Clone, Debug)]
pub struct MemoryMetadata {
    world: World,
}

impl MemoryMetadata {
    /// The records of this world.
    pub fn new(world: &World) -> Self {
        Self { world: world.clone() }
    }
}

#[async_trait]
impl MetadataStore for MemoryMetadata {
    async fn claim(&self, first: &Row) -> Result<Claim, Error> {
        let call = self.world.begin(Op::MetadataClaim, first.id.as_str()).await?;
        let (first, rival) = (first.clone(), call.has(Fault::Conflict));
        call.write(move |state| {
            check(&first, first.revision == 0)?;
            if rival {
                state.rows.entry(first.id.clone()).or_insert_with(|| first.clone());
            }
            Ok(claim(state, &first))
        })
        .await
    }

    async fn load(&self, id: &AuditLogId) -> Result<Option<Row>, Error> {
        let call = self.world.begin(Op::MetadataLoad, id.as_str()).await?;
        let row = self.world.lock().rows.get(id).cloned();
        call.end(Ok(row)).await
    }

    async fn advance(&self, next: &Row) -> Result<Advance, Error> {
        let call = self.world.begin(Op::MetadataAdvance, next.id.as_str()).await?;
        let (next, mut rival) = (next.clone(), call.has(Fault::Conflict));
        call.write(move |state| {
            check(&next, next.revision > 0)?;
            if std::mem::take(&mut rival)
                && let Some(row) = state.rows.get_mut(&next.id)
            {
                row.revision += 1;
            }
            advance(state, &next)
        })
        .await
    }

    async fn bind(&self, key: &IdempotencyKey, id: &AuditLogId) -> Result<AuditLogId, Error> {
        let call = self.world.begin(Op::MetadataBind, id.as_str()).await?;
        let (key, id) = (key.to_string(), id.clone());
        call.write(move |state| Ok(state.names.entry(key.clone()).or_insert_with(|| id.clone()).clone())).await
    }

    async fn bound(&self, key: &IdempotencyKey) -> Result<Option<AuditLogId>, Error> {
        let call = self.world.begin(Op::MetadataBound, "").await?;
        let named = self.world.lock().names.get(key.as_str()).cloned();
        call.end(Ok(named)).await
    }

    async fn find(&self, query: &Query, after: Option<&Cursor>, limit: usize) -> Result<Found, Error> {
        let call = self.world.begin(Op::MetadataFind, "").await?;
        let found = find(&self.world.lock(), query, after, limit);
        call.end(Ok(found)).await
    }
}

fn claim(state: &mut State, first: &Row) -> Claim {
    match state.rows.entry(first.id.clone()) {
        Entry::Occupied(row) => Claim::Exists(row.get().clone()),
        Entry::Vacant(place) => {
            place.insert(first.clone());
            Claim::Claimed
        }
    }
}

fn advance(state: &mut State, next: &Row) -> Result<Advance, Error> {
    let Some(row) = state.rows.get_mut(&next.id) else {
        return Err(Error::corrupt(format!("the publication {} has no row to advance", next.id)));
    };
    if row.revision.checked_add(1) != Some(next.revision) {
        return Ok(Advance::Superseded(row.clone()));
    }
    row.clone_from(next);
    Ok(Advance::Advanced)
}

fn find(state: &State, query: &Query, after: Option<&Cursor>, limit: usize) -> Found {
    let mut found: Vec<&Row> = state.rows.values().filter(|row| query.matches(&row.index)).collect();
    // By id within one moment already, because the rows are a map by id.
    found.sort_by_key(|row| std::cmp::Reverse(row.index.claimed_at));
    let follows = |row: &&Row| after.is_none_or(|after| row.cursor() > *after);
    found.into_iter().filter(follows).take(limit).cloned().collect::<Vec<_>>().into()
}

fn check(row: &Row, possible_revision: bool) -> Result<(), Error> {
    if possible_revision && row.body.len() <= Row::BODY_BYTES_MAX {
        return Ok(());
    }
    let message =
        format!("no row of {} may be written at revision {} with {} bytes", row.id, row.revision, row.body.len());
    Err(Error::corrupt(message))
}
